// Upstreams that are killed, hang, reset, are slow to accept, or move in DNS; and those that want
// TLS, HTTP/2 or the PROXY protocol.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <map>
#include <mutex>
#include <set>

#include "base/check.h"
#include "tests/support/eventually.h"
#include "tests/support/loopback_certificate.h"
#include "tests/support/name_server.h"
#include "tests/support/nginx.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;

// Says its name, and counts what it is asked for: by the "id" of each request.
class Backend {
 public:
  explicit Backend(std::string name) : name_(std::move(name)) {
    behave([this](const Request&) { return page(); });
  }
  using Behave = std::function<Response(const Request&)>;
  void behave(Behave how) {
    server_.replace_handler([this, how = std::move(how)](const Request& request) {
      const std::lock_guard lock(mutex_);
      if (request.path != "/health") ++ids_[request.parameter("id")];
      return how(request);
    });
  }
  Response page() const {
    Response response;
    response.body = name_;
    return response;
  }
  std::string url() const { return server_.url(); }
  uint16_t port() const { return server_.port(); }
  size_t requests() const { return server_.requests("/"); }
  size_t checks() const { return server_.requests("/health"); }
  std::map<std::string, size_t> ids() const {
    const std::lock_guard lock(mutex_);
    return ids_;
  }

 private:
  const std::string name_;
  mutable std::mutex mutex_;
  std::map<std::string, size_t> ids_;  // guarded by mutex_
  HttpServer server_{[](const Request&) { return Response(); }};
};

class UpstreamsTest : public ::testing::Test {
 protected:
  void start(const std::vector<std::string>& urls, const std::string& more = "") {
    std::string list;
    for (const std::string& url : urls) list += (list.empty() ? "\"" : ", \"") + url + "\"";
    auto& settings = site_.edge.settings;
    settings.workers = 1;
    settings.groups = R"([{"name": "app", "upstreams": [)" + list + "]" +
                      (more.empty() ? "" : ", " + more) + "}]";
    settings.routes = R"([{"group": "app"}])";
    ASSERT_TRUE(site_.edge.start());
    http_.reset();
    client_.reset(new TlsClient(site_.connect("a.test")));
    ASSERT_TRUE(client_->handshake().done) << client_->handshake().error;
    http_.emplace(*client_);
  }
  HttpAnswer send(const std::string& method, int id) {
    return http_->exchange(method + " /?id=" + std::to_string(id) +
                           " HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody");
  }
  // How often each answer (its body, or its status if it is a page of ours) came.
  std::map<std::string, int> tally(const std::string& method, int times) {
    std::map<std::string, int> out;
    for (int i = 0; i < times; ++i) {
      const HttpAnswer answer = send(method, next_id_++);
      ++out[answer.status == 200 ? answer.body : std::to_string(answer.status)];
    }
    return out;
  }

  Site site_;
  std::unique_ptr<TlsClient> client_;  // of the last start()
  std::optional<HttpConversation> http_;
  int next_id_ = 0;
};

using Tally = std::map<std::string, int>;

TEST_F(UpstreamsTest, AKilledOneCostsNoRequestAndIsLeftAlone) {
  auto a = std::make_optional<Backend>("a");
  Backend b("b");
  start({a->url(), b.url()});
  EXPECT_EQ(tally("POST", 10), (Tally{{"a", 5}, {"b", 5}}));
  a.reset();
  EXPECT_EQ(tally("POST", 30), (Tally{{"b", 30}}));
  // Failures of one instant count once.
  EXPECT_TRUE(eventually([&] {
    EXPECT_EQ(tally("POST", 1), (Tally{{"b", 1}}));
    return site_.edge.count("upstream_ejected") == 1;
  }));
  const size_t tried = site_.edge.count("upstream_unreachable");
  EXPECT_EQ(tally("POST", 10), (Tally{{"b", 10}}));
  EXPECT_EQ(site_.edge.count("upstream_unreachable"), tried) << "it is not tried any more";
}

TEST_F(UpstreamsTest, AResetIsRetriedOnlyWhereNothingCanBeDoneTwice) {
  Backend a("a"), b("b");
  start({a.url(), b.url()}, R"("ejection": null)");
  Response reset;
  reset.reset = true;
  a.behave([reset](const Request&) { return reset; });
  EXPECT_EQ(tally("PUT", 10), (Tally{{"b", 10}}));
  EXPECT_EQ(tally("POST", 10), (Tally{{"b", 5}, {"502", 5}}));
  std::map<std::string, size_t> all = a.ids();
  for (const auto& [id, count] : b.ids()) all[id] += count;
  for (const auto& [id, count] : all) {
    if (std::stoi(id) >= 10) {
      EXPECT_EQ(count, 1u) << "a POST that was answered, or done, twice";
    }
  }
}

TEST_F(UpstreamsTest, OneThatHangsIsLeftAloneAfterAWhile) {
  Backend a("a"), b("b");
  site_.edge.settings.response_timeout = "200ms";
  start({a.url(), b.url()}, R"("ejection": {"failures": 3, "time": "1h"})");
  Response hang;
  hang.hang = true;
  a.behave([hang](const Request&) { return hang; });
  EXPECT_EQ(tally("GET", 20), (Tally{{"b", 17}, {"504", 3}}));
  EXPECT_EQ(site_.edge.count("upstream_ejected"), 1u);
}

// Its queue of connections is full: the kernel drops what comes.
TEST_F(UpstreamsTest, OneThatIsSlowToAcceptHandsOverToAnother) {
  const Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener.get(), generic, size), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  ASSERT_EQ(getsockname(listener.get(), generic, &size), 0);
  std::vector<Fd> fillers;
  for (int i = 0; i < 3; ++i) {
    fillers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    static_cast<void>(connect(fillers.back().get(), generic, size));
  }
  Backend b("b");
  start({"http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), b.url()},
        R"("ejection": {"failures": 1, "time": "1h"})");
  EXPECT_EQ(tally("POST", 6), (Tally{{"b", 6}}));
  EXPECT_EQ(site_.edge.count("upstream_unreachable"), 1u);
}

TEST_F(UpstreamsTest, HealthChecksTakeOneOutAndBringItBack) {
  Backend a("a"), b("b");
  std::atomic<bool> well = true;
  a.behave([&](const Request& request) {
    Response response = a.page();
    if (request.path == "/health" && !well) response.status = 500;
    return response;
  });
  start({a.url(), b.url()},
        R"("health": {"path": "/health", "interval": "100ms", "fall": 2, "rise": 2})");
  EXPECT_EQ(tally("GET", 10), (Tally{{"a", 5}, {"b", 5}}));
  well = false;
  ASSERT_TRUE(eventually([&] { return site_.edge.count("upstream_down") == 1; }));
  EXPECT_EQ(tally("GET", 10), (Tally{{"b", 10}}));
  well = true;
  ASSERT_TRUE(eventually([&] { return site_.edge.count("upstream_up") == 1; }));
  EXPECT_EQ(tally("GET", 10), (Tally{{"a", 5}, {"b", 5}}));
  EXPECT_GT(b.checks(), 2u);
}

TEST_F(UpstreamsTest, ServicesMoveWithDnsAndStandInForEachOther) {
  auto a = std::make_optional<Backend>("a");
  Backend b("b"), c("c");
  const auto srv = [](int priority, uint16_t port) {
    return std::to_string(priority) + " 1 " + std::to_string(port) + " ns.dns.test.";
  };
  NameServer::Options options;
  options.zones = {{"dns.test", "_http._tcp.app 1 SRV " + srv(0, a->port()) +
                                    "\n_http._tcp.app 1 SRV " + srv(10, b.port()) + "\n"}};
  NameServer dns(site_.folder / "dns", options);
  site_.edge.settings.resolvers = dns.address();
  start({"srv+http://_http._tcp.app.dns.test"});
  EXPECT_EQ(tally("GET", 4), (Tally{{"a", 4}}));
  a.reset();
  EXPECT_EQ(tally("POST", 4), (Tally{{"b", 4}})) << "the second priority";
  write_text(
      site_.folder / "update",
      "server 127.0.0.1 " + std::to_string(dns.port()) + "\nzone dns.test\nkey " + dns.algorithm() +
          ":" + dns.key_name() + " " + dns.secret_base64() +
          "\nupdate delete _http._tcp.app.dns.test SRV\nupdate add _http._tcp.app.dns.test 1 "
          "SRV " +
          srv(0, c.port()) + "\nsend\n");
  Process::Options nsupdate;
  nsupdate.args = {"nsupdate", (site_.folder / "update").string()};
  nsupdate.output = site_.folder / "nsupdate.log";
  const ProgramEnded ended = run_to_end(std::move(nsupdate));
  ASSERT_EQ(ended.code, 0) << ended.output;
  EXPECT_TRUE(eventually([&] { return tally("GET", 1) == Tally{{"c", 1}}; }));
  dns.stop();
  EXPECT_EQ(tally("POST", 5), (Tally{{"c", 5}})) << "DNS that is down takes nobody down";
}

// ---- TLS, HTTP/2, PROXY

class SecureUpstreamsTest : public UpstreamsTest {
 protected:
  SecureUpstreamsTest() {
    const PemPair pair = make_loopback_certificate();
    write_text(site_.folder / "ca.pem", pair.certificate);
    write_text(site_.folder / "key.pem", pair.key);
    write_text(site_.folder / "other.pem", make_loopback_certificate().certificate);
  }
  // `listen`: what stands behind the address.
  void start_nginx(const std::string& listen, const std::string& more = "") {
    const std::string folder = site_.folder.path().string();
    nginx_.emplace(
        site_.folder / "nginx",
        "server { listen 127.0.0.1:" + std::to_string(port_.number()) + " " + listen +
            "; ssl_certificate " + folder + "/ca.pem; ssl_certificate_key " + folder +
            "/key.pem; " + more + " location / { proxy_pass " + site_.upstream.url() +
            "; proxy_set_header Host $host;"
            " add_header X-Client $proxy_protocol_addr; add_header X-Connection $connection; "
            "add_header X-Spoke \"$server_protocol $ssl_client_verify\"; } }\n");
  }
  std::string url(const std::string& scheme, const std::string& host = "127.0.0.1") const {
    return scheme + "://" + host + ":" + std::to_string(port_.number());
  }
  std::string tls(const std::string& ca, const std::string& more = "") const {
    return R"("tls": {"ca_file": ")" + (site_.folder / ca).string() + "\"" + more + "}";
  }

  const ReservedPort port_{ReservedPort::Hold::kFree};
  std::optional<Nginx> nginx_;
};

TEST_F(SecureUpstreamsTest, TlsIsSpokenAndTheConnectionKept) {
  start_nginx("ssl");
  start({url("https")}, tls("ca.pem"));
  for (int i = 0; i < 3; ++i) {
    const HttpAnswer answer = http_->get("a.test", "/x");
    EXPECT_EQ(answer.status, 200) << site_.edge.log();
    EXPECT_EQ(answer.header("x-spoke"), "HTTP/1.1 NONE");
    EXPECT_EQ(answer.body, "page of a.test /x");
  }
}

TEST_F(SecureUpstreamsTest, AnUnknownIssuerAndAWrongNameAreRefused) {
  start_nginx("ssl");
  start({url("https")}, tls("other.pem"));
  EXPECT_EQ(http_->get("a.test", "/").status, 502);
  EXPECT_TRUE(site_.edge.logged("certificate is not accepted")) << site_.edge.log();
  ASSERT_TRUE(site_.edge.terminate());
  start({url("https")}, tls("ca.pem", R"(, "server_name": "else.test")"));
  EXPECT_EQ(http_->get("a.test", "/").status, 502);
  ASSERT_TRUE(site_.edge.terminate());
  start({url("https")});
  EXPECT_EQ(http_->get("a.test", "/").status, 502) << "the system's authorities do not know it";
  ASSERT_TRUE(site_.edge.terminate());
  start({url("https")}, tls("ca.pem", R"(, "server_name": "localhost")"));
  EXPECT_EQ(http_->get("a.test", "/").status, 200);
}

TEST_F(SecureUpstreamsTest, ItGetsOurCertificate) {
  const std::string folder = site_.folder.path().string();
  start_nginx("ssl", "ssl_verify_client on; ssl_client_certificate " + folder + "/ca.pem;");
  start({url("https")}, tls("ca.pem"));
  EXPECT_EQ(http_->get("a.test", "/").status, 400) << "nginx wants one";
  ASSERT_TRUE(site_.edge.terminate());
  start({url("https")}, tls("ca.pem", R"(, "cert_file": ")" + folder +
                                          R"(/ca.pem", "key_file": ")" + folder + R"(/key.pem")"));
  const HttpAnswer answer = http_->get("a.test", "/");
  EXPECT_EQ(answer.header("x-spoke"), "HTTP/1.1 SUCCESS") << answer.status;
}

TEST_F(SecureUpstreamsTest, AFileThatCannotBeReadStopsNoStartAndSaysSo) {
  start({url("https")}, tls("missing.pem"));
  EXPECT_EQ(site_.edge.count("upstream_tls_unusable"), 1u);
  EXPECT_EQ(http_->get("a.test", "/").status, 502);
  EXPECT_TRUE(site_.edge.logged("missing.pem"));
}

TEST_F(SecureUpstreamsTest, Http2IsSpokenWhereItIsOffered) {
  start_nginx("ssl http2");
  start({url("https")}, R"("http2": true, )" + tls("ca.pem"));
  for (int i = 0; i < 3; ++i) {
    const HttpAnswer answer = http_->get("a.test", "/x");
    EXPECT_EQ(answer.header("x-spoke"), "HTTP/2.0 NONE") << site_.edge.log();
    EXPECT_EQ(answer.body, "page of a.test /x");
  }
  ASSERT_TRUE(site_.edge.terminate());
  start({url("https")}, tls("ca.pem"));
  EXPECT_EQ(http_->get("a.test", "/x").header("x-spoke"), "HTTP/1.1 NONE");
}

TEST_F(SecureUpstreamsTest, AnUpstreamWithoutHttp2IsSpokenToAsItWishes) {
  start_nginx("ssl");
  start({url("https")}, R"("http2": true, )" + tls("ca.pem"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(http_->get("a.test", "/x").header("x-spoke"), "HTTP/1.1 NONE");
  }
}

TEST_F(SecureUpstreamsTest, TheProxyProtocolSaysWhoCame) {
  for (const char* version : {"v1", "v2"}) {
    SCOPED_TRACE(version);
    nginx_.reset();
    start_nginx("proxy_protocol");
    start({url("http")}, R"("proxy_protocol": ")" + std::string(version) + "\"");
    std::set<std::string> connections;
    for (int i = 0; i < 3; ++i) {
      const HttpAnswer answer = http_->get("a.test", "/x");
      EXPECT_EQ(answer.status, 200) << site_.edge.log();
      EXPECT_EQ(answer.body, "page of a.test /x");
      EXPECT_EQ(answer.header("x-client"), "127.0.0.1");
      connections.insert(answer.header("x-connection"));
    }
    EXPECT_EQ(connections.size(), 3u) << "a connection is for one request of one client";
    ASSERT_TRUE(site_.edge.terminate());
  }
}

}  // namespace
}  // namespace latchkey::test

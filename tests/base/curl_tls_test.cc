// CurlHttpClient against servers that speak TLS, well or badly.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/curl_http_client.h"
#include "tests/support/fd.h"
#include "tests/support/loopback_certificate.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

// Serves one connection after another on 127.0.0.1, each until its end.
class TlsServer {
 public:
  enum class Manner { kGood, kMute, kGarbage, kCutsTheBody };

  TlsServer(const test::PemPair& pair, Manner manner)
      : manner_(manner), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    context_.reset(SSL_CTX_new(TLS_method()));
    const bssl::UniquePtr<BIO> cert(BIO_new_mem_buf(pair.certificate.data(), -1));
    const bssl::UniquePtr<X509> x509(PEM_read_bio_X509(cert.get(), nullptr, nullptr, nullptr));
    const bssl::UniquePtr<BIO> pem(BIO_new_mem_buf(pair.key.data(), -1));
    const bssl::UniquePtr<EVP_PKEY> key(
        PEM_read_bio_PrivateKey(pem.get(), nullptr, nullptr, nullptr));
    CHECK(SSL_CTX_use_certificate(context_.get(), x509.get()) == 1);
    CHECK(SSL_CTX_use_PrivateKey(context_.get(), key.get()) == 1);
    SSL_CTX_set_alpn_select_cb(context_.get(), &TlsServer::on_alpn, this);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    CHECK(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(listen(listener_.get(), 16) == 0);
    CHECK(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~TlsServer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      shutdown(listener_.get(), SHUT_RDWR);
      if (open_ >= 0) shutdown(open_, SHUT_RDWR);
    }
    thread_.join();
  }

  std::string url(std::string_view host = "127.0.0.1") const {
    return "https://" + std::string(host) + ":" + std::to_string(port_) + "/";
  }
  uint16_t port() const { return port_; }
  size_t connections() const { return connections_; }
  std::string alpn_offered() const {
    const std::lock_guard lock(mutex_);
    return alpn_;
  }

 private:
  static int on_alpn(SSL*, const uint8_t**, uint8_t*, const uint8_t* in, unsigned size,
                     void* self) {
    auto& server = *static_cast<TlsServer*>(self);
    const std::lock_guard lock(server.mutex_);
    server.alpn_.assign(reinterpret_cast<const char*>(in), size);
    return SSL_TLSEXT_ERR_NOACK;
  }

  void run() {
    sigset_t pipe;  // BoringSSL's own BIO writes without MSG_NOSIGNAL
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    for (;;) {
      const test::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      {
        const std::lock_guard lock(mutex_);
        if (!fd || stopping_) return;
        open_ = fd.get();
      }
      ++connections_;
      serve(fd.get());
      const std::lock_guard lock(mutex_);
      open_ = -1;
    }
  }

  void serve(int fd) const {
    char bytes[4096];
    if (manner_ == Manner::kGarbage) {
      send(fd, "220 mail.test\r\n", 15, MSG_NOSIGNAL);
      recv(fd, bytes, sizeof bytes, 0);
      return;
    }
    if (manner_ == Manner::kMute) {
      while (recv(fd, bytes, sizeof bytes, 0) > 0) {
      }
      return;
    }
    const bssl::UniquePtr<SSL> ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), fd);
    if (SSL_accept(ssl.get()) != 1) return;
    const bool cuts = manner_ == Manner::kCutsTheBody;
    const std::string reply =
        std::string("HTTP/1.1 200 OK\r\n") +
        (cuts ? "Content-Length: 99\r\n\r\nhel" : "Content-Length: 5\r\n\r\nhello");
    while (SSL_read(ssl.get(), bytes, sizeof bytes) > 0) {  // a GET is one record
      SSL_write(ssl.get(), reply.data(), static_cast<int>(reply.size()));
      if (cuts) return;
    }
  }

  const Manner manner_;
  test::Fd listener_;
  uint16_t port_ = 0;
  bssl::UniquePtr<SSL_CTX> context_;
  std::atomic<size_t> connections_ = 0;
  mutable std::mutex mutex_;
  std::string alpn_;       // guarded by mutex_
  int open_ = -1;          // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

using Manner = TlsServer::Manner;

class CurlTlsTest : public testing::Test {
 protected:
  CurlHttpClient::Options trusting(const test::PemPair& root) {
    CurlHttpClient::Options options;
    options.ca_file = folder / "ca.pem";
    test::write_text(options.ca_file, root.certificate);
    return options;
  }
  Result<HttpReply> fetch(CurlHttpClient& client, const std::string& url,
                          Millis timeout = Millis(5'000)) {
    HttpRequest request;
    request.url = url;
    request.timeout = timeout;
    return loop.finish(client.send(std::move(request)));
  }

  test::TempFolder folder;
  const test::PemPair pair = test::make_loopback_certificate();
  test::TestLoop loop;
};

TEST_F(CurlTlsTest, TrustsTheGivenRootAndKeepsTheConnection) {
  TlsServer server(pair, Manner::kGood);
  CurlHttpClient client(loop.uv(), trusting(pair));
  for (int i = 0; i < 5; ++i) {
    const auto reply = fetch(client, server.url());
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->body, "hello");
  }
  EXPECT_EQ(server.connections(), 1u);
}

TEST_F(CurlTlsTest, PrefersHttp2) {
  TlsServer server(pair, Manner::kGood);
  CurlHttpClient client(loop.uv(), trusting(pair));
  ASSERT_TRUE(fetch(client, server.url("localhost")));
  EXPECT_EQ(server.alpn_offered(), "\x02h2\x08http/1.1");
}

TEST_F(CurlTlsTest, TrustsNobodyElse) {
  TlsServer server(pair, Manner::kGood);
  CurlHttpClient other_root(loop.uv(), trusting(test::make_loopback_certificate()));
  CurlHttpClient system_roots(loop.uv(), CurlHttpClient::Options());
  for (CurlHttpClient* client : {&other_root, &system_roots}) {
    const auto reply = fetch(*client, server.url());
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::kIo);
    EXPECT_NE(reply.error().message.find("set ca_file"), std::string::npos)
        << reply.error().message;
  }
}

TEST_F(CurlTlsTest, TheNameMustBeTheCertificates) {
  TlsServer server(pair, Manner::kGood);
  CurlHttpClient client(loop.uv(), trusting(pair));
  EXPECT_FALSE(fetch(client, server.url("127.0.0.2")));
}

TEST_F(CurlTlsTest, ARootThatCannotBeReadIsAnErrorThatNamesIt) {
  TlsServer server(pair, Manner::kGood);
  CurlHttpClient::Options options;
  options.ca_file = folder / "missing.pem";
  CurlHttpClient client(loop.uv(), options);
  const auto reply = fetch(client, server.url());
  ASSERT_FALSE(reply);
  EXPECT_NE(reply.error().message.find("missing.pem"), std::string::npos) << reply.error().message;
}

TEST_F(CurlTlsTest, ALookAtAStrangerGoesToTheGivenAddressesAndVerifiesNothing) {
  TlsServer server(pair, Manner::kGood);
  CurlHttpClient::Options options;
  options.probing = true;
  CurlHttpClient client(loop.uv(), options);
  for (const size_t visits : {1u, 2u}) {
    HttpRequest request;
    request.url = "https://stranger.test:" + std::to_string(server.port()) + "/";
    request.addresses = {"127.0.0.1"};
    const auto reply = loop.finish(client.send(std::move(request)));
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->body, "hello");
    EXPECT_EQ(server.connections(), visits) << "none is kept";
  }
  // An address that was given once does not outlive the next one.
  HttpRequest moved;
  moved.url = "https://stranger.test:" + std::to_string(server.port()) + "/";
  moved.addresses = {"127.0.0.2"};
  EXPECT_FALSE(loop.finish(client.send(std::move(moved))));
}

TEST_F(CurlTlsTest, AMuteServerMeetsTheTimeLimit) {
  TlsServer server(pair, Manner::kMute);
  CurlHttpClient client(loop.uv(), trusting(pair));
  const auto reply = fetch(client, server.url(), 100ms);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kTimeout);
}

TEST_F(CurlTlsTest, WhoSpeaksNoTlsOrStopsInTheMiddleIsAnError) {
  for (const Manner manner : {Manner::kGarbage, Manner::kCutsTheBody}) {
    TlsServer server(pair, manner);
    CurlHttpClient client(loop.uv(), trusting(pair));
    const auto reply = fetch(client, server.url());
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::kIo) << reply.error().message;
    EXPECT_TRUE(reply.error().message.starts_with("GET " + server.url())) << reply.error().message;
  }
}

TEST_F(CurlTlsTest, ATaskMayBeDroppedInTheMiddleOfTheHandshake) {
  TlsServer server(pair, Manner::kGood);
  CurlHttpClient client(loop.uv(), trusting(pair));
  for (int turns = 0; turns < 8; ++turns) {
    HttpRequest request;
    request.url = server.url();
    auto task = client.send(std::move(request));
    task.start();
    for (int i = 0; i < turns && !task.done(); ++i) loop.turn();
  }
  EXPECT_TRUE(fetch(client, server.url()));
}

}  // namespace
}  // namespace latchkey

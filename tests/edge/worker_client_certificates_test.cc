// Requests over connections whose clients have shown a certificate, or have not.
#include "edge/tls_policy.h"
#include "tests/edge/worker_fixture.h"
#include "tests/support/client_ca.h"
#include "tests/support/temp_folder.h"

namespace latchkey::edge {
namespace {

class WorkerClientCertificatesTest : public WorkerTest {
 protected:
  void SetUp() override {
    for (const char* name : {"a.test", "b.test"}) {
      cache.put(*ServerName::parse(name), ca.issue({"a.test", "b.test"}));
    }
  }

  void ask(bool required, std::vector<std::string> hosts) {
    ClientCertificatesConfig config;
    config.required = required;
    config.hosts = std::move(hosts);
    test::write_text(folder / "clients.pem", clients.pem());
    TlsPolicy policy;
    policy.clients = *ClientCertificates::load(config, (folder / "clients.pem").string());
    on_worker([&](Worker& w) { w.replace_tls(std::make_shared<TlsContext>(policy)); });
  }
  std::string heard(const std::string& field) {
    const auto requests = upstream.seen();
    return requests.empty() ? "" : requests.back().header(field);
  }

  test::TempFolder folder;
  const test::ClientCa clients;
  const CertificatePtr alice = clients.issue({});
};

TEST_F(WorkerClientCertificatesTest, UpstreamsAreToldWhoTheClientIsAndNothingElse) {
  ask(false, {"a.test"});
  auto with = options("a.test");
  with.own = alice;
  TlsClient client(with);
  HttpConversation talk(client);
  const HttpAnswer answer = talk.exchange(
      "GET / HTTP/1.1\r\nHost: a.test\r\nX-Client-Cert-Subject: CN=Root\r\n"
      "X-Client-Cert-Verify: SUCCESS\r\nX_Client_Cert_Serial: 1\r\nX-Client-Cert-New: 1\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(heard("x-client-cert-verify"), "SUCCESS");
  EXPECT_EQ(heard("x-client-cert-subject"), "CN=Alice");
  EXPECT_EQ(heard("x-client-cert-serial"), alice->serial());
  EXPECT_EQ(heard("x-client-cert-fingerprint").size(), 64u);
  EXPECT_EQ(heard("x_client_cert_serial"), "");
  EXPECT_EQ(heard("x-client-cert-new"), "");
  EXPECT_EQ(talk.get("b.test").status, 200);
  EXPECT_EQ(heard("x-client-cert-verify"), "") << "who did not ask hears nothing";
  EXPECT_EQ(heard("x-client-cert-subject"), "");

  TlsClient stranger(options("a.test"));
  EXPECT_EQ(HttpConversation(stranger).get("a.test").status, 200);
  EXPECT_EQ(heard("x-client-cert-verify"), "NONE");
}

TEST_F(WorkerClientCertificatesTest, AHostThatAsksIsNotReachedByAnothersHandshake) {
  ask(true, {"a.test"});
  TlsClient client(options("b.test"));
  HttpConversation talk(client);
  EXPECT_EQ(talk.get("b.test").status, 200);
  for (const char* host : {"a.test", "A.Test", "a.test.", "a.test:443"}) {
    EXPECT_EQ(talk.get(host).status, 421) << host;
  }
  const int dotted = talk.get("a.test..").status;
  EXPECT_TRUE(dotted == 421 || dotted == 400) << dotted;
  TlsClient nameless(options(""));
  EXPECT_EQ(HttpConversation(nameless).get("a.test").status, 421);
}

TEST_F(WorkerClientCertificatesTest, AConnectionFromBeforeIsHeldToTheNewRules) {
  TlsClient client(options("a.test"));
  HttpConversation talk(client);
  EXPECT_EQ(talk.get("a.test").status, 200);
  ask(true, {});
  EXPECT_EQ(talk.get("a.test").status, 421);
  EXPECT_EQ(get("a.test").status, 0) << "refused by an alert";
  auto with = options("a.test");
  with.own = alice;
  TlsClient known(with);
  EXPECT_EQ(HttpConversation(known).get("a.test").status, 200);
}

TEST_F(WorkerClientCertificatesTest, Port80IsNoWayAround) {
  {
    const std::lock_guard lock(mutex);
    states[a] = NameState::kPlainOnly;
  }
  const auto plain = [this] {
    test::PlainClient client(http_port);
    return HttpConversation(client).get("a.test").status;
  };
  EXPECT_EQ(plain(), 200);
  ask(false, {"a.test"});
  EXPECT_EQ(plain(), 403);
}

}  // namespace
}  // namespace latchkey::edge

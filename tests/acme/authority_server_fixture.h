#pragma once
// The ACME server between a store in memory, domains that a test makes up and a clock that it
// moves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme/authority/authority.h"
#include "acme/authority/probes.h"
#include "acme/authority/server.h"
#include "acme/base64url.h"
#include "acme/challenges.h"
#include "acme/csr.h"
#include "acme/ip_identifier.h"
#include "acme/jws.h"
#include "base/json.h"
#include "cache/private_key.h"
#include "tests/support/fake_authority_store.h"
#include "tests/support/json_path.h"
#include "tests/support/manual_clock.h"

namespace latchkey::acme {

// Domains as the CA sees them.
class FakeProbes final : public Probes {
 public:
  explicit FakeProbes(Clock& clock) : clock_(clock) {}

  Millis delay{0};
  std::map<std::string, std::string> pages;                 // URL -> body
  std::map<std::string, std::vector<std::string>> records;  // name -> TXT
  ChallengeTable* table = nullptr;                          // what it has is found, too
  int looks = 0;

  Task<HttpReply> get(std::string url) override {
    co_await look();
    HttpReply reply;
    reply.status = 200;
    if (const auto found = pages.find(url); found != pages.end()) {
      reply.body = found->second;
      co_return reply;
    }
    if (std::optional<std::string> answer = in_table(url)) {
      reply.body = *std::move(answer);
      co_return reply;
    }
    reply.status = 404;
    co_return reply;
  }
  Task<std::string> acme_tls(ServerName name, uint16_t) override {
    co_await look();
    const CertificatePtr found =
        table == nullptr ? nullptr : table->find_tls_alpn(name.is_ip() ? reverse_name(name) : name);
    if (found == nullptr) co_return Error{ErrorCode::kIo, "127.0.0.1:443: connection refused"};
    co_return found->chain_der().front();
  }
  Task<std::vector<std::string>> txt(std::string name) override {
    co_await look();
    const auto found = records.find(name);
    co_return found == records.end() ? std::vector<std::string>() : found->second;
  }

 private:
  Task<> look() {
    ++looks;
    if (delay > Millis(0)) co_await sleep(clock_, delay);
    co_return Unit{};
  }
  std::optional<std::string> in_table(const std::string& url) {
    constexpr std::string_view kPath = "/.well-known/acme-challenge/";
    const size_t host = url.find("://") + 3;
    const size_t path = url.find('/', host);
    if (table == nullptr || url.substr(path, kPath.size()) != kPath) return std::nullopt;
    const std::string name = url.substr(host, url.find_first_of(":/", host) - host);
    const auto ip = ServerName::parse_ip(name);
    return table->find_http(ip ? *ip : *ServerName::parse(name), url.substr(path + kPath.size()));
  }

  Clock& clock_;
};

class AcmeServerFixture : public ::testing::Test {
 protected:
  static constexpr const char* kBase = "https://ca.test:8443/acme/local";
  static constexpr const char* kClient = "192.0.2.9";

  AcmeServerFixture() {
    options.allows = [](const ServerName& name) { return name.text() != "denied.test"; };
    restart();
  }

  // Everything that is in memory only is lost.
  void restart() {
    server.reset();
    authority.emplace(AuthorityOptions{"local"}, store, clock, log);
    Task<> keys = authority->keep();
    keys.start();
    EXPECT_TRUE(keys.done() && keys.outcome());
    server = std::make_unique<AcmeServer>(options, *authority, store, probes, clock, log);
  }

  static std::string url(const std::string& path) { return kBase + path; }

  HttpReply send(HttpRequest request, const std::string& client = kClient) {
    Task<HttpReply> task = server->handle(std::move(request), client);
    task.start();
    for (int i = 0; i < 120'000 && !task.done(); ++i) clock.advance(Millis(1));
    EXPECT_TRUE(task.done());
    if (!task.done() || !task.outcome()) return {};
    return *task.outcome();
  }
  HttpReply get(const std::string& at, const std::string& method = "GET") {
    HttpRequest request;
    request.method = method;
    request.url = at;
    return send(std::move(request));
  }
  std::string nonce() { return std::string(get(url("/new-nonce"), "HEAD").header("replay-nonce")); }
  static HttpRequest jose(const std::string& at, std::string body) {
    HttpRequest request;
    request.method = "POST";
    request.url = at;
    request.headers = {{"content-type", "application/jose+json"}};
    request.body = std::move(body);
    return request;
  }
  // Signed as it should be. `kid` "": the key introduces itself.
  HttpReply post(const AccountKey& by, const std::string& kid, const std::string& at,
                 const std::string& payload) {
    return send(jose(at, by.sign(at, nonce(), kid, payload)));
  }

  // An account with a new key.
  struct User {
    AccountKey key = AccountKey::generate();
    std::string kid{};
  };
  User sign_up() {
    User user;
    const HttpReply reply = post(user.key, "", url("/new-account"), "{}");
    EXPECT_EQ(201, reply.status) << reply.body;
    user.kid = reply.header("location");
    return user;
  }
  HttpReply post(const User& user, const std::string& at, const std::string& payload) {
    return post(user.key, user.kid, at, payload);
  }
  static JsonValue json(const HttpReply& reply) {
    Result<JsonValue> value = parse_json(reply.body);
    EXPECT_TRUE(value) << reply.body;
    return value ? *std::move(value) : JsonValue();
  }
  // What is at a path of the reply's document, as text.
  static std::string text(const HttpReply& reply, const std::string& path) {
    return test::at(json(reply), path).text;
  }
  static std::string problem(const HttpReply& reply) {
    constexpr std::string_view kUrn = "urn:ietf:params:acme:error:";
    if (reply.header("content-type") != "application/problem+json") return "";
    const std::string type = text(reply, "type");
    return type.starts_with(kUrn) ? type.substr(kUrn.size()) : type;
  }

  static std::string order_for(const std::vector<std::string>& names) {
    std::string list;
    for (const std::string& name : names) {
      if (!list.empty()) list += ',';
      list += JsonObject()
                  .text("type", ServerName::parse_ip(name) ? "ip" : "dns")
                  .text("value", name)
                  .str();
    }
    return R"({"identifiers":[)" + list + "]}";
  }
  HttpReply order(const User& user, const std::vector<std::string>& names) {
    return post(user, url("/new-order"), order_for(names));
  }
  // Shows what http-01 wants to see for the order's authorization of that index, and says so.
  HttpReply prove(const User& user, const HttpReply& made, size_t index = 0) {
    const std::string at = text(made, "authorizations." + std::to_string(index));
    const HttpReply authorization = post(user, at, "");
    const JsonValue document = json(authorization);
    std::string host(test::at(document, "identifier.value").text);
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    for (const JsonValue& one : test::at(document, "challenges").items) {
      const std::string token(one.text_of("token"));
      const std::string type(one.text_of("type"));
      if (type == "http-01") {
        probes.pages["http://" + host + "/.well-known/acme-challenge/" + token] =
            token + "." + user.key.thumbprint();
        return post(user, std::string(one.text_of("url")), "{}");
      }
    }
    ADD_FAILURE() << "no http-01: " << authorization.body;
    return {};
  }
  static std::string finalization(const std::string& csr) {
    return JsonObject().text("csr", base64url(csr)).str();
  }
  static std::string csr(const std::string& name, const PrivateKey& key = generate_p256_key()) {
    if (const auto ip = ServerName::parse_ip(name)) return make_csr(*ip, key);
    return make_csr(
        name.starts_with("*.") ? *ServerName::parse_wildcard(name) : *ServerName::parse(name), key);
  }
  // The whole of an order: what finalize answered.
  HttpReply obtain(const User& user, const std::string& name,
                   const PrivateKey& key = generate_p256_key()) {
    const HttpReply made = order(user, {name});
    EXPECT_EQ(201, made.status) << made.body;
    prove(user, made);
    post(user, std::string(made.header("location")), "");
    return post(user, text(made, "finalize"), finalization(csr(name, key)));
  }
  // The leaf's DER.
  std::string leaf_of(const HttpReply& finalized) {
    const std::string at = text(finalized, "certificate");
    const std::string serial = at.substr(at.rfind('/') + 1);
    return store.issued.at({"local", serial}).leaf;
  }

  ManualClock clock;
  FakeAuthorityStore store;
  FakeProbes probes{clock};
  Log log{2, Log::Format::kText, LogLevel::kError};
  AcmeServerOptions options;
  std::optional<Authority> authority;
  std::unique_ptr<AcmeServer> server;
};

}  // namespace latchkey::acme

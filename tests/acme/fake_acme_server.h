#pragma once
// A CA by RFC 8555 without sockets: an HttpClient that answers by itself, checks nonces, URLs,
// signatures and challenges as a real one does, takes test time for it, and fails as it is told.

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "acme/challenges.h"
#include "acme/ip_identifier.h"
#include "acme/order.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "tests/acme/fake_prover.h"
#include "tests/acme/verify_jws.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {

class FakeAcmeServer final : public HttpClient {
 public:
  FakeAcmeServer(Clock& clock, ChallengeTable& challenges)
      : clock_(clock), challenges_(challenges) {}

  static constexpr const char* kDirectory = "https://ca.test/dir";

  FakeProver* dns = nullptr;  // that it looks into; null: it finds nothing there

  // How it behaves.
  Millis latency{1};
  int reject_nonces = 0;                // the next so many signed requests
  std::set<ChallengeType> unreachable;  // validations that fail
  std::vector<std::string> offered{"dns-01", "http-01", "tls-alpn-01"};
  int authorizations = 1;  // of an order
  std::string authorization_is{"pending"};
  int validation_polls = 2;       // answers before a validation shows its result
  int processing_polls = 2;       // ... and an issuance
  bool knows_challenges = false;  // accepts none: it was told earlier, and has tried them by now
  std::string retry_after;        // on answers of what is not finished
  std::string meta{"{}"};
  std::string chain;                                     // handed out instead of the right one
  std::map<std::string, std::string> external_accounts;  // kid -> HMAC key; not empty: wanted
  bool only_own_key_revokes = false;
  std::string renewal_info;        // the answer's body; empty: this CA does not know of it
  std::vector<std::string> links;  // sent with a certificate
  // Looked at before everything else; the request's payload is decoded.
  using Intercept = std::function<std::optional<HttpReply>(const HttpRequest&, const std::string&)>;
  Intercept intercept;

  // What it saw.
  std::map<std::string, int> requests;  // by path without numbers
  int accounts_made = 0;
  std::string last_registration;
  std::vector<std::string> broken_rules;  // of the protocol, by the client
  std::vector<int> revoked;               // the reasons, in their order
  int key_changes = 0;

  void forget_accounts() { accounts_.clear(); }
  // As another client with the account's key would.
  void deactivate_accounts() { deactivated_ = accounts_; }
  // The JWK (x and y) of the account's key.
  std::string key_of(const std::string& kid) const { return keys_.at(kid); }
  const TestCa& authority() const { return authority_; }

  Task<HttpReply> send(HttpRequest request) override {
    co_await sleep(clock_, latency);
    HttpReply reply = handle(request);
    const bool granted = request.method == "POST" || reply.status == 200;
    if (request.method != "GET" && granted) {
      reply.headers.emplace_back("replay-nonce", fresh_nonce());
    }
    co_return reply;
  }

  static HttpReply problem(int status, const std::string& type, const std::string& detail = "no") {
    HttpReply reply;
    reply.status = status;
    reply.body = JsonObject()
                     .text("type", "urn:ietf:params:acme:error:" + type)
                     .text("detail", detail)
                     .str();
    return reply;
  }
  static HttpReply json(int status, std::string body) {
    HttpReply reply;
    reply.status = status;
    reply.body = std::move(body);
    return reply;
  }

 private:
  struct Proof {
    std::string name, status = "pending", token;
    std::optional<ChallengeType> answered;
    bool good = false;
    int polls = 0;
  };
  struct Sale {
    std::string name, type, csr;
    std::vector<int> proofs;
    bool finalized = false;
    int polls = 0;
  };

  std::string fresh_nonce() {
    const std::string nonce = "nonce" + std::to_string(++last_nonce_);
    nonces_.insert(nonce);
    return nonce;
  }
  static std::string url(const std::string& path) { return "https://ca.test" + path; }
  // "/order/17" -> "/order", 17
  static std::pair<std::string, int> split(const std::string& path) {
    const size_t digits = path.find_last_not_of("0123456789");
    if (digits + 1 == path.size()) return {path, 0};
    return {path.substr(0, digits), std::stoi(path.substr(digits + 1))};
  }
  HttpReply broken(const std::string& rule) {
    broken_rules.push_back(rule);
    return problem(400, "malformed", rule);
  }

  HttpReply handle(const HttpRequest& request) {
    const std::string path = request.url.substr(url("").size());
    const auto [kind, number] = split(path);
    ++requests[kind];
    OpenedJws jws;
    if (request.method == "POST") jws = open(request);
    if (intercept) {
      if (auto reply = intercept(request, jws.payload)) return *std::move(reply);
    }
    if (kind == "/dir") return directory();
    if (kind.starts_with("/renewal/")) return renewal_of(request);
    if (kind == "/nonce") return json(request.method == "HEAD" ? 200 : 405, "");
    if (request.method != "POST") return broken("not a POST: " + path);
    if (!jws.valid && verifies_with_older_key(request)) return problem(401, "unauthorized");
    if (!jws.valid) return broken("a signature that does not verify");
    if (jws.header.text_of("url") != request.url) return broken("another URL in the JWS");
    if (nonces_.erase(std::string(jws.header.text_of("nonce"))) == 0)
      return problem(400, "badNonce");
    if (reject_nonces > 0) {
      --reject_nonces;
      return problem(400, "badNonce");
    }
    if (kind == "/account") return new_account(jws);
    const std::string kid(jws.header.text_of("kid"));
    if (kind == "/revoke" && kid.empty()) return revoke(jws);
    if (!accounts_.contains(kid)) return problem(400, "accountDoesNotExist");
    if (deactivated_.contains(kid)) return problem(401, "unauthorized", "it is deactivated");
    if (kind == "/revoke") return only_own_key_revokes ? problem(403, "unauthorized") : revoke(jws);
    if (kind == "/key-change") return change_key(kid, jws.payload);
    if (request.url == kid) return account(kid, jws.payload);
    if (kind == "/new-order") return new_order(jws.payload);
    if (kind == "/order" && sales_.contains(number)) return order(number, 200);
    if (kind == "/authz" && proofs_.contains(number)) return authorization(number);
    if (kind.starts_with("/challenge/") && proofs_.contains(number)) return challenge(kind, number);
    if (kind == "/finalize" && sales_.contains(number)) return finalize(number, jws.payload);
    if (kind == "/cert" && sales_.contains(number)) return certificate(number);
    return broken("unknown URL " + path);
  }

  OpenedJws open(const HttpRequest& request) {
    if (request.headers.empty() || request.headers[0].second != "application/jose+json") return {};
    OpenedJws first = open_jws(request.body, "");
    if (first.header.find("jwk") != nullptr) return first;
    const auto known = keys_.find(std::string(first.header.text_of("kid")));
    return known == keys_.end() ? first : open_jws(request.body, known->second);
  }
  bool verifies_with_older_key(const HttpRequest& request) const {
    return std::any_of(older_keys_.begin(), older_keys_.end(),
                       [&](const std::string& key) { return open_jws(request.body, key).valid; });
  }

  HttpReply directory() {
    return json(200, JsonObject()
                         .text("newNonce", url("/nonce"))
                         .text("newAccount", url("/account"))
                         .text("newOrder", url("/new-order"))
                         .text("keyChange", url("/key-change"))
                         .text("revokeCert", url("/revoke"))
                         .text("renewalInfo", url("/renewal"))
                         .raw("meta", meta)
                         .str());
  }

  HttpReply new_account(const OpenedJws& jws) {
    const JsonValue* jwk = jws.header.find("jwk");
    if (jwk == nullptr) return broken("newAccount without a jwk");
    const std::string x(jwk->text_of("x"));
    const JsonValue asked = *parse_json(jws.payload);
    const JsonValue* only = asked.find("onlyReturnExisting");
    std::string& kid = kid_of_[x];
    const bool known = !kid.empty() && accounts_.contains(kid);
    if (known && deactivated_.contains(kid)) return problem(401, "unauthorized", "deactivated");
    if (!known && only != nullptr && only->boolean) return problem(400, "accountDoesNotExist");
    if (only == nullptr) last_registration = jws.payload;
    HttpReply reply = json(200, R"({"status":"valid"})");
    if (!known) {
      const std::string binding = binding_error(asked, *jwk);
      if (!binding.empty()) return problem(400, binding, "look at the binding");
      reply.status = 201;
      kid = url("/acct/" + std::to_string(++accounts_made));
      accounts_.insert(kid);
      keys_[kid] = JsonObject().text("x", x).text("y", jwk->text_of("y")).str();
    }
    reply.headers.emplace_back("location", kid);
    return reply;
  }

  // RFC 8555, 7.3.4; "" when all is well.
  std::string binding_error(const JsonValue& asked, const JsonValue& jwk) const {
    if (external_accounts.empty()) return "";
    const JsonValue* binding = asked.find("externalAccountBinding");
    if (binding == nullptr) return "externalAccountRequired";
    const std::string head(binding->text_of("protected"));
    const std::string body(binding->text_of("payload"));
    const JsonValue header = *parse_json(*base64url_decode(head));
    const auto key = external_accounts.find(std::string(header.text_of("kid")));
    if (key == external_accounts.end()) return "unauthorized";
    const std::string tag = base64url(hmac_sha256(key->second, head + "." + body));
    if (header.text_of("alg") != "HS256" || header.text_of("url") != url("/account") ||
        header.find("nonce") != nullptr || tag != binding->text_of("signature")) {
      return "unauthorized";
    }
    const JsonValue bound = *parse_json(*base64url_decode(body));
    return bound.text_of("x") == jwk.text_of("x") ? "" : "malformed";
  }

  // RFC 8555, 7.3.5.
  HttpReply change_key(const std::string& kid, const std::string& payload) {
    const OpenedJws inner = open_jws(payload, "");
    const Result<JsonValue> asked = parse_json(inner.payload);
    const JsonValue* jwk = inner.header.find("jwk");
    if (!inner.valid || !asked || jwk == nullptr) return broken("the inner JWS of a keyChange");
    if (inner.header.find("nonce") != nullptr || inner.header.find("kid") != nullptr) {
      return broken("nonce or kid in the inner JWS");
    }
    const JsonValue* old = asked->find("oldKey");
    const std::string held(parse_json(keys_[kid])->text_of("x"));
    if (inner.header.text_of("url") != url("/key-change") || asked->text_of("account") != kid ||
        old == nullptr || old->text_of("x") != held) {
      return broken("what a keyChange says");
    }
    const std::string x(jwk->text_of("x"));
    if (kid_of_.contains(x)) return problem(409, "malformed", "that key has an account");
    kid_of_.erase(held);
    kid_of_[x] = kid;
    older_keys_.push_back(keys_[kid]);
    keys_[kid] = JsonObject().text("x", x).text("y", jwk->text_of("y")).str();
    ++key_changes;
    return json(200, "{}");
  }

  HttpReply account(const std::string& kid, const std::string& payload) {
    std::string status = "valid";
    if (!payload.empty()) status = std::string(parse_json(payload)->text_of("status"));
    if (status == "deactivated") deactivated_.insert(kid);
    return json(
        200, JsonObject().text("status", status).raw("contact", R"(["mailto:a@ca.test"])").str());
  }

  // Who signs with a key of his own shows a certificate for it.
  HttpReply revoke(const OpenedJws& jws) {
    const JsonValue asked = *parse_json(jws.payload);
    const auto der = base64url_decode(asked.text_of("certificate"));
    if (!der) return broken("a revocation without a certificate");
    if (const JsonValue* jwk = jws.header.find("jwk")) {
      const auto x = base64url_decode(jwk->text_of("x"));
      if (!x || der->find(*x) == std::string::npos) return problem(403, "unauthorized");
    }
    if (!revoked_.insert(*der).second) return problem(400, "alreadyRevoked");
    revoked.push_back(static_cast<int>(asked.find("reason")->number));
    return json(200, "");
  }

  HttpReply renewal_of(const HttpRequest& request) {
    if (request.method != "GET") return broken("renewalInfo is a GET");
    if (renewal_info.empty()) return problem(404, "malformed");
    HttpReply reply = json(200, renewal_info);
    if (!retry_after.empty()) reply.headers.emplace_back("retry-after", retry_after);
    return reply;
  }

  HttpReply new_order(const std::string& payload) {
    const Result<JsonValue> value = parse_json(payload);
    const JsonValue* identifiers = value ? value->find("identifiers") : nullptr;
    if (identifiers == nullptr || identifiers->items.size() != 1)
      return broken("not one identifier");
    const int number = ++last_;
    Sale& sale = sales_[number];
    sale.name = identifiers->items[0].text_of("value");
    sale.type = identifiers->items[0].text_of("type");
    if ((sale.type == "ip") != ServerName::parse_ip(sale.name).has_value()) {
      return broken("a name of another type");
    }
    for (int i = 0; i < authorizations; ++i) {
      const int id = ++last_;
      sale.proofs.push_back(id);
      proofs_[id] = {sale.name, authorization_is, "token" + std::to_string(id), {}, false, 0};
    }
    HttpReply reply = order(number, 201);
    reply.headers.emplace_back("location", url("/order/" + std::to_string(number)));
    return reply;
  }

  HttpReply order(int number, int http_status) {
    Sale& sale = sales_[number];
    std::string status = "ready";
    std::string list;
    for (const int id : sale.proofs) {
      const std::string& is = proofs_[id].status;
      if (is == "pending" && status == "ready") status = "pending";
      if (is != "pending" && is != "valid") status = "invalid";
      list += (list.empty() ? "" : ",") + json_quote(url("/authz/" + std::to_string(id)));
    }
    if (sale.finalized) status = sale.polls-- > 0 ? "processing" : "valid";
    JsonObject body;
    body.text("status", status).raw("authorizations", "[" + list + "]");
    body.text("finalize", url("/finalize/" + std::to_string(number)));
    if (status == "valid") body.text("certificate", url("/cert/" + std::to_string(number)));
    HttpReply reply = json(http_status, body.str());
    if (status == "processing" && !retry_after.empty()) {
      reply.headers.emplace_back("retry-after", retry_after);
    }
    return reply;
  }

  HttpReply authorization(int number) {
    Proof& proof = proofs_[number];
    if (proof.answered && proof.status == "pending" && proof.polls-- <= 0) {
      proof.status = proof.good ? "valid" : "invalid";
    }
    std::string list;
    const bool wildcard = proof.name.starts_with("*.");
    for (const std::string& type : offered) {
      if (wildcard && type != "dns-01") continue;
      JsonObject item;
      const bool tried = proof.answered && to_string(*proof.answered) == type;
      const bool failed = tried && proof.status == "invalid";
      item.text("type", type).text("token", proof.token);
      item.text("url", url("/challenge/" + type + "/" + std::to_string(number)));
      item.text("status", failed ? "invalid" : tried ? "processing" : "pending");
      if (failed) item.raw("error", problem(403, "connection", "no answer at " + proof.name).body);
      list += (list.empty() ? "" : ",") + item.str();
    }
    const bool is_ip = ServerName::parse_ip(proof.name).has_value();
    const std::string identifier = JsonObject()
                                       .text("type", is_ip ? "ip" : "dns")
                                       .text("value", proof.name.substr(wildcard ? 2 : 0))
                                       .str();
    JsonObject body;
    body.text("status", proof.status).raw("identifier", identifier);
    if (wildcard) body.boolean("wildcard", true);
    HttpReply reply = json(200, body.raw("challenges", "[" + list + "]").str());
    if (proof.answered && proof.status == "pending" && !retry_after.empty()) {
      reply.headers.emplace_back("retry-after", retry_after);
    }
    return reply;
  }

  HttpReply challenge(const std::string& kind, int number) {
    Proof& proof = proofs_[number];
    for (const auto type :
         {ChallengeType::kTlsAlpn01, ChallengeType::kHttp01, ChallengeType::kDns01}) {
      if (kind == "/challenge/" + std::string(to_string(type))) proof.answered = type;
    }
    proof.polls = validation_polls;
    const bool answered = is_answered(*proof.answered, proof.name, proof.token);
    if (!answered) broken("accepted a challenge before it could be answered");
    proof.good = answered && !unreachable.contains(*proof.answered);
    if (knows_challenges) {
      proof.polls = 0;
      return problem(400, "malformed", "cannot update a challenge that is valid");
    }
    return json(200, "{}");
  }

  bool is_answered(ChallengeType type, const std::string& about, const std::string& token) {
    if (type == ChallengeType::kDns01) return dns != nullptr && dns->shows(about, token);
    const auto ip = ServerName::parse_ip(about);
    const ServerName name = ip ? *ip : *ServerName::parse(about);
    if (type == ChallengeType::kHttp01) return challenges_.find_http(name, token).has_value();
    return challenges_.find_tls_alpn(ip ? reverse_name(name) : name) != nullptr;
  }

  HttpReply finalize(int number, const std::string& payload) {
    Sale& sale = sales_[number];
    const auto csr = base64url_decode(parse_json(payload)->text_of("csr"));
    if (!csr) return problem(400, "badCSR");
    if (TestCa::names_of_csr(*csr) != TestCa::Names{sale.name}) return broken("names in the CSR");
    sale.csr = *csr;
    sale.finalized = true;
    sale.polls = processing_polls;
    return order(number, 200);
  }

  HttpReply certificate(int number) {
    HttpReply reply =
        json(200, chain.empty() ? authority_.issue_for_csr(sales_[number].csr) : chain);
    for (const std::string& link : links) reply.headers.emplace_back("link", link);
    return reply;
  }

  Clock& clock_;
  ChallengeTable& challenges_;
  TestCa authority_{"Fake"};
  int last_nonce_ = 0;
  int last_ = 0;
  std::set<std::string> nonces_;
  std::set<std::string> accounts_;             // known kids
  std::set<std::string> deactivated_;          // ... of them
  std::set<std::string> revoked_;              // certificates, DER
  std::vector<std::string> older_keys_;        // JWKs that were accounts'
  std::map<std::string, std::string> keys_;    // kid -> JWK
  std::map<std::string, std::string> kid_of_;  // x of the key -> kid
  std::map<int, Proof> proofs_;
  std::map<int, Sale> sales_;
};

}  // namespace latchkey::acme

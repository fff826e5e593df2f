#include "tests/support/scripted_ca.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>

#include <algorithm>
#include <ctime>

#include "acme/base64url.h"
#include "acme/renewal_info.h"

namespace latchkey::test {
namespace {

// A part of a JWS; nobody looks at its signature. Null where it is no JSON, such as of a
// POST-as-GET.
JsonValue part_of(const Request& request, std::string_view part) {
  const auto jws = parse_json(request.body);
  const auto text = acme::base64url_decode(jws ? jws->text_of(part) : "");
  auto json = parse_json(text ? *text : "");
  return json ? *std::move(json) : JsonValue();
}

// DER of the first certificate; "" where there is none.
std::string leaf_of(const std::string& chain_pem) {
  const bssl::UniquePtr<BIO> pem(
      BIO_new_mem_buf(chain_pem.data(), static_cast<int>(chain_pem.size())));
  char *name = nullptr, *header = nullptr;
  uint8_t* data = nullptr;
  long size = 0;  // NOLINT(google-runtime-int)
  std::string der;
  if (PEM_read_bio(pem.get(), &name, &header, &data, &size) == 1) {
    der.assign(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
  }
  ERR_clear_error();
  return der;
}

bool is_address(std::string_view name) {
  return name.find(':') != std::string_view::npos ||
         name.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::string token_of(const std::string& number) {
  return acme::base64url("a token of at least 128 bits: " + number);
}

std::string identifier(const std::string& name) {
  return JsonObject().text("type", is_address(name) ? "ip" : "dns").text("value", name).str();
}

// "/order" of "/order" and of "/order/7".
std::string resource(const std::string& path) {
  return path.substr(0, path.find('/', 1));
}

}  // namespace

ScriptedCa::ScriptedCa(Options options)
    : options_(std::move(options)),
      server_([this](const Request& request) { return answer(request); }) {}

size_t ScriptedCa::orders(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = order_counts_.find(name);
  return found == order_counts_.end() ? 0 : found->second;
}

std::vector<ScriptedCa::Wish> ScriptedCa::wishes() const {
  const std::lock_guard lock(mutex_);
  return wishes_;
}

std::vector<ScriptedCa::Revocation> ScriptedCa::revocations() const {
  const std::lock_guard lock(mutex_);
  return revocations_;
}

std::vector<std::string> ScriptedCa::polls() const {
  const std::lock_guard lock(mutex_);
  return polls_;
}

void ScriptedCa::misbehave(std::string path, Response response) {
  const std::lock_guard lock(mutex_);
  bad_path_ = std::move(path);
  bad_response_ = std::move(response);
}

void ScriptedCa::hang() {
  Response response;
  response.hang = true;
  misbehave("*", std::move(response));
}

void ScriptedCa::stall(Stall stall) {
  const std::lock_guard lock(mutex_);
  stall_ = stall;
}

void ScriptedCa::behave() {
  misbehave("", {});
  const std::lock_guard lock(mutex_);
  sign_ = nullptr;
  stall_ = Stall::kNone;
  advice_.clear();
  refuse_replacements_ = false;
}

Response ScriptedCa::problem(int status, std::string_view type, std::string_view detail) {
  Response response;
  response.status = status;
  response.headers = {{"Content-Type", "application/problem+json"}, {"Replay-Nonce", "problem"}};
  response.body = JsonObject()
                      .text("type", "urn:ietf:params:acme:error:" + std::string(type))
                      .text("detail", detail)
                      .number("status", status)
                      .str();
  return response;
}

Response ScriptedCa::rate_limited(int retry_after_seconds, std::string_view detail) {
  Response response = problem(429, "rateLimited", detail);
  response.headers.emplace_back("Retry-After", std::to_string(retry_after_seconds));
  return response;
}

void ScriptedCa::hand_out(std::string chain_pem) {
  sign_by([chain = std::move(chain_pem)](const TestCa&, std::string_view) { return chain; });
}

void ScriptedCa::sign_by(Sign sign) {
  const std::lock_guard lock(mutex_);
  sign_ = std::move(sign);
}

void ScriptedCa::advise(std::vector<Advice> advice) {
  const std::lock_guard lock(mutex_);
  advice_ = std::move(advice);
}

void ScriptedCa::refuse_replacements() {
  const std::lock_guard lock(mutex_);
  refuse_replacements_ = true;
}

std::string ScriptedCa::time_text(WallTime time) {
  const std::time_t seconds = time.time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

Response ScriptedCa::answer(const Request& request) {
  const std::lock_guard lock(mutex_);
  const std::string what = resource(request.path);
  const bool is_poll = what == "/renewalInfo" && request.path.size() > what.size();
  if (is_poll) polls_.push_back(request.path.substr(what.size() + 1));
  if (what == bad_path_ || bad_path_ == "*") return bad_response_;
  if (what == "/directory") return directory_answer();  // without a nonce: they are to be fetched
  if (is_poll) return renewal_info(polls_.back());
  Response response;
  if (what == "/newAccount") {
    response = new_account(request);
  } else if (what == "/account") {
    response.body = R"({"status":"valid"})";
  } else if (what == "/newOrder") {
    response = new_order(request);
  } else if (what == "/revokeCert") {
    response = revoke(request);
  } else if (what != "/newNonce") {
    response = show(request);
  }
  response.headers.emplace_back("Replay-Nonce", "n" + std::to_string(++nonces_));
  response.headers.emplace_back("Content-Type", "application/json");
  return response;
}

Response ScriptedCa::directory_answer() const {
  JsonObject object;
  for (const char* key : {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"}) {
    object.text(key, server_.url("/" + std::string(key)));
  }
  if (options_.renewal_info) object.text("renewalInfo", server_.url("/renewalInfo"));
  if (!options_.profiles.empty()) {
    JsonObject profiles;
    for (const auto& profile : options_.profiles) profiles.text(profile, "https://ca.test/profile");
    object.raw("meta", JsonObject().raw("profiles", profiles.str()).str());
  }
  Response response;
  response.body = object.str();
  return response;
}

Response ScriptedCa::new_account(const Request& request) {
  const JsonValue head = part_of(request, "protected");
  const JsonValue* jwk = head.find("jwk");
  const std::string key =
      jwk == nullptr
          ? ""
          : std::string(jwk->text_of("n")).append(jwk->text_of("x")).append(jwk->text_of("y"));
  const auto found = std::find(account_keys_.begin(), account_keys_.end(), key);
  const auto number = static_cast<size_t>(found - account_keys_.begin()) + 1;
  Response response;
  response.status = found == account_keys_.end() ? 201 : 200;
  if (found == account_keys_.end()) {
    const JsonValue payload = part_of(request, "payload");
    const JsonValue* existing = payload.find("onlyReturnExisting");
    if (existing != nullptr && existing->boolean) {
      return problem(400, "accountDoesNotExist", "no such account");
    }
    account_keys_.push_back(key);
  }
  response.headers = {{"Location", server_.url("/account/" + std::to_string(number))}};
  response.body = R"({"status":"valid"})";
  return response;
}

std::vector<std::string> ScriptedCa::accounts() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> urls;
  for (size_t i = 1; i <= account_keys_.size(); ++i) {
    urls.push_back(server_.url("/account/" + std::to_string(i)));
  }
  return urls;
}

void ScriptedCa::know(const Certificate& certificate, std::string account) {
  const std::lock_guard lock(mutex_);
  issued_[acme::renewal_id(certificate)] = std::move(account);
}

bool ScriptedCa::may_replace(const std::string& certificate, const std::string& account) {
  const auto found = issued_.find(certificate);
  return found != issued_.end() && found->second == account;
}

Response ScriptedCa::new_order(const Request& request) {
  const JsonValue payload = part_of(request, "payload");
  const std::string account(part_of(request, "protected").text_of("kid"));
  const JsonValue* list = payload.find("identifiers");
  if (list == nullptr || list->items.size() != 1) {
    return problem(400, "malformed", "one identifier is wanted");
  }
  const std::string name(list->items[0].text_of("value"));
  const std::string replaces(payload.text_of("replaces"));
  wishes_.push_back({name, std::string(payload.text_of("profile")), replaces, account});
  if (options_.checks_replaces && !replaces.empty()) {
    if (!may_replace(replaces, account)) {
      return problem(409, "alreadyReplaced", "not a certificate of this account");
    }
    issued_.erase(replaces);
  }
  if (refuse_replacements_ && !replaces.empty()) {
    return problem(409, "alreadyReplaced", "that certificate was replaced already");
  }
  const std::string number = std::to_string(orders_.size() + 1);
  orders_[number] = {.name = name, .account = account, .tried = !options_.challenges};
  ++order_counts_[name];
  Response response;
  response.status = 201;
  response.headers = {{"Location", url("order", number)}};
  response.body = order_json(number, "pending");
  return response;
}

Response ScriptedCa::revoke(const Request& request) {
  const JsonValue payload = part_of(request, "payload");
  const auto certificate = acme::base64url_decode(payload.text_of("certificate"));
  if (!certificate) return problem(400, "malformed", "no certificate");
  Revocation revocation{*certificate};
  if (const JsonValue* reason = payload.find("reason")) {
    revocation.reason = static_cast<int>(reason->number);
  }
  revocation.by_account = part_of(request, "protected").find("kid") != nullptr;
  revocations_.push_back(std::move(revocation));
  return {};
}

Response ScriptedCa::renewal_info(const std::string& certificate) {
  if (advice_.empty()) return problem(404, "malformed", "no such certificate");
  const auto found = std::find(known_.begin(), known_.end(), certificate);
  const auto index = static_cast<size_t>(found - known_.begin());
  if (found == known_.end()) known_.push_back(certificate);
  const Advice& advice = advice_[std::min(index, advice_.size() - 1)];
  JsonObject object;
  object.raw("suggestedWindow",
             JsonObject().text("start", advice.start).text("end", advice.end).str());
  if (!advice.explanation_url.empty()) object.text("explanationURL", advice.explanation_url);
  Response response;
  response.body = object.str();
  response.headers = {{"Content-Type", "application/json"}};
  if (advice.retry_after != 0) {
    response.headers.emplace_back("Retry-After", std::to_string(advice.retry_after));
  }
  return response;
}

// What belongs to an order, whose number is in the query.
Response ScriptedCa::show(const Request& request) {
  const std::string number = request.parameter("n");
  const auto found = orders_.find(number);
  if (found == orders_.end()) return problem(404, "malformed", "no such order");
  Order& order = found->second;
  Response response;
  if (request.path == "/authorization") {
    response.body = authorization(number, order);
  } else if (request.path == "/challenge") {
    order.tried = true;
    response.body = JsonObject()
                        .text("type", request.parameter("type"))
                        .text("url", server_.url(request.target))
                        .text("token", token_of(number))
                        .text("status", is_proven(order) ? "valid" : "processing")
                        .str();
    response.headers = {{"Link", "<" + url("authorization", number) + ">;rel=\"up\""}};
  } else if (request.path == "/order") {
    response.body = order_json(number, status_of(order));
  } else if (request.path == "/finalize") {
    return finalize(number, order, part_of(request, "payload"));
  } else if (request.path == "/certificate" && order.finalized) {
    response.body = order.chain;
  } else {
    return problem(404, "malformed", "no such thing");
  }
  return response;
}

std::string_view ScriptedCa::status_of(const Order& order) const {
  if (!is_proven(order)) return "pending";
  if (!order.finalized) return "ready";
  return stall_ == Stall::kProcessing ? "processing" : "valid";
}

Response ScriptedCa::finalize(const std::string& number, Order& order, const JsonValue& payload) {
  if (!is_proven(order) || order.finalized) return problem(403, "orderNotReady", "not now");
  const auto csr = acme::base64url_decode(payload.text_of("csr"));
  if (!csr || TestCa::names_of_csr(*csr) != TestCa::Names{order.name}) {
    return problem(400, "badCSR", "not the order's name");
  }
  order.finalized = true;
  order.chain = sign_ ? sign_(authority_, *csr) : authority_.issue_for_csr(*csr);
  issued_[acme::renewal_id(leaf_of(order.chain))] = order.account;
  Response response;
  response.body = order_json(number, "processing");
  return response;
}

std::string ScriptedCa::authorization(const std::string& number, const Order& order) const {
  std::string challenges;
  for (const char* type : {"http-01", "tls-alpn-01"}) {
    if (!options_.challenges) break;
    challenges.append(challenges.empty() ? "" : ",")
        .append(JsonObject()
                    .text("type", type)
                    .text("url", url("challenge", number) + "&type=" + type)
                    .text("token", token_of(number))
                    .text("status", is_proven(order) ? "valid" : "pending")
                    .str());
  }
  return JsonObject()
      .text("status", is_proven(order) ? "valid" : "pending")
      .raw("identifier", identifier(order.name))
      .raw("challenges", "[" + challenges + "]")
      .str();
}

std::string ScriptedCa::order_json(const std::string& number, std::string_view status) const {
  return JsonObject()
      .text("status", status)
      .raw("identifiers", "[" + identifier(orders_.at(number).name) + "]")
      .raw("authorizations", "[" + json_quote(url("authorization", number)) + "]")
      .text("finalize", url("finalize", number))
      .text("certificate", url("certificate", number))
      .str();
}

std::string ScriptedCa::url(std::string_view what, const std::string& number) const {
  return server_.url("/" + std::string(what) + "?n=" + number);
}

}  // namespace latchkey::test

#include "tests/support/scripted_ca.h"

#include "acme/base64url.h"
#include "base/json.h"

namespace latchkey::test {
namespace {

// The payload of a JWS; nobody looks at its signature.
std::optional<JsonValue> payload_of(const Request& request) {
  const auto jws = parse_json(request.body);
  if (!jws) return std::nullopt;
  const auto text = acme::base64url_decode(jws->text_of("payload"));
  auto json = parse_json(text ? *text : "");
  if (!json) return std::nullopt;
  return *std::move(json);
}

std::string identifier(const std::string& name) {
  return JsonObject().text("type", "dns").text("value", name).str();
}

}  // namespace

ScriptedCa::ScriptedCa() : server_([this](const Request& request) { return answer(request); }) {}

size_t ScriptedCa::orders(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = order_counts_.find(name);
  return found == order_counts_.end() ? 0 : found->second;
}

void ScriptedCa::misbehave(std::string path, Response response) {
  const std::lock_guard lock(mutex_);
  bad_path_ = std::move(path);
  bad_response_ = std::move(response);
}

void ScriptedCa::behave() {
  misbehave("", {});
}

Response ScriptedCa::rate_limited(int retry_after_seconds, std::string_view detail) {
  Response response;
  response.status = 429;
  response.headers = {{"Retry-After", std::to_string(retry_after_seconds)},
                      {"Content-Type", "application/problem+json"},
                      {"Replay-Nonce", "limited"}};
  response.body = JsonObject()
                      .text("type", "urn:ietf:params:acme:error:rateLimited")
                      .text("detail", detail)
                      .number("status", 429)
                      .str();
  return response;
}

void ScriptedCa::hand_out(std::string chain_pem) {
  const std::lock_guard lock(mutex_);
  chain_ = std::move(chain_pem);
}

Response ScriptedCa::answer(const Request& request) {
  const std::lock_guard lock(mutex_);
  if (request.path == bad_path_) return bad_response_;
  Response response;
  if (request.path == "/directory") {
    JsonObject object;
    for (const char* key : {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"}) {
      object.text(key, server_.url("/" + std::string(key)));
    }
    response.body = object.str();
    return response;  // without a nonce: they are to be fetched
  } else if (request.path == "/newAccount") {
    response.status = 201;
    response.headers = {{"Location", server_.url("/account")}};
    response.body = R"({"status":"valid"})";
  } else if (request.path == "/newOrder") {
    response = new_order(request);
  } else if (request.path != "/newNonce") {
    response = show(request);
  }
  response.headers.emplace_back("Replay-Nonce", "n" + std::to_string(++nonces_));
  response.headers.emplace_back("Content-Type", "application/json");
  return response;
}

Response ScriptedCa::new_order(const Request& request) {
  Response response;
  const auto payload = payload_of(request);
  const JsonValue* list = payload ? payload->find("identifiers") : nullptr;
  if (list == nullptr || list->items.size() != 1) {
    response.status = 400;
    return response;
  }
  const std::string name(list->items[0].text_of("value"));
  const std::string number = std::to_string(orders_.size() + 1);
  orders_[number] = {.name = name};
  ++order_counts_[name];
  response.status = 201;
  response.headers = {{"Location", server_.url("/order?n=" + number)}};
  response.body = order_json(number, "pending");
  return response;
}

// What belongs to an order, whose number is in the query.
Response ScriptedCa::show(const Request& request) {
  Response response;
  const std::string number = request.parameter("n");
  const auto found = orders_.find(number);
  if (found == orders_.end()) {
    response.status = 404;
    return response;
  }
  Order& order = found->second;
  if (request.path == "/authorization") {
    response.body = JsonObject()
                        .text("status", "valid")
                        .raw("identifier", identifier(order.name))
                        .raw("challenges", "[]")
                        .str();
  } else if (request.path == "/order") {
    response.body = order_json(number, order.chain.empty() ? "ready" : "valid");
  } else if (request.path == "/finalize") {
    const auto payload = payload_of(request);
    const auto csr = acme::base64url_decode(payload ? payload->text_of("csr") : "");
    if (!csr || TestCa::names_of_csr(*csr) != TestCa::Names{order.name}) {
      response.status = 400;
      return response;
    }
    order.chain = chain_.empty() ? authority_.issue_for_csr(*csr) : chain_;
    response.body = order_json(number, "processing");
  } else if (request.path == "/certificate") {
    response.body = order.chain;
  } else {
    response.status = 404;
  }
  return response;
}

std::string ScriptedCa::order_json(const std::string& number, std::string_view status) const {
  const auto url = [&](const std::string& what) {
    return server_.url("/" + what + "?n=" + number);
  };
  return JsonObject()
      .text("status", status)
      .raw("identifiers", "[" + identifier(orders_.at(number).name) + "]")
      .raw("authorizations", "[" + json_quote(url("authorization")) + "]")
      .text("finalize", url("finalize"))
      .text("certificate", url("certificate"))
      .str();
}

}  // namespace latchkey::test

#include "tests/support/acme_user.h"

#include <chrono>
#include <thread>

#include "acme/base64url.h"
#include "acme/csr.h"

namespace latchkey::test {
namespace {

constexpr int kNonces = 5;     // tries
constexpr int kPolls = 1'000;  // 5 s
constexpr std::chrono::milliseconds kBetweenPolls{5};

struct Place {
  std::string host, target;
  uint16_t port = 443;
};
Place place_of(const std::string& url) {
  const size_t host = url.find("://") + 3;
  const size_t path = std::min(url.find('/', host), url.size());
  Place place{url.substr(host, path - host), url.substr(path)};
  const size_t colon = place.host.rfind(':');
  if (colon != std::string::npos) {
    place.port = static_cast<uint16_t>(std::stoi(place.host.substr(colon + 1)));
  }
  return place;
}

Error broken(const std::string& url) {
  return {ErrorCode::kIo, url + ": the connection was refused or cut off"};
}

}  // namespace

AcmeUser::AcmeUser(Server server, acme::AccountKey key)
    : server_(std::move(server)), key_(std::move(key)) {}
AcmeUser::~AcmeUser() = default;

Result<> AcmeUser::connect() {
  if (client_ != nullptr) return Unit{};
  TlsOptions options;
  options.port = place_of(server_.directory).port;
  options.sni = options.name = server_.name;
  options.roots = server_.roots;
  options.alpn = {"http/1.1"};
  auto client = std::make_unique<TlsClient>(options);
  if (!client->handshake().verified) {
    return Error{ErrorCode::kIo, server_.directory + ": " + client->handshake().error};
  }
  client_ = std::move(client);
  conversation_.emplace(*client_);
  return Unit{};
}

Result<HttpAnswer> AcmeUser::exchange(std::string_view method, const std::string& url,
                                      std::string_view body) {
  if (auto connected = connect(); !connected) return std::move(connected).error();
  const Place place = place_of(url);
  std::string request(method);
  request.append(" ").append(place.target).append(" HTTP/1.1\r\nHost: ").append(place.host);
  request.append("\r\nUser-Agent: latchkey-test\r\n");
  if (method == "POST") {
    request.append("Content-Type: application/jose+json\r\nContent-Length: ");
    request.append(std::to_string(body.size())).append("\r\n");
  }
  request.append("\r\n").append(body);
  ++requests_;
  HttpAnswer answer = conversation_->exchange(request);
  if (!answer.complete || answer.header("connection") == "close") {
    conversation_.reset();
    client_ = nullptr;
  }
  if (!answer.complete) return broken(url);
  nonce_ = answer.header("replay-nonce");
  return answer;
}

Result<HttpAnswer> AcmeUser::sign_and_post(const std::string& url, const std::string& payload,
                                           bool by_key) {
  for (int tries = 1;; ++tries) {
    if (nonce_.empty()) {
      const auto fresh = exchange("HEAD", std::string(directory_.text_of("newNonce")), "");
      if (!fresh) return fresh.error();
    }
    const std::string body = key_.sign(url, nonce_, by_key ? "" : account_, payload);
    auto answer = exchange("POST", url, body);
    if (!answer) {
      nonce_.clear();
      return answer;
    }
    if (answer->status < 400) return answer;
    const bool bad_nonce = answer->body.find(":badNonce") != std::string::npos;
    if (bad_nonce) ++bad_nonces_;
    if (bad_nonce && tries < kNonces) continue;
    return Error{ErrorCode::kProtocol,
                 url + ": " + std::to_string(answer->status) + " " + answer->body};
  }
}

Result<HttpAnswer> AcmeUser::post(const std::string& url, const std::string& payload) {
  return sign_and_post(url, payload, false);
}

Result<JsonValue> AcmeUser::read(const std::string& url, const std::string& payload) {
  const auto answer = post(url, payload);
  if (!answer) return answer.error();
  return parse_json(answer->body);
}

Result<std::string> AcmeUser::sign_up() {
  const auto directory = exchange("GET", server_.directory, "");
  if (!directory) return directory.error();
  auto urls = parse_json(directory->body);
  if (!urls) return std::move(urls).error();
  directory_ = *std::move(urls);
  const auto answer = sign_and_post(std::string(directory_.text_of("newAccount")),
                                    R"({"termsOfServiceAgreed":true})", true);
  if (!answer) return answer.error();
  account_ = answer->header("location");
  return account_;
}

// Until the order or authorization is in that state.
Result<JsonValue> AcmeUser::wait(const std::string& url, std::string_view status) {
  for (int polls = 0; polls < kPolls; ++polls) {
    auto found = read(url);
    if (!found) return found;
    const std::string_view now = found->text_of("status");
    if (now == status || now == "valid") return found;
    if (now != "pending" && now != "processing" && now != "ready") {
      return Error{ErrorCode::kProtocol, url + " is " + json_show(*found, 500)};
    }
    std::this_thread::sleep_for(kBetweenPolls);
  }
  return Error{ErrorCode::kTimeout, url + " never became " + std::string(status)};
}

Result<AcmeUser::Obtained> AcmeUser::obtain(const std::string& name) {
  if (directory_.members.empty()) {
    const auto directory = exchange("GET", server_.directory, "");
    if (!directory) return directory.error();
    auto urls = parse_json(directory->body);
    if (!urls) return std::move(urls).error();
    directory_ = *std::move(urls);
  }
  const std::string identifier = JsonObject().text("type", "dns").text("value", name).str();
  const auto made = post(std::string(directory_.text_of("newOrder")),
                         JsonObject().raw("identifiers", "[" + identifier + "]").str());
  if (!made) return made.error();
  Obtained obtained{made->header("location"), ""};
  auto order = parse_json(made->body);
  if (!order) return std::move(order).error();
  const JsonValue* authorizations = order->find("authorizations");
  if (authorizations == nullptr || authorizations->items.empty()) {
    return Error{ErrorCode::kProtocol, "no authorization: " + made->body};
  }
  for (const JsonValue& one : authorizations->items) {
    const auto authorization = read(one.text);
    if (!authorization) return authorization.error();
    if (authorization->text_of("status") == "valid") continue;
    std::string challenge;
    if (const JsonValue* list = authorization->find("challenges")) {
      for (const JsonValue& each : list->items) {
        if (each.text_of("type") == "http-01") challenge = each.text_of("url");
      }
    }
    if (const auto told = post(challenge, "{}"); !told) return told.error();
    if (const auto valid = wait(one.text, "valid"); !valid) return valid.error();
  }
  const auto parsed = ServerName::parse(name);
  if (!parsed) return parsed.error();
  const std::string csr = acme::base64url(acme::make_csr(*parsed, certificate_key_));
  auto final = read(std::string(order->text_of("finalize")), JsonObject().text("csr", csr).str());
  if (!final) return std::move(final).error();
  if (final->text_of("status") != "valid") final = wait(obtained.order, "valid");
  if (!final) return std::move(final).error();
  auto chain = post(std::string(final->text_of("certificate")));
  if (!chain) return std::move(chain).error();
  obtained.chain = std::move(chain->body);
  return obtained;
}

Result<> AcmeUser::revoke(std::string_view leaf, int reason) {
  const auto done =
      post(std::string(directory_.text_of("revokeCert")),
           JsonObject().text("certificate", acme::base64url(leaf)).number("reason", reason).str());
  if (!done) return done.error();
  return Unit{};
}

}  // namespace latchkey::test

#include "edge/acme_host.h"

#include <charconv>
#include <optional>
#include <utility>

#include "acme/base64url.h"
#include "base/json.h"
#include "edge/acme_door.h"
#include "edge/admin_query.h"

namespace latchkey::edge {
namespace {

constexpr std::string_view kPrefix = "/acme/";

HttpReply problem(int status, std::string_view type, const std::string& detail) {
  HttpReply reply;
  reply.status = status;
  reply.headers.emplace_back("content-type", "application/problem+json");
  reply.body = JsonObject()
                   .text("type", "urn:ietf:params:acme:error:" + std::string(type))
                   .text("detail", detail)
                   .number("status", status)
                   .str();
  return reply;
}

HttpReply document(std::string_view type, std::string body) {
  HttpReply reply;
  reply.status = 200;
  reply.headers.emplace_back("content-type", type);
  reply.body = std::move(body);
  return reply;
}

HttpReply not_allowed(std::string methods) {
  HttpReply reply = problem(405, "malformed", "the method does not fit the path");
  reply.headers.emplace_back("allow", std::move(methods));
  return reply;
}

HttpReply reply_of(Result<std::string> made, std::string_view type) {
  if (made) return document(type, *std::move(made));
  const Error& error = made.error();
  if (error.code == ErrorCode::kNotFound) return problem(404, "malformed", error.message);
  HttpReply reply = problem(503, "serverInternal", "the answer cannot be made at the moment");
  reply.headers.emplace_back("retry-after", "10");
  return reply;
}

// "https://ca.test:8443/acme/local/crl/1?x" -> "/acme/local/crl/1".
std::string_view path_of(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  url.remove_prefix(std::min(url.find('/'), url.size()));
  return url.substr(0, url.find('?'));
}

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// RFC 6960, appendix A.1: base64 with whatever of it had to be percent-encoded.
std::optional<std::string> ocsp_question(std::string_view path) {
  auto text = percent_decode(path);
  if (!text) return std::nullopt;
  while (text->ends_with('=')) text->pop_back();
  for (char& c : *text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return acme::base64url_decode(*text);
}

}  // namespace

AcmeHost::AcmeHost(std::vector<acme::Authority*> authorities, const acme::Authority& served,
                   acme::AcmeServer& server)
    : authorities_(std::move(authorities)), served_(served), server_(server) {}

acme::Authority* AcmeHost::find(std::string_view name) const {
  for (acme::Authority* authority : authorities_) {
    if (authority->options().name == name) return authority;
  }
  return nullptr;
}

Task<HttpReply> AcmeHost::answer(HttpRequest request, std::string client) {
  std::string path(path_of(request.url));
  if (path.starts_with(kPrefix)) path.erase(0, kPrefix.size());
  const size_t slash = std::min(path.find('/'), path.size());
  acme::Authority* const authority = find(std::string_view(path).substr(0, slash));
  if (authority == nullptr) co_return problem(404, "malformed", "there is no such authority here");
  if (AcmeDoor::is_about_status(path_of(request.url))) {
    Task<HttpReply> answering = status(*authority, std::move(request), path.substr(slash + 1));
    co_return co_await std::move(answering);
  }
  if (authority != &served_ || !request.url.starts_with("https://")) {
    co_return problem(404, "malformed", "there is no ACME server at this path");
  }
  Task<HttpReply> handling = server_.handle(std::move(request), std::move(client));
  co_return co_await std::move(handling);
}

Task<HttpReply> AcmeHost::status(acme::Authority& authority, HttpRequest request,
                                 std::string rest) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (rest == "ocsp" || rest.starts_with("ocsp/")) {
    std::optional<std::string> question;
    if (rest == "ocsp") {
      if (request.method != "POST") co_return not_allowed("POST");
      question = std::move(request.body);
    } else {
      if (!reads) co_return not_allowed("GET, HEAD");
      question = ocsp_question(std::string_view(rest).substr(5));
    }
    if (!question) co_return problem(400, "malformed", "the path holds no OCSP request in base64");
    Task<std::string> asking = authority.ocsp(*std::move(question));
    Result<std::string> made = co_await std::move(asking).result();
    co_return reply_of(std::move(made), "application/ocsp-response");
  }
  if (!reads) co_return not_allowed("GET, HEAD");
  const auto signer = number(std::string_view(rest).substr(rest.find('/') + 1));
  if (!signer) co_return problem(404, "malformed", "signers have numbers");
  if (rest.starts_with("issuer/")) {
    co_return reply_of(authority.issuer_certificate(*signer), "application/pkix-cert");
  }
  Task<std::string> making = authority.crl(*signer);
  Result<std::string> made = co_await std::move(making).result();
  co_return reply_of(std::move(made), "application/pkix-crl");
}

}  // namespace latchkey::edge

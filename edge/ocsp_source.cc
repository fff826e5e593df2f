#include "edge/ocsp_source.h"

#include <utility>

#include "acme/ocsp.h"
#include "base/retry_after.h"
#include "base/url.h"
#include "edge/acme_source.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kTimeout = 10s;
constexpr size_t kMaxAnswer = 64 << 10;  // bytes

HttpRequest base_request() {
  HttpRequest request;
  request.timeout = kTimeout;
  request.max_body = kMaxAnswer;
  request.http_on_loopback_only = false;  // what comes is signed
  request.headers.emplace_back("Accept", "application/ocsp-response");
  return request;
}

// What those say who have POST only.
bool has_no_get(int status) {
  return status == 400 || status == 403 || status == 404 || status == 405 || status == 501;
}

Error refusal(const HttpReply& reply, WallTime now) {
  const bool trouble = reply.status >= 500 || reply.status == 429;
  Error error{trouble ? ErrorCode::kThrottled : ErrorCode::kProtocol,
              "the OCSP responder answered " + std::to_string(reply.status)};
  if (trouble) {
    error.retry_after = parse_retry_after(reply.header("retry-after"), now).value_or(Millis(0));
  }
  return error;
}

}  // namespace

OcspSource::OcspSource(Loop& loop, Log& log, FindHere find_here)
    : loop_(loop), log_(log), find_here_(std::move(find_here)) {
  CurlHttpClient::Options options;
  options.user_agent = user_agent();
  http_ = std::make_unique<CurlHttpClient>(loop.uv(), std::move(options));
}
OcspSource::~OcspSource() = default;

Task<StapleAnswer> OcspSource::fetch(CertificatePtr certificate) {
  const std::string responder = certificate->ocsp_responder();
  const std::string question = co_await or_fail(acme::make_ocsp_request(*certificate));
  Task<std::string> asking = ask(responder, question);
  const Result<std::string> der = co_await std::move(asking).result();
  const std::string whom = "asking " + url_without_secrets(responder);
  if (!der) co_return Error(der.error()).in(whom);
  const Result<acme::OcspAnswer> judged =
      acme::judge_ocsp_response(*der, *certificate, loop_.clock().wall_now());
  if (!judged) co_return Error(judged.error()).in(whom);
  StapleAnswer answer;
  if (judged->status == acme::CertStatus::kUnknown) {
    const Error unknown{ErrorCode::kNotFound, "it does not know the certificate (unknown)"};
    co_return Error(unknown).in(whom);
  }
  if (judged->status == acme::CertStatus::kRevoked) {
    answer.status = StapleAnswer::Status::kRevoked;
    answer.reason = judged->reason;
    answer.revoked_at = judged->revoked_at;
    co_return answer;
  }
  Staple staple;
  staple.der = *der;
  staple.this_update = judged->this_update;
  staple.next_update = judged->next_update;
  answer.staple = std::make_shared<const Staple>(std::move(staple));
  co_return answer;
}

Task<std::string> OcspSource::ask(std::string responder, std::string question) {
  if (acme::Authority* const here = find_here_ ? find_here_(responder) : nullptr) {
    Task<std::string> answering = here->ocsp(std::move(question));
    co_return co_await std::move(answering).result();
  }
  HttpReply reply;
  const auto get_url = acme::ocsp_get_url(responder, question);
  if (get_url) {
    HttpRequest get = base_request();
    get.url = *get_url;
    Task<HttpReply> getting = send(std::move(get));
    reply = co_await std::move(getting);
  }
  if (!get_url || has_no_get(reply.status)) {
    HttpRequest post = base_request();
    post.method = "POST";
    post.url = responder;
    post.headers.emplace_back("Content-Type", "application/ocsp-request");
    post.body = question;
    Task<HttpReply> posting = send(std::move(post));
    reply = co_await std::move(posting);
  }
  if (reply.status != 200) co_return refusal(reply, loop_.clock().wall_now());
  co_return std::move(reply.body);
}

Task<HttpReply> OcspSource::send(HttpRequest request) {
  const std::string method = request.method;
  const std::string url = url_without_secrets(request.url);
  Task<HttpReply> sending = http_->send(std::move(request));
  Result<HttpReply> reply = co_await std::move(sending).result();
  log_.debug("ocsp_request", reply ? "the OCSP responder has answered" : reply.error().message,
             {{"method", method}, {"url", url}, {"status", reply ? reply->status : 0}});
  co_return reply;
}

}  // namespace latchkey::edge

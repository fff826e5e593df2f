#include "acme/client.h"

#include <cstdlib>
#include <utility>

#include "acme/ca_url.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;

constexpr Millis kRequestLimit = 10s;
constexpr Millis kDirectoryLife = 1h;
constexpr int kNonceRetries = 5;
constexpr int kFetchRetries = 3;
constexpr Millis kFirstFetchPause = 250ms;
constexpr Millis kLongestFetchPause = 30s;

bool public_cas_are_forbidden() {
  const char* value = std::getenv("LATCHKEY_NO_PUBLIC_CA");
  return value != nullptr && std::string_view(value) == "1";
}

// How long to wait before a safe request is repeated; nullopt: it is not worth it.
std::optional<Millis> pause_after(const Result<AcmeReply>& reply, int tries) {
  if (tries >= kFetchRetries) return std::nullopt;
  const Millis pause = kFirstFetchPause * (1 << tries);
  if (!reply) {
    return reply.error().code == ErrorCode::kIo ? std::optional(pause) : std::nullopt;
  }
  if (reply->status < 500 && reply->status != 429) return std::nullopt;
  const Millis wait = std::max(pause, reply->retry_after.value_or(0ms));
  return wait <= kLongestFetchPause ? std::optional(wait) : std::nullopt;
}

}  // namespace

AcmeClient::AcmeClient(std::string directory_url, HttpClient& http, Clock& clock, Log& log,
                       AcmeCounts& counts)
    : directory_url_(std::move(directory_url)),
      http_(http),
      clock_(clock),
      log_(log),
      counts_(counts) {}

// The one funnel to the network.
Task<HttpReply> AcmeClient::send(HttpRequest request) {
  if (public_cas_are_forbidden() && is_public_production_ca(host_of(request.url))) {
    co_return Error{ErrorCode::kInvalid,
                    request.url +
                        ": LATCHKEY_NO_PUBLIC_CA=1 is set, so no request is made to a "
                        "public CA; unset it, or use a staging or local directory"};
  }
  request.timeout = kRequestLimit;
  counts_.requests.add();
  const std::string what = request.method + " " + request.url;
  const TimePoint began = clock_.now();
  Task<HttpReply> exchange = http_.send(std::move(request));
  Result<HttpReply> reply = co_await std::move(exchange).result();
  const LogField took{"ms", static_cast<int64_t>((clock_.now() - began).count())};
  if (!reply) {
    log_.debug("acme_request", what, {{"error", reply.error().message}, took});
    Error error = std::move(reply).error();  // names the URL
    // kTimeout is for orders that took too long; a CA that does not answer is out of reach.
    if (error.code == ErrorCode::kTimeout) error.code = ErrorCode::kIo;
    co_return error;
  }
  log_.debug("acme_request", what, {{"status", reply->status}, took});
  nonces_.put(reply->header("replay-nonce"));
  co_return reply;
}

Task<DirectoryPtr> AcmeClient::directory() {
  if (directory_ != nullptr && clock_.now() < directory_until_) co_return directory_;
  Task<DirectoryPtr> flight = directory_flight_.join([this] { return fetch_directory(); });
  co_return co_await std::move(flight);
}

Task<DirectoryPtr> AcmeClient::fetch_directory() {
  const Result<std::string> checked = check_ca_url("the ACME directory", directory_url_);
  if (!checked) co_return Error{ErrorCode::kInvalid, checked.error().message};
  HttpRequest request;
  request.url = directory_url_;
  HttpReply reply = co_await send(std::move(request));
  if (reply.status != 200) {
    const Problem problem = parse_problem(reply.status, reply.body);
    std::string remedy = "; is this the directory's URL?";
    if (reply.status / 100 == 3) {
      remedy =
          "; redirects are not followed: configure " + printable(reply.header("location"), 200);
    }
    Error error = problem.error("the ACME directory " + directory_url_);
    error.message += remedy;
    co_return error;
  }
  Directory directory = co_await or_fail(Directory::parse(directory_url_, reply.body));
  directory_ = std::make_shared<const Directory>(std::move(directory));
  directory_until_ = clock_.now() + kDirectoryLife;
  co_return directory_;
}

Task<std::string> AcmeClient::nonce() {
  if (std::string nonce = nonces_.take(); !nonce.empty()) co_return nonce;
  const DirectoryPtr directory = co_await this->directory();
  HttpRequest request;
  request.method = "HEAD";
  request.url = directory->new_nonce;
  const std::string what = "HEAD " + request.url;
  const HttpReply reply = co_await send(std::move(request));
  if (reply.status / 100 != 2) {
    Problem problem = parse_problem(reply.status, reply.body);
    problem.retry_after = parse_retry_after(reply.header("retry-after"), clock_.wall_now());
    co_return problem.error(what);
  }
  std::string nonce = nonces_.take();
  if (nonce.empty()) {
    co_return Error{ErrorCode::kProtocol, what + ": no Replay-Nonce header in the answer"};
  }
  co_return nonce;
}

AcmeReply AcmeClient::read(const HttpRequest& request, HttpReply reply) const {
  AcmeReply answer;
  answer.request = request.method + " " + request.url;
  answer.status = reply.status;
  answer.location = std::string(reply.header("location"));
  answer.content_type = std::string(reply.header("content-type"));
  answer.retry_after = parse_retry_after(reply.header("retry-after"), clock_.wall_now());
  if (reply.status / 100 != 2) {
    answer.problem = parse_problem(reply.status, reply.body);
    answer.problem->retry_after = answer.retry_after;
  }
  answer.body = std::move(reply.body);
  return answer;
}

Task<AcmeReply> AcmeClient::post(AccountKey key, std::string kid, std::string url,
                                 std::string payload) {
  for (int rejected = 0;; ++rejected) {
    const std::string fresh = co_await nonce();
    HttpRequest request;
    request.method = "POST";
    request.url = url;
    request.headers.emplace_back("content-type", "application/jose+json");
    request.body = key.sign(url, fresh, kid, payload);
    HttpReply reply = co_await send(request);
    AcmeReply answer = read(request, std::move(reply));
    if (!answer.problem || !answer.problem->is(problem_type::kBadNonce)) co_return answer;
    counts_.bad_nonces.add();
    if (rejected == kNonceRetries) {
      co_return Error{ErrorCode::kProtocol, answer.request + ": the CA rejected " +
                                                std::to_string(rejected + 1) +
                                                " nonces in a row: " + answer.problem->describe()};
    }
  }
}

Task<AcmeReply> AcmeClient::fetch(AccountKey key, std::string kid, std::string url) {
  for (int tries = 0;; ++tries) {
    Task<AcmeReply> attempt = post(key, kid, url, "");
    Result<AcmeReply> reply = co_await std::move(attempt).result();
    const std::optional<Millis> pause = pause_after(reply, tries);
    if (!pause) co_return reply;
    co_await sleep(clock_, *pause);
  }
}

}  // namespace latchkey::acme

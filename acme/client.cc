#include "acme/client.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "acme/ca_url.h"
#include "acme/link_header.h"
#include "acme/loggable.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;

constexpr Millis kRequestLimit = 10s;
constexpr Millis kDirectoryLife = 1h;
constexpr Millis kOldDirectoryLife = 1min;  // when it could not be had anew
constexpr int kNonceRetries = 5;
constexpr int kRequestsOfAPost = 8;  // nonces that had to be fetched included
constexpr int kFetchRetries = 3;
constexpr Millis kFirstFetchPause = 250ms;
constexpr Millis kLongestFetchPause = 30s;
constexpr size_t kMaxLinks = 16;

// What comes after the proof. The polls among them are paced by the issuance.
bool is_nearly_done(Resource resource) {
  return resource == Resource::kOrder || resource == Resource::kFinalize ||
         resource == Resource::kCertificate;
}

bool public_cas_are_forbidden() {
  const char* value = std::getenv("LATCHKEY_NO_PUBLIC_CA");
  return value != nullptr && std::string_view(value) == "1";
}

// How long to wait before a safe request is repeated; nullopt: it is not worth it.
std::optional<Millis> pause_after(const Result<AcmeReply>& reply, int tries) {
  if (tries >= kFetchRetries) return std::nullopt;
  Millis pause = kFirstFetchPause * (1 << tries);
  if (!reply) {
    const Error& error = reply.error();
    const bool patience = error.code == ErrorCode::kThrottled && error.retry_after > 0ms;
    if (error.code != ErrorCode::kIo && !patience) return std::nullopt;
    pause = std::max(pause, error.retry_after);
  } else if (reply->throttle) {
    pause = std::max(pause, reply->throttle->wait);
  } else if (reply->status < 500) {
    return std::nullopt;
  }
  return pause <= kLongestFetchPause ? std::optional(pause) : std::nullopt;
}

}  // namespace

AcmeClient::AcmeClient(std::string directory_url, HttpClient& http, Clock& clock, Log& log,
                       AcmeCounts& counts, Pacer* pacer)
    : directory_url_(std::move(directory_url)),
      http_(http),
      clock_(clock),
      log_(log),
      counts_(counts),
      pacer_(pacer),
      accounts_(clock, kAccountRequests) {}

// The one funnel to the network.
Task<AcmeReply> AcmeClient::send(Resource resource, std::string about, HttpRequest request,
                                 Allowance* allowance) {
  if (public_cas_are_forbidden() && is_public_production_ca(host_of(request.url))) {
    co_return Error{ErrorCode::kInvalid,
                    request.url +
                        ": LATCHKEY_NO_PUBLIC_CA=1 is set, so no request is made to a "
                        "public CA; unset it, or use a staging or local directory"};
  }
  const std::string what = request.method + " " + request.url;
  Task<> waiting = await_turn(resource, allowance);
  const Result<> turn = co_await std::move(waiting).result();
  if (!turn) co_return Error(turn.error()).in(what);
  const TimePoint began = clock_.now();
  HttpReply raw = co_await exchange(std::move(request));
  nonces_.put(raw.header("replay-nonce"));
  AcmeReply reply = read(what, std::move(raw));
  tell(reply, clock_.now() - began);
  heed(resource, about, reply);
  co_return reply;
}

Task<> AcmeClient::await_turn(Resource resource, Allowance* allowance) {
  const bool for_accounts = resource == Resource::kNewAccount || resource == Resource::kNewNonce ||
                            resource == Resource::kDirectory;
  if (allowance != nullptr) {
    co_await allowance->take();
  } else if (for_accounts) {
    co_await accounts_.take();
    ++account_requests_;
  }
  if (pacer_ != nullptr) co_await pacer_->before(resource);
  co_return Unit{};
}

Task<HttpReply> AcmeClient::exchange(HttpRequest request) {
  request.timeout = kRequestLimit;
  counts_.requests.add();
  const std::string what = request.method + " " + request.url;
  const TimePoint began = clock_.now();
  Task<HttpReply> sending = http_.send(std::move(request));
  Result<HttpReply> reply = co_await std::move(sending).result();
  if (reply) co_return reply;
  Error error = std::move(reply).error();  // names the URL
  log_.info("acme_request", what,
            {{"error", error.message}, {"ms", (clock_.now() - began).count()}});
  // kTimeout is for orders that took too long; a CA that does not answer is out of reach.
  if (error.code == ErrorCode::kTimeout) error.code = ErrorCode::kIo;
  co_return error;
}

void AcmeClient::tell(const AcmeReply& reply, Millis took) {
  const bool again = reply.problem && reply.problem->is(problem_type::kBadNonce);
  const Log::Fields fields{{"status", reply.status}, {"ms", took.count()}};
  if (again) {
    log_.debug("acme_request", reply.request, fields);
  } else {
    log_.info("acme_request", reply.request, fields);
  }
  log_.debug("acme_answer", reply.request, {{"body", loggable(reply.body)}});
}

AcmeReply AcmeClient::read(std::string request, HttpReply reply) const {
  AcmeReply answer;
  answer.request = std::move(request);
  answer.status = reply.status;
  answer.location = std::string(reply.header("location"));
  answer.content_type = std::string(reply.header("content-type"));
  for (const auto& [name, value] : reply.headers) {
    if (name == "link" && answer.links.size() < kMaxLinks) answer.links.push_back(value);
  }
  answer.retry_after = parse_retry_after(reply.header("retry-after"), clock_.wall_now());
  if (reply.status / 100 != 2) {
    answer.problem = parse_problem(reply.status, reply.body);
    answer.problem->retry_after = answer.retry_after;
    if (reply.status / 100 == 3 && !answer.location.empty()) {
      answer.problem->detail =
          "redirected to " + printable(answer.location, 200) + ", and redirects are not followed";
    }
    const std::vector<std::string> terms = links_of(answer.links, "terms-of-service");
    if (!terms.empty()) answer.problem->terms_of_service = terms.front();
  }
  answer.body = std::move(reply.body);
  return answer;
}

// Is it told to stay away? A 503 that does not say for how long is a CA in trouble, no more.
void AcmeClient::heed(Resource resource, const std::string& about, AcmeReply& reply) {
  const bool busy = reply.status == 503 && reply.retry_after;
  if (reply.status != 429 && !busy) return;
  reply.throttle = classify_throttle(resource, *reply.problem, about);
  counts_.throttled.add();
  if (pacer_ != nullptr) pacer_->throttled(*reply.throttle);
}

Task<DirectoryPtr> AcmeClient::directory(Allowance* allowance) {
  if (directory_ != nullptr && clock_.now() < directory_until_) co_return directory_;
  if (allowance != nullptr) allowance->note(1);
  Task<DirectoryPtr> flight = directory_flight_.join([this] { return renew_directory(); });
  co_return co_await std::move(flight);
}

// What a CA moves, it moves seldom: an old directory is better than no orders.
Task<DirectoryPtr> AcmeClient::renew_directory() {
  Task<DirectoryPtr> fetching = fetch_directory();
  Result<DirectoryPtr> fetched = co_await std::move(fetching).result();
  if (fetched) {
    tell_changed_terms(**fetched);
    directory_ = *fetched;
    directory_until_ = clock_.now() + kDirectoryLife;
  } else if (directory_ != nullptr) {
    log_.warning("directory_is_old",
                 "using the ACME directory of before: " + fetched.error().message);
    directory_until_ = clock_.now() + std::max(fetched.error().retry_after, kOldDirectoryLife);
  } else {
    co_return fetched;
  }
  co_return directory_;
}

// Whether the account is held to them is for the CA to say (userActionRequired).
void AcmeClient::tell_changed_terms(const Directory& fetched) {
  if (directory_ == nullptr || directory_->terms_of_service == fetched.terms_of_service) return;
  log_.warning("terms_changed",
               "the CA has new terms of service, which nobody has accepted yet: read " +
                   printable(fetched.terms_of_service),
               {{"directory", directory_url_}});
}

Task<DirectoryPtr> AcmeClient::fetch_directory() {
  const Result<std::string> checked = check_ca_url("the ACME directory", directory_url_);
  if (!checked) co_return Error{ErrorCode::kInvalid, checked.error().message};
  HttpRequest request;
  request.url = directory_url_;
  const AcmeReply reply = co_await send(Resource::kDirectory, "", std::move(request), nullptr);
  if (reply.status != 200) {
    const Problem problem = reply.problem.value_or(parse_problem(reply.status, reply.body));
    std::string remedy = "; is this the directory's URL?";
    if (reply.throttle) remedy.clear();
    if (reply.status / 100 == 3) {
      remedy = "; configure that, if it is the directory's URL";
    }
    Error error = problem.error("the ACME directory " + directory_url_);
    error.message += remedy;
    co_return error;
  }
  Directory directory = co_await or_fail(Directory::parse(directory_url_, reply.body));
  co_return std::make_shared<const Directory>(std::move(directory));
}

Task<std::string> AcmeClient::nonce(Allowance* allowance, int& sent) {
  if (std::string nonce = nonces_.take(); !nonce.empty()) co_return nonce;
  const DirectoryPtr directory = co_await this->directory(allowance);
  ++sent;
  HttpRequest request;
  request.method = "HEAD";
  request.url = directory->new_nonce;
  const AcmeReply reply = co_await send(Resource::kNewNonce, "", std::move(request), allowance);
  if (reply.problem) co_return reply.error();
  std::string nonce = nonces_.take();
  if (nonce.empty()) {
    co_return Error{ErrorCode::kProtocol, reply.request + ": no Replay-Nonce header in the answer"};
  }
  co_return nonce;
}

Task<AcmeReply> AcmeClient::post(AcmeRequest request) {
  int sent = 0;
  for (int rejected = 0;; ++rejected) {
    const std::string fresh = co_await nonce(request.allowance, sent);
    HttpRequest post;
    post.method = "POST";
    post.url = request.url;
    post.headers.emplace_back("content-type", "application/jose+json");
    post.body = request.key.sign(request.url, fresh, request.kid, request.payload);
    // What binds or changes an account is signed itself; it is nobody's business.
    const bool shown = request.resource != Resource::kNewAccount &&
                       request.resource != Resource::kAccount && !request.payload.empty();
    if (shown) {
      log_.debug("acme_payload", "POST " + request.url, {{"body", loggable(request.payload)}});
    }
    // Nonces that were rejected may have used up what was kept for the end: a certificate that lies
    // ready is worth a request too many, and one nonce more.
    Allowance* allowance = request.allowance;
    const bool must_not_wait = rejected <= 1 && is_nearly_done(request.resource);
    if (allowance != nullptr && must_not_wait && allowance->left() == 0) {
      std::exchange(allowance, nullptr)->note(1);
    }
    Task<AcmeReply> sending = send(request.resource, request.about, std::move(post), allowance);
    ++sent;
    Result<AcmeReply> answer = co_await std::move(sending).result();
    if (!answer && answer.error().code == ErrorCode::kThrottled) nonces_.put(fresh);  // unused
    if (!answer) co_return answer;
    if (!answer->problem || !answer->problem->is(problem_type::kBadNonce)) co_return answer;
    counts_.bad_nonces.add();
    if (rejected == kNonceRetries || sent >= kRequestsOfAPost) {
      co_return Error{ErrorCode::kProtocol, answer->request + ": the CA rejected " +
                                                std::to_string(rejected + 1) +
                                                " nonces in a row: " + answer->problem->describe()};
    }
  }
}

Task<AcmeReply> AcmeClient::fetch(AcmeRequest request) {
  for (int tries = 0;; ++tries) {
    Task<AcmeReply> attempt = post(request);
    Result<AcmeReply> reply = co_await std::move(attempt).result();
    const std::optional<Millis> pause = pause_after(reply, tries);
    if (!pause) co_return reply;
    co_await sleep(clock_, *pause);
  }
}

Task<AcmeReply> AcmeClient::get(Resource resource, std::string url) {
  HttpRequest request;
  request.url = std::move(url);
  co_return co_await send(resource, "", std::move(request), nullptr);
}

}  // namespace latchkey::acme

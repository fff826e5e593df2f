// Embedded authorities: what they are made of, and what is asked of them over HTTP.
#include <utility>

#include "edge/control_plane.h"

namespace latchkey::edge {
namespace {

// Says that nothing comes of the request when it goes unanswered: it was dropped.
class Answer {
 public:
  explicit Answer(std::function<void(HttpReply)> done) : done_(std::move(done)) {}
  ~Answer() {
    if (!done_) return;
    HttpReply reply;
    reply.status = 503;
    reply.headers.emplace_back("content-type", "application/problem+json");
    reply.headers.emplace_back("retry-after", "5");
    reply.body = R"({"type": "urn:ietf:params:acme:error:serverInternal", "status": 503, )"
                 R"("detail": "another process has just taken over: try again"})";
    give(std::move(reply));
  }
  Answer(const Answer&) = delete;

  void give(HttpReply reply) { std::exchange(done_, nullptr)(std::move(reply)); }

 private:
  std::function<void(HttpReply)> done_;
};

Task<> answer_with(AcmeServing& serving, HttpRequest request, std::string client,
                   std::shared_ptr<Answer> answer) {
  Task<HttpReply> answering = serving.answer(std::move(request), std::move(client));
  HttpReply reply = co_await std::move(answering);
  answer->give(std::move(reply));
  co_return Unit{};
}

}  // namespace

CertificateSource* ControlPlane::open_authority(const Config::Issuer& from) {
  acme::AuthorityOptions options;
  options.name = from.name;
  options.lifetimes = from.authority->lifetimes;
  options.status_url = status_url(config_, from);
  AuthorityStore& store = store_->authority_store();
  authorities_.push_back(
      std::make_unique<acme::Authority>(std::move(options), store, loop_.clock(), log_));
  authority_sources_.push_back(std::make_unique<AuthoritySource>(
      from.name, *from.authority, *authorities_.back(), store, loop_.address(), log_));
  return authority_sources_.back().get();
}

// So that the root is there before anybody needs it, and clients can be told to trust it.
Task<> ControlPlane::prepare_authority(acme::Authority& authority) {
  Task<> keeping = authority.keep();
  const Result<> kept = co_await std::move(keeping).result();
  if (!kept) {
    log_.error("authority_not_ready",
               "it is tried again with the first certificate: " + kept.error().message,
               {{"issuer", authority.options().name}});
  }
  co_return Unit{};
}

// What the other process will make and change is not known here: all of it is read anew when it is
// taken back.
void ControlPlane::stop_authorities() {
  acme_serving_.reset();
  for (const auto& authority : authorities_) authority->stop();
}

acme::Authority* ControlPlane::find_responder(const std::string& url) const {
  for (const auto& authority : authorities_) {
    const std::string& status = authority->options().status_url;
    if (!status.empty() && url == status + "/ocsp") return authority.get();
  }
  return nullptr;
}

Result<> ControlPlane::open_acme_server() {
  const auto served = served_authority(config_);
  if (!served) return Unit{};
  for (const std::string& host : config_.acme_server->hosts) {
    desk_->bind(*ServerName::parse(host), config_.issuers[*served].name);
  }
  std::vector<acme::Authority*> authorities;
  authorities.reserve(authorities_.size());
  for (const auto& authority : authorities_) authorities.push_back(authority.get());
  auto serving =
      AcmeServing::open(config_, std::move(authorities), store_->authority_store(), loop_, log_);
  if (!serving) return serving.error();
  acme_serving_ = *std::move(serving);
  return Unit{};
}

void ControlPlane::replace_acme_allow(const Config& config) {
  if (acme_serving_ == nullptr || !config.acme_server) return;
  acme_serving_->replace_allow(config.acme_server->allow);
}

void ControlPlane::answer_acme(HttpRequest request, std::string client,
                               std::function<void(HttpReply)> done) {
  auto answer = std::make_shared<Answer>(std::move(done));
  if (acme_serving_ == nullptr || successor_) return;
  tasks_.spawn(
      answer_with(*acme_serving_, std::move(request), std::move(client), std::move(answer)));
}

}  // namespace latchkey::edge

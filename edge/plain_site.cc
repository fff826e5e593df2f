#include "edge/plain_site.h"

#include <utility>

#include "edge/pages.h"

namespace latchkey::edge {
namespace {

constexpr std::string_view kChallengePath = "/.well-known/acme-challenge/";
constexpr size_t kMaxKept = 64 << 10;
constexpr const char* kNobody = "There is no site by this name here.";

bool is_challenge_token(std::string_view text) {
  if (text.empty() || text.size() > 256) return false;
  for (const char c : text) {
    const bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '-' || c == '_';
    if (!ok) return false;
  }
  return true;
}

// A host of the form "203.0.113.7" or "[2001:db8::7]" is an address.
Result<ServerName> parse_host(std::string_view host, ServerNameRules rules) {
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  auto address = ServerName::parse_ip(bracketed ? host.substr(1, host.size() - 2) : host);
  if (address && bracketed == (address->text().find(':') != std::string::npos)) return address;
  return ServerName::parse(host, rules);
}

}  // namespace

void PlainSite::start() {
  const auto name = parse_host(head_.host(), context_.rules);
  if (head_.target.starts_with(kChallengePath)) return handle_challenge(name);
  if (!name) return answer_page(stream_, 404, kNobody);
  const AcmeDoor* const authority = context_.authority.get();
  if (authority != nullptr && AcmeDoor::is_about_status(head_.target) &&
      authority->is_host(name->text())) {
    self_ = std::make_shared<PlainSite*>(this);
    return proxy(context_.about_revocation);
  }
  self_ = std::make_shared<PlainSite*>(this);
  context_.may_be_served(*name, [here = std::weak_ptr(self_), to = *name](NameState state) {
    PlainSite* site = nullptr;
    if (const auto self = here.lock()) site = *self;
    if (site != nullptr) site->answer(state, to);
  });
}

void PlainSite::answer(NameState state, const ServerName& name) {
  switch (state) {
    case NameState::kUnknown:
      return answer_page(stream_, 404, kNobody);
    case NameState::kServed:
      return redirect_to(name);
    case NameState::kPlainOnly:
      return proxy(context_.proxy);
  }
}

// What has come of the request meanwhile goes after it. Each call may be the last: the answer may
// be there, and we with it gone.
void PlainSite::proxy(const Serve& to) {
  const std::weak_ptr<PlainSite*> alive = self_;
  proxied_ = to(std::move(head_), stream_);
  proxied_->start();
  if (alive.expired()) return;
  if (const std::string body = std::exchange(kept_, {}); !body.empty()) proxied_->on_body(body);
  if (alive.expired() || !ended_) return;
  const HeaderList trailers = std::move(trailers_);
  proxied_->on_request_end(trailers);
}

void PlainSite::on_body(std::string_view bytes) {
  if (proxied_ != nullptr) return proxied_->on_body(bytes);
  kept_.append(bytes);
  if (kept_.size() >= kMaxKept) stream_.pause_body();
}

void PlainSite::on_request_end(const HeaderList& trailers) {
  if (proxied_ != nullptr) return proxied_->on_request_end(trailers);
  trailers_ = trailers;
  ended_ = true;
}

void PlainSite::on_writable() {
  if (proxied_ != nullptr) proxied_->on_writable();
}

void PlainSite::redirect_to(const ServerName& name) {
  ResponseHead head;
  head.status = 308;
  const bool version_6 = name.text().find(':') != std::string::npos;
  std::string location = "https://" + (version_6 ? "[" + name.text() + "]" : name.text());
  if (context_.https_port != 443) location += ":" + std::to_string(context_.https_port);
  location += head_.target == "*" ? "/" : head_.target;
  head.headers.add("location", location);
  head.headers.add("cache-control", "no-store");
  head.body = {Body::Kind::kLength, 0};
  stream_.send_head(head);
  stream_.finish();
}

void PlainSite::handle_challenge(const Result<ServerName>& name) {
  const std::string_view token = std::string_view(head_.target).substr(kChallengePath.size());
  // Nothing but a token goes on: no other path of that upstream can be reached.
  const bool fit = (head_.method == "GET" || head_.method == "HEAD") && is_challenge_token(token);
  if (fit && name && answer_challenge(*name, token)) return;
  if (fit && context_.other_challenges) {
    self_ = std::make_shared<PlainSite*>(this);
    return proxy(context_.other_challenges);
  }
  answer_page(stream_, 404, name ? "No such challenge is pending here." : kNobody);
}

bool PlainSite::answer_challenge(const ServerName& name, std::string_view token) {
  const std::optional<std::string> answer = context_.challenges.find_http(name, token);
  if (!answer) return false;
  ResponseHead head;
  head.status = 200;
  head.headers.add("content-type", "application/octet-stream");
  head.headers.add("cache-control", "no-store");
  head.body = {Body::Kind::kLength, answer->size()};
  stream_.send_head(head);
  stream_.send_body(*answer);
  stream_.finish();
  return true;
}

}  // namespace latchkey::edge

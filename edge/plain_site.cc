#include "edge/plain_site.h"

#include "edge/pages.h"

namespace latchkey::edge {
namespace {

constexpr std::string_view kChallengePath = "/.well-known/acme-challenge/";
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

}  // namespace

void PlainSite::start() {
  const auto name = ServerName::parse(head_.host(), context_.rules);
  if (!name) return answer_page(stream_, 404, kNobody);
  if (head_.target.starts_with(kChallengePath)) {
    return answer_challenge(*name, std::string_view(head_.target).substr(kChallengePath.size()));
  }
  self_ = std::make_shared<PlainSite*>(this);
  context_.may_be_served(*name, [here = std::weak_ptr(self_), to = *name](bool served) {
    const auto self = here.lock();
    if (self == nullptr) return;
    PlainSite& site = **self;
    served ? site.redirect_to(to) : answer_page(site.stream_, 404, kNobody);
  });
}

void PlainSite::redirect_to(const ServerName& name) {
  ResponseHead head;
  head.status = 308;
  std::string location = "https://" + name.text();
  if (context_.https_port != 443) location += ":" + std::to_string(context_.https_port);
  location += head_.target == "*" ? "/" : head_.target;
  head.headers.add("location", location);
  head.headers.add("cache-control", "no-store");
  head.body = {Body::Kind::kLength, 0};
  stream_.send_head(head);
  stream_.finish();
}

void PlainSite::answer_challenge(const ServerName& name, std::string_view token) {
  std::optional<std::string> answer;
  if ((head_.method == "GET" || head_.method == "HEAD") && is_challenge_token(token)) {
    answer = context_.challenges.find_http(name, token);
  }
  if (!answer) return answer_page(stream_, 404, "No such challenge is pending here.");
  ResponseHead head;
  head.status = 200;
  head.headers.add("content-type", "application/octet-stream");
  head.headers.add("cache-control", "no-store");
  head.body = {Body::Kind::kLength, answer->size()};
  stream_.send_head(head);
  stream_.send_body(*answer);
  stream_.finish();
}

}  // namespace latchkey::edge

// Whatever an ask endpoint answers, what is taken from it keeps the rules, and what is complained
// about is short.

#include <cstdint>
#include <cstdlib>

#include "policy/ask_answer.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_clean(std::string_view text, size_t max) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') return false;
  }
  return text.size() <= max;
}

bool is_url(std::string_view text) {
  for (const char* scheme : {"http://", "https://", "h2c://", "srv+http://", "srv+https://"}) {
    if (text.starts_with(scheme)) return true;
  }
  return false;
}

bool is_group_name(std::string_view text) {
  for (const char c : text) {
    const bool alphanumeric =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alphanumeric && c != '-' && c != '_') return false;
  }
  return text.size() <= 100;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace latchkey;
  const Millis longest = std::chrono::days(30);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* type : {"", "application/json"}) {
    const AskAnswer answer = parse_ask_answer(text, type);
    const Grant& grant = answer.grant;
    require(answer.complaint.size() <= 1024);
    require(!answer.ttl || (*answer.ttl >= Millis(0) && *answer.ttl <= longest));
    require(is_clean(grant.upstream, 2048));
    require(grant.upstream.empty() || grant.upstream == kUnusableUpstream ||
            is_url(grant.upstream) || is_group_name(grant.upstream));
    require(grant.upstream.find(' ') == std::string::npos);
    require(is_clean(grant.tenant, 256) && is_clean(grant.issuer, 256));
    require(is_clean(grant.profile, 256));
    require(grant.key_type.empty() || grant.key_type == "p256" || grant.key_type == "p384" ||
            grant.key_type == "rsa2048");
    require(answer.says_something || (grant == Grant{} && !answer.ttl));
  }
  const auto age = cache_control_max_age(text);
  require(!age || (*age >= Millis(0) && *age <= longest));
  return 0;
}

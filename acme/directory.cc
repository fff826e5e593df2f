#include "acme/directory.h"

#include <algorithm>

#include "acme/base64url.h"
#include "acme/ca_url.h"
#include "acme/problem.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxNonces = 64;
constexpr size_t kMaxNonceBytes = 256;
constexpr size_t kMaxProfiles = 32;
constexpr size_t kMaxProfileBytes = 80;

std::vector<std::string> profiles_in(const JsonValue& meta) {
  std::vector<std::string> names;
  const JsonValue* profiles = meta.find("profiles");
  if (profiles == nullptr || !profiles->is(JsonValue::Kind::kObject)) return names;
  for (const JsonMember& member : profiles->members) {
    if (names.size() == kMaxProfiles) break;
    if (member.key.size() <= kMaxProfileBytes) names.push_back(member.key);
  }
  return names;
}

}  // namespace

Result<Directory> Directory::parse(std::string_view url, std::string_view body) {
  const std::string where = "the ACME directory " + std::string(url);
  Result<JsonValue> value = parse_json(body);
  if (!value) {
    return Error{ErrorCode::kProtocol,
                 where + ": not JSON: " + value.error().message + "; is this the directory's URL?"};
  }
  struct Entry {
    const char* key;
    std::string Directory::*out;
    bool required;
  };
  constexpr Entry kEntries[] = {
      {"newNonce", &Directory::new_nonce, true},
      {"newAccount", &Directory::new_account, true},
      {"newOrder", &Directory::new_order, true},
      {"newAuthz", &Directory::new_authz, false},
      {"revokeCert", &Directory::revoke_cert, false},
      {"keyChange", &Directory::key_change, false},
      {"renewalInfo", &Directory::renewal_info, false},
  };
  Directory directory;
  for (const Entry& entry : kEntries) {
    const JsonValue* member = value->find(entry.key);
    if (member == nullptr && !entry.required) continue;
    if (member == nullptr) {
      return Error{ErrorCode::kProtocol,
                   where + ": " + entry.key + " is missing; is this an ACME (RFC 8555) directory?"};
    }
    Result<std::string> checked = check_ca_url(entry.key, member->text);
    if (!checked) return std::move(checked).error().in(where);
    directory.*entry.out = *std::move(checked);
  }
  if (const JsonValue* meta = value->find("meta")) {
    directory.terms_of_service = std::string(meta->text_of("termsOfService").substr(0, 2048));
    const JsonValue* binding = meta->find("externalAccountRequired");
    directory.external_account_required = binding != nullptr && binding->boolean;
    directory.profiles = profiles_in(*meta);
  }
  return directory;
}

bool Directory::has_profile(std::string_view name) const {
  return std::find(profiles.begin(), profiles.end(), name) != profiles.end();
}

void NoncePool::put(std::string_view nonce) {
  if (nonce.empty() || nonce.size() > kMaxNonceBytes || !is_base64url(nonce)) return;
  if (nonces_.size() == kMaxNonces) nonces_.erase(nonces_.begin());
  nonces_.emplace_back(nonce);
}

std::string NoncePool::take() {
  if (nonces_.empty()) return {};
  std::string nonce = std::move(nonces_.back());
  nonces_.pop_back();
  return nonce;
}

}  // namespace latchkey::acme

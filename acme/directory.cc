#include "acme/directory.h"

#include "acme/base64url.h"
#include "acme/ca_url.h"
#include "acme/problem.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxNonces = 64;
constexpr size_t kMaxNonceBytes = 256;

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
  }
  return directory;
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

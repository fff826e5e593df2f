#include "acme/account_status.h"

#include "acme/problem.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxContacts = 16;
constexpr size_t kMaxContact = 256;  // bytes
constexpr size_t kMaxStatus = 40;

}  // namespace

Result<AccountStatus> parse_account(std::string_view url, std::string_view body) {
  const std::string where = "the account " + std::string(url);
  const Result<JsonValue> value = parse_json(body);
  if (!value) {
    return Error{ErrorCode::kProtocol, where + ": not JSON: " + value.error().message};
  }
  AccountStatus account;
  account.status = printable(value->text_of("status"), kMaxStatus);
  if (account.status.empty()) {
    return Error{ErrorCode::kProtocol, where + ": its status is missing"};
  }
  const JsonValue* contacts = value->find("contact");
  if (contacts == nullptr) return account;
  for (const JsonValue& contact : contacts->items) {
    if (account.contact.size() == kMaxContacts) break;
    if (contact.text.size() <= kMaxContact) account.contact.push_back(printable(contact.text));
  }
  return account;
}

}  // namespace latchkey::acme

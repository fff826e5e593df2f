#include "acme/authority/server_payload.h"

#include <algorithm>

#include "acme/base64url.h"
#include "acme/order.h"

namespace latchkey::acme {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kMaxContact = 320;  // bytes
constexpr size_t kMaxReplaces = 200;

Judged<JsonValue> read_object(std::string_view payload) {
  Result<JsonValue> value = parse_json(payload);
  if (!value || !value->is(Kind::kObject)) {
    return malformed("the payload is no JSON object" +
                     (value ? std::string() : ": " + printable(value.error().message)));
  }
  return *std::move(value);
}

// A member that may be left out; null is as good as that.
const JsonValue* optional_in(const JsonValue& object, std::string_view name) {
  const JsonValue* const value = object.find(name);
  return value == nullptr || value->is(Kind::kNull) ? nullptr : value;
}

// A "mailto:" of one address, without header fields (RFC 8555, 7.3).
Judged<> check_contact(std::string_view contact) {
  constexpr std::string_view kMailto = "mailto:";
  if (!contact.starts_with(kMailto)) {
    return ServerProblem{400, std::string(problem_type::kUnsupportedContact),
                         "the contact " + printable(contact, 80) + " is no mailto: URL"};
  }
  const std::string_view address = contact.substr(kMailto.size());
  const size_t at = address.find('@');
  const bool one = at != std::string_view::npos && at > 0 && at + 1 < address.size() &&
                   address.find('@', at + 1) == std::string_view::npos;
  const bool clean = std::none_of(address.begin(), address.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == ',' || c == '?' || c == '"' ||
           c == '<' || c == '>';
  });
  if (!one || !clean || contact.size() > kMaxContact) {
    return ServerProblem{400, std::string(problem_type::kInvalidContact),
                         "the contact " + printable(contact, 80) + " is not one mail address"};
  }
  return Unit{};
}

Judged<std::vector<std::string>> read_contacts(const JsonValue& list) {
  if (!list.is(Kind::kArray)) return malformed("\"contact\" is no list");
  if (list.items.size() > kMaxContacts) {
    return ServerProblem{400, std::string(problem_type::kInvalidContact),
                         "more than " + std::to_string(kMaxContacts) + " contacts"};
  }
  std::vector<std::string> contacts;
  contacts.reserve(list.items.size());
  for (const JsonValue& one : list.items) {
    if (!one.is(Kind::kString)) return malformed("a contact is a URL, so a string");
    if (Judged<> good = check_contact(one.text); !good) return std::move(good).problem();
    contacts.push_back(one.text);
  }
  return contacts;
}

std::string identifier_json(std::string_view type, std::string_view value) {
  return JsonObject().text("type", printable(type, 40)).text("value", printable(value, 255)).str();
}

struct Identifier {
  std::optional<ServerName> name{};
  std::optional<ServerSubproblem> refused{};
};

Identifier read_identifier(std::string_view type, std::string_view value) {
  const auto refused = [&](std::string_view problem, std::string why) {
    return Identifier{
        {}, ServerSubproblem{std::string(problem), std::move(why), identifier_json(type, value)}};
  };
  if (type != "dns" && type != "ip") {
    return refused(problem_type::kUnsupportedIdentifier, "identifiers of type " +
                                                             printable(type, 40) +
                                                             " are not known here; \"dns\" and "
                                                             "\"ip\" are");
  }
  Result<ServerName> name = type == "ip"              ? ServerName::parse_ip(value)
                            : value.starts_with("*.") ? ServerName::parse_wildcard(value)
                                                      : ServerName::parse(value);
  if (!name) return refused(problem_type::kMalformed, name.error().message);
  return {*std::move(name), {}};
}

// All that are wrong, in one document.
ServerProblem refused_identifiers(std::vector<ServerSubproblem> wrong) {
  ServerProblem problem{400, wrong.front().type,
                        wrong.size() == 1
                            ? wrong.front().detail
                            : std::to_string(wrong.size()) +
                                  " identifiers will not do, the first: " + wrong.front().detail};
  problem.subproblems = std::move(wrong);
  return problem;
}

Judged<std::vector<ServerName>> read_identifiers(const JsonValue& list) {
  if (!list.is(Kind::kArray) || list.items.empty()) {
    return malformed("\"identifiers\" is no list with something in it");
  }
  if (list.items.size() > kMaxIdentifiers) {
    return malformed("an order is for 100 identifiers at most, this one for " +
                     std::to_string(list.items.size()));
  }
  std::vector<ServerName> names;
  std::vector<ServerSubproblem> wrong;
  names.reserve(list.items.size());
  for (const JsonValue& one : list.items) {
    const JsonValue* const type = one.find("type");
    const JsonValue* const value = one.find("value");
    if (type == nullptr || value == nullptr || !type->is(Kind::kString) ||
        !value->is(Kind::kString)) {
      return malformed(R"(an identifier is {"type":"dns","value":"a name"}, this one is )" +
                       json_show(one));
    }
    Identifier read = read_identifier(type->text, value->text);
    if (read.refused) {
      wrong.push_back(*std::move(read.refused));
    } else if (std::find(names.begin(), names.end(), *read.name) == names.end()) {
      names.push_back(*std::move(read.name));
    }
  }
  if (!wrong.empty()) return refused_identifiers(std::move(wrong));
  return names;
}

}  // namespace

Judged<NewAccountPayload> read_new_account(std::string_view payload) {
  Judged<JsonValue> object = read_object(payload);
  if (!object) return std::move(object).problem();
  NewAccountPayload read;
  for (const char* const flag : {"onlyReturnExisting", "termsOfServiceAgreed"}) {
    const JsonValue* const value = optional_in(*object, flag);
    if (value != nullptr && !value->is(Kind::kBool)) {
      return malformed("\"" + std::string(flag) + "\" is true or false");
    }
    if (value != nullptr && std::string_view(flag) == "onlyReturnExisting") {
      read.only_return_existing = value->boolean;
    }
  }
  if (const JsonValue* const list = optional_in(*object, "contact"); list != nullptr) {
    Judged<std::vector<std::string>> contacts = read_contacts(*list);
    if (!contacts) return std::move(contacts).problem();
    read.contacts = *std::move(contacts);
  }
  if (const JsonValue* const binding = optional_in(*object, "externalAccountBinding");
      binding != nullptr) {
    read.binding = *binding;
  }
  return read;
}

Judged<AccountUpdatePayload> read_account_update(std::string_view payload) {
  Judged<JsonValue> object = read_object(payload);
  if (!object) return std::move(object).problem();
  AccountUpdatePayload read;
  if (const JsonValue* const status = optional_in(*object, "status"); status != nullptr) {
    const std::string_view text = object->text_of("status");
    if (text != "deactivated" && text != "valid") {
      return malformed("an account's \"status\" can be changed to \"deactivated\" alone");
    }
    read.deactivate = text == "deactivated";
  }
  if (const JsonValue* const list = optional_in(*object, "contact"); list != nullptr) {
    Judged<std::vector<std::string>> contacts = read_contacts(*list);
    if (!contacts) return std::move(contacts).problem();
    read.contacts = *std::move(contacts);
  }
  return read;
}

Judged<KeyChangePayload> read_key_change(std::string_view payload) {
  Judged<JsonValue> object = read_object(payload);
  if (!object) return std::move(object).problem();
  const JsonValue* const old_key = object->find("oldKey");
  const std::string_view account = object->text_of("account");
  if (old_key == nullptr || !old_key->is(Kind::kObject) || account.empty()) {
    return malformed("a keyChange's inner payload has \"account\", a URL, and \"oldKey\", a JWK");
  }
  Result<JwsKey> key = JwsKey::from_jwk(*old_key);
  if (!key) return malformed("\"oldKey\" is not the account's key");
  return KeyChangePayload{std::string(account), *std::move(key)};
}

Judged<NewOrderPayload> read_new_order(std::string_view payload) {
  Judged<JsonValue> object = read_object(payload);
  if (!object) return std::move(object).problem();
  if (optional_in(*object, "notBefore") != nullptr || optional_in(*object, "notAfter") != nullptr) {
    return malformed("\"notBefore\" and \"notAfter\" cannot be chosen here; leave them out");
  }
  const JsonValue* const list = object->find("identifiers");
  if (list == nullptr) return malformed("the order has no \"identifiers\"");
  Judged<std::vector<ServerName>> names = read_identifiers(*list);
  if (!names) return std::move(names).problem();
  NewOrderPayload read{*std::move(names)};
  if (const JsonValue* const replaces = optional_in(*object, "replaces"); replaces != nullptr) {
    if (!replaces->is(Kind::kString) || replaces->text.size() > kMaxReplaces) {
      return malformed("\"replaces\" is no certificate identifier (RFC 9773, 4.1)");
    }
    read.replaces = replaces->text;
  }
  return read;
}

Judged<std::string> read_finalize(std::string_view payload) {
  Judged<JsonValue> object = read_object(payload);
  if (!object) return std::move(object).problem();
  std::optional<std::string> csr = base64url_decode(object->text_of("csr"));
  if (!csr || csr->empty()) {
    return malformed("\"csr\" is no PKCS#10 in base64url (RFC 8555, 7.4)");
  }
  return *std::move(csr);
}

Judged<RevocationPayload> read_revocation(std::string_view payload) {
  Judged<JsonValue> object = read_object(payload);
  if (!object) return std::move(object).problem();
  std::optional<std::string> certificate = base64url_decode(object->text_of("certificate"));
  if (!certificate || certificate->empty()) {
    return malformed("\"certificate\" is no certificate in base64url (RFC 8555, 7.6)");
  }
  RevocationPayload read{*std::move(certificate)};
  const JsonValue* const reason = optional_in(*object, "reason");
  if (reason == nullptr) return read;
  for (const int allowed : {0, 1, 3, 4, 5}) {
    if (reason->is(Kind::kNumber) && reason->number == allowed) {
      read.reason = allowed;
      return read;
    }
  }
  return ServerProblem{400, std::string(problem_type::kBadRevocationReason),
                       "the reason is " + json_show(*reason, 20) +
                           "; 0, 1, 3, 4 and 5 of RFC 5280, 5.3.1 are accepted"};
}

Judged<> read_deactivation(std::string_view payload) {
  Judged<JsonValue> object = read_object(payload);
  if (!object) return std::move(object).problem();
  if (object->text_of("status") != "deactivated") {
    return malformed("an authorization's \"status\" can be changed to \"deactivated\" alone");
  }
  return Unit{};
}

Judged<> read_challenge_answer(std::string_view payload) {
  Judged<JsonValue> object = read_object(payload);
  if (!object) return std::move(object).problem();
  return Unit{};
}

}  // namespace latchkey::acme

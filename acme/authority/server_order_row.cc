// ServerOrder as the store has it. Names are short: thousands are written in a second.
//   {"s":"pending","c":CREATED,"a":[{"n":"a.test","w":true,"s":"pending","t":TOKEN,
//     "c":[{"k":"http-01","s":"pending","v":VALIDATED,"e":PROBLEM}]}],
//    "x":SERIAL,"r":REPLACES,"e":PROBLEM}
#include "acme/authority/server_order.h"
#include "acme/authority/server_time.h"
#include "acme/authority/server_words.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

bool read_challenge(const JsonValue& object, ServerChallenge& out) {
  out.validated = time_in(object, "v");
  out.error = object.text_of("e");
  return enum_of(object.text_of("k"), kChallengeTypeWords, out.type) &&
         enum_of(object.text_of("s"), kChallengeWords, out.status);
}

std::optional<ServerAuthorization> read_authorization(const JsonValue& object) {
  const std::string_view text = object.text_of("n");
  const Result<ServerName> name = ServerName::parse(text);
  const Result<ServerName> address = name ? name : ServerName::parse_ip(text);
  if (!address) return std::nullopt;
  ServerAuthorization read{*address};
  read.wildcard = object.find("w") != nullptr;
  read.token = object.text_of("t");
  const JsonValue* const list = object.find("c");
  if (!enum_of(object.text_of("s"), kAuthorizationWords, read.status) || list == nullptr) {
    return std::nullopt;
  }
  if (read.wildcard && !ServerName::parse_wildcard("*." + read.name.text())) return std::nullopt;
  read.challenges.reserve(list->items.size());
  for (const JsonValue& one : list->items) {
    if (!read_challenge(one, read.challenges.emplace_back())) return std::nullopt;
  }
  return read;
}

std::string document_of(const ServerAuthorization& one) {
  std::string list = "[";
  for (const ServerChallenge& challenge : one.challenges) {
    if (list.size() > 1) list += ',';
    JsonObject object;
    object.text("k", word_of(challenge.type, kChallengeTypeWords));
    object.text("s", word_of(challenge.status, kChallengeWords));
    if (challenge.validated) object.number("v", seconds_of(*challenge.validated));
    if (!challenge.error.empty()) object.text("e", challenge.error);
    list += object.str();
  }
  JsonObject object;
  object.text("n", one.name.text());
  object.text("s", word_of(one.status, kAuthorizationWords));
  object.text("t", one.token).raw("c", list + "]");
  if (one.wildcard) object.boolean("w", true);
  return object.str();
}

}  // namespace

AcmeOrderRow ServerOrder::row(const std::string& authority) const {
  std::string list = "[";
  for (const ServerAuthorization& one : authorizations) {
    if (list.size() > 1) list += ',';
    list += document_of(one);
  }
  JsonObject document;
  document.text("s", word_of(status, kOrderWords)).number("c", seconds_of(created));
  document.raw("a", list + "]");
  if (!serial.empty()) document.text("x", serial);
  if (!replaces.empty()) document.text("r", replaces);
  if (!error.empty()) document.text("e", error);
  return {authority, id, account, expires, document.str()};
}

Result<ServerOrder> ServerOrder::from_row(const AcmeOrderRow& row) {
  const Error damaged{ErrorCode::kIo, "the ACME order " + row.id + " of the authority " +
                                          row.authority + " cannot be read from the store"};
  const Result<JsonValue> document = parse_json(row.document);
  if (!document) return damaged;
  ServerOrder read;
  read.id = row.id;
  read.account = row.account;
  read.expires = row.expires;
  read.created = time_in(*document, "c").value_or(WallTime{});
  read.serial = document->text_of("x");
  read.replaces = document->text_of("r");
  read.error = document->text_of("e");
  const JsonValue* const list = document->find("a");
  if (!enum_of(document->text_of("s"), kOrderWords, read.status) || list == nullptr ||
      list->items.empty()) {
    return damaged;
  }
  read.authorizations.reserve(list->items.size());
  for (const JsonValue& one : list->items) {
    std::optional<ServerAuthorization> authorization = read_authorization(one);
    if (!authorization) return damaged;
    read.authorizations.push_back(*std::move(authorization));
  }
  return read;
}

}  // namespace latchkey::acme

// Any bytes are a request that can be judged, or a problem that says what is wrong with it. The
// first byte chooses the reader.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "acme/authority/csr_reader.h"
#include "acme/authority/general_names.h"
#include "acme/authority/jws_verify.h"
#include "acme/authority/server_order.h"
#include "acme/authority/server_payload.h"
#include "acme/authority/server_routes.h"
#include "acme/base64url.h"

namespace {

using namespace latchkey;
using namespace latchkey::acme;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const ServerProblem& problem) {
  require(!problem.type.empty() && !problem.detail.empty());
  require(problem.status >= 400 && problem.status < 500);
  require(problem.subproblems.size() <= kMaxIdentifiers);
  require(parse_json(problem.document()).has_value());
}

template <typename T>
bool judged(const Judged<T>& value) {
  if (!value) check(value.problem());
  return value.has_value();
}

void read_jws(std::string_view text, JwsUse use) {
  const Judged<Jws> jws = parse_jws(text, use);
  if (!judged(jws)) return;
  require(jws->jwk.has_value() == jws->kid.empty() && !jws->url.empty());
  require(use == JwsUse::kRequest || jws->nonce.empty());
  if (jws->jwk) static_cast<void>(judged(verify_jws(*jws, *jws->jwk)));
}

// The bytes as a protected header, which would take a fuzzer long to spell in base64url.
void read_header(std::string_view header, JwsUse use) {
  read_jws(JsonObject()
               .text("protected", base64url(header))
               .text("payload", "e30")
               .text("signature", base64url(std::string(64, '\1')))
               .str(),
           use);
}

void read_key(std::string_view text) {
  const Result<JsonValue> jwk = parse_json(text);
  if (!jwk) return;
  const Result<JwsKey> key = JwsKey::from_jwk(*jwk);
  if (!key) {
    require(!key.error().message.empty());
    return;
  }
  const Result<JwsKey> again = JwsKey::from_jwk(*parse_json(key->jwk()));
  require(again && again->thumbprint() == key->thumbprint());
  require(!key->verifies("message", text));
}

void read_request(std::string_view der) {
  const Judged<CsrFacts> facts = read_csr(der);
  if (!judged(facts)) return;
  require(!facts->names.empty() && facts->names.size() <= kMaxIdentifiers);
  require(std::is_sorted(facts->names.begin(), facts->names.end()));
  require(!facts->public_key.empty());
}

void read_order(std::string_view payload) {
  const Judged<NewOrderPayload> order = read_new_order(payload);
  if (!judged(order)) return;
  require(!order->names.empty() && order->names.size() <= kMaxIdentifiers);
  for (const ServerName& name : order->names) {
    require(make_authorization(name).identifier() == name);
  }
}

void read_row(std::string_view document) {
  constexpr WallTime kNow{};
  const Result<ServerOrder> order =
      ServerOrder::from_row({"local", "id", "account", kNow, std::string(document)});
  if (!order) return;
  const AcmeOrderRow row = order->row("local");
  const Result<ServerOrder> again = ServerOrder::from_row(row);
  require(again && again->row("local").document == row.document);
}

void read_url(std::string_view url) {
  const ServerRoute route = parse_route(url, "local");
  require(route.kind == ServerRoute::Kind::kNothing || url.starts_with(route.base));
  require(route.index < 1000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'a':
      read_jws(text, JwsUse::kRequest);
      break;
    case 'b':
      read_jws(text, JwsUse::kKeyChange);
      break;
    case 'c':
      read_jws(text, JwsUse::kBinding);
      break;
    case 'd':
      read_header(text, JwsUse::kRequest);
      break;
    case 'e':
      read_header(text, JwsUse::kKeyChange);
      break;
    case 'f':
      read_header(text, JwsUse::kBinding);
      break;
    case 'g':
      read_key(text);
      break;
    case 'h':
      read_order(text);
      break;
    case 'i':
      static_cast<void>(judged(read_new_account(text)));
      break;
    case 'j':
      static_cast<void>(judged(read_account_update(text)));
      break;
    case 'k':
      static_cast<void>(judged(read_key_change(text)));
      break;
    case 'l':
      static_cast<void>(judged(read_finalize(text)));
      break;
    case 'm':
      static_cast<void>(judged(read_revocation(text)));
      break;
    case 'n':
      read_request(text);
      break;
    case 'o':
      static_cast<void>(read_leaf(text));
      break;
    case 'p':
      static_cast<void>(names_in_general_names(text, kMaxIdentifiers));
      break;
    case 'q':
      read_row(text);
      break;
    default:
      read_url(text);
  }
  return 0;
}

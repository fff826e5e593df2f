// POST /names
#include <algorithm>
#include <vector>

#include "base/json.h"
#include "edge/admin_names.h"
#include "edge/admin_reply.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxNames = 100'000;  // in one POST /names
constexpr size_t kShownBad = 20;       // of the bad names among them

// The names of a body in any of its forms; null: none of them.
const JsonValue* list_in(const JsonValue& body) {
  using Kind = JsonValue::Kind;
  const JsonValue* found = &body;
  if (body.is(Kind::kObject)) {
    if (body.members.size() != 1) return nullptr;
    const JsonMember& only_one = body.members.front();
    if (only_one.key != "name" && only_one.key != "names") return nullptr;
    if (only_one.value.is(Kind::kArray) != (only_one.key == "names")) return nullptr;
    found = &only_one.value;
  }
  return found->is(Kind::kArray) || found->is(Kind::kString) ? found : nullptr;
}

struct Sorted {
  const ServerNameRules rules;
  std::vector<ServerName> good{};
  size_t bad = 0;
  std::string first_bad{};  // kShownBad of them: JSON objects

  void take(const JsonValue& item) {
    Result<ServerName> name = item.is(JsonValue::Kind::kString)
                                  ? parse_name(item.text, rules)
                                  : Error{ErrorCode::kInvalid, "expected a string"};
    if (name) {
      good.push_back(*std::move(name));
      return;
    }
    if (++bad > kShownBad) return;
    if (!first_bad.empty()) first_bad += ',';
    const bool text = item.is(JsonValue::Kind::kString);
    first_bad += JsonObject()
                     .text("name", text ? shown_name(item.text) : json_show(item))
                     .text("error", name.error().message)
                     .str();
  }
};

}  // namespace

AdminReply answer_prefetch(Steering& steering, const std::string& body) {
  // Names have no commas. Counted before the parser spends memory on them.
  if (static_cast<size_t>(std::count(body.begin(), body.end(), ',')) >= kMaxNames) {
    return refused(413, "more than " + std::to_string(kMaxNames) + " names: send several lists");
  }
  const Result<JsonValue> json = parse_json(body);
  if (!json) return refused(400, "the body is no JSON: " + json.error().message);
  const JsonValue* const list = list_in(*json);
  if (list == nullptr || (list->is(JsonValue::Kind::kArray) && list->items.empty())) {
    return refused(400,
                   R"(expected {"name": "a.test"}, {"names": ["a.test"]}, a string or a list of )"
                   R"(strings, got )" +
                       json_show(*json));
  }
  Sorted names{steering.name_rules()};
  if (list->is(JsonValue::Kind::kString)) {
    names.take(*list);
  } else {
    names.good.reserve(list->items.size());
    for (const JsonValue& item : list->items) names.take(item);
  }

  Steering::Prefetched result;
  if (!names.good.empty()) result = steering.prefetch(names.good);
  JsonObject out;
  AdminReply reply;
  if (names.good.empty()) {
    reply.status = 400;
    out.text("error", "none of it is a server name");
  } else if (result.taken == 0) {
    reply.status = 503;
    out.text("error", result.complaint.empty() ? "none was taken" : result.complaint);
  }
  const std::string bad = JsonObject()
                              .number("count", static_cast<int64_t>(names.bad))
                              .raw("first", "[" + names.first_bad + "]")
                              .str();
  reply.json = out.number("taken", static_cast<int64_t>(result.taken))
                   .text("complaint", result.complaint)
                   .raw("bad", bad)
                   .str();
  return reply;
}

}  // namespace latchkey::edge

#include "edge/steering_json.h"

#include <ctime>

#include "base/json.h"
#include "base/url.h"

namespace latchkey::edge {
namespace {

template <typename Items, typename Show>
std::string joined(const Items& items, Show show) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + show(item);
  return "[" + out + "]";
}

JsonObject bucket(const Budget::View& view) {
  JsonObject out;
  out.text("kind", to_string(view.kind)).text("key", view.key);
  out.number("tokens", view.tokens).number("burst", view.burst);
  out.number("next_in_seconds", whole_seconds(view.next_in));
  out.number("held_for_seconds", whole_seconds(view.held_for));
  return out;
}

}  // namespace

std::string iso_time(WallTime at) {
  const std::time_t seconds = at.time_since_epoch().count();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, size);
}

int64_t whole_seconds(Millis span) {
  return span <= Millis(0) ? 0 : (span.count() + 999) / 1000;
}

std::string json_list(const std::vector<std::string>& texts) {
  return joined(texts, [](const std::string& text) { return json_quote(text); });
}

std::string grant_json(const GrantPtr& grant) {
  if (grant == nullptr || *grant == Grant()) return "null";
  return JsonObject()
      .text("upstream", url_without_secrets(grant->upstream))
      .text("tenant", grant->tenant)
      .text("issuer", grant->issuer)
      .text("profile", grant->profile)
      .text("key_type", grant->key_type)
      .boolean("wildcard", grant->wildcard)
      .str();
}

std::string decision_json(const Decision& decision, std::optional<WallTime> asked, WallTime now) {
  JsonObject out;
  out.text("verdict", to_string(decision.verdict)).text("source", to_string(decision.source));
  out.text("reason", decision.reason);
  out.raw("age_seconds", asked ? std::to_string((now - *asked).count()) : "null");
  const bool ages =
      decision.fresh_until != WallTime::max() && decision.verdict != Verdict::kUnknown;
  out.raw(
      "fresh_for_seconds",
      ages ? std::to_string(std::max<int64_t>(0, (decision.fresh_until - now).count())) : "null");
  out.raw("grant", grant_json(decision.grant));
  return out.str();
}

std::string failure_json(const FailureRecord* failure, WallTime now) {
  if (failure == nullptr) return "null";
  return JsonObject()
      .text("class", to_string(failure->failure))
      .text("message", failure->message)
      .number("count", failure->count)
      .text("first", iso_time(failure->first))
      .text("last", iso_time(failure->last))
      .text("next_try", iso_time(failure->next_try))
      .number("next_try_in_seconds", std::max<int64_t>(0, (failure->next_try - now).count()))
      .str();
}

std::string buckets_json(const std::vector<Budget::View>& views, const std::string& issuer) {
  std::vector<Budget::View> mine;
  for (const Budget::View& view : views) {
    if (view.issuer == issuer) mine.push_back(view);
  }
  return joined(mine, [](const Budget::View& view) { return bucket(view).str(); });
}

std::string buckets_json(const std::vector<Budget::View>& views) {
  return joined(views, [](const Budget::View& view) {
    JsonObject out = bucket(view);
    return out.text("issuer", view.issuer).str();
  });
}

std::string queue_json(const OrderQueue::View& view) {
  JsonObject waiting, oldest;
  for (size_t i = 0; i < kLanes; ++i) {
    const std::string_view lane = to_string(static_cast<Lane>(i));
    waiting.number(lane, static_cast<int64_t>(view.waiting[i]));
    oldest.number(lane, whole_seconds(view.oldest[i]));
  }
  return JsonObject()
      .raw("waiting", waiting.str())
      .raw("oldest_seconds", oldest.str())
      .number("running", static_cast<int64_t>(view.running))
      .number("slow", static_cast<int64_t>(view.slow))
      .str();
}

}  // namespace latchkey::edge

#include "edge/admin_text.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "edge/admin_rows.h"

namespace latchkey::edge {
namespace {

using Kind = JsonValue::Kind;

// "3 of 45 left, the next in 12 min; held for 59 min".
std::string bucket_text(const JsonValue& bucket) {
  std::string out;
  const auto tokens = static_cast<int64_t>(number_of(bucket, "tokens"));
  const auto burst = static_cast<int64_t>(number_of(bucket, "burst"));
  if (burst > 0) out = std::to_string(tokens) + " of " + std::to_string(burst) + " left";
  const double next = number_of(bucket, "next_in_seconds");
  if (next > 0) join(out, "the next in " + span_text(next));
  const double held = number_of(bucket, "held_for_seconds");
  if (held > 0) join(out, "held for " + span_text(held) + " by the CA's Retry-After", "; ");
  return out;
}

void add_buckets(Rows& rows, const std::vector<JsonValue>& buckets) {
  for (const JsonValue& bucket : buckets) {
    std::string label = text_at(bucket, "issuer");
    join(label, spaced(bucket.text_of("kind")), " ");
    join(label, text_at(bucket, "key"), " ");
    rows.add(label, bucket_text(bucket));
  }
}

// "allowed: the ask endpoint answered 200 (remembered, 2 min old, holds for 58 min)".
std::string verdict_text(const JsonValue& verdict) {
  std::string out = text_at(verdict, "verdict");
  join(out, text_at(verdict, "reason"), ": ");
  std::string aside = spaced(verdict.text_of("source"));
  if (aside == verdict.text_of("reason")) aside.clear();
  const JsonValue* const age = verdict.find("age_seconds");
  if (age != nullptr && age->is(Kind::kNumber)) join(aside, span_text(age->number) + " old");
  const JsonValue* const fresh = verdict.find("fresh_for_seconds");
  if (fresh != nullptr && fresh->is(Kind::kNumber)) {
    join(aside, "holds for " + span_text(std::max(0.0, fresh->number)));
  }
  return aside.empty() ? out : out + " (" + aside + ")";
}

// What an endpoint granted beside yes; only what it did say.
std::string grant_text(const JsonValue& verdict) {
  const JsonValue* const grant = object_of(verdict, "grant");
  std::string out;
  if (grant == nullptr) return out;
  for (const auto& [key, value] : grant->members) {
    if (value.is(Kind::kBool) && !value.boolean) continue;
    const std::string text = line_of(value);
    if (!text.empty()) join(out, spaced(key) + " " + text);
  }
  return out;
}

void add_certificate(Rows& rows, const JsonValue& certificate) {
  std::string first = text_at(certificate, "serial");
  join(first, text_at(certificate, "ca"), " from ");
  rows.add("certificate", first);
  std::string valid = text_at(certificate, "not_before");
  join(valid, text_at(certificate, "not_after"), " to ");
  rows.add("valid", valid);
  std::string names;
  for (const JsonValue& name : list_of(certificate, "names")) join(names, line_of(name));
  rows.add("names", names);
  rows.add("key", text_at(certificate, "key_type"));
  rows.add("staple", staple_text(certificate));
  const bool memory = is_true(certificate, "in_memory"), stored = is_true(certificate, "stored");
  rows.add("kept", memory && stored ? "in memory and in the store"
                   : memory         ? "in memory only"
                   : stored         ? "in the store"
                                    : "nowhere any more");
}

void add_failure(Rows& rows, const JsonValue& failure) {
  std::string what = text_at(failure, "class");
  const auto count = static_cast<int64_t>(number_of(failure, "count"));
  if (count > 1) {
    join(what, std::to_string(count) + " times in a row since " + text_at(failure, "first"));
  } else {
    join(what, text_at(failure, "last"), ", at ");
  }
  rows.add("failed", what);
  rows.add("because", text_at(failure, "message"));
  std::string next = text_at(failure, "next_try");
  const double in = number_of(failure, "next_try_in_seconds");
  if (!next.empty()) next += in > 0 ? ", in " + span_text(in) : ", at the next visit";
  rows.add("next try", next);
}

}  // namespace

std::string status_text(const JsonValue& status) {
  Rows rows;
  for (const auto& [key, value] : status.members) {
    constexpr std::string_view kSeconds = "_seconds";
    if (value.is(Kind::kNumber) && key.ends_with(kSeconds)) {
      rows.add(spaced(key.substr(0, key.size() - kSeconds.size())), span_text(value.number));
    } else {
      rows.add(spaced(key), line_of(value));
    }
  }
  return rows.str();
}

std::string budget_text(const JsonValue& budget) {
  std::string out;
  for (const JsonValue& issuer : list_of(budget, "issuers")) {
    std::string head = text_at(issuer, "name");
    join(head, text_at(issuer, "health"), ": ");
    const double held = number_of(issuer, "held_for_seconds");
    if (held > 0) join(head, "no orders for " + span_text(held));
    Rows rows("  ");
    add_buckets(rows, list_of(issuer, "limits"));
    out += head + "\n" + rows.str();
  }
  if (const auto& own = list_of(budget, "own"); !own.empty()) {
    Rows rows("  ");
    add_buckets(rows, own);
    out += "our own limits\n" + rows.str();
  }
  const JsonValue* const queue = object_of(budget, "queue");
  if (queue == nullptr) return out;
  out += "orders: " + std::to_string(static_cast<int64_t>(number_of(*queue, "running"))) +
         " running, " + std::to_string(static_cast<int64_t>(number_of(*queue, "slow"))) + " slow\n";
  const JsonValue* const waiting = object_of(*queue, "waiting");
  const JsonValue* const oldest = object_of(*queue, "oldest_seconds");
  if (waiting == nullptr) return out;
  Rows rows("  ");
  for (const auto& [lane, count] : waiting->members) {
    std::string text = line_of(count) + " waiting";
    if (count.number > 0 && oldest != nullptr) {
      join(text, "the oldest for " + span_text(number_of(*oldest, lane)));
    }
    rows.add(printable(lane), text);
  }
  if (const double names = number_of(budget, "prefetch"); names > 0) {
    rows.add("ahead", std::to_string(static_cast<int64_t>(names)) + " names wait to be queued");
  }
  return out + rows.str();
}

std::string explain_text(const JsonValue& name) {
  std::string out = text_at(name, "name") + "\n";
  if (const std::string says = text_at(name, "says"); !says.empty()) out += "  " + says + "\n";
  Rows rows("  ");
  rows.add("allowlist", text_at(name, "allowlist"));
  if (const JsonValue* const verdict = object_of(name, "verdict")) {
    rows.add("policy", verdict_text(*verdict));
    rows.add("granted", grant_text(*verdict));
  }
  if (const JsonValue* const certificate = object_of(name, "certificate")) {
    add_certificate(rows, *certificate);
  } else {
    rows.add("certificate", "none");
  }
  if (const JsonValue* const renewal = object_of(name, "renewal")) add_renewal(rows, *renewal);
  rows.add("store", text_at(name, "store_error"));
  if (const JsonValue* const failure = object_of(name, "failure")) add_failure(rows, *failure);
  if (const JsonValue* const work = object_of(name, "in_flight")) {
    rows.add("under way", "an order, lane: " + text_at(*work, "lane"));
  }
  if (const JsonValue* const order = object_of(name, "order")) {
    std::string text = text_at(*order, "url");
    join(text, text_at(*order, "made"), " since ");
    rows.add("order", text);
  }
  out += "\n" + rows.str();
  if (const auto& buckets = list_of(name, "budget"); !buckets.empty()) {
    Rows limits("    ");
    add_buckets(limits, buckets);
    out += "  budget\n" + limits.str();
  }
  if (const std::string events = event_lines(name, "    "); !events.empty()) {
    out += "  events\n" + events;
  }
  return out;
}

std::string obtain_text(const JsonValue& obtained) {
  std::string out = deed_text(obtained);
  Rows rows("  ");
  if (const auto* const certificate = object_of(obtained, "certificate")) {
    add_certificate(rows, *certificate);
  }
  return out + rows.str();
}

std::string ask_text(const JsonValue& answer) {
  std::string out = text_at(answer, "name");
  join(out, verdict_text(answer), ": ");
  out += "\n";
  Rows rows("  ");
  rows.add("granted", grant_text(answer));
  return out + rows.str();
}

std::string reload_text(const JsonValue& reloaded) {
  Rows rows;
  for (const auto& [key, value] : reloaded.members) rows.add(spaced(key), line_of(value));
  return "The configuration was read anew.\n" + rows.str();
}

}  // namespace latchkey::edge

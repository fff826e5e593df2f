#include "policy/ask_answer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>

#include "base/json.h"
#include "base/text.h"
#include "base/url.h"

namespace latchkey {
namespace {

using Kind = JsonValue::Kind;

constexpr std::chrono::seconds kLongestTtl = std::chrono::days(30);
constexpr size_t kMaxText = 256;
constexpr size_t kMaxComplaint = 1024;
constexpr std::string_view kBlank = " \t\r\n";
constexpr std::array<std::string_view, 5> kSchemes{"http", "https", "h2c", "srv+http", "srv+https"};
constexpr std::array<std::string_view, 3> kKeyTypes{"p256", "p384", "rsa2048"};

// What the edge's parse_upstream() takes (a test of its compares them), or what may be the name of
// a group.
bool is_upstream(std::string_view text) {
  const size_t colon = text.find("://");
  if (colon == text.npos) {
    return !text.empty() && text.size() <= 100 && std::all_of(text.begin(), text.end(), [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
    });
  }
  const std::string_view scheme = text.substr(0, colon);
  const bool srv = scheme.starts_with("srv+");
  if (std::find(kSchemes.begin(), kSchemes.end(), scheme) == kSchemes.end()) return false;
  text.remove_prefix(colon + 3);
  if (text.ends_with('/')) text.remove_suffix(1);
  const size_t port = text.rfind(':');
  if (srv && (port != text.npos || text.starts_with('['))) return false;
  const bool zero = port != text.npos && text.find_first_not_of('0', port + 1) == text.npos;
  return is_authority(text) && !zero;
}

bool is_text(std::string_view text) {
  return text.size() <= kMaxText && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
         });
}

bool is_key_type(std::string_view text) {
  return std::find(kKeyTypes.begin(), kKeyTypes.end(), text) != kKeyTypes.end();
}

// Reads an object's members one by one, each by its rule.
class Reader {
 public:
  Reader(const JsonValue& object, AskAnswer& answer) : object_(object), answer_(answer) {}

  void seconds(std::string_view key, std::optional<Millis>& out) {
    const JsonValue* const value = find(key);
    if (value == nullptr) return;
    if (!value->is(Kind::kNumber) || !(value->number >= 0) ||
        value->number > static_cast<double>(kLongestTtl.count())) {
      return complain(key, "a number of seconds from 0 to 2592000", *value);
    }
    out = Millis(static_cast<int64_t>(value->number * 1000));
  }
  // False: it is there and wrong.
  bool text(std::string_view key, bool (*valid)(std::string_view), std::string_view what,
            std::string& out) {
    const JsonValue* const value = find(key);
    if (value == nullptr) return true;
    if (!value->is(Kind::kString) || !(value->text.empty() || valid(value->text))) {
      complain(key, what, *value);
      return false;
    }
    out = value->text;
    return true;
  }
  void boolean(std::string_view key, bool& out) {
    const JsonValue* const value = find(key);
    if (value == nullptr) return;
    if (!value->is(Kind::kBool)) return complain(key, "true or false", *value);
    out = value->boolean;
  }

 private:
  const JsonValue* find(std::string_view key) {
    const JsonValue* const value = object_.find(key);
    if (value == nullptr || value->is(Kind::kNull)) return nullptr;
    answer_.says_something = true;
    return value;
  }
  void complain(std::string_view key, std::string_view what, const JsonValue& got) {
    std::string& all = answer_.complaint;
    if (!all.empty()) all += "; ";
    all += std::string(key) + ": expected " + std::string(what) + ", got ";
    // An upstream's URL may hold a password, also where it stands in something else.
    JsonValue shown = got;
    if (got.is(Kind::kString)) shown.text = url_without_secrets(got.text);
    const bool simple = got.items.empty() && got.members.empty();
    all += simple ? json_show(shown, 60) : got.is(Kind::kArray) ? "a list" : "an object";
  }

  const JsonValue& object_;
  AskAnswer& answer_;
};

std::string_view trim(std::string_view text, std::string_view blank = kBlank) {
  const size_t first = text.find_first_not_of(blank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(blank) + 1 - first);
}

bool calls_it_json(std::string_view content_type) {
  const std::string type = lower(trim(content_type.substr(0, content_type.find(';'))));
  return type == "application/json" || type.ends_with("+json");
}

// Cuts the first directive off: to the next comma outside of a quoted string.
std::string_view next_directive(std::string_view& rest) {
  bool quoted = false;
  size_t end = 0;
  for (; end < rest.size() && (quoted || rest[end] != ','); ++end) {
    if (rest[end] == '"') quoted = !quoted;
    if (quoted && rest[end] == '\\' && end + 1 < rest.size()) ++end;
  }
  const std::string_view directive = trim(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return directive;
}

std::optional<Millis> delta_seconds(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  if (text.empty() || text.find_first_not_of("0123456789") != text.npos) return std::nullopt;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc()) return kLongestTtl;  // too many digits
  return std::min(std::chrono::seconds(seconds), kLongestTtl);
}

}  // namespace

AskAnswer parse_ask_answer(std::string_view body, std::string_view content_type) {
  AskAnswer answer;
  const std::string_view text = trim(body);
  const bool structured = text.starts_with('{') || text.starts_with('[');
  if (text.empty() || (!structured && !calls_it_json(content_type))) return answer;

  const Result<JsonValue> value = parse_json(text);
  if (!value) {
    answer.complaint = "no JSON: " + value.error().message;
  } else if (value->is(Kind::kArray)) {
    answer.complaint = "expected a JSON object, got a list";
  } else if (value->is(Kind::kObject)) {
    Grant& grant = answer.grant;
    Reader reader(*value, answer);
    reader.seconds("ttl", answer.ttl);
    if (!reader.text("upstream", is_upstream,
                     "an http:// or https:// URL of host and port (no user, path or query), or a "
                     "group's name",
                     grant.upstream)) {
      grant.upstream = kUnusableUpstream;
    }
    constexpr std::string_view kShort = "a string of at most 256 bytes without control characters";
    reader.text("tenant", is_text, kShort, grant.tenant);
    reader.text("issuer", is_text, kShort, grant.issuer);
    reader.text("profile", is_text, kShort, grant.profile);
    reader.text("key_type", is_key_type, "\"p256\", \"p384\" or \"rsa2048\"", grant.key_type);
    reader.boolean("wildcard", grant.wildcard);
  }
  if (answer.complaint.size() > kMaxComplaint) answer.complaint.resize(kMaxComplaint);
  return answer;
}

std::optional<Millis> cache_control_max_age(std::string_view value) {
  std::optional<Millis> age;
  while (!value.empty()) {
    const std::string_view directive = next_directive(value);
    const size_t equals = directive.find('=');
    const std::string name = lower(trim(directive.substr(0, equals)));
    if (name != "max-age" || equals == directive.npos || age) continue;
    age = delta_seconds(trim(directive.substr(equals + 1)));
  }
  // Web frameworks send no-cache, no-store or max-age=0 with everything: nobody meant us.
  return age == Millis(0) ? std::nullopt : age;
}

}  // namespace latchkey

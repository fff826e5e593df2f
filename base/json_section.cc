#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/json.h"
#include "base/url.h"

namespace latchkey {
namespace {

using Kind = JsonValue::Kind;

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t up = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1] ? 1 : 0)});
      diagonal = up;
    }
  }
  return row[b.size()];
}

void leave_out_secrets(JsonValue& value) {
  if (value.is(Kind::kString)) value.text = url_without_secrets(value.text);
  for (JsonValue& item : value.items) leave_out_secrets(item);
  for (JsonMember& member : value.members) leave_out_secrets(member.value);
}

// For complaints: any text may be a URL with a password, also where none belongs.
std::string shown(JsonValue value) {
  leave_out_secrets(value);
  return json_show(value);
}

struct NamedFactor {
  std::string_view name;
  uint64_t factor;
};
constexpr NamedFactor kDurations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
constexpr NamedFactor kSizes[] = {
    {"", 1}, {"B", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}};

template <size_t N>
std::optional<uint64_t> with_unit(std::string_view text, const NamedFactor (&units)[N]) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  for (const NamedFactor& u : units) {
    if (unit != u.name) continue;
    if (value > (1ULL << 62) / u.factor) return std::nullopt;
    return value * u.factor;
  }
  return std::nullopt;
}

std::optional<int64_t> integer_of(const JsonValue& value) {
  int64_t read = 0;
  const std::string& text = value.text;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), read);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return value.is(Kind::kNumber) && whole ? std::optional(read) : std::nullopt;
}

std::string expected_integer(int64_t min, int64_t max) {
  return "expected an integer from " + std::to_string(min) + " to " + std::to_string(max) +
         ", got ";
}

}  // namespace

std::optional<Millis> parse_duration(std::string_view text) {
  const auto millis = with_unit(text, kDurations);
  if (!millis) return std::nullopt;
  return Millis(static_cast<int64_t>(*millis));
}

std::string show_duration(Millis duration) {
  const auto count = static_cast<uint64_t>(duration.count());
  for (size_t i = std::size(kDurations); i-- > 0;) {
    if (count >= kDurations[i].factor && count % kDurations[i].factor == 0) {
      return std::to_string(count / kDurations[i].factor) + std::string(kDurations[i].name);
    }
  }
  return "0s";
}

std::optional<uint64_t> parse_size(std::string_view text) {
  return with_unit(text, kSizes);
}

void ConfigErrors::complain(size_t offset, std::string_view path, std::string_view what) {
  const std::string_view before = text_.substr(0, std::min(offset, text_.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 == 0
  messages_ += file_ + ":" + std::to_string(line) + ":" + std::to_string(column) + ": ";
  if (!path.empty()) messages_.append(path).append(": ");
  messages_.append(what).append("\n");
}

Section::Section(const JsonValue& value, std::string path, ConfigErrors& errors)
    : value_(value), path_(std::move(path)), errors_(errors) {
  if (!value.is(Kind::kObject)) complain("expected an object, got " + shown(value));
}

Section::~Section() {
  for (const auto& [key, value] : value_.members) {
    if (known_.count(key) == 0) {
      errors_.complain(value.offset, child(key), "unknown key" + suggestion(key));
    }
  }
}

std::vector<std::string> Section::keys() const {
  std::vector<std::string> out;
  for (const auto& member : value_.members) out.push_back(member.key);
  return out;
}

bool Section::is_null(std::string_view key) {
  const JsonValue* value = find(std::string(key).c_str());
  return value != nullptr && value->is(Kind::kNull);
}

void Section::boolean(const char* key, bool& out) {
  const JsonValue* value = find(key);
  if (value == nullptr) return;
  if (value->is(Kind::kBool)) {
    out = value->boolean;
  } else {
    complain_at(key, "expected true or false, got " + shown(*value));
  }
}

void Section::integer(const char* key, int64_t min, int64_t max, int64_t& out) {
  const JsonValue* value = find(key);
  if (value == nullptr) return;
  if (const auto read = integer_of(*value); read && *read >= min && *read <= max) {
    out = *read;
  } else {
    complain_at(key, expected_integer(min, max) + shown(*value));
  }
}

void Section::integers(const char* key, int64_t min, int64_t max, std::vector<int64_t>& out) {
  const JsonValue* list = list_of(key);
  if (list == nullptr) return;
  std::vector<int64_t> all;
  for (size_t i = 0; i < list->items.size(); ++i) {
    const JsonValue& item = list->items[i];
    if (const auto read = integer_of(item); read && *read >= min && *read <= max) {
      all.push_back(*read);
    } else {
      errors_.complain(item.offset, child(key) + "[" + std::to_string(i) + "]",
                       expected_integer(min, max) + shown(item));
    }
  }
  if (all.size() == list->items.size()) out = std::move(all);
}

void Section::number(const char* key, double min, double max, double& out) {
  const JsonValue* value = find(key);
  if (value == nullptr) return;
  if (value->is(Kind::kNumber) && value->number >= min && value->number <= max) {
    out = value->number;
  } else {
    complain_at(key, "expected a number from " + std::to_string(min) + " to " +
                         std::to_string(max) + ", got " + shown(*value));
  }
}

void Section::text(const char* key, std::string& out, const char* what, Check valid) {
  const JsonValue* value = find(key);
  if (value == nullptr) return;
  if (value->is(Kind::kString) && (valid == nullptr || valid(value->text))) {
    out = value->text;
  } else {
    complain_at(key, std::string("expected ") + what + ", got " + shown(*value));
  }
}

void Section::optional_text(const char* key, std::optional<std::string>& out, const char* what,
                            Check valid) {
  if (is_null(key)) {
    out.reset();
    return;
  }
  std::string read;
  if (find(key) == nullptr) return;
  text(key, read, what, valid);
  out = read;
}

void Section::texts(const char* key, std::vector<std::string>& out, const char* what, Check valid) {
  const JsonValue* value = find(key);
  if (value == nullptr) return;
  if (!value->is(Kind::kArray)) {
    complain_at(key, std::string("expected ") + what + ", got " + shown(*value));
    return;
  }
  std::vector<std::string> read;
  for (size_t i = 0; i < value->items.size(); ++i) {
    const JsonValue& item = value->items[i];
    if (item.is(Kind::kString) && (valid == nullptr || valid(item.text))) {
      read.push_back(item.text);
    } else {
      errors_.complain(item.offset, child(key) + "[" + std::to_string(i) + "]",
                       std::string("expected ") + what + ", got " + shown(item));
    }
  }
  // A list with a mistake in it changes nothing: no second complaint follows from the first.
  if (read.size() == value->items.size()) out = std::move(read);
}

void Section::duration(const char* key, Millis min, Millis max, Millis& out) {
  const JsonValue* value = find(key);
  if (value == nullptr) return;
  const auto read = value->is(Kind::kString) ? parse_duration(value->text) : std::nullopt;
  if (read && *read >= min && *read <= max) {
    out = *read;
  } else {
    complain_at(key, "expected a duration from \"" + show_duration(min) + "\" to \"" +
                         show_duration(max) + "\" (units ms, s, m, h, d), got " + shown(*value));
  }
}

void Section::size(const char* key, uint64_t min, uint64_t max, uint64_t& out) {
  const JsonValue* value = find(key);
  if (value == nullptr) return;
  const bool sized = value->is(Kind::kString) || value->is(Kind::kNumber);
  const auto read = sized ? parse_size(value->text) : std::nullopt;
  if (read && *read >= min && *read <= max) {
    out = *read;
  } else {
    complain_at(key, "expected a size from " + std::to_string(min) + " to " + std::to_string(max) +
                         " bytes, like \"512MiB\", got " + shown(*value));
  }
}

void Section::choice(const char* key, const std::vector<std::string>& words, size_t& out) {
  const JsonValue* value = find(key);
  if (value == nullptr) return;
  const auto found = std::find(words.begin(), words.end(), value->text);
  if (value->is(Kind::kString) && found != words.end()) {
    out = static_cast<size_t>(found - words.begin());
    return;
  }
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "\"" : ", \"") + word + "\"";
  complain_at(key, "expected one of " + list + ", got " + shown(*value));
}

Section Section::section(const char* key) {
  static const JsonValue empty = [] {
    JsonValue v;
    v.kind = Kind::kObject;
    return v;
  }();
  const JsonValue* value = find(key);
  const bool absent = value == nullptr || value->is(Kind::kNull);
  return Section(absent ? empty : *value, child(key), errors_);
}

void Section::complain_at(const char* key, std::string_view what) {
  const JsonValue* value = value_.find(key);
  errors_.complain(value != nullptr ? value->offset : value_.offset, child(key), what);
}

void Section::complain_of_kind(const char* key, const std::string& what) {
  const JsonValue* value = find(key);
  complain_at(key, "expected " + what + (value ? ", got " + shown(*value) : ""));
}

const JsonValue* Section::find(const char* key) {
  known_.insert(key);
  return value_.find(key);
}

const JsonValue* Section::list_of(const char* key) {
  const JsonValue* value = find(key);
  if (value == nullptr || value->is(Kind::kArray)) return value;
  complain_at(key, "expected a list, got " + shown(*value));
  return nullptr;
}

std::string Section::child(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

std::string Section::suggestion(const std::string& key) const {
  const std::string* nearest = nullptr;
  size_t distance = 3;
  for (const std::string& known : known_) {
    const size_t d = known.starts_with(key) ? 0 : edit_distance(key, known);
    if (d < distance) {
      distance = d;
      nearest = &known;
    }
  }
  return nearest == nullptr ? "" : "; did you mean \"" + *nearest + "\"?";
}

}  // namespace latchkey

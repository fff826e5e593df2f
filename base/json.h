#pragma once
// JSON, read and written. RapidJSON stays behind json.cc.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace latchkey {

struct JsonMember;

// One parsed value, a plain tree. `offset` is where it began in the text.
struct JsonValue {
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  double number = 0;
  std::string text;  // of a string; of a number, as it was written
  std::vector<JsonValue> items;
  std::vector<JsonMember> members;  // in the order of the text
  size_t offset = 0;

  bool is(Kind k) const { return kind == k; }
  // The member of that name, or null; null too when this is no object.
  const JsonValue* find(std::string_view key) const;
  // The member's string, or "" when it is missing or something else.
  std::string_view text_of(std::string_view key) const;
};

// Not a std::pair: clang cannot look into a pair of a type that is being defined.
struct JsonMember {
  std::string key;
  JsonValue value;
};

enum class JsonDialect {
  kStrict,
  kConfig,  // comments and trailing commas allowed
};

// `text` is untrusted: depth (64) and members (1000) are bounded, bytes must be UTF-8, nothing may
// follow the value, and no object may name a key twice. The error says line and column.
Result<JsonValue> parse_json(std::string_view text, JsonDialect dialect = JsonDialect::kStrict);

// "line 3, column 7" of a byte offset.
std::string line_and_column(std::string_view text, size_t offset);

// `text` as a JSON string with its quotes. Bytes that are not UTF-8 become \u00XX: the result is
// always valid JSON and always one line.
std::string json_quote(std::string_view text);
// The value as compact JSON, for messages; cut after about `max` bytes.
std::string json_show(const JsonValue& value, size_t max = 80);

// Builds an object: JsonObject().text("a", "b").raw("c", "[1]").str().
class JsonObject {
 public:
  JsonObject& text(std::string_view key, std::string_view value) {
    return raw(key, json_quote(value));
  }
  JsonObject& number(std::string_view key, int64_t value) {
    return raw(key, std::to_string(value));
  }
  JsonObject& boolean(std::string_view key, bool value) {
    return raw(key, value ? "true" : "false");
  }
  JsonObject& raw(std::string_view key, std::string_view json);
  std::string str() const { return body_ + "}"; }

 private:
  std::string body_ = "{";
};

// Collects the complaints about one configuration text.
class ConfigErrors {
 public:
  ConfigErrors(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {}

  // "my.json:3:7: acme.directory: expected an https:// URL, got "http://ca.test/dir""
  void complain(size_t offset, std::string_view path, std::string_view what);
  bool empty() const { return messages_.empty(); }
  const std::string& messages() const { return messages_; }  // a line each

 private:
  std::string file_;
  std::string_view text_;  // outlives us
  std::string messages_;
};

// One JSON object of a configuration being read. Every key is read by a method with the rule it
// must obey; a key that is absent leaves `out` as it is; what nobody read by the end is a mistake,
// reported with the nearest known key.
class Section {
 public:
  using Check = bool (*)(std::string_view);

  Section(const JsonValue& value, std::string path, ConfigErrors& errors);
  ~Section();
  Section(const Section&) = delete;

  bool has(std::string_view key) const { return value_.find(key) != nullptr; }
  std::vector<std::string> keys() const;  // for objects whose keys are the operator's own
  bool is_null(std::string_view key);     // present and null; counts as read
  // For keys that may be a word or an object. Absent is neither; does not count as read.
  bool is_text(std::string_view key) const { return is(key, JsonValue::Kind::kString); }
  bool is_object(std::string_view key) const { return is(key, JsonValue::Kind::kObject); }

  void boolean(const char* key, bool& out);
  void integer(const char* key, int64_t min, int64_t max, int64_t& out);
  void number(const char* key, double min, double max, double& out);
  void text(const char* key, std::string& out, const char* what = "a string",
            Check valid = nullptr);
  void optional_text(const char* key, std::optional<std::string>& out,
                     const char* what = "a string or null", Check valid = nullptr);
  void texts(const char* key, std::vector<std::string>& out, const char* what = "a list of strings",
             Check valid = nullptr);
  void integers(const char* key, int64_t min, int64_t max, std::vector<int64_t>& out);
  void duration(const char* key, Millis min, Millis max, Millis& out);    // "2s", "60d"
  void size(const char* key, uint64_t min, uint64_t max, uint64_t& out);  // "512MiB"
  // One of the words, as its index.
  void choice(const char* key, const std::vector<std::string>& words, size_t& out);

  // The object under `key`; an empty one if it is absent or null.
  Section section(const char* key);
  // The objects of the list under `key`. `read` is called with each.
  template <typename Read>
  void sections(const char* key, Read read) {
    const JsonValue* list = list_of(key);
    if (list == nullptr) return;
    for (size_t i = 0; i < list->items.size(); ++i) {
      Section item(list->items[i], child(key) + "[" + std::to_string(i) + "]", errors_);
      read(item);
    }
  }

  // For rules that span keys: a complaint at this section, or at one of its keys.
  void complain(std::string_view what) { errors_.complain(value_.offset, path_, what); }
  void complain_at(const char* key, std::string_view what);
  // "expected `what`, got …"; the key counts as read.
  void complain_of_kind(const char* key, const std::string& what);

 private:
  bool is(std::string_view key, JsonValue::Kind kind) const {
    const JsonValue* value = value_.find(key);
    return value != nullptr && value->is(kind);
  }
  const JsonValue* find(const char* key);
  const JsonValue* list_of(const char* key);
  std::string child(std::string_view key) const;
  std::string suggestion(const std::string& key) const;

  const JsonValue& value_;
  std::string path_;
  ConfigErrors& errors_;
  std::set<std::string> known_;
};

// "250ms", "2s", "25m", "12h", "60d"; digits and one unit.
std::optional<Millis> parse_duration(std::string_view text);
std::string show_duration(Millis duration);
// "512", "64KiB", "512MiB", "1GiB".
std::optional<uint64_t> parse_size(std::string_view text);

}  // namespace latchkey

#include "base/json.h"

#include <rapidjson/encodings.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <cstdio>

namespace latchkey {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxMembers = 1000;  // of one object: each new key is compared with the others

// Builds the tree from RapidJSON's events. RapidJSON's own Document forgets where values began.
class TreeBuilder {
 public:
  TreeBuilder(const rapidjson::MemoryStream& stream, JsonValue& root)
      : stream_(stream), root_(root) {}

  // NOLINTBEGIN(readability-identifier-naming): the names that RapidJSON calls
  bool Null() { return put({}); }
  bool Bool(bool b) {
    JsonValue v;
    v.kind = JsonValue::Kind::kBool;
    v.boolean = b;
    return put(std::move(v), b ? 4 : 5);
  }
  // Numbers come as text (kParseNumbersAsStringsFlag).
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    JsonValue v;
    v.kind = JsonValue::Kind::kNumber;
    v.text.assign(text, size);
    v.number = std::strtod(v.text.c_str(), nullptr);
    return put(std::move(v), size);
  }
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    JsonValue v;
    v.kind = JsonValue::Kind::kString;
    v.text.assign(text, size);
    return put(std::move(v), size + 2);
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    std::string key(text, size);
    if (open_.back()->members.size() >= kMaxMembers) {
      problem = "an object of more than " + std::to_string(kMaxMembers) + " members";
      return false;
    }
    if (open_.back()->find(key) != nullptr) {
      problem = "the key " + json_quote(key) + " is there twice";
      return false;
    }
    open_.back()->members.push_back({std::move(key), JsonValue()});
    return true;
  }
  bool StartObject() { return open(JsonValue::Kind::kObject); }
  bool EndObject(rapidjson::SizeType) { return close(); }
  bool StartArray() { return open(JsonValue::Kind::kArray); }
  bool EndArray(rapidjson::SizeType) { return close(); }
  // NOLINTEND(readability-identifier-naming)

  std::string problem;

 private:
  // The stream stands behind the value; a string with escapes was longer in the text, so its
  // offset is a little late. Good enough to point a person at the line.
  bool put(JsonValue value, size_t length = 4) {
    const size_t end = stream_.Tell();
    value.offset = end > length ? end - length : 0;
    place(std::move(value));
    return true;
  }
  JsonValue* place(JsonValue value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    JsonValue& in = *open_.back();
    if (in.is(JsonValue::Kind::kArray)) {
      in.items.push_back(std::move(value));
      return &in.items.back();
    }
    in.members.back().value = std::move(value);
    return &in.members.back().value;
  }
  bool open(JsonValue::Kind kind) {
    if (open_.size() >= kMaxDepth) {
      problem = "nested deeper than " + std::to_string(kMaxDepth);
      return false;
    }
    JsonValue value;
    value.kind = kind;
    value.offset = stream_.Tell() > 0 ? stream_.Tell() - 1 : 0;
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const rapidjson::MemoryStream& stream_;
  JsonValue& root_;
  std::vector<JsonValue*> open_;  // a parent does not grow while its child is open
};

size_t utf8_length(std::string_view text) {  // of the first character; 0 when it is not UTF-8
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
      (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) {
    return 0;
  }
  return length;
}

void show_into(const JsonValue& value, size_t max, std::string& out) {
  if (out.size() > max) return;
  switch (value.kind) {
    case JsonValue::Kind::kNull:
      out += "null";
      break;
    case JsonValue::Kind::kBool:
      out += value.boolean ? "true" : "false";
      break;
    case JsonValue::Kind::kNumber:
      out += value.text;
      break;
    case JsonValue::Kind::kString:
      out += json_quote(value.text);
      break;
    case JsonValue::Kind::kArray:
      out += '[';
      for (size_t i = 0; i < value.items.size() && out.size() <= max; ++i) {
        if (i > 0) out += ',';
        show_into(value.items[i], max, out);
      }
      out += ']';
      break;
    case JsonValue::Kind::kObject:
      out += '{';
      for (size_t i = 0; i < value.members.size() && out.size() <= max; ++i) {
        if (i > 0) out += ',';
        out += json_quote(value.members[i].key) + ":";
        show_into(value.members[i].value, max, out);
      }
      out += '}';
      break;
  }
}

}  // namespace

const JsonValue* JsonValue::find(std::string_view key) const {
  for (const auto& [name, value] : members) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string_view JsonValue::text_of(std::string_view key) const {
  const JsonValue* value = find(key);
  return value != nullptr && value->is(Kind::kString) ? std::string_view(value->text)
                                                      : std::string_view();
}

Result<JsonValue> parse_json(std::string_view text, JsonDialect dialect) {
  using namespace rapidjson;
  constexpr unsigned kStrictFlags =
      kParseIterativeFlag | kParseValidateEncodingFlag | kParseNumbersAsStringsFlag;
  constexpr unsigned kConfigFlags = kStrictFlags | kParseCommentsFlag | kParseTrailingCommasFlag;

  JsonValue root;
  // RapidJSON reads ahead past the end only through the stream, which ends at size(). An empty
  // view may have a null pointer, which it does not like.
  MemoryStream stream(text.empty() ? "" : text.data(), text.size());
  EncodedInputStream<UTF8<>, MemoryStream> input(stream);
  TreeBuilder builder(stream, root);
  Reader reader;
  const ParseResult ok = dialect == JsonDialect::kConfig
                             ? reader.Parse<kConfigFlags>(input, builder)
                             : reader.Parse<kStrictFlags>(input, builder);
  if (!ok) {
    const std::string why =
        builder.problem.empty() ? std::string(GetParseError_En(ok.Code())) : builder.problem;
    return Error{ErrorCode::kInvalid, line_and_column(text, ok.Offset()) + ": " + why};
  }
  return root;
}

std::string line_and_column(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  size_t line = 1;
  for (char c : before) line += c == '\n' ? 1 : 0;
  const size_t column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 == 0
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

std::string json_quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const size_t length = utf8_length(text);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (length == 2 && c == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0) {
      char buffer[8];  // U+0080 to U+009F: control characters, which some terminals obey
      std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned char>(text[1]));
      out += buffer;
    } else if (c < 0x20 || c == 0x7f || length == 0) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", c);
      out += buffer;
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + '"';
}

std::string json_show(const JsonValue& value, size_t max) {
  std::string out;
  show_into(value, max, out);
  if (out.size() > max) {
    out.resize(max);
    out += "...";
  }
  return out;
}

JsonObject& JsonObject::raw(std::string_view key, std::string_view json) {
  if (body_.size() > 1) body_ += ',';
  body_ += json_quote(key);
  body_ += ':';
  body_ += json;
  return *this;
}

}  // namespace latchkey

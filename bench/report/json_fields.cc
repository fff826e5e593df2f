#include "bench/report/json_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace latchkey::bench {
namespace {

template <typename Number>
std::string shortest(Number value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out = "[";
  for (const std::string& part : parts) {
    if (out.size() > 1) out += ',';
    out += part;
  }
  return out + "]";
}

std::string got(const std::string& expected, const JsonValue& value) {
  return "expected " + expected + ", got " + json_show(value);
}

std::string item_path(const std::string& path, size_t i) {
  return path + "[" + std::to_string(i) + "]";
}

}  // namespace

std::string json_number(double value) {
  return std::isfinite(value) ? shortest(value) : "0";
}

std::string json_number(uint64_t value) {
  return shortest(value);
}

std::string json_strings(const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (const std::string& text : texts) parts.push_back(json_quote(text));
  return joined(parts);
}

std::string json_numbers(const std::vector<double>& values) {
  std::vector<std::string> parts;
  for (double value : values) {
    if (std::isfinite(value)) parts.push_back(shortest(value));
  }
  return joined(parts);
}

Fields::Fields(const JsonValue& value, std::string path, Complaints& complaints)
    : value_(value), path_(std::move(path)), complaints_(complaints) {
  if (!value.is(JsonValue::Kind::kObject)) complaints_.add(path_, got("an object", value));
}

Fields::~Fields() {
  for (const auto& [key, value] : value_.members) {
    if (std::find(read_.begin(), read_.end(), key) == read_.end()) {
      complaints_.add(path_of(key), "unknown member");
    }
  }
}

void Fields::schema(std::string_view expected) {
  const std::string found = text("schema");
  if (complaints_.empty() && found != expected) {
    complaints_.add(path_of("schema"), "expected " + json_quote(expected) + ", got " +
                                           json_quote(found) +
                                           ": the file is of another version or another program");
  }
}

std::string Fields::text(std::string_view key) {
  const JsonValue* value = expect(key, JsonValue::Kind::kString, "a string");
  return value != nullptr ? value->text : "";
}

std::string Fields::optional_text(std::string_view key) {
  const JsonValue* value = find(key);
  return value != nullptr ? text_of(*value, path_of(key), complaints_) : "";
}

double Fields::number(std::string_view key) {
  const JsonValue* value = expect(key, JsonValue::Kind::kNumber, "a number");
  return value != nullptr ? number_of(*value, path_of(key), complaints_) : 0;
}

uint64_t Fields::count(std::string_view key) {
  const JsonValue* value = expect(key, JsonValue::Kind::kNumber, "a count");
  return value != nullptr ? count_of(*value, path_of(key), complaints_) : 0;
}

bool Fields::boolean(std::string_view key) {
  const JsonValue* value = expect(key, JsonValue::Kind::kBool, "true or false");
  return value != nullptr && value->boolean;
}

std::vector<std::string> Fields::texts(std::string_view key) {
  std::vector<std::string> out;
  if (const JsonValue* list = array(key)) {
    for (size_t i = 0; i < list->items.size(); ++i) {
      out.push_back(text_of(list->items[i], item_path(path_of(key), i), complaints_));
    }
  }
  return out;
}

std::vector<double> Fields::numbers(std::string_view key) {
  std::vector<double> out;
  if (const JsonValue* list = array(key)) {
    for (size_t i = 0; i < list->items.size(); ++i) {
      out.push_back(number_of(list->items[i], item_path(path_of(key), i), complaints_));
    }
  }
  return out;
}

const JsonValue* Fields::array(std::string_view key) {
  return expect(key, JsonValue::Kind::kArray, "a list");
}

const JsonValue* Fields::object(std::string_view key) {
  return expect(key, JsonValue::Kind::kObject, "an object");
}

const JsonValue* Fields::optional_object(std::string_view key) {
  return value_.find(key) != nullptr ? object(key) : nullptr;
}

std::string Fields::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

const JsonValue* Fields::find(std::string_view key) {
  read_.push_back(key);
  return value_.find(key);
}

const JsonValue* Fields::expect(std::string_view key, JsonValue::Kind kind, const char* what) {
  const JsonValue* value = find(key);
  if (value == nullptr) {
    complaints_.add(path_of(key), std::string("missing; expected ") + what);
    return nullptr;
  }
  if (!value->is(kind)) {
    complaints_.add(path_of(key), got(what, *value));
    return nullptr;
  }
  return value;
}

double number_of(const JsonValue& value, const std::string& path, Complaints& complaints) {
  if (!value.is(JsonValue::Kind::kNumber)) {
    complaints.add(path, got("a number", value));
    return 0;
  }
  return value.number;
}

uint64_t count_of(const JsonValue& value, const std::string& path, Complaints& complaints) {
  uint64_t count = 0;
  const char* end = value.text.data() + value.text.size();
  const auto read = std::from_chars(value.text.data(), end, count);
  if (!value.is(JsonValue::Kind::kNumber) || read.ec != std::errc() || read.ptr != end) {
    complaints.add(path, got("a count", value));
    return 0;
  }
  return count;
}

std::string text_of(const JsonValue& value, const std::string& path, Complaints& complaints) {
  if (!value.is(JsonValue::Kind::kString)) {
    complaints.add(path, got("a string", value));
    return "";
  }
  return value.text;
}

}  // namespace latchkey::bench

#pragma once
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/json.h"

namespace latchkey::test {

// The value at a path of keys and indices, "issuers.0.limits"; null (the kind) if there is none.
inline JsonValue at(const JsonValue& value, std::string_view path) {
  if (path.empty()) return value;
  const size_t dot = path.find('.');
  const std::string key(path.substr(0, dot));
  const std::string_view rest = dot == std::string_view::npos ? "" : path.substr(dot + 1);
  if (value.kind == JsonValue::Kind::kArray) {
    const size_t index = std::strtoul(key.c_str(), nullptr, 10);
    return index < value.items.size() ? at(value.items[index], rest) : JsonValue();
  }
  const JsonValue* member = value.find(key);
  return member == nullptr ? JsonValue() : at(*member, rest);
}

inline bool is_null(const JsonValue& value) {
  return value.kind == JsonValue::Kind::kNull;
}

}  // namespace latchkey::test

#include "edge/admin_rows.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "edge/admin_text.h"

namespace latchkey::edge {
namespace {

using Kind = JsonValue::Kind;

}  // namespace

void Rows::add(std::string label, std::string text) {
  if (!text.empty()) rows_.emplace_back(std::move(label), std::move(text));
}

std::string Rows::str() const {
  size_t width = 0;
  for (const auto& [label, text] : rows_) width = std::max(width, label.size());
  std::string out;
  for (const auto& [label, text] : rows_) {
    out += indent_ + label + std::string(width - label.size() + 2, ' ') + text + "\n";
  }
  return out;
}

std::string Table::take() {
  for (const auto& row : rows_) {
    widths_.resize(std::max(widths_.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line = indent_;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths_[i] - row[i].size() + 2, ' ');
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  rows_.clear();
  return out;
}

std::string spaced(std::string_view key) {
  std::string out = printable(key);
  std::replace(out.begin(), out.end(), '_', ' ');
  return out;
}

void join(std::string& list, const std::string& item, std::string_view with) {
  if (item.empty()) return;
  if (!list.empty()) list += with;
  list += item;
}

double number_of(const JsonValue& value, std::string_view key) {
  const JsonValue* const found = value.find(key);
  return found != nullptr && found->is(Kind::kNumber) ? found->number : 0;
}

bool has_number(const JsonValue& value, std::string_view key) {
  const JsonValue* const found = value.find(key);
  return found != nullptr && found->is(Kind::kNumber);
}

bool is_true(const JsonValue& value, std::string_view key) {
  const JsonValue* const found = value.find(key);
  return found != nullptr && found->is(Kind::kBool) && found->boolean;
}

const JsonValue* object_of(const JsonValue& value, std::string_view key) {
  const JsonValue* const found = value.find(key);
  return found != nullptr && found->is(Kind::kObject) ? found : nullptr;
}

const std::vector<JsonValue>& list_of(const JsonValue& value, std::string_view key) {
  static const std::vector<JsonValue> kNone;
  const JsonValue* const found = value.find(key);
  return found != nullptr && found->is(Kind::kArray) ? found->items : kNone;
}

std::string text_at(const JsonValue& value, std::string_view key) {
  return printable(value.text_of(key));
}

std::string line_of(const JsonValue& value) {
  std::string out;
  switch (value.kind) {
    case Kind::kNull:
      return "";
    case Kind::kBool:
      return value.boolean ? "yes" : "no";
    case Kind::kNumber:
    case Kind::kString:
      return printable(value.text);
    case Kind::kArray:
      for (const JsonValue& item : value.items) join(out, line_of(item));
      return out;
    case Kind::kObject:
      for (const auto& [key, item] : value.members) {
        const std::string text = line_of(item);
        if (text.empty()) continue;
        const std::string name = spaced(key);
        join(out, item.is(Kind::kNumber) ? text + " " + name : name + " " + text);
      }
      return out;
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string quoted = json_quote(text);
  quoted = quoted.substr(1, quoted.size() - 2);
  // Quotes and backslashes harm no terminal.
  std::string out;
  for (size_t i = 0; i < quoted.size(); ++i) {
    const bool escaped = quoted[i] == '\\' && i + 1 < quoted.size() &&
                         (quoted[i + 1] == '"' || quoted[i + 1] == '\\');
    out += quoted[escaped ? ++i : i];
  }
  return out;
}

std::string printable_lines(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    out += printable(text.substr(0, end)) + "\n";
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string span_text(double seconds) {
  const auto in = [seconds](double unit, const char* name) {
    return std::to_string(static_cast<int64_t>(std::round(seconds / unit))) + name;
  };
  if (seconds < 120) return in(1, " s");
  if (seconds < 7200) return in(60, " min");
  if (seconds < 172'800) return in(3600, " h");
  return in(86'400, " d");
}

}  // namespace latchkey::edge

#pragma once
// What the texts for people are made of (edge/admin_text.h): fields of JSON, and columns.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace latchkey::edge {

// Label and text, the texts one below the other.
class Rows {
 public:
  explicit Rows(std::string_view indent = "") : indent_(indent) {}

  // An empty text adds nothing.
  void add(std::string label, std::string text);
  std::string str() const;

 private:
  std::string indent_;
  std::vector<std::pair<std::string, std::string>> rows_;
};

// Cells, the columns one below the other; the last one may be of any width.
class Table {
 public:
  explicit Table(std::string_view indent = "") : indent_(indent) {}

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // The rows since the last call; columns never become narrower.
  std::string take();

 private:
  std::string indent_;
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

// Fields that are missing, or of another kind: "", 0, no, null, an empty list. Texts are printable.
std::string text_at(const JsonValue& value, std::string_view key);
double number_of(const JsonValue& value, std::string_view key);
bool has_number(const JsonValue& value, std::string_view key);
bool is_true(const JsonValue& value, std::string_view key);
const JsonValue* object_of(const JsonValue& value, std::string_view key);
const std::vector<JsonValue>& list_of(const JsonValue& value, std::string_view key);

// "next_try" -> "next try"
std::string spaced(std::string_view key);
// Adds an item to a list, if there is one.
void join(std::string& list, const std::string& item, std::string_view with = ", ");
// Any value in one line: "812", "9000 served, 38 failed", "routes, workers". "" for null.
std::string line_of(const JsonValue& value);

}  // namespace latchkey::edge

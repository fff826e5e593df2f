#pragma once
// Reading and writing the stored results: strict, so that a file of another version, or one that
// somebody edited by hand, is refused by the member that is wrong and not shown as zeros.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace latchkey::bench {

// The shortest text that reads back as the same number. What is no finite number becomes 0: JSON
// has no word for it.
std::string json_number(double value);
std::string json_number(uint64_t value);
std::string json_strings(const std::vector<std::string>& texts);
std::string json_numbers(const std::vector<double>& values);  // but for those that are not finite

// The first complaint about a document; later ones often follow from it.
class Complaints {
 public:
  void add(const std::string& path, const std::string& what) {
    if (first_.empty()) first_ = (path.empty() ? "the document" : path) + ": " + what;
  }
  bool empty() const { return first_.empty(); }
  const std::string& first() const { return first_; }

 private:
  std::string first_;
};

// The members of one object, each read once by the method that says what it must be. A member that
// is missing is a complaint unless it is read by an optional_ method; so is, from the destructor,
// one that nobody read.
class Fields {
 public:
  // REQUIRES: value and complaints outlive us.
  Fields(const JsonValue& value, std::string path, Complaints& complaints);
  ~Fields();
  Fields(const Fields&) = delete;

  void schema(std::string_view expected);
  std::string text(std::string_view key);
  std::string optional_text(std::string_view key);  // "" when it is missing
  double number(std::string_view key);
  uint64_t count(std::string_view key);  // an integer from 0 to 2^64 - 1
  bool boolean(std::string_view key);
  std::vector<std::string> texts(std::string_view key);
  std::vector<double> numbers(std::string_view key);
  // What can be computed from the others: written for other programs, not read by us.
  void derived(std::string_view key) { find(key); }

  // The array or object under the key; null, with a complaint, when there is none.
  const JsonValue* array(std::string_view key);
  const JsonValue* object(std::string_view key);
  // Null without a complaint when it is missing.
  const JsonValue* optional_object(std::string_view key);

  std::string path_of(std::string_view key) const;

 private:
  const JsonValue* find(std::string_view key);
  const JsonValue* expect(std::string_view key, JsonValue::Kind kind, const char* what);

  const JsonValue& value_;
  std::string path_;
  Complaints& complaints_;
  std::vector<std::string_view> read_;
};

// Of a value that is not an object's member; a complaint and 0 or "" when it is something else.
double number_of(const JsonValue& value, const std::string& path, Complaints& complaints);
uint64_t count_of(const JsonValue& value, const std::string& path, Complaints& complaints);
std::string text_of(const JsonValue& value, const std::string& path, Complaints& complaints);

}  // namespace latchkey::bench

#pragma once
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace latchkey::edge {

// Nullopt: a % without two hexadecimal digits behind it.
std::optional<std::string> percent_decode(std::string_view text);

// "2026-03-01T12:00:00Z" (RFC 3339, any offset, fractions dropped), or a day: "2026-03-01".
std::optional<WallTime> parse_time(std::string_view text);

// The query of a URL, read parameter by parameter: each must be known, and be there once.
class AdminQuery {
 public:
  explicit AdminQuery(std::string_view query);

  void text(std::string_view key, size_t max, std::string& out);
  void number(std::string_view key, size_t min, size_t max, size_t& out);
  void time(std::string_view key, std::optional<WallTime>& out);

  // What is wrong; "" if nothing is. To be called at the end: knows what nobody has read.
  std::string complaint() const;

 private:
  struct Parameter {
    std::string key, value;
    bool read = false;
  };
  const std::string* take(std::string_view key);
  void complain(std::string_view key, const std::string& what);

  std::vector<Parameter> parameters_;  // <= 20
  std::string known_;                  // "after, limit"
  std::string complaint_;
};

}  // namespace latchkey::edge

#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace latchkey::bench {

// The command line of a small server: options that need a value, and switches that have none.
class Flags {
 public:
  struct Known {
    std::vector<std::string> required;  // "--listen"
    std::vector<std::string> switches{};
  };

  // Errors (kInvalid): an option that is unknown, given twice, missing, or without its value.
  static Result<Flags> parse(int argc, const char* const* argv, const Known& known);

  const std::string& value(const std::string& name) const { return values_.at(name); }
  bool has(const std::string& name) const { return values_.contains(name); }
  // Errors: not a whole number up to `max`.
  Result<size_t> number(const std::string& name, size_t max) const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace latchkey::bench

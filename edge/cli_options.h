#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace latchkey::edge {

constexpr int kOk = 0, kFailure = 1, kUsage = 2, kBadConfig = 78;  // exit codes

// What a command takes beside its name.
struct CommandSyntax {
  std::vector<std::string> options{};  // "--config": with a value, "--config F" or "--config=F"
  std::vector<std::string> flags{};    // "--json": without
  size_t words = 0;                    // at most so many that are no options
};

// What it was given.
class CommandLine {
 public:
  // `argv[1]` is the command. The error says what is wrong.
  static Result<CommandLine> read(int argc, char** argv, const CommandSyntax& syntax);

  bool has(const std::string& name) const { return options_.contains(name); }
  // The last one's value; "" if there is none.
  std::string one(const std::string& name) const;
  // All of them, in order.
  std::vector<std::string> all(const std::string& name) const;
  size_t options() const { return options_.size(); }
  const std::vector<std::string>& words() const { return words_; }

 private:
  std::map<std::string, std::vector<std::string>> options_;
  std::vector<std::string> words_;
};

// Says why, and where help is; kUsage.
int usage(const std::string& why);
// Says the error, a line each where it has several; `code`.
int complain(const Error& error, int code);

}  // namespace latchkey::edge

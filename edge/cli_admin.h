#pragma once
#include <string_view>

namespace latchkey::edge {

// The commands that ask the running process: status, budget, explain, ask, obtain, retry, reload,
// events, and those in two words: certs list, account roll-key, ...
bool is_admin_verb(std::string_view verb);
// REQUIRES: argv[1] is one of them. The exit code.
int run_admin_verb(int argc, char** argv);

}  // namespace latchkey::edge

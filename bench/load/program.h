#pragma once
#include <string>
#include <vector>

namespace latchkey::bench {

// latchkey-bench, its own name first. The measurement goes to stdout and where --json and --html
// say; everything else to stderr. Returns the exit status: 0 when something was measured, 1 when
// that failed or nothing was done, 2 for a command line that is wrong.
int run_program(const std::vector<std::string>& arguments);

}  // namespace latchkey::bench

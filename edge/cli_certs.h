#pragma once
#include <string>

#include "edge/cli_options.h"

namespace latchkey::edge {

// latchkey certs list [--contains S] [--expires-within SPAN] [--json]: all pages, printed as they
// come; with --json each page's answer as it is, a line each. The exit code.
int list_certificates(const CommandLine& line, const std::string& socket);

}  // namespace latchkey::edge

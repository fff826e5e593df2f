#pragma once
#include <optional>
#include <string>

#include "edge/cli_options.h"

namespace latchkey::edge {

// latchkey certs list [--contains S] [--expires-within SPAN] [--json]: all pages, printed as they
// come; with --json each page's answer as it is, a line each. The exit code.
int list_certificates(const CommandLine& line, const std::string& socket);

// latchkey certs import, export: what is more than a request to the process that runs. nullopt:
// `argv` says something else. The exit code.
std::optional<int> run_certs_verb(int argc, char** argv);

}  // namespace latchkey::edge

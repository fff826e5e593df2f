#pragma once

namespace latchkey::edge {

// The command line: run, validate, config, version, and the verbs of cli_admin.h. Returns the exit
// code: 0, 1 failure, 2 usage, 78 bad configuration (EX_CONFIG).
int run_command(int argc, char** argv);

}  // namespace latchkey::edge

#pragma once

namespace latchkey::edge {

// latchkey certs import PATH... : `argv[0]` is the program, `argv[1]` "import". The exit code: 0; 1
// when something was damaged or could not be stored; 2 for a wrong command line; 78 for a bad
// configuration.
int run_import_verb(int argc, char** argv);

}  // namespace latchkey::edge

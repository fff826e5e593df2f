// latchkey-bench: see docs/bench.md.
#include "bench/load/program.h"

int main(int argc, char** argv) {
  return latchkey::bench::run_program({argv, argv + argc});
}

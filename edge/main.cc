#include "edge/cli.h"

int main(int argc, char** argv) {
  return latchkey::edge::run_command(argc, argv);
}

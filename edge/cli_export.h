#pragma once

namespace latchkey::edge {

// latchkey certs export --to DIR [--config FILE | --state-dir DIR] [NAME...]: certificates of the
// store with their keys as PEM files (edge/exporter.h), all or those; the process that serves may
// run or not. `argv[1]` is "export". The exit code: 1 if one of them failed.
int run_export(int argc, char** argv);

}  // namespace latchkey::edge

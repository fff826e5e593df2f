#pragma once
// The results for a terminal.

#include <string>

#include "bench/report/comparison.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

enum class Colours { kNone, kAnsi };  // kAnsi only where somebody looks: isatty(1)

// Several lines, each with its end; at most 160 columns, of ASCII unless a name or a note is not.
// Control characters in what comes from outside are shown as '?'.
std::string text_report(const Measurement& measurement, Colours colours = Colours::kNone);
std::string text_report(const Comparison& comparison, Colours colours = Colours::kNone);

}  // namespace latchkey::bench

#pragma once
// The results as one page: it opens offline, fetches nothing, needs no JavaScript, follows the
// reader's dark or light scheme, and shows as text whatever names and notes hold.

#include <string>

#include "bench/report/comparison.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

std::string html_report(const Measurement& measurement);
std::string html_report(const Comparison& comparison);

}  // namespace latchkey::bench

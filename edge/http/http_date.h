#pragma once
#include <string>

#include "base/clock.h"

namespace latchkey::edge {

// "Sun, 06 Nov 1994 08:49:37 GMT".
const std::string& http_date(const Clock& clock);

}  // namespace latchkey::edge

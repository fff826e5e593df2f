#pragma once
// Would a client accept that chain at that time?

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace latchkey::test {

// "" or why not, as BoringSSL says it. `chain`: DER, leaf first; `roots_pem`: all that is trusted.
std::string chain_error(const std::vector<std::string>& chain, std::string_view roots_pem,
                        WallTime at);

}  // namespace latchkey::test

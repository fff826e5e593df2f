#pragma once
// The keys of the configuration and their rules. Internal to config*.cc.

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "edge/config.h"

namespace latchkey::edge {

// What may stand for Config's enumerations, in their order.
inline const std::vector<std::string> kLogLevels{"debug", "info", "warning", "error"};
inline const std::vector<std::string> kLogFormats{"auto", "text", "json"};
inline const std::vector<std::string> kDeniedWords{"serve", "refuse"};
inline const std::vector<std::string> kRenewalPolicies{"seen", "always", "on_use"};
inline const std::vector<std::string> kExpiredWords{"serve", "self_signed", "refuse"};

// Takes every key of the document; mistakes are complained about and change nothing.
void read_config(Section& top, Config& out);

// The inverse. With `secrets`, what URLs may hold of them is left in: for comparing, not showing.
std::string write_config(const Config& config, bool secrets);

}  // namespace latchkey::edge

#include "bench/load/onboard_scenario.h"

#include "bench/load/handshake_scenario.h"

namespace latchkey::bench {

Result<> settle_onboard(Options& options) {
  if (options.resume) {
    return Error{ErrorCode::kInvalid, "--resume: expected with handshake, not with onboard"};
  }
  if (options.names.kind == NamePlan::Kind::kNone) {
    options.names.kind = NamePlan::Kind::kRandom;
    options.names.text = "%s.new.test";
  }
  if (options.names.kind == NamePlan::Kind::kOne) {
    return Error{ErrorCode::kInvalid,
                 "onboard: expected many names (--sni-random, --sni-range or --sni-file), not "
                 "--sni; one name for many clients is the scenario herd"};
  }
  if (options.count == 0) options.count = 50;
  if (options.connections == 0) options.connections = static_cast<unsigned>(options.count);
  return settle_handshake(options);
}

Result<Measurement> run_onboard(const Options& options, const TlsClient& client) {
  return run_handshake(options, client);
}

}  // namespace latchkey::bench

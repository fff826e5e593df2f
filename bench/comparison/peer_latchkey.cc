#include "base/json.h"
#include "bench/comparison/filled_store.h"
#include "bench/comparison/peer.h"
#include "tests/support/edge.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {

// The certificates are in its store, as those are that it obtained itself: what is measured is a
// name of the cache.
PeerProgram latchkey_program(const PeerSetup& setup) {
  test::EdgeSettings settings;
  settings.https_port = setup.port;
  settings.state_dir = setup.certificates;
  settings.workers = 1;
  settings.allow = {"*" + std::string(kStoredSuffix)};
  settings.per_registered_domain = "null";
  // Bounded by their number alone.
  settings.keys = {
      {"cache",
       JsonObject().number("max_certificates", setup.cached).text("max_bytes", "16GiB").str()}};
  settings.upstream = "http://127.0.0.1:" + std::to_string(setup.upstream);
  settings.log_level = "warning";
  settings.admin_socket = setup.folder / "admin.sock";
  if (setup.on_demand) {
    settings.directory = setup.on_demand->directory;
    settings.ca_file = setup.on_demand->ca_file;
    settings.challenges = {"tls-alpn-01"};
    settings.ask = setup.on_demand->ask;
    if (settings.ask.empty()) settings.allow.push_back("*" + std::string(kNewNames));
  } else {
    settings.authority = "{}";
  }
  test::write_text(setup.folder / "latchkey.json", settings.json());
  return {{LATCHKEY_BINARY, "run", "--config", (setup.folder / "latchkey.json").string()},
          {{"LATCHKEY_NO_PUBLIC_CA", "1"}}};
}

PeerProgram floor_program(const PeerSetup& setup) {
  PeerProgram program{{LATCHKEY_BENCH_FLOOR, "--listen", "127.0.0.1:" + std::to_string(setup.port),
                       "--cert", setup.chain.string(), "--key", setup.key.string(), "--body",
                       std::to_string(setup.body)}};
  if (setup.close) program.args.emplace_back("--close");
  return program;
}

}  // namespace latchkey::bench

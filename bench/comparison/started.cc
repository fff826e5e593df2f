#include "bench/comparison/started.h"

#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/support/tls_client.h"

namespace latchkey::bench {

Result<Started> start_and_shake_hands(std::string_view server, const PeerSetup& setup,
                                      const std::string& name, double limit) {
  const Timer timer;
  auto launched = Peer::launch(server, setup);
  if (!launched) return launched.error();
  Peer& peer = **launched;
  test::TlsOptions client;
  client.port = setup.port;
  client.sni = name;
  while (!test::TlsClient(client).handshake().done) {
    if (!peer.running()) return peer.failure("ended at its start");
    if (timer.seconds() > limit) {
      return peer.failure("serves nobody after " + std::to_string(static_cast<int>(limit)) + " s");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const double seconds = timer.seconds();
  if (!peer.accepts()) return peer.failure("has gone");
  return Started{*std::move(launched), seconds};
}

double resident_bytes(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/statm");
  double total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace latchkey::bench

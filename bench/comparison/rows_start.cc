// How long a start takes that finds many certificates.
#include "bench/comparison/rows.h"
#include "bench/comparison/started.h"

namespace latchkey::bench {
namespace {

struct StartRow {
  const char* id;
  const char* count_text;
  int64_t count;
  bool beside;  // others are measured, too: beyond 10 000 that takes minutes
};
constexpr StartRow kRows[] = {
    {"start_10k", "10 000", 10'000, true},
    {"start_100k", "100 000", 100'000, false},
    {"start_1m", "1 000 000", 1'000'000, false},
};

Result<Sample> start(Lab& lab, const std::string& server, int64_t count) {
  PeerSetup setup = lab.setup(server);
  if (server == "latchkey") {
    setup.certificates = lab.store(count);
  } else {
    const Lab::Files& files = lab.files(static_cast<int>(count));
    setup.certificates = server == "haproxy" ? files.list : files.folder;
  }
  const auto started = start_and_shake_hands(server, setup, stored_name(count / 2));
  if (!started) return started.error();
  return Sample{started->seconds};
}

Row measure_row(Lab& lab, const StartRow& plan) {
  const int64_t count = lab.options().quick ? plan.count / 100 : plan.count;
  Row row{plan.id,
          std::string("start with ") + plan.count_text + " stored certificates",
          "s",
          {},
          Target{0.2, "", false},
          "from exec to the end of the first handshake, of a name in the middle; the files are in "
          "the system's memory"};
  std::vector<std::string> servers = {"latchkey"};
  if (plan.beside) {
    servers.insert(servers.end(), {"haproxy", "caddy"});
    row.note += "; HAProxy reads a crt-list, Caddy a folder";
  } else {
    row.note += "; others are measured with 10 000 only: HAProxy needs 17 s for 100 000";
  }
  row.cells = in_turns(servers, lab.options().rounds,
                       [&](const std::string& server) { return start(lab, server, count); });
  return row;
}

}  // namespace

std::vector<Row> measure_starts(Lab& lab) {
  std::vector<Row> out;
  for (const StartRow& row : kRows) {
    if (lab.options().wants(row.id)) out.push_back(measure_row(lab, row));
  }
  return out;
}

}  // namespace latchkey::bench

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
  if (server != "latchkey") {
    const auto started = lab.start_with_files(server, static_cast<int>(count));
    if (!started) return started.error();
    return Sample{started->seconds};
  }
  PeerSetup setup = lab.setup(server);
  setup.certificates = lab.store(count);
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
  const auto measure = [&](const std::string& server) { return start(lab, server, count); };
  row.cells = in_turns({"latchkey"}, lab.options().rounds, measure);
  if (plan.beside) {
    for (Cell& cell : in_turns({"haproxy", "caddy"}, 1, measure)) {
      row.cells.push_back(std::move(cell));
    }
    row.note += "; HAProxy reads a crt-list, Caddy a folder, once";
  } else {
    row.note += "; others are measured with 10 000 only: HAProxy needs 17 s for 100 000";
  }
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

// Many names of the cache: what one costs in memory, at its first handshake, and at all others.
#include <algorithm>
#include <utility>

#include "bench/comparison/rows.h"
#include "bench/comparison/started.h"

namespace latchkey::bench {
namespace {

// How long the first handshakes of all names may take, at most: five times what they do.
constexpr Millis kTouch{60'000}, kTouchOne{1};

// A Latchkey with so many stored certificates.
class Stocked {
 public:
  static Result<Stocked> start(Lab& lab, int64_t count) {
    PeerSetup setup = lab.setup("latchkey");
    setup.certificates = lab.store(count);
    setup.cached = static_cast<int>(count) + 1000;
    auto started = start_and_shake_hands("latchkey", setup, stored_name(0));
    if (!started) return started.error();
    return Stocked(lab, count, std::move(started->peer));
  }

  int64_t count() const { return count_; }

  // The p50 of the first handshakes of names that nobody has had yet, minus that of the second
  // ones; in ms, one after the other.
  Result<Sample> first_touch(int64_t names) {
    next_untouched_ -= names;
    const std::string number = std::to_string(names);
    const std::vector<std::string> call = {"handshake",
                                           "--connections",
                                           "1",
                                           "--warmup",
                                           "0",
                                           "--sni-range",
                                           stored_range(),
                                           "--first",
                                           std::to_string(next_untouched_),
                                           "--names",
                                           number,
                                           "--count",
                                           number};
    const auto untouched = p50_ms(call);
    if (!untouched) return untouched.error();
    const auto cached = p50_ms(call);
    if (!cached) return cached.error();
    return Sample{*untouched - *cached};
  }

  // Bytes a certificate that all of them together have made the process grow by.
  Result<double> touch_all() {
    const std::string number = std::to_string(count_);
    const auto measured =
        lab_->load(*peer_,
                   {"handshake", "--connections", "32", "--warmup", "0", "--sni-range",
                    stored_range(), "--names", number, "--count", number},
                   kTouch + kTouchOne * count_);
    if (!measured) return measured.error();
    return (resident_bytes(peer_->pid()) - resident_at_start_) / static_cast<double>(count_);
  }

  // us of CPU for a handshake over so many names at random.
  Result<double> cpu(int64_t names) {
    const bool quick = lab_->options().quick;
    const auto measured =
        lab_->load(*peer_, {"handshake", "--connections", "32", "--order", "random", "--duration",
                            quick ? "0.2" : "0.3", "--warmup", "0.1", "--sni-range", stored_range(),
                            "--names", std::to_string(names)});
    if (!measured) return measured.error();
    return measured->server_cpu_us_per_operation();
  }

 private:
  Stocked(Lab& lab, int64_t count, std::unique_ptr<Peer> peer)
      : lab_(&lab),
        count_(count),
        peer_(std::move(peer)),
        resident_at_start_(resident_bytes(peer_->pid())),
        next_untouched_(count) {}

  Result<double> p50_ms(const std::vector<std::string>& call) {
    const auto measured = lab_->load(*peer_, call);
    if (!measured) return measured.error();
    const auto latency = measured->latency.find("handshake");
    if (latency == measured->latency.end()) {
      return Error{ErrorCode::kProtocol, "latchkey-bench handshake told no latency"};
    }
    return static_cast<double>(latency->second.quantile(0.5)) / 1000;
  }

  Lab* lab_;
  int64_t count_;
  std::unique_ptr<Peer> peer_;
  double resident_at_start_;
  int64_t next_untouched_;
};

struct Rows {
  Row memory{"certificate_memory",
             "memory of a cached certificate",
             "KiB",
             {},
             Target{3, "", false},
             "growth of RSS. Latchkey: by the first handshakes of all stored names; HAProxy (a "
             "crt-list) and Caddy (a folder): 10 000 files against one. nginx has no such cache: "
             "it takes a server block for each name, or reads the disk at each handshake"};
  Row memory_1m{
      "certificate_memory_1m", "memory of a cached certificate among 1 000 000", "KiB", {},
      Target{3, "", false},    "as certificate_memory; measured with --million"};
  Row random{
      "random_names",
      "rate over random names of the cache, of that of one name",
      "x",
      {},
      Target{0.97, "", true},
      "by CPU time: a handshake of the one name, divided by one of "
      "all names at random, whose certificates lie in memory that no cache has: docs/bench.md, "
      "\"What bounds what\""};
  Row touch{"first_touch",
            "first handshake of a stored name, p50",
            "ms more than the second",
            {},
            Target{1, "", false},
            "one at a time; the store's file is in the system's memory"};
  Row growth{"growth_names",          "CPU of a handshake among all cached names",
             "x of that among 1 000", {},
             Target{1.10, "", false}, ""};
};

void fail(Row& row, const Error& error) {
  row.cells = {{"latchkey", {}, {}, error.message}};
}

Result<> measure_costs(Lab& lab, Stocked& few, Stocked& many, Rows& rows) {
  Cell random{"latchkey", {}}, growth{"latchkey", {}};
  // Short turns and many: the ratio of two that follow each other varies by some percent.
  for (int round = 0; round < 3 * lab.options().rounds; ++round) {
    const auto one = many.cpu(1);
    if (!one) return one.error();
    const auto all = many.cpu(many.count());
    if (!all) return all.error();
    const auto of_few = few.cpu(few.count());
    if (!of_few) return of_few.error();
    random.samples.push_back(*one / *all);
    growth.samples.push_back(*all / *of_few);
  }
  rows.random.cells = {random};
  rows.growth.cells = {growth};
  rows.growth.note = "two processes, with " + std::to_string(few.count()) + " and " +
                     std::to_string(many.count()) + " names, all of them cached, at random";
  return Unit{};
}

Result<> measure_latchkey(Lab& lab, int64_t count, Rows& rows, Row& memory) {
  const bool quick = lab.options().quick;
  auto many = Stocked::start(lab, count);
  if (!many) return many.error();
  if (lab.options().wants(rows.touch.id)) {
    rows.touch.cells = in_turns({"latchkey"}, lab.options().rounds, [&](const std::string&) {
      return many->first_touch(quick ? 20 : 500);
    });
  }
  const auto bytes = many->touch_all();
  if (!bytes) return bytes.error();
  memory.cells.insert(memory.cells.begin(),
                      {"latchkey", {*bytes / 1024}, {}, std::to_string(count) + " certificates"});
  if (!lab.options().wants(rows.random.id) && !lab.options().wants(rows.growth.id)) return Unit{};
  auto few = Stocked::start(lab, quick ? 100 : 1000);
  if (!few) return few.error();
  if (const auto touched = few->touch_all(); !touched) return touched.error();
  return measure_costs(lab, *few, *many, rows);
}

Result<Sample> memory_of_files(Lab& lab, const std::string& server, int count) {
  const auto one = lab.start_with_files(server, 1);
  if (!one) return one.error();
  const auto all = lab.start_with_files(server, count);
  if (!all) return all.error();
  return Sample{(all->resident_bytes - one->resident_bytes) / 1024 / (count - 1)};
}

}  // namespace

std::vector<Row> measure_cached(Lab& lab) {
  Rows rows;
  const bool quick = lab.options().quick;
  if (lab.options().wants(rows.memory.id)) {
    rows.memory.cells = in_turns({"haproxy", "caddy"}, 1, [&](const std::string& server) {
      return memory_of_files(lab, server, quick ? 200 : 10'000);
    });
  }
  if (auto done = measure_latchkey(lab, quick ? 1000 : 100'000, rows, rows.memory); !done) {
    for (Row* row : {&rows.memory, &rows.random, &rows.touch, &rows.growth}) {
      fail(*row, done.error());
    }
  }
  if (lab.options().million) {
    // Instead of what was measured with fewer.
    if (auto done = measure_latchkey(lab, 1'000'000, rows, rows.memory_1m); !done) {
      fail(rows.memory_1m, done.error());
    }
  } else {
    rows.memory_1m.cells = {{"latchkey", {}, {}, "only with --million: it takes minutes"}};
  }
  return {rows.memory, rows.memory_1m, rows.random, rows.touch, rows.growth};
}

}  // namespace latchkey::bench

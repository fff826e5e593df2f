#include "bench/comparison/lab.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "bench/comparison/started.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {
namespace {

constexpr Millis kStart{10'000};
constexpr uint64_t kRoom = 3ULL << 30;

bool may_use(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_ISSET(cpu, &set);
}

// This thread, and whatever it starts.
void stay_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    std::fprintf(stderr, "core %d is not ours: the figures are worth little\n", cpu);
  }
}

std::string end_of(const std::string& text) {
  constexpr size_t kEnd = 1000;
  return text.size() > kEnd ? text.substr(text.size() - kEnd) : text;
}

}  // namespace

Lab::Lab(const CompareOptions& options) : options_(options) {
  if (!may_use(1)) {
    std::fprintf(stderr, "there is one core only: servers and clients share it\n");
    server_cpu_ = 0;
  }
  stay_on(client_cpu());
}

Lab::~Lab() {
  shared_.clear();
  origin_.reset();
  if (options_.keep) {
    std::fprintf(stderr, "kept: %s\n", folder_.c_str());
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Result<std::unique_ptr<Lab>> Lab::open(const CompareOptions& options) {
  std::unique_ptr<Lab> lab(new Lab(options));
  std::string pattern = (test::roomy_parent(kRoom) / "latchkey-compare-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    return Error{ErrorCode::kIo, pattern + " cannot be made: is there room?"};
  }
  lab->folder_ = pattern;
  test::write_text(lab->folder_ / "chain.pem", lab->certificate_.chain_pem);
  test::write_text(lab->folder_ / "key.pem", lab->certificate_.key_pem);
  if (auto started = lab->start_origin(); !started) return started.error();
  return lab;
}

Result<> Lab::start_origin() {
  origin_port_ = new_port();
  test::Process::Options options;
  options.args = {LATCHKEY_BENCH_ORIGIN, "--listen", "127.0.0.1:" + std::to_string(origin_port_)};
  options.output = folder_ / "origin.log";
  origin_ = std::make_unique<test::Process>(std::move(options));
  if (!origin_->wait_for_line("listening on", kStart)) {
    return Error{ErrorCode::kIo, "the origin does not start: " + end_of(origin_->output())};
  }
  return Unit{};
}

std::filesystem::path Lab::new_folder(std::string_view name) {
  auto out = folder_ / (std::to_string(++folders_) + "-" + std::string(name));
  std::filesystem::create_directories(out);
  return out;
}

uint16_t Lab::new_port() {
  return ports_.emplace_back(test::ReservedPort::Hold::kFree).number();
}

PeerSetup Lab::setup(std::string_view server) {
  PeerSetup out;
  out.folder = new_folder(server);
  out.port = new_port();
  out.upstream = origin_port_;
  out.chain = folder_ / "chain.pem";
  out.key = folder_ / "key.pem";
  out.cpu = server_cpu_;
  if (server == "latchkey") {
    out.certificates = out.folder / "state";
    fill_store(out.certificates, 1, certificate_.certificate);
  }
  return out;
}

std::filesystem::path Lab::store(int64_t count) {
  auto [at, is_new] = stores_.try_emplace(count);
  if (is_new) {
    at->second = new_folder("store-" + std::to_string(count));
    fill_store(at->second, count, certificate_.certificate);
  }
  return at->second;
}

const Lab::Files& Lab::files(int count) {
  auto [at, is_new] = files_.try_emplace(count);
  if (is_new) {
    at->second.folder = new_folder("files-" + std::to_string(count));
    at->second.list = new_folder("list") / "certificates";
    test::write_text(at->second.list, fill_folder(at->second.folder, count));
  }
  return at->second;
}

Result<Lab::FilesStart> Lab::start_with_files(const std::string& server, int count) {
  const auto key = std::make_pair(server, count);
  const auto known = files_starts_.find(key);
  if (known != files_starts_.end()) return known->second;
  PeerSetup wanted = setup(server);
  wanted.certificates = server == "haproxy" ? files(count).list : files(count).folder;
  const auto started = start_and_shake_hands(server, wanted, stored_name(count / 2), 60);
  Result<FilesStart> out =
      started
          ? Result<FilesStart>(FilesStart{started->seconds, resident_bytes(started->peer->pid())})
          : started.error();
  return files_starts_.emplace(key, std::move(out)).first->second;
}

Result<Peer*> Lab::shared(std::string_view server, size_t body, bool close) {
  std::string key(server);
  if (server == "floor") key += "-" + std::to_string(body) + (close ? "-close" : "");
  auto at = shared_.find(key);
  if (at == shared_.end()) {
    PeerSetup wanted = setup(server);
    wanted.body = body;
    wanted.close = close;
    at = shared_.emplace(key, Peer::start(server, wanted)).first;
  }
  if (!at->second) return at->second.error();
  return at->second->get();
}

void Lab::stop_shared() {
  shared_.clear();
}

std::unique_ptr<test::Process> Lab::start_load(Peer& peer, std::vector<std::string> arguments) {
  const std::string base = (folder_ / ("load-" + std::to_string(++loads_))).string();
  test::Process::Options options;
  options.args = {LATCHKEY_BENCH_BINARY};
  options.args.insert(options.args.end(), arguments.begin(), arguments.end());
  options.args.insert(
      options.args.end(),
      {"--target", peer.target(), "--server-pid", std::to_string(peer.pid()), "--cpu",
       std::to_string(client_cpu()), "--groups", "X25519", "--json", base + ".json", "--quiet"});
  options.output = base + ".log";
  return std::make_unique<test::Process>(std::move(options));
}

Result<Measurement> Lab::load(Peer& peer, std::vector<std::string> arguments, Millis limit) {
  const std::string what = "latchkey-bench " + arguments.front();
  const auto process = start_load(peer, std::move(arguments));
  const auto exit = process->wait(limit);
  if (!peer.running()) return peer.failure("has ended");
  if (!exit) {
    return Error{ErrorCode::kTimeout,
                 what + " did not end within " + std::to_string(limit.count() / 1000) + " s"};
  }
  const std::string json = test::read_text(folder_ / ("load-" + std::to_string(loads_) + ".json"));
  if (json.empty()) {
    return Error{ErrorCode::kIo, what + " ended with " + std::to_string(exit->code) + ": " +
                                     end_of(process->output())};
  }
  auto measurement = parse_measurement(json);
  if (!measurement) return std::move(measurement).error().in(what);
  if (measurement->done > 0) return measurement;
  std::string errors;
  for (const auto& [kind, times] : measurement->errors) {
    errors.append(errors.empty() ? "" : ", ").append(kind + " x " + std::to_string(times));
  }
  return Error{ErrorCode::kIo, what + " had no success: " + errors};
}

std::vector<Cell> in_turns(const std::vector<std::string>& servers, int rounds,
                           const MeasureServer& measure) {
  std::vector<Cell> cells;
  for (const auto& server : servers) cells.push_back({server, {}});
  for (int round = 0; round < rounds; ++round) {
    for (Cell& cell : cells) {
      if (!cell.note.empty()) continue;
      const Result<Sample> sample = measure(cell.server);
      if (!sample) {
        cell.note = sample.error().message;
        cell.samples.clear();
        cell.rates.clear();
        continue;
      }
      cell.samples.push_back(sample->value);
      if (sample->rate > 0) cell.rates.push_back(sample->rate);
    }
  }
  return cells;
}

}  // namespace latchkey::bench

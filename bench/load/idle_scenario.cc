#include "bench/load/idle_scenario.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/descriptors.h"
#include "bench/load/run.h"

namespace latchkey::bench {
namespace {

// Facts that run_idle() makes others of.
constexpr const char* kBefore = "rss_before_bytes";
constexpr const char* kOpened = "rss_opened_bytes";
constexpr const char* kRested = "rss_rested_bytes";

class IdleLoad final : public Load {
 public:
  static Result<std::unique_ptr<Load>> make(Lane& lane) {
    auto names = names_of(lane);
    if (!names) return std::move(names).error();
    return std::unique_ptr<Load>(new IdleLoad(lane, *std::move(names)));
  }

  void begin(Time) override {
    note_memory(kBefore);
    for (uint64_t i = 0; i < share(lane_.options.connections, lane_); ++i) open_next();
  }
  void stop() override {}
  size_t under_way() const override { return 0; }  // at the end they are open, and that is the end

 private:
  struct Kept final : TlsConnection::Events {
    explicit Kept(IdleLoad& load) : load_(load), connection_(load.lane_.tls, *this) {}

    void open(std::string_view name) {
      connection_.open(name);
      load_.lane_.recorder.started(connection_.opened_at());
    }
    void on_connected(TlsConnection&) override {
      connected_ = true;
      load_.lane_.recorder.done(connection_.opened_at(), Engine::now(), load_.latency_);
      load_.one_ended();
    }
    void on_closed(TlsConnection&, std::string_view failure) override {
      if (connected_) {
        load_.lane_.facts["closed_while_idle"] += 1;
        return;
      }
      load_.lane_.recorder.failed(connection_.opened_at(), Engine::now(), failure);
      load_.one_ended();
    }

    IdleLoad& load_;
    TlsConnection connection_;
    bool connected_ = false;
  };

  IdleLoad(Lane& lane, Names names)
      : lane_(lane),
        names_(std::move(names)),
        latency_(lane.recorder.latency("handshake")),
        count_(share(lane.options.count, lane)),
        rest_(lane.engine, [this] { rested(); }) {
    kept_.reserve(count_);
  }

  void open_next() {
    if (kept_.size() == count_) return;
    kept_.push_back(std::make_unique<Kept>(*this));
    kept_.back()->open(names_.next());
  }

  void one_ended() {
    if (++ended_ < count_) return open_next();
    note_memory(kOpened);
    const std::chrono::duration<double> settle(lane_.options.settle);
    rest_.set(Engine::now() + std::chrono::duration_cast<Span>(settle));
  }

  void rested() {
    note_memory(kRested);
    lane_.facts["connections"] =
        static_cast<double>(std::count_if(kept_.begin(), kept_.end(), [](const auto& kept) {
          return kept->connection_.connected();
        }));
    lane_.finished();
  }

  void note_memory(const char* fact) {
    if (!lane_.server.any()) return;
    lane_.facts[fact] = static_cast<double>(lane_.server.resident_bytes());
  }

  Lane& lane_;
  Names names_;
  Histogram& latency_;
  const uint64_t count_;
  uint64_t ended_ = 0;
  std::vector<std::unique_ptr<Kept>> kept_;
  Engine::Timer rest_;
};

}  // namespace

Result<> settle_idle(Options& options) {
  if (options.count == 0) options.count = 1000;
  if (options.connections == 0) options.connections = 64;
  if (options.settle == 0) options.settle = 5;
  if (options.count > usable_descriptors()) {
    return Error{ErrorCode::kInvalid, "--count: expected at most " +
                                          std::to_string(usable_descriptors()) +
                                          " for the limit of open files here (ulimit -n), got " +
                                          std::to_string(options.count)};
  }
  if (options.rate > 0 || options.threads > 1) {
    return Error{ErrorCode::kInvalid, "idle: expected neither --rate nor --threads"};
  }
  return Unit{};
}

Result<Measurement> run_idle(const Options& options, const TlsClient& client) {
  Course course;
  course.timed = false;
  course.expected = options.count;
  course.make = IdleLoad::make;
  course.conclude = [](Measurement& measurement) {
    const auto per_connection = [&](const char* later) {
      const double more = measurement.facts[later] - measurement.facts[kBefore];
      return more / std::max(1.0, measurement.facts["connections"]);
    };
    if (!measurement.server) return;
    measurement.facts["memory_per_connection_bytes"] = per_connection(kRested);
    measurement.facts["memory_per_opened_connection_bytes"] = per_connection(kOpened);
  };
  return run_course(options, client, course);
}

}  // namespace latchkey::bench

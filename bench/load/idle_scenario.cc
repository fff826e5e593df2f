#include "bench/load/idle_scenario.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/descriptors.h"
#include "bench/load/http_peer.h"
#include "bench/load/proxy_scenario.h"
#include "bench/load/run.h"

namespace latchkey::bench {
namespace {

// Facts that run_idle() makes others of.
constexpr const char* kBefore = "memory_before";
constexpr const char* kOpened = "memory_opened";
constexpr const char* kRested = "memory_rested";

// What is done before a connection rests.
std::string operation_of(const Options& options) {
  return options.request_once ? "request" : "handshake";
}

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
  struct Kept {
    explicit Kept(IdleLoad& owner) : load(owner) {}
    virtual ~Kept() = default;
    virtual void open(std::string_view name) = 0;
    virtual const TlsConnection& connection() const = 0;

    void made() {
      done = true;
      load.lane_.recorder.done(connection().opened_at(), Engine::now(), load.latency_);
      load.one_ended();
    }
    void gone(std::string_view failure) {
      if (done) {
        load.lane_.facts["closed_while_idle"] += 1;
        return;
      }
      done = true;
      load.lane_.recorder.failed(connection().opened_at(), Engine::now(), failure);
      load.one_ended();
    }

    IdleLoad& load;
    bool done = false;
  };

  struct KeptTls final : Kept, TlsConnection::Events {
    explicit KeptTls(IdleLoad& owner) : Kept(owner), tls(owner.lane_.tls, *this) {}

    void open(std::string_view name) override { tls.open(name); }
    const TlsConnection& connection() const override { return tls; }
    void on_connected(TlsConnection&) override { made(); }
    void on_closed(TlsConnection&, std::string_view failure) override { gone(failure); }

    TlsConnection tls;
  };

  // Has made one request, and is kept after it.
  struct KeptHttp final : Kept, HttpPeer::Owner {
    explicit KeptHttp(IdleLoad& owner)
        : Kept(owner), http(owner.lane_.tls, owner.request_, *this) {}

    void open(std::string_view name) override { http.open(name); }
    const TlsConnection& connection() const override { return http.connection(); }
    void on_up(HttpPeer&) override { http.request(0); }
    void on_first_byte(HttpPeer&, uint32_t) override {}
    void on_answer(HttpPeer&, uint32_t, std::string_view failure) override {
      if (failure.empty()) return made();
      gone(failure);
    }
    void on_down(HttpPeer&, std::string_view failure) override {
      gone(failure.empty() ? TlsConnection::kEnded : failure);
    }
    void on_moved(uint64_t in, uint64_t out) override {
      load.lane_.recorder.moved(Engine::now(), in, out);
    }

    HttpPeer http;
  };

  IdleLoad(Lane& lane, Names names)
      : lane_(lane),
        names_(std::move(names)),
        request_(request_of(lane.options)),
        latency_(lane.recorder.latency(operation_of(lane.options))),
        count_(share(lane.options.count, lane)),
        rest_(lane.engine, [this] { rested(); }) {
    kept_.reserve(count_);
  }

  void open_next() {
    if (kept_.size() == count_) return;
    if (lane_.options.request_once) {
      kept_.push_back(std::make_unique<KeptHttp>(*this));
    } else {
      kept_.push_back(std::make_unique<KeptTls>(*this));
    }
    kept_.back()->open(names_.next());
    lane_.recorder.started(kept_.back()->connection().opened_at());
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
          return kept->connection().connected();
        }));
    lane_.finished();
  }

  void note_memory(const char* fact) {
    if (!lane_.server.any()) return;
    lane_.facts[fact] = static_cast<double>(lane_.server.resident_bytes());
  }

  Lane& lane_;
  Names names_;
  const HttpRequest request_;
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
  if (auto fits = check_descriptors("--count", options.count, usable_descriptors()); !fits)
    return fits;
  if (options.rate > 0 || options.threads > 1) {
    return Error{ErrorCode::kInvalid, "idle: expected neither --rate nor --threads"};
  }
  if (options.close_each || options.streams > 1) {
    return Error{ErrorCode::kInvalid, "idle: expected neither --close nor --streams"};
  }
  return options.request_once ? settle_requests(options) : Unit{};
}

Result<Measurement> run_idle(const Options& options, const TlsClient& client) {
  Course course;
  course.operation = operation_of(options);
  course.timed = false;
  course.expected = options.count;
  course.make = IdleLoad::make;
  course.conclude = [](Measurement& measurement) {
    const auto per_connection = [&](const char* later) {
      const double more = measurement.facts[later] - measurement.facts[kBefore];
      return more / std::max(1.0, measurement.facts["connections"]);
    };
    if (!measurement.server) return;
    measurement.facts["memory_per_connection"] = per_connection(kRested);
    measurement.facts["memory_per_connection_just_opened"] = per_connection(kOpened);
  };
  return run_course(options, client, course);
}

}  // namespace latchkey::bench

#include "bench/load/soak_scenario.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "bench/load/drift.h"
#include "bench/load/handshake_stream.h"
#include "bench/load/http_load.h"
#include "bench/load/proxy_scenario.h"

namespace latchkey::bench {
namespace {

using Samples = std::shared_ptr<std::vector<double>>;

class SoakLoad final : public Load {
 public:
  static Result<std::unique_ptr<Load>> make(Lane& lane, Samples memory) {
    auto names = names_of(lane);
    if (!names) return std::move(names).error();
    return std::unique_ptr<Load>(new SoakLoad(lane, *std::move(names), std::move(memory)));
  }

  void prepare() override { requests_.prepare(); }
  bool ready() const override { return requests_.ready(); }
  void begin(Time now) override {
    handshakes_.begin(now);
    requests_.begin(now);
    if (lane_.index == 0 && lane_.server.any()) look_.set(lane_.recorder.window().begin());
  }
  void stop() override {
    look_.clear();
    handshakes_.stop();
    requests_.stop();
  }
  size_t under_way() const override { return handshakes_.under_way() + requests_.under_way(); }

 private:
  SoakLoad(Lane& lane, Names names, Samples memory)
      : lane_(lane),
        memory_(std::move(memory)),
        handshakes_(lane, handshake_plan(lane), names),
        requests_(lane, std::move(names), request_plan(lane)),
        look_(lane.engine, [this] { look_at_memory(); }) {}

  static HandshakeStream::Plan handshake_plan(const Lane& lane) {
    HandshakeStream::Plan plan;
    plan.stream = 1;  // that of the requests is 0
    plan.rate = lane.options.rate / 2 / lane.count;
    plan.arrivals = lane.options.arrivals;
    plan.connections = static_cast<unsigned>(share(lane.options.connections / 2, lane));
    return plan;
  }
  static HttpLoad::Plan request_plan(const Lane& lane) {
    HttpLoad::Plan plan;
    plan.request = request_of(lane.options);
    plan.rate = lane.options.rate / 2;
    plan.connections = static_cast<unsigned>(share(lane.options.connections / 2, lane));
    return plan;
  }

  void look_at_memory() {
    memory_->push_back(static_cast<double>(lane_.server.roughly_resident_bytes()));
    look_.set(Engine::now() + lane_.recorder.window().interval());
  }

  Lane& lane_;
  const Samples memory_;
  HandshakeStream handshakes_;
  HttpLoad requests_;
  Engine::Timer look_;
};

}  // namespace

Result<> settle_soak(Options& options) {
  if (options.count != 0) {
    return Error{ErrorCode::kInvalid, "soak: expected --duration, without --count"};
  }
  if (options.connections == 0) options.connections = 32;
  if (options.connections / 2 < options.threads) {
    return Error{ErrorCode::kInvalid,
                 "soak: expected two --connections or more for each of --threads"};
  }
  // A hundred points show a drift; a longer list would only be longer.
  if (options.interval == 0) options.interval = std::max(1.0, options.duration / 100);
  return settle_requests(options);
}

Result<Measurement> run_soak(const Options& options, const TlsClient& client) {
  const auto memory = std::make_shared<std::vector<double>>();
  Course course;
  course.make = [memory](Lane& lane) { return SoakLoad::make(lane, memory); };
  course.conclude = [memory](Measurement& measurement) {
    if (const auto drift = drift_percent(*memory)) measurement.facts["drift_rss_percent"] = *drift;
    std::vector<double> slow;
    for (const auto& slice : measurement.series) {
      if (slice.done != 0) slow.push_back(slice.p99_us);
    }
    if (const auto drift = drift_percent(slow)) measurement.facts["drift_p99_percent"] = *drift;
  };
  return run_course(options, client, course);
}

}  // namespace latchkey::bench

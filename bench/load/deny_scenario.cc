#include "bench/load/deny_scenario.h"

#include <memory>
#include <string>

#include "bench/load/handshake_stream.h"

namespace latchkey::bench {
namespace {

constexpr const char* kLatency = "refusal";

class DenyLoad final : public Load {
 public:
  static Result<std::unique_ptr<Load>> make(Lane& lane) {
    auto names = names_of(lane);
    if (!names) return std::move(names).error();
    return std::unique_ptr<Load>(new DenyLoad(lane, *std::move(names)));
  }

  void begin(Time now) override {
    began_ = now;
    stream_.begin(now);
  }
  void stop() override { stream_.stop(); }
  size_t under_way() const override { return stream_.under_way(); }

 private:
  DenyLoad(Lane& lane, Names names)
      : lane_(lane), first_names_(names), stream_(lane, plan(lane), std::move(names)) {
    if (Histogram* round = of_round()) stream_.count_also(*round);
    stream_.when_all_ended([this] { end_round(); });
  }

  static HandshakeStream::Plan plan(const Lane& lane) {
    const Options& options = lane.options;
    HandshakeStream::Plan plan;
    plan.latency = kLatency;
    plan.expect = HandshakeStream::Expect::kRefused;
    plan.connections = static_cast<unsigned>(share(options.connections, lane));
    plan.rate = options.rate / lane.count;
    plan.arrivals = options.arrivals;
    plan.count = share(options.count, lane);
    return plan;
  }

  std::string round_name() const { return "round_" + std::to_string(round_); }
  // Null where there is only one.
  Histogram* of_round() {
    if (lane_.options.repeat == 1) return nullptr;
    return &lane_.recorder.latency(round_name());
  }

  void end_round() {
    const Time now = Engine::now();
    if (lane_.count == 1 && lane_.options.repeat > 1) {
      lane_.facts[round_name() + "_seconds"] = std::chrono::duration<double>(now - began_).count();
    }
    if (round_ == lane_.options.repeat) return lane_.finished();
    ++round_;
    began_ = now;
    stream_.begin_again(first_names_, of_round(), now);
  }

  Lane& lane_;
  const Names first_names_;
  unsigned round_ = 1;
  Time began_{};
  HandshakeStream stream_;
};

}  // namespace

Result<> settle_deny(Options& options) {
  if (options.names.kind == NamePlan::Kind::kNone) {
    return Error{ErrorCode::kInvalid,
                 "deny: expected names that the server refuses: --sni, --sni-file, --sni-range or "
                 "--sni-random"};
  }
  if (options.repeat > 1 && options.names.kind == NamePlan::Kind::kRandom) {
    return Error{ErrorCode::kInvalid, "--repeat: expected names that come again, not --sni-random"};
  }
  if (options.connections == 0) options.connections = 32;
  if (options.count == 0) {
    options.count = options.names.kind == NamePlan::Kind::kRange ? options.names.count : 1000;
  }
  return enough_for_threads(options);
}

Result<Measurement> run_deny(const Options& options, const TlsClient& client) {
  Course course;
  course.operation = kLatency;
  course.timed = false;
  course.expected = options.count * options.repeat;
  course.make = DenyLoad::make;
  return run_course(options, client, course);
}

}  // namespace latchkey::bench

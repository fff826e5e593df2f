#include "bench/load/herd_scenario.h"

#include <memory>
#include <string>
#include <utility>

#include "bench/load/descriptors.h"
#include "bench/load/wave.h"

namespace latchkey::bench {
namespace {

class HerdLoad final : public Load {
 public:
  static Result<std::unique_ptr<Load>> make(Lane& lane) {
    auto names = names_of(lane);
    if (!names) return std::move(names).error();
    return std::unique_ptr<Load>(new HerdLoad(lane, *std::move(names)));
  }

  void prepare() override { wave_.prepare(); }
  bool ready() const override { return wave_.ready(); }
  void begin(Time now) override {
    for (size_t i = 0; i < count_; ++i) lane_.recorder.started(now);
    wave_.send();
    const auto sending = std::chrono::duration<double>(Engine::now() - wave_.sent_at());
    lane_.facts["sending_seconds"] = sending.count();
  }
  void stop() override {}
  size_t under_way() const override { return wave_.under_way(); }

 private:
  HerdLoad(Lane& lane, Names name)
      : lane_(lane),
        count_(share(lane.options.count, lane)),
        latency_(lane.recorder.latency("handshake")),
        wave_(lane, plan(), std::move(name)) {}

  Wave::Plan plan() {
    Wave::Plan plan;
    plan.count = count_;
    plan.ended = [this](Time now, std::string_view failure) { ended(now, failure); };
    return plan;
  }
  void ended(Time now, std::string_view failure) {
    if (failure.empty()) {
      lane_.recorder.done(wave_.sent_at(), now, latency_);
    } else {
      lane_.recorder.failed(wave_.sent_at(), now, failure);
    }
    if (wave_.under_way() == 0) lane_.finished();
  }

  Lane& lane_;
  const uint64_t count_;
  Histogram& latency_;
  Wave wave_;
};

}  // namespace

Result<> settle_herd(Options& options) {
  if (options.count == 0) options.count = 500;
  if (options.rate > 0 || options.connections != 0) {
    return Error{ErrorCode::kInvalid,
                 "herd: expected --count, how many come at once, without --rate and --connections"};
  }
  if (auto fits = check_descriptors("--count", options.count, usable_descriptors()); !fits)
    return fits;
  if (options.names.kind == NamePlan::Kind::kNone) {
    options.names.kind = NamePlan::Kind::kRandom;
    options.names.text = "%s.new.test";
  }
  if (options.names.kind == NamePlan::Kind::kRandom) {
    // One for all threads.
    auto names = Names::make(options.names);
    if (!names) return std::move(names).error();
    options.names = NamePlan{NamePlan::Kind::kOne, std::string(names->next())};
  }
  options.connections = static_cast<unsigned>(options.count);
  return enough_for_threads(options);
}

Result<Measurement> run_herd(const Options& options, const TlsClient& client) {
  Course course;
  course.timed = false;
  course.expected = options.count;
  course.make = HerdLoad::make;
  return run_course(options, client, course);
}

}  // namespace latchkey::bench

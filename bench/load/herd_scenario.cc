#include "bench/load/herd_scenario.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/load/descriptors.h"
#include "bench/load/failures.h"
#include "bench/load/run.h"

namespace latchkey::bench {
namespace {

// Servers' queues of connections that are not accepted yet are short.
constexpr size_t kConnectAtATime = 64;

class HerdLoad final : public Load {
 public:
  static Result<std::unique_ptr<Load>> make(Lane& lane) {
    auto names = names_of(lane);
    if (!names) return std::move(names).error();
    return std::unique_ptr<Load>(new HerdLoad(lane, std::string(names->at(0))));
  }

  void prepare() override {
    for (size_t i = 0; i < kConnectAtATime; ++i) connect_next();
  }
  bool ready() const override { return prepared_ == members_.size(); }
  void begin(Time now) override;
  void stop() override {}
  size_t under_way() const override { return members_.size() - ended_; }

 private:
  // One client. What becomes of it before the moment counts from the moment on.
  struct Member final : TlsConnection::Events {
    explicit Member(HerdLoad& herd) : herd_(herd), connection_(herd.lane_.tls, *this) {}

    void on_tcp_open(TlsConnection&) override {
      connection_.make_hello(herd_.name_);
      prepared();
    }
    void on_connected(TlsConnection&) override {
      herd_.ended(*this, {});
      connection_.finish();
    }
    void on_closed(TlsConnection&, std::string_view failure) override {
      if (judged_) return;
      if (herd_.began_ == Time{}) {
        failed_early_ = failure;
        return prepared();
      }
      herd_.ended(*this, failure);
    }

    void prepared() {
      if (!std::exchange(prepared_, true)) herd_.member_prepared();
    }

    HerdLoad& herd_;
    TlsConnection connection_;
    bool prepared_ = false, judged_ = false;
    std::string failed_early_{};
  };

  HerdLoad(Lane& lane, std::string name)
      : lane_(lane), name_(std::move(name)), latency_(lane.recorder.latency("handshake")) {
    const uint64_t count = share(lane.options.count, lane);
    members_.reserve(count);
    for (uint64_t i = 0; i < count; ++i) members_.push_back(std::make_unique<Member>(*this));
  }

  void connect_next() {
    if (next_ < members_.size()) members_[next_++]->connection_.open_tcp();
  }
  void member_prepared() {
    ++prepared_;
    connect_next();
  }
  void ended(Member& member, std::string_view failure);

  Lane& lane_;
  const std::string name_;
  Histogram& latency_;
  std::vector<std::unique_ptr<Member>> members_;
  size_t next_ = 0, prepared_ = 0, ended_ = 0;
  Time began_{};
};

void HerdLoad::begin(Time now) {
  began_ = now;
  for (const auto& member : members_) {
    lane_.recorder.started(now);
    if (member->connection_.tcp_open()) member->connection_.send_hello();
  }
  lane_.facts["sending_seconds"] = std::chrono::duration<double>(Engine::now() - now).count();
  for (const auto& member : members_) {
    if (!member->failed_early_.empty()) ended(*member, member->failed_early_);
  }
}

void HerdLoad::ended(Member& member, std::string_view failure) {
  member.judged_ = true;
  const Time now = Engine::now();
  if (failure.empty()) {
    lane_.recorder.done(began_, now, latency_);
  } else {
    lane_.recorder.failed(began_, now, failure);
  }
  if (++ended_ == members_.size()) lane_.finished();
}

}  // namespace

Result<> settle_herd(Options& options) {
  if (options.count == 0) options.count = 500;
  if (options.rate > 0 || options.connections != 0) {
    return Error{ErrorCode::kInvalid,
                 "herd: expected --count, how many come at once, without --rate and --connections"};
  }
  if (options.count > usable_descriptors()) {
    return Error{ErrorCode::kInvalid, "--count: expected at most " +
                                          std::to_string(usable_descriptors()) +
                                          " for the limit of open files here (ulimit -n), got " +
                                          std::to_string(options.count)};
  }
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

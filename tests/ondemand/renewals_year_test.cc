// Long stretches of simulated time, and very many names.
#include <algorithm>
#include <cstdio>
#include <set>
#include <unordered_map>

#include "ondemand/budget.h"
#include "ondemand/budget_keeper.h"
#include "ondemand/order_desk.h"
#include "ondemand/order_queue.h"
#include "tests/ondemand/renewals_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kFewer = 10;  // so many times: instrumented code is slow
#else
constexpr int kFewer = 1;
#endif

class RenewalsYearTest : public RenewalsTest {
 protected:
  // A year of one name; returns how much of its life each certificate had left when it was
  // replaced.
  std::vector<double> year(std::chrono::seconds life, bool with_advice) {
    first.life = life;
    if (with_advice) {
      // As a CA does: a window of a fiftieth of the life before the last third.
      first.advice = [life](const Certificate& certificate) -> Result<RenewalAdvice> {
        const WallTime middle = certificate.not_after() - life / 3;
        return window(middle - life / 100, middle + life / 100, 6h);
      };
    }
    set_life("a.listed.test", life);
    RenewalsOptions options;
    options.renewals.look_again = 1h;
    options.rules.policy = RenewalRules::Policy::kAlways;
    start(options);
    std::vector<double> left;
    CertificateInfo before = info("a.listed.test");
    for (int hour = 0; hour < 365 * 24; ++hour) {
      clock.advance(1h);
      const CertificateInfo& after = info("a.listed.test");
      EXPECT_GT(after.end, now()) << "never expired";
      if (after.id == before.id) continue;
      const WallTime replaced = first.orders.back().second;
      left.push_back(static_cast<double>((before.end - replaced).count()) /
                     static_cast<double>((before.end - before.not_before).count()));
      before = after;
    }
    EXPECT_EQ(left.size(), orders()) << "one order each";
    return left;
  }
};

TEST_F(RenewalsYearTest, NinetyDayCertificatesAreRenewedWithAThirdLeft) {
  const std::vector<double> left = year(Days(90), false);
  EXPECT_GE(left.size(), 5u);
  EXPECT_LE(left.size(), 6u);
  for (const double share : left) EXPECT_NEAR(share, 1.0 / 3, 0.025);
}

TEST_F(RenewalsYearTest, SixDayCertificatesAreRenewedWithHalfLeft) {
  const std::vector<double> left = year(160h, false);
  EXPECT_NEAR(static_cast<double>(left.size()), 365.0 * 24 / 80, 3);
  for (const double share : left) EXPECT_NEAR(share, 0.5, 0.03);
}

TEST_F(RenewalsYearTest, TheCasWindowsAreKept) {
  const std::vector<double> left = year(Days(45), true);
  EXPECT_GE(left.size(), 11u);
  EXPECT_LE(left.size(), 13u);
  for (const double share : left) EXPECT_NEAR(share, 1.0 / 3, 0.015);
  // A poll every six hours, and one when a certificate is new.
  EXPECT_LE(first.polls.size(), 365u * 4 + 2 * left.size());
}

// The fake store with an index, so that a hundred thousand names are no matter.
class IndexedStore final : public FakeStore {
 public:
  Task<DueCertificates> find_due(WallTime now, size_t limit) override {
    ++due_queries;
    DueCertificates found;
    for (const auto& [at, id] : index_) {
      if (at > now || found.due.size() == limit) {
        found.next = at;
        break;
      }
      found.due.push_back(infos.at(names_.at(id)));
    }
    co_return found;
  }
  Task<> put_plan(int64_t id, RenewalPlan plan) override {
    ++plan_puts;
    const auto name = names_.find(id);
    if (name == names_.end()) co_return Unit{};
    index_.erase({infos.at(name->second).plan.look_at, id});
    infos.at(name->second).plan = plan;
    insert(name->second);
    co_return Unit{};
  }
  Task<> put_certificate(ServerName name, CertificatePtr certificate,
                         CertificateOrigin origin) override {
    put(name, certificate, origin);
    co_return Unit{};
  }
  void put(const ServerName& name, const CertificatePtr& certificate,
           const CertificateOrigin& origin) {
    if (const auto before = infos.find(name); before != infos.end()) {
      index_.erase({before->second.plan.look_at, before->second.id});
      names_.erase(before->second.id);
    }
    set_certificate(name, certificate, origin);
    names_.emplace(infos.at(name).id, name);
    insert(name);
  }

 private:
  void insert(const ServerName& name) {
    const CertificateInfo& info = infos.at(name);
    if (info.plan.look_at != RenewalPlan::kNever) index_.emplace(info.plan.look_at, info.id);
  }
  std::set<std::pair<WallTime, int64_t>> index_;
  std::unordered_map<int64_t, ServerName> names_;
};

// Makes one certificate an hour for all that ask: making them is not what is tried here.
class HerdCa final : public CertificateSource {
 public:
  HerdCa(Clock& clock, std::chrono::seconds life) : clock_(clock), life_(life) {}
  const std::string& name() const override { return name_; }
  Task<OrderOutcome> order(OrderJob job) override {
    ++orders;
    if (job.predecessor == nullptr) ++without_predecessor;
    most_in_flight = std::max(most_in_flight, ++in_flight);
    struct Leave {
      int& in_flight;
      ~Leave() { --in_flight; }
    } const leave{in_flight};
    job.ordered();
    co_await sleep(clock_, 2s);
    OrderOutcome outcome;
    outcome.issuer = name_;
    outcome.account = "account";
    outcome.certificate = current();
    co_return outcome;
  }
  bool replaces(const OrderJob& job) const override { return job.predecessor != nullptr; }
  bool proves_wildcards() const override { return false; }
  Task<RenewalAdvice> renewal_advice(CertificatePtr) override {
    co_return Error{ErrorCode::kNotFound, "none"};
  }
  Task<> revoke(CertificatePtr, std::string) override { co_return Unit{}; }

  CertificatePtr current() {
    if (made_ == nullptr || clock_.wall_now() >= made_->not_before() + 1h) {
      const TestCa::Names names{"all.listed.test"};
      made_ = fake_ca().issue(names, clock_.wall_now(), clock_.wall_now() + life_);
    }
    return made_;
  }

  int orders = 0, without_predecessor = 0, in_flight = 0, most_in_flight = 0;

 private:
  const std::string name_ = "ca";
  Clock& clock_;
  const std::chrono::seconds life_;
  CertificatePtr made_;
};

struct Herd {
  explicit Herd(std::chrono::seconds life) : ca(clock, life) {
    store.clock = &clock;
    options.rules.policy = RenewalRules::Policy::kAlways;
  }

  // `left` of the life of all of them; due as the rules say, or all of them now.
  void fill(int names, std::chrono::seconds life, std::chrono::seconds left, bool all_now) {
    const WallTime end = clock.wall_now() + left;
    const TestCa::Names all{"all.listed.test"};
    const CertificatePtr old = fake_ca().issue(all, end - life, end);
    CertificateOrigin origin("ca");
    origin.account = "account";
    for (int i = 0; i < names; ++i) {
      RenewalPlan plan = first_plan(options.rules, end - life, end, end - life, random);
      plan.look_at = plan.poll_at = clock.wall_now();
      if (all_now) plan.renew_at = clock.wall_now();
      origin.plan = plan;
      store.put(*ServerName::parse(std::to_string(i) + ".listed.test"), old, origin);
    }
    old_end = end;
  }
  // Until nobody has the old certificates any more; false: some expired.
  bool run(const char* title) {
    RenewalsSideParts side(*this);
    side.renewals.start();
    const int names = static_cast<int>(store.infos.size());
    while (ca.orders < names && clock.wall_now() < old_end) {
      clock.advance(1min);
      most_looking = std::max(most_looking, side.renewals.looking());
      most_running = std::max(most_running, side.issuances.running());
    }
    clock.advance(1min);
    size_t old = 0;
    for (const auto& [name, info] : store.infos) {
      if (info.end <= old_end) ++old;
    }
    std::printf(
        "%s: %d names renewed in %.1f h, %.1f h before their end; at once at most %zu looked at, "
        "%d ordered; looks %llu, put off %llu\n",
        title, ca.orders, static_cast<double>(clock.now().time_since_epoch().count()) / 3.6e6,
        static_cast<double>((old_end - clock.wall_now()).count()) / 3600, most_looking,
        ca.most_in_flight, static_cast<unsigned long long>(side.renewals.counts().looked.value()),
        static_cast<unsigned long long>(side.renewals.counts().put_off.value()));
    EXPECT_EQ(ca.without_predecessor, 0);
    EXPECT_LE(most_looking, options.renewals.max_looking);
    EXPECT_LE(most_running, options.renewals.max_looking);
    return old == 0;
  }

  JumpingClock clock;
  IndexedStore store;
  HerdCa ca;
  RenewalsOptions options;
  WallTime old_end{};
  size_t most_looking = 0, most_running = 0;
  std::minstd_rand random{11};

 private:
  // As in the product: orders by the desk, under Let's Encrypt's limits.
  struct RenewalsSideParts {
    explicit RenewalsSideParts(Herd& herd_in) : herd(herd_in) {}

    Herd& herd;
    Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
    CertificateCache cache{{}};
    Policy policy{Policy::Options(), OnDemandSide::listed(), nullptr, herd.store, herd.clock, log};
    RecordedEvents events;
    Ledger ledger{herd.store, herd.clock, log};
    Budget budget{{{"ca", *IssuerLimits::named("letsencrypt")}}, std::nullopt};
    BudgetKeeper keeper{budget, herd.store, herd.clock, log};
    OrderQueue queue{{}, budget, herd.clock};
    OrderDesk desk{{&herd.ca}, budget, keeper, queue, herd.clock, log};
    Issuances issuances{{herd.store, cache, ledger,
                         [this](OrderJob job, Want& want, bool& began) {
                           return desk.order(std::move(job), want, 25s, began);
                         },
                         [](const ServerName&, Millis) {}, events, herd.clock, log},
                        herd.options.rules};
    Renewals renewals{
        herd.options.renewals,
        {herd.store, policy, ledger, issuances, cache, {&herd.ca}, events, herd.clock, log}};
  };
};

TEST(RenewalHerdTest, AHundredThousandNamesWithOneExpiryAreRenewedInTime) {
  Herd herd(160h);
  herd.fill(100'000 / kFewer, 160h, 100h, false);
  EXPECT_TRUE(herd.run("one expiry"));
}

TEST(RenewalHerdTest, AllThatAreDueAtOnceWithLittleLeftAreRenewedInTime) {
  Herd herd(160h);
  herd.fill(30'000 / kFewer, 160h, 20h, true);
  EXPECT_TRUE(herd.run("all at once, an eighth of the life left"));
}

}  // namespace
}  // namespace latchkey

// Five years of an authority on a simulated clock: is every leaf good until its own end?

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "acme/authority/authority.h"
#include "tests/acme/authority_fixture.h"
#include "tests/support/chain_check.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

constexpr seconds kYears = std::chrono::days(5 * 365);

struct Row {
  int leaf_minutes;
  int intermediate_hours;
  double ratio;
};

std::string name_of(const testing::TestParamInfo<Row>& info) {
  return "Leaf" + std::to_string(info.param.leaf_minutes) + "mOf" +
         std::to_string(info.param.intermediate_hours) + "hAt" +
         std::to_string(static_cast<int>(info.param.ratio * 100));
}

class AuthorityFiveYears : public AuthorityFixture, public testing::WithParamInterface<Row> {
 protected:
  static Lifetimes lifetimes() {
    Lifetimes lives;
    lives.root = std::chrono::days(730);
    lives.intermediate = std::chrono::hours(GetParam().intermediate_hours);
    lives.leaf = std::chrono::minutes(GetParam().leaf_minutes);
    lives.renewal_window_ratio = GetParam().ratio;
    return lives;
  }

  // When the next CA certificate is replaced.
  WallTime next_rotation(const Authority& authority) const {
    WallTime next = WallTime::max();
    for (const Authority::SignerStatus& signer : authority.signers()) {
      if (signer.active) next = std::min(next, signer.replace_at);
    }
    return next;
  }

  // Leaves of every day, and of the last second before and the first of each rotation. How many of
  // the chains that were offered break before the leaf's end.
  int broken_chains(bool guard) {
    const auto authority = start(lifetimes(), guard);
    const WallTime end = clock.wall_now() + kYears;
    WallTime next_day = clock.wall_now();
    int broken = 0;
    while (clock.wall_now() < end) {
      const IssuedCertificate leaf = sign(*authority, "a.test");
      const std::string roots = authority->roots_pem();
      for (const Chain& chain : authority->chains(leaf)) {
        ++chains;
        const std::string error = test::chain_error(chain, roots, leaf.not_after - 1s);
        broken += error.empty() ? 0 : 1;
        if (guard) {
          EXPECT_EQ(error, "") << "chain of " << chain.size() << " at " << leaf_number(leaf);
        }
      }
      EXPECT_EQ(leaf.not_after - clock.wall_now(), authority->options().lifetimes.leaf);
      next_day += clock.wall_now() >= next_day ? seconds(24h) : 0s;
      const WallTime rotation = next_rotation(*authority);
      const WallTime before = rotation - 1s;
      WallTime next = std::min(next_day, rotation);
      if (clock.wall_now() < before) next = std::min(next, before);
      clock.advance(std::max(next - clock.wall_now(), seconds(1)));
    }
    EXPECT_GT(store.keys.size(), 0U);
    return broken;
  }

  std::string leaf_number(const IssuedCertificate& leaf) const {
    return std::to_string((leaf.not_before - start_of_time).count() / 3600) + " h";
  }

  const WallTime start_of_time = clock.wall_now();
  int chains = 0;
};

TEST_P(AuthorityFiveYears, AnAcceptedConfigurationHoldsAndARefusedOneWouldBreak) {
  const Lifetimes lives = lifetimes();
  if (check_lifetimes(lives)) {
    EXPECT_EQ(broken_chains(true), 0);
    // The inequality alone is enough: the guard is the second line.
    EXPECT_EQ(broken_chains(false), 0);
    EXPECT_GT(chains, 2 * 1825);
  } else if (lives.leaf > lives.intermediate_window()) {
    EXPECT_GT(broken_chains(false), 0) << "was refused for nothing";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Grid, AuthorityFiveYears,
    testing::Values(Row{12 * 60, 168, 0.2}, Row{2010, 168, 0.2}, Row{2016, 168, 0.2},
                    Row{2022, 168, 0.2}, Row{72 * 60, 168, 0.2}, Row{72 * 60, 168, 0.43},
                    Row{72 * 60, 361, 0.2}, Row{2010, 168, 0.1}, Row{12 * 60, 72, 0.2},
                    Row{14 * 60, 72, 0.2}, Row{15 * 60, 72, 0.2}, Row{2010, 72, 0.43},
                    Row{2010, 72, 0.5}, Row{60, 24, 0.2}, Row{5 * 60, 24, 0.2}, Row{2010, 361, 0.1},
                    Row{2160, 361, 0.1}, Row{2190, 361, 0.1}, Row{90 * 1440, 8760, 0.2},
                    Row{60 * 1440, 2000, 0.8}),
    name_of);

}  // namespace
}  // namespace latchkey::acme

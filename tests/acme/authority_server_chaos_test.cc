// Many clients, a store that fails and waits, requests that go away, restarts: whatever happens,
// nobody has a certificate for a name that he has not proven, and what is on disk fits together.

#include <map>
#include <random>
#include <set>

#include "acme/authority/server_order.h"
#include "tests/acme/authority_server_fixture.h"

namespace latchkey::acme {
namespace {

class AcmeServerChaosTest : public AcmeServerFixture {
 protected:
  struct Open {
    size_t user = 0;
    std::string name;
    HttpReply made;
    bool proven = false;
  };

  uint32_t roll(uint32_t below) { return static_cast<uint32_t>(dice_() % below); }

  // Sends it, and perhaps lets go of it, or restarts, before it is done. nullopt: no answer.
  std::optional<HttpReply> chance(const User& user, const std::string& at,
                                  const std::string& payload) {
    const std::string fresh = nonce();
    store.hold_writes = roll(3) == 0;
    store.hold_reads = roll(6) == 0;
    store.full.reset();
    if (roll(10) == 0) store.full = Error{ErrorCode::kIo, "the disk is full"};
    std::optional<HttpReply> reply;
    {
      Task<HttpReply> task =
          server->handle(jose(at, user.key.sign(at, fresh, user.kid, payload)), kClient);
      task.start();
      for (int i = 0; i < 4 && !task.done(); ++i) {
        if (roll(4) == 0) break;  // it goes away
        store.release(1);
        clock.advance(Millis(roll(300)));
      }
      if (task.done() && task.outcome()) reply = *task.outcome();
    }
    store.full.reset();
    store.hold_writes = store.hold_reads = false;
    if (roll(12) == 0) {
      server.reset();  // as in a crash: what was accepted may be written still
      store.release();
      restart();
    }
    store.release();
    clock.advance(Millis(10));
    return reply;
  }

  void check_disk() {
    std::set<std::string> serials;
    for (const auto& [id, row] : store.orders) {
      const Result<ServerOrder> order = ServerOrder::from_row(row);
      ASSERT_TRUE(order) << row.document;
      const bool valid = order->status == OrderStatus::kValid;
      EXPECT_EQ(valid, !order->serial.empty()) << row.document;
      if (!valid) continue;
      EXPECT_TRUE(serials.insert(order->serial).second) << "two orders, one certificate";
      const auto issued = store.issued.find({"local", order->serial});
      ASSERT_NE(store.issued.end(), issued);
      EXPECT_EQ(order->account, issued->second.holder);
      for (const ServerAuthorization& one : order->authorizations) {
        EXPECT_TRUE(proven_.contains({row.account, one.name.text()})) << row.document;
      }
    }
    EXPECT_EQ(serials.size(), store.issued.size());
  }

  std::mt19937 dice_;                                     // NOLINT: the same each time
  std::set<std::pair<std::string, std::string>> proven_;  // account, name: what could be seen
};

TEST_F(AcmeServerChaosTest, NobodyHasACertificateForWhatHeHasNotProven) {
  probes.delay = Millis(5);
  std::vector<User> users;
  users.reserve(4);
  for (int i = 0; i < 4; ++i) users.push_back(sign_up());
  std::vector<Open> open;
  for (int step = 0; step < 6'000; ++step) {
    const size_t who = roll(4);
    if (open.size() < 6) {
      const std::string name = "n" + std::to_string(roll(1'000)) + ".test";
      const auto made = chance(users[who], url("/new-order"), order_for({name}));
      if (made && made->status == 201) open.push_back({who, name, *made});
      continue;
    }
    const size_t place = roll(static_cast<uint32_t>(open.size()));
    Open& one = open[place];
    const User& user = users[roll(20) == 0 ? who : one.user];  // now and then somebody else
    const std::string authorization = text(one.made, "authorizations.0");
    const uint32_t what = roll(12);
    if (what < 3) {
      const auto read = chance(users[one.user], authorization, "");
      if (!read || read->status != 200) continue;
      const std::string token = text(*read, "challenges.0.token");
      const std::string account = users[one.user].kid.substr(users[one.user].kid.rfind('/') + 1);
      if (roll(5) != 0) {
        one.proven = true;
        proven_.insert({account, one.name});
        probes.pages["http://" + one.name + "/.well-known/acme-challenge/" + token] =
            token + "." + users[one.user].key.thumbprint();
      }
      chance(user, text(*read, "challenges.0.url"), "{}");
    } else if (what < 8) {
      const auto reply = chance(user, text(one.made, "finalize"), finalization(csr(one.name)));
      const bool done = reply && reply->status == 200;
      EXPECT_TRUE(!done || &user == &users[one.user]);
    } else if (what == 8 && roll(4) == 0) {
      chance(user, authorization, R"({"status":"deactivated"})");
    } else {
      const auto reply = chance(user, std::string(one.made.header("location")), "");
      if (!reply || reply->status != 200) continue;
      const std::string status = text(*reply, "status");
      if (status == "valid") {
        EXPECT_TRUE(one.proven);
        chance(user, text(*reply, "certificate"), "");
      }
      if (status == "valid" || status == "invalid") {
        open.erase(open.begin() + static_cast<long>(place));
      }
    }
    if (step % 500 == 0) check_disk();
  }
  check_disk();
  EXPECT_GT(store.issued.size(), 50u);
}

}  // namespace
}  // namespace latchkey::acme

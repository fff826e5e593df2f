// What the store's listener hears of puts.
#include <functional>
#include <set>

#include "cache/sqlite.h"
#include "tests/cache/store_fixture.h"

namespace latchkey {
namespace {

using testing::ElementsAre;

class SqliteStoredTest : public StoreFixture {
 protected:
  void listen() {
    store->on_stored([this](const ServerName& stored, Slot slot,
                            const CertificatePtr& certificate) {
      heard.push_back(stored.text() + (slot == Slot::kRsa ? " rsa " : " ") + certificate->serial());
    });
  }
  static std::string word(std::string_view text, const CertificatePtr& certificate) {
    return std::string(text) + " " + certificate->serial();
  }
  void turn_until(const std::function<bool()>& done) { loop.run_until(done); }

  std::vector<std::string> heard;
};

TEST_F(SqliteStoredTest, TheListenerHearsOfAPutBeforeItsTaskGoesOn) {
  open();
  listen();
  const auto made = ca().issue({"a.test", "b.test"});
  Task<> task = store->put_certificate(name("a.test"), made, "ca");
  task.start();
  turn_until([&] {
    EXPECT_TRUE(!task.done() || heard.size() == 1);
    return task.done();
  });
  EXPECT_TRUE(task.outcome().has_value());
  EXPECT_THAT(heard, ElementsAre(word("a.test", made)));
  EXPECT_EQ(found_serial("a.test"), made->serial()) << "it is on disk";
}

TEST_F(SqliteStoredTest, TheListenerHearsOfAPutWhoseTaskWasDropped) {
  open();
  listen();
  const auto made = ca().issue({"a.test"});
  {
    Task<> dropped = store->put_certificate(name("a.test"), made, "ca");
    dropped.start();
  }
  turn_until([&] { return !heard.empty(); });
  EXPECT_THAT(heard, ElementsAre(word("a.test", made)));
}

TEST_F(SqliteStoredTest, NothingIsHeardOfAPutThatFailed) {
  open();
  listen();
  {
    auto connection = sqlite::Connection::open(database);
    ASSERT_TRUE((*connection)
                    ->execute("CREATE TRIGGER t BEFORE INSERT ON certificate "
                              "BEGIN SELECT raise(ABORT, 'no'); END")
                    .has_value());
  }
  EXPECT_FALSE(run(store->put_certificate(name("a.test"), ca().issue({"a.test"}), "ca")));
  EXPECT_TRUE(run(store->self_test()).has_value());
  EXPECT_THAT(heard, ElementsAre());
}

TEST_F(SqliteStoredTest, TheListenerMayReplaceItselfOrEndTheStore) {
  open();
  int once = 0;
  store->on_stored([&](const ServerName&, Slot, const CertificatePtr&) {
    ++once;
    listen();
  });
  put("a.test", ca().issue({"a.test"}));
  const auto second = ca().issue({"b.test"});
  put("b.test", second);
  EXPECT_EQ(once, 1);
  EXPECT_THAT(heard, ElementsAre(word("b.test", second)));
  store->on_stored(nullptr);
  put("c.test", ca().issue({"c.test"}));
  EXPECT_EQ(heard.size(), 1u);

  store->on_stored([&](const ServerName&, Slot, const CertificatePtr&) { store.reset(); });
  {
    Task<> dropped = store->put_certificate(name("d.test"), ca().issue({"d.test"}), "ca");
    dropped.start();
  }
  turn_until([&] { return store == nullptr; });
}

TEST_F(SqliteStoredTest, AStoreThatIsGoneSaysNothing) {
  open();
  listen();
  const auto made = ca().issue({"a.test"});
  {
    Task<> dropped = store->put_certificate(name("a.test"), made, "ca");
    dropped.start();
  }
  store.reset();  // the put is done, its letter lies in the mailbox
  open();
  EXPECT_EQ(found_serial("a.test"), made->serial());
  EXPECT_THAT(heard, ElementsAre());
}

// REQUIRES: `in` and `marked` outlive the task.
Task<> look_and_mark(Store& in, ServerName name, std::set<ServerName>& marked) {
  const NameRecord found = co_await in.find_name(name);
  if (found.certificate == nullptr) marked.insert(name);
  co_return Unit{};
}

// Whoever marks a name as "nothing is stored", and takes the mark off when the listener is called,
// must not end with a marked name that has a certificate: however a look-up and a put cross.
TEST_F(SqliteStoredTest, ALookUpThatAPutOvertookDoesNotSayThatThereIsNone) {
  open();
  std::set<ServerName> marked;
  store->on_stored(
      [&](const ServerName& stored, Slot, const CertificatePtr&) { marked.erase(stored); });
  const auto certificate = ca().issue({"any.test"});
  for (int i = 0; i < 100; ++i) {
    const ServerName one = name("n" + std::to_string(i) + ".test");
    Task<> putting = store->put_certificate(one, certificate, "ca");
    putting.start();
    // Looks all along the put.
    while (!putting.done()) {
      Task<> looking = look_and_mark(*store, one, marked);
      looking.start();
      turn_until([&] { return looking.done(); });
    }
    EXPECT_FALSE(marked.contains(one));
  }
}

}  // namespace
}  // namespace latchkey

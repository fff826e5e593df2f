#include <gmock/gmock.h>

#include <optional>

#include "base/resolver.h"
#include "tests/support/eventually.h"
#include "tests/support/name_server.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

using namespace std::chrono_literals;
using Type = Resolver::RecordType;
using Texts = std::vector<std::string>;

class ResolverRecordsTest : public testing::Test {
 protected:
  ResolverRecordsTest() { use(5s); }

  static test::NameServer::Options zones() {
    std::string records =
        "_acme-challenge CNAME There.A.test.\n"
        "there TXT one\n"
        "there TXT ( two \" words\" )\n"
        "dead CNAME nowhere.a.test.\n"
        "sub NS ns.sub\n";
    for (int i = 0; i < 100; ++i) records += "many TXT \"number " + std::to_string(i) + "\"\n";
    test::NameServer::Options options;
    options.zones = {{"a.test", records}};
    options.names_are_loopback = false;
    return options;
  }
  void use(Millis limit) {
    Resolver::Options options;
    options.servers = server.address();
    options.limit = limit;
    resolver.emplace(loop.uv(), options);
  }
  Result<Texts> ask(const std::string& name, Type type) {
    return loop.finish(resolver->records(name, type));
  }
  Texts found(const std::string& name, Type type) {
    const auto result = ask(name, type);
    return result ? *result : Texts{result.error().message};
  }

  test::TempFolder folder;
  test::NameServer server{folder / "named", zones()};
  test::TestLoop loop;
  std::optional<Resolver> resolver;
};

TEST_F(ResolverRecordsTest, FindsWhatIsAtExactlyThatName) {
  EXPECT_THAT(found("there.a.test", Type::kTxt), UnorderedElementsAre("one", "two words"));
  EXPECT_THAT(found("THERE.a.test.", Type::kTxt), UnorderedElementsAre("one", "two words"));
  EXPECT_THAT(found("_acme-challenge.a.test", Type::kCname), ElementsAre("there.a.test"));
  EXPECT_THAT(found("dead.a.test", Type::kCname), ElementsAre("nowhere.a.test"));
  EXPECT_THAT(found("a.test", Type::kNs), ElementsAre("ns.a.test"));
  EXPECT_THAT(found("a.test", Type::kSoa), ElementsAre("ns.a.test"));
}

// The server's answer has the records behind the CNAME, too.
TEST_F(ResolverRecordsTest, NoCnameIsFollowed) {
  EXPECT_THAT(found("_acme-challenge.a.test", Type::kTxt), IsEmpty());
  EXPECT_THAT(found("dead.a.test", Type::kTxt), IsEmpty());
}

TEST_F(ResolverRecordsTest, NoneIsNoError) {
  EXPECT_THAT(found("there.a.test", Type::kCname), IsEmpty());
  EXPECT_THAT(found("missing.a.test", Type::kTxt), IsEmpty());
  EXPECT_THAT(found("there.a.test", Type::kSoa), IsEmpty());
}

TEST_F(ResolverRecordsTest, TheNumberIsBounded) {
  EXPECT_EQ(found("many.a.test", Type::kTxt).size(), 64u);
}

TEST_F(ResolverRecordsTest, SaysWhyItDoesNotKnow) {
  const auto refused = ask("b.test", Type::kTxt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
  EXPECT_THAT(refused.error().message, HasSubstr("b.test"));
  const auto bad = ask("a..test", Type::kTxt);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalid);
  EXPECT_FALSE(ask(std::string("a\0b", 3), Type::kTxt));
}

TEST_F(ResolverRecordsTest, SilenceMeetsTheLimit) {
  use(100ms);
  server.freeze();
  const auto result = ask("there.a.test", Type::kTxt);
  server.thaw();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kTimeout);
}

TEST_F(ResolverRecordsTest, ADroppedTaskIsSilent) {
  for (int turns = 0; turns < 4; ++turns) {
    auto task = resolver->records("there.a.test", Type::kTxt);
    auto other = resolver->addresses("ns.a.test");
    task.start();
    other.start();
    for (int i = 0; i < turns && !task.done() && !other.done(); ++i) loop.turn();
  }
  EXPECT_EQ(found("there.a.test", Type::kTxt).size(), 2u);
}

TEST_F(ResolverRecordsTest, AddressesAsATask) {
  EXPECT_THAT(*loop.finish(resolver->addresses("ns.a.test")), ElementsAre("127.0.0.1"));
  EXPECT_THAT(*loop.finish(resolver->addresses("127.0.0.9")), ElementsAre("127.0.0.9"));
  const auto missing = loop.finish(resolver->addresses("missing.a.test"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
}

TEST_F(ResolverRecordsTest, AnotherOneAsksOtherServers) {
  Resolver::Options nowhere;
  nowhere.servers = "127.0.0.1:1";
  Resolver first(loop.uv(), nowhere);
  EXPECT_FALSE(loop.finish(first.records("a.test", Type::kNs)));
  const auto second = first.of(server.address());
  EXPECT_THAT(*loop.finish(second->records("a.test", Type::kNs)), ElementsAre("ns.a.test"));
  // The first server does not answer, the next one does.
  const auto both = first.of("127.0.0.1:1," + server.address());
  EXPECT_THAT(*loop.finish(both->records("a.test", Type::kNs)), ElementsAre("ns.a.test"));
}

}  // namespace
}  // namespace latchkey

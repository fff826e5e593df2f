#include "base/resolver.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "base/check.h"
#include "tests/support/eventually.h"
#include "tests/support/fd.h"
#include "tests/support/test_loop.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;
using Addresses = std::vector<std::string>;

// A DNS server on 127.0.0.1, by UDP. What it knows: two.test has an A and an AAAA record, four.test
// an A only, many.test 28 and 16, servfail.test fails, silent.test gets no answer, garbage.test
// noise; nothing else exists.
class DnsServer {
 public:
  DnsServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    CHECK(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    CHECK(pipe(stop_) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~DnsServer() {
    close(stop_[1]);
    thread_.join();
    close(stop_[0]);
  }

  std::string servers() const { return "127.0.0.1:" + std::to_string(port_); }
  size_t questions() const { return questions_; }

 private:
  void serve() {
    for (;;) {
      pollfd waits[] = {{socket_.get(), POLLIN, 0}, {stop_[0], POLLIN, 0}};
      poll(waits, 2, -1);
      if (waits[1].revents != 0) return;
      char bytes[1500];
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const ssize_t n = recvfrom(socket_.get(), bytes, sizeof bytes, 0,
                                 reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 17) continue;
      ++questions_;
      const std::string reply = answer(std::string(bytes, static_cast<size_t>(n)));
      if (reply.empty()) continue;
      sendto(socket_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from),
             size);
    }
  }

  static std::string answer(const std::string& query) {
    std::string name;
    size_t at = 12;
    while (at < query.size() && query[at] != 0) {
      const auto length = static_cast<size_t>(query[at]);
      name += (name.empty() ? "" : ".") + query.substr(at + 1, length);
      at += 1 + length;
    }
    const bool wants_v6 = query.at(at + 2) == 28;
    std::vector<std::string> records;
    char rcode = 0;
    if (name == "silent.test") return "";
    if (name == "garbage.test") return query.substr(0, 2) + "noise";
    if (name == "two.test") {
      records.push_back(wants_v6 ? std::string(15, '\0') + '\x01' : "\x7f\x01\x02\x03");
    } else if (name == "four.test" || name == "many.test") {
      const bool many = name == "many.test";
      for (int i = 0; i < (wants_v6 ? (many ? 16 : 0) : (many ? 28 : 1)); ++i) {
        records.push_back((wants_v6 ? std::string(15, '\0') : std::string("\x7f\x01\x01")) +
                          static_cast<char>(i + 1));
      }
    } else {
      rcode = name == "servfail.test" ? 2 : 3;
    }
    std::string reply = query.substr(0, 2) + std::string("\x81", 1) +
                        static_cast<char>(0x80 | rcode) + std::string("\0\1\0", 3) +
                        static_cast<char>(records.size()) + std::string(4, '\0') +
                        query.substr(12, at + 5 - 12);
    for (const std::string& record : records) {
      reply += std::string("\xc0\x0c\0", 3) + (wants_v6 ? '\x1c' : '\x01') +
               std::string("\0\1\0\0\0\x3c\0", 7) + static_cast<char>(record.size()) + record;
    }
    return reply;
  }

  test::Fd socket_;
  uint16_t port_ = 0;
  int stop_[2] = {-1, -1};
  std::atomic<size_t> questions_ = 0;
  std::thread thread_;
};

class ResolverTest : public testing::Test {
 protected:
  Result<Addresses> resolve(const std::string& host) {
    std::optional<Result<Addresses>> answer;
    const auto lookup = resolver->lookup(host, [&](auto result) { answer = std::move(result); });
    EXPECT_FALSE(answer) << "done ran from within lookup()";
    if (!loop.run_until([&] { return answer.has_value(); })) return Error{ErrorCode::kTimeout, ""};
    return *std::move(answer);
  }
  Addresses sorted(const std::string& host) {
    auto result = resolve(host);
    if (!result) return {result.error().message};
    std::sort(result->begin(), result->end());
    return *result;
  }
  ErrorCode failure(const std::string& host) {
    const auto result = resolve(host);
    EXPECT_FALSE(result) << host;
    if (result) return ErrorCode::kDenied;
    EXPECT_NE(result.error().message.find(host), std::string::npos) << result.error().message;
    return result.error().code;
  }
  void use(Millis limit) {
    Resolver::Options options;
    options.servers = server.servers();
    options.limit = limit;
    resolver.emplace(loop.uv(), options);
  }

  DnsServer server;
  test::TestLoop loop;
  std::optional<Resolver> resolver;
  ResolverTest() { use(5s); }
};

TEST_F(ResolverTest, NumericAddressesAreThemselves) {
  EXPECT_EQ(sorted("127.0.0.1"), Addresses{"127.0.0.1"});
  EXPECT_EQ(sorted("::1"), Addresses{"::1"});
  EXPECT_EQ(sorted("2001:DB8::1"), Addresses{"2001:db8::1"});
  EXPECT_EQ(server.questions(), 0u);
}

TEST_F(ResolverTest, KnowsLocalhost) {
  const Addresses found = sorted("localhost");
  EXPECT_NE(std::find(found.begin(), found.end(), "127.0.0.1"), found.end());
  EXPECT_EQ(server.questions(), 0u);
  Resolver of_the_system(loop.uv());
  bool done = false;
  const auto lookup = of_the_system.lookup("localhost", [&](auto r) { done = r.has_value(); });
  EXPECT_TRUE(loop.run_until([&] { return done; }));
}

TEST_F(ResolverTest, AsksForBothFamilies) {
  EXPECT_EQ(sorted("two.test"), (Addresses{"127.1.2.3", "::1"}));
  EXPECT_EQ(sorted("four.test"), Addresses{"127.1.1.1"});
}

TEST_F(ResolverTest, TheNumberOfAddressesIsBounded) {
  EXPECT_EQ(sorted("many.test").size(), 32u);
}

TEST_F(ResolverTest, SaysWhyThereIsNone) {
  EXPECT_EQ(failure("missing.test"), ErrorCode::kNotFound);
  EXPECT_EQ(failure("servfail.test"), ErrorCode::kIo);
  EXPECT_EQ(failure("a..test"), ErrorCode::kInvalid);
  EXPECT_EQ(failure(std::string("two.test\0x", 10)), ErrorCode::kInvalid);
  EXPECT_FALSE(resolve(""));
  EXPECT_FALSE(resolve(std::string(300, 'a')));
}

TEST_F(ResolverTest, SilenceAndNoiseMeetTheLimit) {
  use(150ms);
  for (const char* host : {"silent.test", "garbage.test"}) {
    const test::Stopwatch watch;
    const auto result = resolve(host);
    ASSERT_FALSE(result) << host;
    EXPECT_LT(watch.elapsed(), 2s);
  }
  EXPECT_EQ(failure("silent.test"), ErrorCode::kTimeout);
}

TEST_F(ResolverTest, WrongServersAreAnErrorOfEachLookup) {
  Resolver::Options options;
  options.servers = "not an address";
  resolver.emplace(loop.uv(), options);
  EXPECT_EQ(failure("two.test"), ErrorCode::kIo);
}

TEST_F(ResolverTest, ADroppedLookupIsSilent) {
  bool told = false;
  for (const char* host : {"127.0.0.1", "two.test", "silent.test"}) {
    auto lookup = resolver->lookup(host, [&](auto) { told = true; });
    lookup.reset();
    auto later = resolver->lookup(host, [&](auto) { told = true; });
    for (int i = 0; i < 3 && !told; ++i) uv_run(&loop.uv(), UV_RUN_NOWAIT);
    told = false;
    later.reset();
  }
  EXPECT_EQ(sorted("two.test").size(), 2u);  // by now the answers to the dropped ones are in
  EXPECT_FALSE(told);
}

TEST_F(ResolverTest, DoneMayDestroyItsLookupOthersAndTheResolver) {
  std::vector<std::unique_ptr<Resolver::Lookup>> lookups;
  size_t told = 0;
  for (int i = 0; i < 10; ++i) {
    lookups.push_back(resolver->lookup(i % 2 == 0 ? "two.test" : "127.0.0.1", [&](auto) {
      ++told;
      lookups.clear();
      resolver.reset();
    }));
  }
  loop.run_until([&] { return told > 0; });
  for (int i = 0; i < 10; ++i) loop.turn();
  EXPECT_EQ(told, 1u);
}

TEST_F(ResolverTest, DoneMayLookUpAgain) {
  std::unique_ptr<Resolver::Lookup> first, second;
  Addresses found;
  first = resolver->lookup("four.test", [&](auto) {
    second = resolver->lookup("two.test", [&](auto result) {
      if (result) found = *result;
    });
  });
  loop.run_until([&] { return !found.empty(); });
  EXPECT_EQ(found.size(), 2u);
}

TEST_F(ResolverTest, MayGoWhileLookupsArePending) {
  bool told = false;
  auto silent = resolver->lookup("silent.test", [&](auto) { told = true; });
  auto dropped = resolver->lookup("silent.test", [&](auto) { told = true; });
  loop.run_until([&] { return server.questions() > 0; });
  dropped.reset();
  resolver.reset();
  for (int i = 0; i < 10; ++i) loop.turn();
  EXPECT_FALSE(told);
}

TEST_F(ResolverTest, ManyAtOnce) {
  std::vector<std::unique_ptr<Resolver::Lookup>> lookups;
  size_t good = 0;
  for (int i = 0; i < 80; ++i) {
    lookups.push_back(resolver->lookup(i % 2 == 0 ? "two.test" : "four.test",
                                       [&](auto result) { good += result.has_value() ? 1 : 0; }));
  }
  loop.run_until([&] { return good == lookups.size(); });
}

}  // namespace
}  // namespace latchkey

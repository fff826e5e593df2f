#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/inherited_sockets.h"
#include "edge/listener.h"
#include "tests/support/byte_stream.h"

namespace latchkey::edge {
namespace {

// A successor knows its sockets by what the kernel says of them.
TEST(ListenAddressTest, EverySpellingIsTheOneThatItsSocketHas) {
  for (const char* text :
       {"127.0.0.1:0", "[::1]:0", "[0:0::1]:0", "[::0]:0", "[0:0:0:0:0:0:0:0]:0"}) {
    auto address = ListenAddress::parse(text);
    ASSERT_TRUE(address) << text;
    const auto fd = open_listener(*address);
    ASSERT_TRUE(fd) << fd.error().message;
    EXPECT_EQ(bound_address(*fd), address->text()) << text;
    ::close(*fd);
  }
}

// Who takes over opens some more of them before it is certain that it will.
TEST(ListenAddressTest, ASocketThatIsOnlyBoundGetsNoConnections) {
  auto address = ListenAddress::parse("127.0.0.1:0");
  ASSERT_TRUE(address);
  const auto first = open_listener(*address);
  ASSERT_TRUE(first);
  const auto second = bind_listener(*address);
  ASSERT_TRUE(second) << second.error().message;
  const auto connect_some = [&] {
    size_t got = 0;
    for (int i = 0; i < 64; ++i) {
      EXPECT_TRUE(test::connect_to(static_cast<uint16_t>(address->port), Millis(5000)));
      const int fd = ::accept(*first, nullptr, nullptr);
      if (fd < 0) continue;
      ++got;
      ::close(fd);
    }
    return got;
  };
  EXPECT_EQ(connect_some(), 64u);
  ASSERT_TRUE(start_listening(*second));
  EXPECT_TRUE(start_listening(*second));  // it stays as it is
  EXPECT_LT(connect_some(), 64u);
  ::close(*first);
  ::close(*second);
}

}  // namespace
}  // namespace latchkey::edge

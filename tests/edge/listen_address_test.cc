#include <gtest/gtest.h>
#include <unistd.h>

#include "edge/inherited_sockets.h"
#include "edge/listener.h"

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

}  // namespace
}  // namespace latchkey::edge

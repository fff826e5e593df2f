#include "base/address_ranges.h"

#include <gtest/gtest.h>

namespace latchkey {
namespace {

AddressRanges of(std::initializer_list<const char*> texts) {
  AddressRanges ranges;
  for (const char* text : texts) {
    const Result<> added = ranges.add(text);
    EXPECT_TRUE(added) << added.error().message;
  }
  return ranges;
}

TEST(AddressRangesTest, HoldWhatLiesInThem) {
  const AddressRanges ranges = of({"10.0.0.0/8", "192.0.2.7", "2001:db8::/33", "127.0.0.0/9"});
  for (const char* in : {"10.0.0.0", "10.255.255.255", "192.0.2.7", "2001:db8::1",
                         "2001:db8:7fff:ffff::", "::ffff:10.1.2.3", "127.127.255.255"}) {
    EXPECT_TRUE(ranges.contains(in)) << in;
  }
  for (const char* out : {"11.0.0.0", "9.255.255.255", "192.0.2.6", "192.0.2.8", "2001:db8:8000::",
                          "127.128.0.0", "::10.0.0.1", "::1", "", "a.test", "10.0.0.1:80"}) {
    EXPECT_FALSE(ranges.contains(out)) << out;
  }
}

TEST(AddressRangesTest, EverythingIsARangeToo) {
  EXPECT_TRUE(of({"0.0.0.0/0"}).contains("8.8.8.8"));
  EXPECT_FALSE(of({"0.0.0.0/0"}).contains("2001:db8::1"));
  EXPECT_TRUE(of({"::/0"}).contains("2001:db8::1"));
  EXPECT_FALSE(AddressRanges().contains("8.8.8.8"));
}

TEST(AddressRangesTest, WhatIsNoneIsRefusedWithItsReason) {
  AddressRanges ranges;
  for (const char* bad :
       {"", "/8", "10/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "::/129",
        "a.test", "10.0.0.0 /8", "10.0.0.1/8", "2001:db8::1/32"}) {
    const Result<> added = ranges.add(bad);
    ASSERT_FALSE(added) << bad;
    EXPECT_NE(added.error().message.find('"' + std::string(bad) + '"'), std::string::npos);
  }
  EXPECT_FALSE(ranges.add(std::string_view("10.0.0.1\0", 9)));
  EXPECT_TRUE(ranges.empty());
}

}  // namespace
}  // namespace latchkey

// Every form of request that two parsers could read differently, through the whole edge: each gets
// its answer, and what reaches the upstream has one meaning.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "tests/edge/forwarded_table.h"
#include "tests/edge/smuggling_table.h"
#include "tests/support/eventually.h"
#include "tests/support/site.h"
#include "tests/support/strict_upstream.h"

namespace latchkey::test {
namespace {

using ::testing::IsEmpty;

class SmugglingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    site_.edge.settings.upstream = upstream_.url();
    site_.edge.settings.log_level = "info";
    ASSERT_TRUE(site_.edge.start());
    ASSERT_EQ(site_.visit("a.test").answer.status, 200);
    upstream_.take_requests();
  }
  static std::string told(const std::vector<StrictRequest>& requests) {
    std::string out;
    for (const auto& request : requests) {
      if (!out.empty()) out += " | ";
      out += request.told();
    }
    return out;
  }

  StrictUpstream upstream_;
  Site site_;
};

TEST_F(SmugglingTest, WhatMeansTwoThingsIsAnsweredAndNeverForwarded) {
  for (const auto& bad : edge::kBadRequests) {
    TlsClient client = site_.connect("a.test");
    ASSERT_TRUE(client.handshake().done) << client.handshake().error;
    client.write(std::string(bad.bytes) + "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n");
    HttpConversation http(client);
    const auto answer = http.read_answer();
    EXPECT_EQ(answer.status, bad.status) << bad.name;
    EXPECT_TRUE(http.ended()) << bad.name;
    EXPECT_EQ(told(upstream_.take_requests()), "") << bad.name;
  }
  // What might have been late.
  ASSERT_EQ(site_.visit("a.test", "/last").answer.status, 200);
  EXPECT_EQ(told(upstream_.take_requests()), "GET /last a.test none");
  EXPECT_THAT(upstream_.take_errors(), IsEmpty());
}

TEST_F(SmugglingTest, WhatIsForwardedHasOneMeaning) {
  for (const auto& odd : edge::kOddRequests) {
    SCOPED_TRACE(odd.name);
    size_t expected = 1;
    for (size_t at = 0; (at = odd.told.find(" | ", at)) != std::string_view::npos; ++at) ++expected;
    TlsClient client = site_.connect("a.test");
    ASSERT_TRUE(client.handshake().done) << client.handshake().error;
    client.write(odd.bytes);
    HttpConversation http(client);
    for (size_t i = 0; i < expected; ++i) EXPECT_EQ(http.read_answer().status, 200);
    const auto requests = upstream_.take_requests();
    EXPECT_EQ(told(requests), odd.told);
    std::istringstream without{std::string(odd.without)};
    for (std::string name; without >> name;) {
      for (const auto& request : requests) EXPECT_FALSE(request.has(name)) << name;
    }
    for (const auto& request : requests) {
      EXPECT_EQ(request.header("x-forwarded-for"), "127.0.0.1");
      EXPECT_EQ(request.header("x-forwarded-host"), request.host);
    }
    EXPECT_THAT(upstream_.take_errors(), IsEmpty());
  }
  ASSERT_EQ(site_.visit("a.test", "/last").answer.status, 200);
  EXPECT_EQ(told(upstream_.take_requests()), "GET /last a.test none");
}

TEST(SmugglingTableTest, IsLargeAndHasNoFormTwice) {
  std::vector<std::string_view> forms, names;
  for (const auto& bad : edge::kBadRequests) {
    forms.push_back(bad.bytes);
    names.push_back(bad.name);
  }
  for (const auto& odd : edge::kOddRequests) {
    forms.push_back(odd.bytes);
    names.push_back(odd.name);
  }
  EXPECT_GE(forms.size(), 250u);
  for (auto* list : {&forms, &names}) {
    std::sort(list->begin(), list->end());
    const auto twice = std::adjacent_find(list->begin(), list->end());
    EXPECT_EQ(twice, list->end()) << *twice;
  }
}

}  // namespace
}  // namespace latchkey::test

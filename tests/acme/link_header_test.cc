#include "acme/link_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace latchkey::acme {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(LinkHeader, TheAlternatesOfTheRfcAreFound) {  // RFC 8555, 7.4.2
  EXPECT_THAT(alternate_links({"<https://example.com/acme/directory>;rel=\"index\"",
                               "<https://example.com/acme/cert/1/1>;rel=\"alternate\""}),
              ElementsAre("https://example.com/acme/cert/1/1"));
  EXPECT_THAT(
      alternate_links({"<https://a.test/1>; rel=alternate , <https://a.test/0>;rel=up,"
                       "<https://a.test/2> ;title=\"a, b; \\\"c\\\"\" ; REL=\"up Alternate\""}),
      ElementsAre("https://a.test/1", "https://a.test/2"));
}

TEST(LinkHeader, OnlyTheFirstRelationOfALinkCounts) {
  EXPECT_THAT(alternate_links({"<https://a.test/1>;rel=up;rel=alternate"}), IsEmpty());
  EXPECT_THAT(alternate_links({"<https://a.test/1>;rel;rel=alternate"}), IsEmpty());
  EXPECT_THAT(alternate_links({"<https://a.test/1>;xrel=alternate"}), IsEmpty());
}

TEST(LinkHeader, UrlsAreCheckedAndCounted) {
  EXPECT_THAT(alternate_links({"<http://a.test/1>;rel=alternate", "</cert/2>;rel=alternate",
                               "<file:///etc/passwd>;rel=alternate",
                               "<https://user@a.test/>;rel=alternate"}),
              IsEmpty());
  std::string many;
  for (int i = 0; i < 100; ++i) many += "<https://a.test/" + std::to_string(i) + ">;rel=alternate,";
  EXPECT_THAT(alternate_links({many}), SizeIs(8));
  EXPECT_THAT(alternate_links({many, many, many}), SizeIs(8));
  EXPECT_THAT(
      alternate_links({"<https://a.test/1>;rel=alternate", "<https://a.test/1>;rel=alternate"}),
      SizeIs(1));
}

TEST(LinkHeader, WhatCannotBeReadEndsTheHeaderNotTheOthers) {
  for (const char* bad :
       {"", ",", "<", "<https://a.test/1", "https://a.test/1;rel=alternate",
        "<https://a.test/1>;rel=\"alternate", "<https://a.test/1>rel=alternate", "<>;rel=alternate",
        "<https://a.test/1>;", ";rel=alternate", "<https://a.test/1>;rel=\"alternate\\"}) {
    EXPECT_THAT(alternate_links({bad, "<https://a.test/2>;rel=alternate"}),
                ElementsAre("https://a.test/2"))
        << bad;
  }
}

}  // namespace
}  // namespace latchkey::acme

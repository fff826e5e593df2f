#include "policy/name_guard.h"

#include <gtest/gtest.h>

namespace latchkey {
namespace {

// "" when the name may pass.
std::string rule_broken_by(std::string_view text) {
  const auto name = ServerName::parse(text);
  if (!name) return "not a name: " + name.error().message;
  const Result<> guard = guard_name(*name);
  if (guard) return "";
  EXPECT_EQ(guard.error().code, ErrorCode::kDenied);
  return guard.error().message;
}

TEST(NameGuardTest, OrdinaryNamesPass) {
  for (const char* name : {"a.test",
                           "a.localhost",
                           "shop.example.com",
                           "example.com",
                           "example.co.uk",
                           "bbc.co.uk",
                           "a.b.c.d.e.f.g.h.i.j",
                           "github.io",
                           "someone.github.io",
                           "herokuapp.com",
                           "a.internal",
                           "www.www.example.com",
                           "a.www.www.www.example.com",
                           "www.wwww.www.example.com",
                           "www.www.wwwx.example.com",
                           "xn--bcher-kva.example",
                           "a.b.kawasaki.jp",
                           "city.kawasaki.jp",
                           "www.ck",
                           "ab.abc.ab.test",
                           "x.unknowntld"}) {
    EXPECT_EQ(rule_broken_by(name), "") << name;
  }
}

TEST(NameGuardTest, ASingleLabelIsRefused) {
  for (const char* name : {"localhost", "test", "com", "intranet"}) {
    EXPECT_NE(rule_broken_by(name).find("two labels"), std::string::npos) << name;
  }
}

TEST(NameGuardTest, PublicSuffixesAreRefused) {
  for (const char* name :
       {"co.uk", "com.au", "foo.ck", "b.kawasaki.jp", "xn--55qx5d.cn", "k12.ca.us", "CO.UK."}) {
    EXPECT_NE(rule_broken_by(name).find("public suffix"), std::string::npos) << name;
  }
}

TEST(NameGuardTest, ElevenLabelsAreRefused) {
  EXPECT_NE(rule_broken_by("a.b.c.d.e.f.g.h.i.j.k").find("ten labels"), std::string::npos);
}

TEST(NameGuardTest, ARunOfOneLabelAtTheHeadIsRefused) {
  for (const char* name : {"www.www.www.example.com", "a.a.a.test", "a.a.a.a.test", "a.a.a"}) {
    EXPECT_NE(rule_broken_by(name).find("same label"), std::string::npos) << name;
  }
}

TEST(RegisteredDomainTest, IsThePublicSuffixAndOneLabel) {
  const std::pair<const char*, const char*> cases[] = {
      {"example.com", "example.com"},
      {"a.b.example.com", "example.com"},
      {"a.b.co.uk", "b.co.uk"},
      {"x.y.github.io", "y.github.io"},  // the list's private part counts
      {"a.b.c.kawasaki.jp", "b.c.kawasaki.jp"},
      {"a.city.kawasaki.jp", "city.kawasaki.jp"},
      {"a.www.ck", "www.ck"},
      {"a.xn--55qx5d.cn", "a.xn--55qx5d.cn"},
      {"x.a.xn--55qx5d.cn", "a.xn--55qx5d.cn"},
      // Top levels that the list does not know.
      {"a.test", "a.test"},
      {"x.y.a.test", "a.test"},
      {"shop.a.localhost", "a.localhost"},
      {"x.unknowntld", "x.unknowntld"},
      // Nothing to be registered.
      {"localhost", "localhost"},
      {"com", "com"},
      {"co.uk", "co.uk"},
      {"github.io", "github.io"},
  };
  for (const auto& [name, domain] : cases) {
    EXPECT_EQ(registered_domain(*ServerName::parse(name)), domain) << name;
  }
}

}  // namespace
}  // namespace latchkey

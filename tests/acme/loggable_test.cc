#include "acme/loggable.h"

#include <gtest/gtest.h>

namespace latchkey::acme {
namespace {

TEST(LoggableTest, OrdinaryBodiesAreShownOnOneLine) {
  EXPECT_EQ(loggable(R"({"status": "valid"})"), R"({"status": "valid"})");
  EXPECT_EQ(loggable("a\nb\x01"), "a b\\x01");
  EXPECT_EQ(loggable(""), "");
}

TEST(LoggableTest, WhatIsSecretOrUselessIsLeftOut) {
  EXPECT_EQ(loggable(R"({"token" : "abc","url":"u","nonce":"n"})"),
            R"({"token":"...","url":"u","nonce":"..."})");
  EXPECT_EQ(loggable(R"({"protected":"p","payload":"q","signature":"s"})"),
            R"({"protected":"...","payload":"...","signature":"..."})");
  EXPECT_EQ(loggable(R"({"token":["abc"]})"), R"({"token":["abc"]})");
  EXPECT_EQ(loggable(R"({"token":"unterminated)"), R"({"token":"...")");
  EXPECT_EQ(loggable(R"({"token")"), R"({"token")");
  EXPECT_EQ(loggable(R"({"token":)"), R"({"token":)");
}

TEST(LoggableTest, TheRestIsCut) {
  EXPECT_LE(loggable(std::string(1 << 20, 'x')).size(), 2100u);
  EXPECT_LE(loggable(std::string(1 << 20, '\0')).size(), 2100u);
}

}  // namespace
}  // namespace latchkey::acme

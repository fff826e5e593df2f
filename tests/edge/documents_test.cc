// What the documents show a newcomer must be what the program accepts.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "edge/config.h"

namespace latchkey::edge {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(std::filesystem::path(LATCHKEY_SOURCE_DIR) / path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The ```jsonc blocks of a document: whole configurations, all of them.
std::vector<std::string> configurations(const std::string& document) {
  const std::string begin = "```jsonc\n";
  std::vector<std::string> found;
  const std::string text = read(document);
  for (size_t at = 0; (at = text.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    const size_t end = text.find("\n```", at);
    found.push_back(text.substr(at, end - at));
  }
  return found;
}

class Documents : public testing::TestWithParam<const char*> {};

TEST_P(Documents, ShowConfigurationsThatAreAccepted) {
  const std::vector<std::string> shown = configurations(GetParam());
  EXPECT_FALSE(shown.empty());
  for (const std::string& text : shown) {
    const auto config = parse_config(text, GetParam());
    EXPECT_TRUE(config.has_value()) << config.error().message;
  }
}

INSTANTIATE_TEST_SUITE_P(, Documents, testing::Values("README.md", "docs/moving-from-caddy.md"),
                         [](const auto& document) {
                           return document.index == 0 ? std::string("Readme")
                                                      : std::string("MovingFromCaddy");
                         });

}  // namespace
}  // namespace latchkey::edge

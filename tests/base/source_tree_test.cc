// The shape of the source tree, as docs/architecture.md promises it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace latchkey {
namespace {

namespace fs = std::filesystem;

struct Include {
  std::string file;    // "edge/config.cc"
  std::string folder;  // "edge"
  std::string header;  // "base/json.h", "curl/curl.h"
};

// Every #include line of our folders.
std::vector<Include> includes() {
  const fs::path root = LATCHKEY_SOURCE_DIR;
  const std::regex line_form(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"].*)");
  std::vector<Include> found;
  for (const char* folder : {"base", "cache", "policy", "acme", "ondemand", "edge"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".cc" && extension != ".h") continue;
      std::ifstream in(entry.path());
      std::smatch match;
      for (std::string line; std::getline(in, line);) {
        if (!std::regex_match(line, match, line_form)) continue;
        found.push_back({entry.path().lexically_relative(root), folder, match[1]});
      }
    }
  }
  return found;
}

TEST(SourceTree, IncludesPointDownTheArrowsOnly) {
  const std::map<std::string, std::set<std::string>> may_include = {
      {"base", {}},
      {"cache", {"base"}},
      {"policy", {"base"}},
      {"acme", {"base", "cache"}},
      {"ondemand", {"base", "cache", "policy"}},
      {"edge", {"base", "cache", "policy", "acme", "ondemand"}},
  };
  size_t ours = 0;
  for (const Include& include : includes()) {
    const std::string target = include.header.substr(0, include.header.find('/'));
    if (!may_include.contains(target)) continue;
    ++ours;
    EXPECT_TRUE(target == include.folder || may_include.at(include.folder).contains(target))
        << include.file << " includes " << include.header;
  }
  EXPECT_GT(ours, 50U) << "the sources were not found in " << LATCHKEY_SOURCE_DIR;
}

TEST(SourceTree, ThirdPartyHeadersStayBehindOneFileEach) {
  const std::vector<std::pair<std::regex, std::regex>> rules = {
      {std::regex("curl/.*"), std::regex("base/curl_.*\\.cc")},
      {std::regex("rapidjson/.*"), std::regex("base/json\\.cc")},
      {std::regex("ares.*\\.h"), std::regex("base/resolver\\.cc")},
      {std::regex("sqlite3\\.h"), std::regex("cache/sqlite.*\\.cc")},
      {std::regex("llhttp\\.h"), std::regex("edge/http/http1_codec\\.cc")},
      {std::regex("nghttp2/.*"), std::regex("edge/http/http2_codec\\.cc")},
      {std::regex("libpsl\\.h"), std::regex("policy/.*\\.cc")},
      {std::regex("idn2\\.h"), std::regex("base/.*\\.cc")},
      {std::regex("openssl/.*"), std::regex(".*\\.cc")},
  };
  for (const Include& include : includes()) {
    for (const auto& [header, home] : rules) {
      if (!std::regex_match(include.header, header)) continue;
      EXPECT_TRUE(std::regex_match(include.file, home))
          << include.file << " includes " << include.header;
    }
  }
}

}  // namespace
}  // namespace latchkey

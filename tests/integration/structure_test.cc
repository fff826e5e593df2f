// What holds for the source tree and the finished binary as a whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "tests/support/process.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {
namespace {

// Which folders a folder may include: the arrows go one way.
const std::map<std::string, std::set<std::string>> kArrows = {
    {"base", {"base"}},
    {"cache", {"base", "cache"}},
    {"policy", {"base", "cache", "policy"}},
    {"acme", {"base", "cache", "acme"}},
    {"ondemand", {"base", "cache", "policy", "ondemand"}},
    {"edge", {"base", "cache", "policy", "acme", "ondemand", "edge"}},
};

// Calls `see(file, what it includes)` for every #include "..." of the product.
template <typename See>
void each_include(See see) {
  for (const auto& [folder, allowed] : kArrows) {
    const auto root = std::filesystem::path(LATCHKEY_SOURCE_DIR) / folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cc") continue;
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        const std::string start = "#include ";
        if (!line.starts_with(start)) continue;
        see(folder, entry.path(), line.substr(start.size()));
      }
    }
  }
}

TEST(StructureTest, IncludesGoOneWay) {
  size_t seen = 0;
  each_include([&](const std::string& folder, const std::filesystem::path& file,
                   const std::string& include) {
    if (include[0] != '"') return;
    const std::string target = include.substr(1, include.find('/') - 1);
    EXPECT_TRUE(kArrows.contains(target)) << file << " includes " << include;
    EXPECT_TRUE(kArrows.at(folder).contains(target)) << file << " includes " << include;
    ++seen;
  });
  EXPECT_GT(seen, 100u);
}

// A foreign library is known to the files that wrap it, and to no others.
TEST(StructureTest, ForeignHeadersStayBehindTheirFiles) {
  const std::map<std::string, std::string> owners = {
      {"<curl/", "base/curl_http_client"}, {"<rapidjson/", "base/json"},
      {"<ares", "base/resolver"},          {"<sqlite3", "cache/sqlite"},
      {"<llhttp", "edge/http/http1"},      {"<nghttp2/", "edge/http/http2_framing"},
  };
  each_include(
      [&](const std::string&, const std::filesystem::path& file, const std::string& include) {
        const std::string name = std::filesystem::relative(file, LATCHKEY_SOURCE_DIR).string();
        for (const auto& [header, owner] : owners) {
          if (include.starts_with(header)) {
            EXPECT_TRUE(name.starts_with(owner)) << name << " includes " << include;
          }
        }
        // acme/der.h wraps BoringSSL's CBS and CBB for the files that read and write DER.
        if (file.extension() == ".h" && name != "acme/der.h") {
          EXPECT_FALSE(include.starts_with("<openssl/")) << name;
        }
      });
}

// libcurl brings OpenSSL into the process: ours must not be visible to it.
TEST(StructureTest, TheBinaryShowsNoSymbolOfItsTlsLibrary) {
  const TempFolder folder;
  Process::Options options;
  options.args = {"nm", "-D", LATCHKEY_BINARY};
  options.output = folder / "symbols";
  Process nm(std::move(options));
  const auto exit = nm.wait(Millis(60'000));
  ASSERT_TRUE(exit);
  if (exit->code == 127) GTEST_SKIP() << "nm (binutils) is not installed";
  ASSERT_EQ(exit->code, 0) << nm.output();
  size_t symbols = 0;
  for (const auto& line : nm.lines()) {
    ++symbols;
    if (line.find(" w ") != std::string::npos) continue;  // a hook that nobody defines
    const std::string name = line.substr(line.rfind(' ') + 1);
    for (const char* prefix : {"SSL_", "EVP_", "CRYPTO_", "X509", "BIO_", "ERR_", "RSA_", "EC_",
                               "ASN1_", "BN_", "PEM_", "OPENSSL_", "_ZN4bssl"}) {
      EXPECT_FALSE(name.starts_with(prefix)) << line;
    }
  }
  EXPECT_GT(symbols, 50u);
}

}  // namespace
}  // namespace latchkey::test

#include "tests/support/validating_authority.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/eventually.h"
#include "tests/support/http_exchange.h"
#include "tests/support/tls_client.h"

namespace latchkey::test {
namespace {

constexpr const char* kHost = "localhost";

std::string list(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out.append(out.empty() ? "" : ",").append(json_quote(text));
  return "[" + out + "]";
}

}  // namespace

ValidatingAuthority::ValidatingAuthority() : edge(folder / "edge", EdgeSettings()) {
  edge.settings.https_port = https.number();
  edge.settings.http_port = http.number();
  edge.settings.state_dir = folder / "state";
  edge.settings.authority = "{}";
}

ValidatingAuthority::~ValidatingAuthority() {
  if (!::testing::Test::HasFailure()) return;
  const std::string log = read_text(edge.folder() / "latchkey.log");
  constexpr size_t kEnd = 6000;
  std::printf("--- the end of the edge's log:\n%s\n",
              log.substr(log.size() > kEnd ? log.size() - kEnd : 0).c_str());
}

std::string ValidatingAuthority::directory() const {
  return "https://localhost:" + std::to_string(https.number()) + "/acme/test/directory";
}

std::filesystem::path ValidatingAuthority::root_file() const {
  return folder / "root.pem";
}

bool ValidatingAuthority::start() {
  const std::string validation = JsonObject()
                                     .number("http_port", http_challenge.number())
                                     .number("tls_port", tls_challenge.number())
                                     .raw("resolvers", list({dns.address()}))
                                     .str();
  const std::string server = "{\"hosts\": " + list({kHost}) + ", \"allow\": " + list(allow) +
                             ", \"validation\": " + validation + more_keys + "}";
  std::erase_if(edge.settings.keys, [](const auto& key) { return key.first == "acme_server"; });
  edge.settings.keys.emplace_back("acme_server", server);
  if (!edge.start()) return false;
  const std::string roots = edge.authority_roots();
  write_text(root_file(), roots);
  const bool serves = eventually(
      [&] {
        TlsOptions options;
        options.port = https.number();
        options.sni = kHost;
        options.roots = roots;
        TlsClient client(options);
        return client.handshake().verified &&
               HttpConversation(client).get(kHost, "/acme/test/directory").status == 200;
      },
      Millis(30'000));
  EXPECT_TRUE(serves) << "the directory is not served:\n" << edge.log();
  return serves;
}

}  // namespace latchkey::test

#include "tests/support/caddy.h"

#include "base/check.h"
#include "tests/support/eventually.h"
#include "tests/support/http_exchange.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tls_client.h"

namespace latchkey::test {
namespace {

constexpr Millis kStart{20'000};

}  // namespace

Caddy::Caddy(std::filesystem::path folder) : folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_);
  const std::string admin = "127.0.0.1:" + std::to_string(admin_port_.number());
  const std::string data = (folder_ / "data").string();
  write_text(folder_ / "Caddyfile", "{\n\tadmin " + admin +
                                        "\n\tskip_install_trust\n\tauto_https disable_redirects\n"
                                        "\tstorage file_system " +
                                        data +
                                        "\n}\nhttps://localhost:" + std::to_string(port_.number()) +
                                        " {\n\tbind 127.0.0.1\n\ttls internal\n\tacme_server\n}\n");
  start();
}

Caddy::~Caddy() = default;

std::string Caddy::directory() const {
  return "https://localhost:" + std::to_string(port_.number()) + "/acme/local/directory";
}

std::filesystem::path Caddy::ca_file() const {
  return folder_ / "data/pki/authorities/local/root.crt";
}

std::string Caddy::roots() const {
  return read_text(ca_file());
}

void Caddy::stop() {
  process_.reset();
}

void Caddy::start() {
  stop();
  Process::Options options;
  options.args = {"caddy",     "run",      "--config", (folder_ / "Caddyfile").string(),
                  "--adapter", "caddyfile"};
  options.env = {{"HOME", folder_.string()}, {"XDG_CONFIG_HOME", (folder_ / "config").string()}};
  options.output = folder_ / "caddy.log";
  options.directory = folder_;
  process_.emplace(std::move(options));
  CHECK(eventually(
      [&] {
        TlsOptions client;
        client.port = port_.number();
        client.sni = "localhost";
        client.roots = roots();
        TlsClient connection(client);
        return connection.handshake().verified &&
               HttpConversation(connection).get("localhost", "/acme/local/directory").status == 200;
      },
      kStart));
}

}  // namespace latchkey::test

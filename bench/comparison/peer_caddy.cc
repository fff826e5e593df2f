#include "base/json.h"
#include "bench/comparison/peer.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {
namespace {

std::string list(const std::string& json) {
  return "[" + json + "]";
}

std::string tls_app(const PeerSetup& setup) {
  if (!setup.certificates.empty()) {
    const std::string folders = list(json_quote(setup.certificates.string()));
    return JsonObject().raw("certificates", JsonObject().raw("load_folders", folders).str()).str();
  }
  if (!setup.on_demand) {
    const std::string files = JsonObject()
                                  .text("certificate", setup.chain.string())
                                  .text("key", setup.key.string())
                                  .str();
    return JsonObject()
        .raw("certificates", JsonObject().raw("load_files", list(files)).str())
        .str();
  }
  const std::string challenges =
      JsonObject()
          .raw("http", JsonObject().boolean("disabled", true).str())
          .raw("tls-alpn", JsonObject().number("alternate_port", setup.port).str())
          .text("bind_host", "127.0.0.1")
          .str();
  const std::string issuer =
      JsonObject()
          .text("module", "acme")
          .text("ca", setup.on_demand->directory)
          .text("email", "operator@example.com")
          .raw("trusted_roots_pem_files", list(json_quote(setup.on_demand->ca_file.string())))
          .raw("challenges", challenges)
          .str();
  const std::string policy =
      JsonObject().raw("issuers", list(issuer)).boolean("on_demand", true).str();
  const std::string ask = JsonObject().text("ask", setup.on_demand->ask).str();
  return JsonObject()
      .raw("automation", JsonObject().raw("policies", list(policy)).raw("on_demand", ask).str())
      .str();
}

std::string http_app(const PeerSetup& setup) {
  const std::string connection_policy =
      JsonObject().text("protocol_min", "tls1.3").raw("curves", list(json_quote("x25519"))).str();
  // Its connections to the upstream: HTTP/1.1, kept.
  const std::string keep_alive = JsonObject()
                                     .boolean("enabled", true)
                                     .number("max_idle_conns", 1024)
                                     .number("max_idle_conns_per_host", 1024)
                                     .text("idle_timeout", "1h")
                                     .str();
  const std::string transport = JsonObject()
                                    .text("protocol", "http")
                                    .raw("keep_alive", keep_alive)
                                    .raw("versions", list(json_quote("1.1")))
                                    .boolean("compression", false)
                                    .str();
  const std::string dial =
      JsonObject().text("dial", "127.0.0.1:" + std::to_string(setup.upstream)).str();
  const std::string proxy = JsonObject()
                                .text("handler", "reverse_proxy")
                                .raw("upstreams", list(dial))
                                .raw("transport", transport)
                                .str();
  const std::string server =
      JsonObject()
          .raw("listen", list(json_quote("127.0.0.1:" + std::to_string(setup.port))))
          .raw("protocols", list(json_quote("h1") + "," + json_quote("h2")))
          .text("idle_timeout", "1h")
          .raw("automatic_https", JsonObject().boolean("disable", true).str())
          .raw("tls_connection_policies", list(connection_policy))
          .raw("routes", list(JsonObject().raw("handle", list(proxy)).str()))
          .str();
  return JsonObject()
      .number("https_port", setup.port)
      .raw("servers", JsonObject().raw("edge", server).str())
      .str();
}

}  // namespace

// It cannot choose TLS 1.3's ciphers; Go takes AES-128-GCM with our client by itself.
PeerProgram caddy_program(const PeerSetup& setup) {
  const std::string log = JsonObject().text("level", "ERROR").str();
  const std::string storage = JsonObject()
                                  .text("module", "file_system")
                                  .text("root", (setup.folder / "data").string())
                                  .str();
  const std::string config =
      JsonObject()
          .raw("admin", JsonObject().boolean("disabled", true).str())
          .raw("logging", JsonObject().raw("logs", JsonObject().raw("default", log).str()).str())
          .raw("storage", storage)
          .raw("apps", JsonObject().raw("http", http_app(setup)).raw("tls", tls_app(setup)).str())
          .str();
  test::write_text(setup.folder / "caddy.json", config);
  return {{"caddy", "run", "--config", (setup.folder / "caddy.json").string()},
          {{"GOMAXPROCS", "1"},
           {"HOME", setup.folder.string()},
           {"XDG_CONFIG_HOME", (setup.folder / "config").string()},
           {"XDG_DATA_HOME", (setup.folder / "data").string()}}};
}

}  // namespace latchkey::bench

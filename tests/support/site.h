#pragma once
#include <functional>
#include <memory>
#include <string>

#include "tests/support/edge.h"
#include "tests/support/http_exchange.h"
#include "tests/support/http_server.h"
#include "tests/support/pebble.h"
#include "tests/support/ports.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tls_client.h"
#include "tests/support/tls_swarm.h"

namespace latchkey::test {

// Everything around a first handshake: the CA, an upstream, an ask endpoint and the edge, in a
// folder of the test's own. The edge is not started; change its settings first. By default any
// *.test name is allowed, and the ask is not configured.
class Site {
 public:
  struct Options {
    bool pebble = true;
    bool authority = false;  // instead of Pebble the edge's own, embedded
    bool sleeps = false;     // of Pebble's validation
    std::vector<std::pair<std::string, std::string>> pebble_env{};
    int validity = 0;  // see Pebble::Options
    std::vector<std::pair<std::string, std::string>> external_accounts{};
    int alternate_roots = 0;
    uint16_t pebble_tls_port = 0;   // where Pebble looks for tls-alpn-01; 0: at the edge
    uint16_t pebble_http_port = 0;  // likewise
    std::string ocsp_responder{};   // see Pebble::Options
    std::string dns_server{};       // likewise
  };

  Site() : Site(Options()) {}
  explicit Site(Options options);
  ~Site();

  // A connection for `name`, verified against what Pebble, or the authority, issues now.
  TlsClient connect(const std::string& name);
  TlsOptions tls(const std::string& name) const;
  std::string roots() const;  // PEM, of those
  // Connects and gets "/": the whole of a visit. `page`: of the upstream.
  struct Visit {
    Handshake handshake;
    HttpAnswer answer;
  };
  Visit visit(const std::string& name, const std::string& target = "/");
  std::vector<Handshake> swarm(size_t count, std::function<std::string(size_t)> name);
  HttpAnswer plain_get(const std::string& host, const std::string& target = "/");

  std::filesystem::path state_dir() const { return folder / "state"; }
  std::filesystem::path database() const { return state_dir() / "latchkey.db"; }
  // For settings that name the ask endpoint.
  std::string ask_url() const { return ask.url("/check"); }

  TempFolder folder;
  ReservedPort https, http;
  HttpServer upstream;  // "page of <host> <target>"
  HttpServer ask;       // 200, but 403 for names that begin with "denied"
  std::unique_ptr<Pebble> pebble;
  Edge edge;
};

}  // namespace latchkey::test

#include "tests/support/site.h"

#include <gtest/gtest.h>

namespace latchkey::test {
namespace {

Response show_page(const Request& request) {
  Response response;
  response.body = "page of " + request.header("host") + " " + request.target;
  response.headers = {{"Content-Type", "text/plain"}};
  return response;
}

Response judge_name(const Request& request) {
  Response response;
  response.status = request.parameter("domain").starts_with("denied") ? 403 : 200;
  return response;
}

}  // namespace

Site::Site(Options options)
    : upstream(show_page), ask(judge_name), edge(folder / "edge", EdgeSettings()) {
  if (options.authority) {
    edge.settings.authority = "{}";
  } else if (options.pebble) {
    Pebble::Options ca;
    ca.http_port = options.pebble_http_port != 0 ? options.pebble_http_port : http.number();
    ca.tls_port = options.pebble_tls_port != 0 ? options.pebble_tls_port : https.number();
    ca.sleeps = options.sleeps;
    ca.env = std::move(options.pebble_env);
    ca.validity = options.validity;
    ca.external_accounts = std::move(options.external_accounts);
    ca.alternate_roots = options.alternate_roots;
    ca.ocsp_responder = std::move(options.ocsp_responder);
    ca.dns_server = std::move(options.dns_server);
    pebble = std::make_unique<Pebble>(folder / "pebble", std::move(ca));
    edge.settings.directory = pebble->directory();
    edge.settings.ca_file = pebble->ca_file();
  }
  edge.settings.https_port = https.number();
  edge.settings.http_port = http.number();
  edge.settings.state_dir = state_dir();
  edge.settings.allow = {"*.test"};
  edge.settings.upstream = upstream.url();
}

Site::~Site() {
  if (!::testing::Test::HasFailure()) return;
  const auto show_end = [](const char* what, const std::string& log) {
    constexpr size_t kEnd = 6000;
    std::printf("--- the end of %s:\n%s\n", what,
                log.substr(log.size() > kEnd ? log.size() - kEnd : 0).c_str());
  };
  show_end("the edge's log", read_text(edge.folder() / "latchkey.log"));
  if (pebble && !pebble->running()) show_end("Pebble's log; it ended", pebble->log());
}

TlsOptions Site::tls(const std::string& name) const {
  TlsOptions options;
  options.port = https.number();
  options.sni = name;
  options.roots = roots();
  return options;
}

std::string Site::roots() const {
  if (pebble) return pebble->roots();
  return edge.settings.authority.empty() ? "" : edge.authority_roots();
}

TlsClient Site::connect(const std::string& name) {
  return TlsClient(tls(name));
}

Site::Visit Site::visit(const std::string& name, const std::string& target) {
  TlsClient client(tls(name));
  Visit visit{client.handshake(), {}};
  if (visit.handshake.done) visit.answer = HttpConversation(client).get(name, target);
  return visit;
}

std::vector<Handshake> Site::swarm(size_t count, std::function<std::string(size_t)> name) {
  SwarmOptions options;
  options.port = https.number();
  options.count = count;
  options.sni = std::move(name);
  options.roots = roots();
  return test::swarm(options);
}

HttpAnswer Site::plain_get(const std::string& host, const std::string& target) {
  PlainClient client(http.number());
  return HttpConversation(client).get(host, target);
}

}  // namespace latchkey::test

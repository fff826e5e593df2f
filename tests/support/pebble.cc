#include "tests/support/pebble.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/json.h"
#include "tests/support/eventually.h"
#include "tests/support/loopback_certificate.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tls_client.h"

namespace latchkey::test {
namespace {

constexpr Millis kStart{20'000};

std::string loopback(const ReservedPort& port) {
  return "127.0.0.1:" + std::to_string(port.number());
}

// The word after `mark` in `line`.
std::string word_after(std::string_view line, std::string_view mark) {
  const size_t at = line.find(mark);
  if (at == std::string_view::npos) return "";
  const std::string_view rest = line.substr(at + mark.size());
  return std::string(rest.substr(0, rest.find(' ')));
}

std::string unquoted(std::string text) {
  std::erase(text, '"');
  return text;
}

}  // namespace

Pebble::Pebble(std::filesystem::path folder, Options options)
    : folder_(std::move(folder)), options_(std::move(options)) {
  std::filesystem::create_directories(folder_);
  const PemPair https = make_loopback_certificate();
  write_text(ca_file(), https.certificate);
  write_text(folder_ / "key.pem", https.key);
  JsonObject keys;
  for (const auto& [kid, key] : options_.external_accounts) keys.text(kid, key);
  JsonObject settings;
  settings.text("listenAddress", loopback(acme_port_))
      .text("managementListenAddress", loopback(management_port_))
      .text("certificate", ca_file().string())
      .text("privateKey", (folder_ / "key.pem").string())
      .number("httpPort", options_.http_port)
      .number("tlsPort", options_.tls_port)
      .text("ocspResponderURL", options_.ocsp_responder)
      .boolean("externalAccountBindingRequired", !options_.external_accounts.empty())
      .raw("externalAccountMACKeys", keys.str());
  if (options_.validity != 0) settings.number("certificateValidityPeriod", options_.validity);
  write_text(folder_ / "pebble.json", JsonObject().raw("pebble", settings.str()).str());

  if (options_.dns_server.empty()) dns_.emplace(folder_);
  start();
}

Pebble::~Pebble() {
  stop();
}

std::string Pebble::directory() const {
  return "https://" + loopback(acme_port_) + "/dir";
}

std::filesystem::path Pebble::ca_file() const {
  return folder_ / "ca.pem";
}

void Pebble::stop() {
  if (pebble_ && !pebble_->running()) {
    const std::string log = pebble_->output();
    ADD_FAILURE() << "Pebble has ended by itself: "
                  << log.substr(log.size() - std::min<size_t>(log.size(), 4'000));
  }
  pebble_.reset();
}

void Pebble::start() {
  stop();
  Process::Options options;
  options.args = {"pebble", "-config", (folder_ / "pebble.json").string(), "-dnsserver",
                  dns_ ? dns_->address() : options_.dns_server};
  options.env = options_.env;
  if (options_.alternate_roots != 0) {
    options.env.emplace_back("PEBBLE_ALTERNATE_ROOTS", std::to_string(options_.alternate_roots));
  }
  if (!options_.sleeps) options.env.emplace_back("PEBBLE_VA_NOSLEEP", "1");
  options.output = folder_ / "pebble.log";
  pebble_.emplace(std::move(options));
  CHECK(pebble_->wait_for_line("ACME directory available", kStart));

  // It says so before it listens.
  CHECK(eventually([&] { return ask(acme_port_, "/dir").status == 200; }, kStart));
  CHECK(eventually([&] { return ask(management_port_, "/roots/0").status == 200; }, kStart));
  roots_ = root(0);
}

std::string Pebble::root(size_t index) const {
  return ask(management_port_, "/roots/" + std::to_string(index)).body;
}

std::string Pebble::intermediate() const {
  return ask(management_port_, "/intermediates/0").body;
}

std::string Pebble::intermediate_key() const {
  return ask(management_port_, "/intermediate-keys/0").body;
}

std::string Pebble::status_of(const std::string& serial) const {
  const HttpAnswer answer = ask(management_port_, "/cert-status-by-serial/" + serial);
  const auto json = parse_json(answer.body);
  return answer.status == 200 && json ? std::string(json->text_of("Status")) : "";
}

HttpAnswer Pebble::ask(const ReservedPort& port, std::string_view path) const {
  TlsOptions options;
  options.port = port.number();
  options.name = "localhost";
  options.roots = read_text(ca_file());
  TlsClient client(options);
  if (!client.handshake().verified) return {};
  return HttpConversation(client).get("localhost", path);
}

size_t Pebble::count(std::string_view part) const {
  const auto lines = pebble_->lines();
  return static_cast<size_t>(std::count_if(lines.begin(), lines.end(), [part](const auto& line) {
    return line.find(part) != std::string::npos;
  }));
}

size_t Pebble::orders() const {
  return count(" Added order ");
}

size_t Pebble::issued() const {
  return count(" Issued certificate serial ");
}

size_t Pebble::validations() const {
  return count(" Pulled a task from the Tasks queue");
}

size_t Pebble::failed_validations() const {
  return count(" set INVALID by completed challenge");
}

size_t Pebble::bad_nonces() const {
  return count("badNonce");
}

size_t Pebble::accounts() const {
  return count(" accounts in memory");
}

size_t Pebble::most_orders_in_flight() const {
  std::set<std::string> open;
  size_t most = 0;
  for (const auto& line : pebble_->lines()) {
    if (const std::string made = word_after(line, " Added order "); !made.empty()) {
      open.insert(unquoted(made));
      most = std::max(most, open.size());
    } else if (const std::string done = word_after(line, " for order "); !done.empty()) {
      open.erase(done);
    } else if (line.find("set INVALID by invalid authz") != std::string::npos) {
      open.erase(word_after(line, " order "));
    }
  }
  return most;
}

}  // namespace latchkey::test

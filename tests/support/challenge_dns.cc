#include "tests/support/challenge_dns.h"

#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "tests/support/byte_stream.h"
#include "tests/support/http_exchange.h"

namespace latchkey::test {
namespace {

std::string loopback(const ReservedPort& port) {
  return "127.0.0.1:" + std::to_string(port.number());
}

std::string absolute(std::string_view name) {
  return std::string(name) + ".";
}

}  // namespace

ChallengeDns::ChallengeDns(std::filesystem::path folder) {
  std::filesystem::create_directories(folder);
  Process::Options options;
  options.args = {"pebble-challtestsrv",
                  "-dns01",
                  loopback(port_),
                  "-defaultIPv4",
                  "127.0.0.1",
                  "-defaultIPv6",
                  "",
                  "-http01",
                  "",
                  "-https01",
                  "",
                  "-tlsalpn01",
                  "",
                  "-management",
                  loopback(management_port_)};
  options.output = folder / "dns.log";
  process_.emplace(std::move(options));
  CHECK(process_->wait_for_line("Starting management server", Millis(20'000)));
}

std::string ChallengeDns::address() const {
  return loopback(port_);
}

std::string ChallengeDns::management() const {
  return loopback(management_port_);
}

void ChallengeDns::add_txt(std::string_view name, std::string_view value) {
  tell("set-txt", JsonObject().text("host", absolute(name)).text("value", value).str());
}

void ChallengeDns::add_cname(std::string_view name, std::string_view target) {
  tell("set-cname",
       JsonObject().text("host", absolute(name)).text("target", absolute(target)).str());
}

void ChallengeDns::fail(std::string_view name) {
  tell("set-servfail", JsonObject().text("host", absolute(name)).str());
}

void ChallengeDns::tell(std::string_view what, const std::string& json) {
  PlainClient client(management_port_.number());
  const std::string request = "POST /" + std::string(what) + " HTTP/1.1\r\nHost: dns\r\n" +
                              "Content-Length: " + std::to_string(json.size()) + "\r\n\r\n" + json;
  CHECK(HttpConversation(client).exchange(request).status == 200);
}

}  // namespace latchkey::test

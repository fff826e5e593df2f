#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/http_server.h"
#include "tests/support/test_certificates.h"

namespace latchkey::test {

// An ACME CA over plain HTTP that checks nothing: authorizations are valid already, and whatever is
// finalized gets a certificate. Any of its resources can be made to answer otherwise: "/directory",
// "/newNonce", "/newAccount", "/newOrder", "/authorization", "/order", "/finalize", "/certificate".
class ScriptedCa {
 public:
  ScriptedCa();

  std::string directory() const { return server_.url("/directory"); }
  const HttpServer& server() const { return server_; }
  const std::string& roots() const { return authority_.root_pem; }
  size_t requests(std::string_view path) const { return server_.requests(path); }
  // All of them, by name.
  size_t orders(const std::string& name) const;

  // From now on, until behave().
  void misbehave(std::string path, Response response);
  void behave();
  // 429 with a problem document and Retry-After.
  static Response rate_limited(int retry_after_seconds, std::string_view detail = "slow down");
  // Instead of certificates of its own: this, whatever was asked for.
  void hand_out(std::string chain_pem);

 private:
  struct Order {
    std::string name;
    std::string chain{};  // once it is finalized
  };

  Response answer(const Request& request);
  Response new_order(const Request& request);
  Response show(const Request& request);
  std::string order_json(const std::string& number, std::string_view status) const;

  const TestCa authority_{"Scripted"};
  mutable std::mutex mutex_;  // guards all that follows
  std::string bad_path_;
  Response bad_response_;
  std::string chain_;                      // to hand out; "" for ours
  std::map<std::string, Order> orders_{};  // by number
  std::map<std::string, size_t> order_counts_;
  size_t nonces_ = 0;
  HttpServer server_;  // the last: its thread uses all of the above
};

}  // namespace latchkey::test

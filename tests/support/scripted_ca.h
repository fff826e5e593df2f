#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "tests/support/http_server.h"
#include "tests/support/test_certificates.h"

namespace latchkey::test {

// An ACME CA over plain HTTP that checks nothing: whatever is finalized gets a certificate. Any of
// its resources can be made to answer otherwise: "/directory", "/newNonce", "/newAccount",
// "/newOrder", "/authorization", "/challenge", "/order", "/finalize", "/certificate",
// "/renewalInfo", "/revokeCert".
class ScriptedCa {
 public:
  struct Options {
    // Authorizations are pending, and valid once a challenge is answered for, with no look at the
    // answer. Without it they are valid already.
    bool challenges = false;
    std::vector<std::string> profiles{};
    bool renewal_info = false;  // says that it knows of ARI
    // Orders that say `replaces` are refused unless it is a certificate of this CA (or one that it
    // was told of by know()) that was issued to the same account and not replaced before.
    bool checks_replaces = false;
  };
  // An order as it was asked for.
  struct Wish {
    std::string name, profile, replaces;
    std::string account{};  // its URL
  };
  struct Revocation {
    std::string certificate;  // DER
    int reason = 0;
    bool by_account = false;  // else by the certificate's own key
  };
  // RFC 9773's words: times as RFC 3339.
  struct Advice {
    std::string start, end;
    std::string explanation_url{};
    int retry_after = 21'600;  // in seconds; 0: none
  };

  ScriptedCa() : ScriptedCa(Options()) {}
  explicit ScriptedCa(Options options);

  std::string directory() const { return server_.url("/directory"); }
  const HttpServer& server() const { return server_; }
  const std::string& roots() const { return authority_.root_pem; }
  const TestCa& authority() const { return authority_; }
  size_t requests(std::string_view path) const { return server_.requests(path); }
  // All of them, by name.
  size_t orders(const std::string& name) const;
  std::vector<Wish> wishes() const;
  std::vector<Revocation> revocations() const;
  std::vector<std::string> polls() const;  // of renewalInfo: the certificates' identifiers

  // From now on, until behave().
  void misbehave(std::string path, Response response);
  void hang();  // all of it
  // Proofs are taken, or orders finalized, and nothing comes of it.
  enum class Stall { kNone, kPending, kProcessing };
  void stall(Stall stall);
  void behave();  // ... and certificates and advice are its own again
  // 429 with a problem document and Retry-After.
  static Response rate_limited(int retry_after_seconds, std::string_view detail = "slow down");
  // `type`: the last part of RFC 8555's URN.
  static Response problem(int status, std::string_view type, std::string_view detail);
  // Instead of certificates of its own: this, whatever was asked for.
  void hand_out(std::string chain_pem);
  // Likewise, for a CSR in DER. Called on the server's thread.
  using Sign = std::function<std::string(const TestCa& authority, std::string_view csr_der)>;
  void sign_by(Sign sign);
  // What renewalInfo says: the first is about the certificate that is asked about first, and so on;
  // the last is about all others, too. Without any: 404.
  void advise(std::vector<Advice> advice);
  // That certificate was issued to the account with this URL. For Options::checks_replaces.
  void know(const Certificate& certificate, std::string account);
  // The URLs of the accounts, in the order of their registration. The same key, the same account.
  std::vector<std::string> accounts() const;
  // Orders that say `replaces` are refused with 409 alreadyReplaced.
  void refuse_replacements();
  static std::string time_text(WallTime time);  // RFC 3339

 private:
  struct Order {
    std::string name;
    std::string account{};
    bool tried = false;  // to be proven
    bool finalized = false;
    std::string chain{};  // once it is finalized
  };

  Response answer(const Request& request);
  Response directory_answer() const;
  Response new_account(const Request& request);
  Response new_order(const Request& request);
  bool may_replace(const std::string& certificate, const std::string& account);
  Response revoke(const Request& request);
  Response renewal_info(const std::string& certificate);
  Response show(const Request& request);
  bool is_proven(const Order& order) const { return order.tried && stall_ != Stall::kPending; }
  std::string_view status_of(const Order& order) const;
  Response finalize(const std::string& number, Order& order, const JsonValue& payload);
  std::string authorization(const std::string& number, const Order& order) const;
  std::string order_json(const std::string& number, std::string_view status) const;
  std::string url(std::string_view what, const std::string& number) const;

  const Options options_;
  const TestCa authority_{"Scripted"};
  mutable std::mutex mutex_;  // guards all that follows
  std::string bad_path_;      // "*": all
  Response bad_response_;
  Stall stall_ = Stall::kNone;
  Sign sign_;
  std::vector<Advice> advice_;
  std::vector<std::string> known_;  // certificates that were asked about
  bool refuse_replacements_ = false;
  std::vector<std::string> account_keys_;      // by their number less one
  std::map<std::string, std::string> issued_;  // renewal id -> account, until it is replaced
  std::map<std::string, Order> orders_{};      // by number
  std::map<std::string, size_t> order_counts_;
  std::vector<Wish> wishes_;
  std::vector<Revocation> revocations_;
  std::vector<std::string> polls_;
  size_t nonces_ = 0;
  HttpServer server_;  // the last: its thread uses all of the above
};

}  // namespace latchkey::test

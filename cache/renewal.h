#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/server_name.h"
#include "cache/slot.h"

namespace latchkey {

// When a CA wants a certificate renewed (RFC 9773, 4.2). start < end.
struct RenewalWindow {
  WallTime start{};
  WallTime end{};
  friend bool operator==(const RenewalWindow&, const RenewalWindow&) = default;
};

// What is to be done about a stored certificate, and when; columns of the table `certificate`.
struct RenewalPlan {
  static constexpr WallTime kNever = WallTime::max();

  // The instant of renewal, chosen once: in the CA's window, or by the certificate's life.
  WallTime renew_at = kNever;
  // When the scheduler looks at it next; the index is over this. kNever: only once somebody has
  // visited the name again (note_uses() makes it the visit's time).
  WallTime look_at = kNever;
  std::optional<RenewalWindow> window{};   // that renew_at was chosen in
  WallTime poll_at = kNever;               // when the CA is asked for its window again
  std::optional<WallTime> denied_since{};  // the policy's first no at a renewal, if not a yes since

  friend bool operator==(const RenewalPlan&, const RenewalPlan&) = default;
};

// By the certificate's life alone: after two thirds of it, half where it is under ten days. Its CA
// is not asked.
inline RenewalPlan plan_by_life(WallTime not_before, WallTime end) {
  const auto life = end - not_before;
  const auto wait = life < std::chrono::hours(10 * 24) ? life / 2 : life / 3 * 2;
  RenewalPlan plan;
  plan.renew_at = plan.look_at = not_before + wait;
  return plan;
}

// Where a certificate is from, as the store is told.
struct CertificateOrigin {
  CertificateOrigin(std::string issuer_in) : issuer(std::move(issuer_in)) {}
  CertificateOrigin(const char* issuer_in) : issuer(issuer_in) {}

  std::string issuer;     // its name in the configuration
  std::string account{};  // URL of the account that ordered it; "" for none
  // Without it: plan_by_life().
  std::optional<RenewalPlan> plan{};
  // Somebody has asked for the name just now. Else the last visit is that of what it replaces.
  bool visited = true;
  Slot slot = Slot::kMain;
};

// A stored certificate without its bytes and key.
struct CertificateInfo {
  int64_t id = 0;  // of the row: another certificate for the name has another one
  // That it was obtained for; if that leads to another one by now, another of its names.
  ServerName name;
  Slot slot = Slot::kMain;
  std::string issuer, account;
  std::string key_type;  // "p256", "rsa2048", ...
  std::string serial;    // hex, lower case
  WallTime not_before{};
  WallTime end{};        // the smallest notAfter of the chain
  WallTime last_used{};  // about: noted once in a while
  RenewalPlan plan{};
};

// An order that the CA has accepted and that has not come to an end: what it takes to go on with it
// after a crash. Stored before it is finalized.
struct PendingOrder {
  ServerName name;
  std::string issuer;     // of the configuration
  std::string directory;  // URL; the account's identity
  std::string account;    // URL
  std::string url;        // the order's
  std::string key_der;    // PKCS#8 of the certificate to come: a secret
  std::string profile{};
  WallTime made{};
  bool renewal = false;
  Slot slot = Slot::kMain;
};

// A TXT record that we have published for a challenge (RFC 8555, 8.4), or are about to: stored
// before it is, so that it is taken away after a crash, too.
struct DnsProof {
  int64_t id = 0;            // given by the store
  std::string domain;        // where it was really put, behind CNAMEs: "_acme-challenge.a.test"
  std::string value;         // base64url, not a secret
  std::string identifier{};  // that it proves: "a.test", also for "*.a.test"
  WallTime made{};
};

}  // namespace latchkey

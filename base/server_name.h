#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace latchkey {

struct ServerNameRules {
  bool underscore = false;  // allow '_' in labels
};

// A DNS host name that was checked once and needs no checking again: lower case, no trailing dot,
// LDH labels of 1 to 63 bytes, at most 253 bytes, no IP literal, A-labels that decode (IDNA2008).
// The only key for certificates, verdicts and orders.
class ServerName {
 public:
  // `text` is untrusted. The error (kInvalid) names the rule that it breaks.
  static Result<ServerName> parse(std::string_view text, ServerNameRules rules = {});

  // An IP address in its canonical spelling: "192.0.2.7", "2001:db8::7" (RFC 8738). Only the
  // configuration may name one: parse(), which is for what strangers say, refuses it.
  static Result<ServerName> parse_ip(std::string_view text);
  bool is_ip() const;

  // "*.example.com": what a certificate for any one label before it is ordered and stored under.
  // Only the configuration and the policy's grants lead to one: parse() refuses it. Of the suffix
  // the rules of parse() hold.
  static Result<ServerName> parse_wildcard(std::string_view text, ServerNameRules rules = {});
  bool is_wildcard() const { return text_.starts_with("*."); }
  // The wildcard that covers this name: "a.b.test" -> "*.b.test". nullopt for an address, a
  // wildcard, a name of one label, and where it would be over 253 bytes.
  std::optional<ServerName> wildcard() const;

  const std::string& text() const { return text_; }
  size_t labels() const;
  // The name behind the first label, or "" for a single label or an address: "a.b.test" ->
  // "b.test", "*.b.test" -> "b.test".
  std::string_view parent() const;

  friend bool operator==(const ServerName&, const ServerName&) = default;
  friend auto operator<=>(const ServerName&, const ServerName&) = default;

 private:
  explicit ServerName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace latchkey

template <>
struct std::hash<latchkey::ServerName> {
  size_t operator()(const latchkey::ServerName& name) const noexcept {
    return std::hash<std::string>()(name.text());
  }
};

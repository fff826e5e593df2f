#include "acme/rfc2136.h"

#include <openssl/rand.h>

#include <optional>
#include <utility>

#include "acme/dns_exchange.h"
#include "acme/tsig.h"
#include "base/dns_message.h"
#include "base/text.h"
#include "base/within.h"

namespace latchkey::acme {
namespace {

// What an update was answered with, when it was not done. The RFC's words: 2136, 2.2 and 3.
Error refused(uint8_t rcode, const DnsTxtUpdate& update, const std::string& key_name) {
  const std::string key = key_name.empty() ? "without a key (dns.rfc2136.key_name)"
                                           : "with the key \"" + key_name + "\"";
  const std::string name = dns_rcode_name(rcode);
  switch (rcode) {
    case 1:
      return {ErrorCode::kProtocol, name + ": it cannot read our update"};
    case 2:
      return {ErrorCode::kIo, name +
                                  ": it could not do it; its own log says why (often it may not "
                                  "write the zone's file or journal)"};
    case 4:
      return {ErrorCode::kInvalid,
              name +
                  ": it does not take updates; dns.rfc2136.server has to be the primary, with "
                  "dynamic updates"};
    case 5:
      return {ErrorCode::kInvalid, name + ": it does not take updates of " + update.domain + " " +
                                       key +
                                       "; allow them there (BIND: allow-update or "
                                       "update-policy of the zone)"};
    case 9:
      return {ErrorCode::kInvalid,
              name + ": it is not the primary of " + update.zone +
                  ", or does not take updates from us " + key +
                  "; dns.rfc2136.server and dns.rfc2136.zone have to belong together"};
    case 10:
      return {ErrorCode::kInvalid, name + ": " + update.domain + " is not in the zone " +
                                       update.zone +
                                       "; dns.rfc2136.zone has to be its zone, or be "
                                       "left out"};
    default:  // answers to conditions, of which we set none, and what is new
      return {ErrorCode::kProtocol, name + ": no answer to an update like ours"};
  }
}

// The zone of `asked`, by a server's answer to the question for its SOA. Only where the server says
// so of its own: a resolver's answer would lead to a server that takes no updates.
std::optional<std::string> zone_by(const DnsMessage& answer, const std::string& asked) {
  if (!answer.authoritative) return std::nullopt;
  for (const DnsRecord& record : answer.answers) {
    if (record.type == DnsType::kSoa && record.name == asked) return asked;
  }
  for (const DnsRecord& record : answer.authorities) {
    if (record.type == DnsType::kSoa && dns_is_within(asked, record.name)) return record.name;
  }
  return std::nullopt;
}

std::string canonical(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return lower(name);
}

}  // namespace

struct Rfc2136Records::Impl {
  Impl(Options options_in, uv_loop_t& loop_in, Clock& clock_in, Log& log_in)
      : options(std::move(options_in)), loop(loop_in), clock(clock_in), log(log_in) {
    options.zone = canonical(options.zone);
    key.name = canonical(options.key_name);
    key.algorithm = canonical(options.algorithm);
    key.secret = std::move(options.secret);
    options.secret.clear();
  }

  uint16_t fresh_id() const {
    uint8_t bytes[2];
    RAND_bytes(bytes, sizeof bytes);
    return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
  }

  // The answer to `message`, known to be one, and to be the server's where we have a key.
  Task<DnsMessage> ask(std::string message) {
    const sockaddr_storage server = co_await or_fail(dns_server_address(options.server));
    TsigRequest request;
    request.bytes = message;
    if (!key.name.empty()) {
      request = co_await or_fail(tsig_sign(key, std::move(message), clock.wall_now()));
    }
    Task<std::string> exchange = dns_exchange(loop, server, request.bytes);
    const std::string bytes = co_await within(clock, options.timeout, std::move(exchange));
    DnsMessage answer = co_await or_fail(DnsMessage::parse(bytes));
    const auto id = static_cast<uint16_t>(static_cast<uint8_t>(request.bytes[0]) << 8 |
                                          static_cast<uint8_t>(request.bytes[1]));
    const int opcode = static_cast<uint8_t>(request.bytes[2]) >> 3 & 0xf;
    if (!answer.response || answer.id != id || answer.opcode != opcode) {
      co_return Error{ErrorCode::kProtocol, "what it sent does not answer our question"};
    }
    if (!key.name.empty()) {
      co_await or_fail(tsig_verify(key, request, bytes, answer, clock.wall_now()));
    }
    co_return answer;
  }

  Task<std::string> find_zone(std::string domain) {
    if (!options.zone.empty()) {
      if (dns_is_within(domain, options.zone)) co_return options.zone;
      co_return Error{ErrorCode::kInvalid, domain + " is not in the zone " + options.zone +
                                               " (dns.rfc2136.zone); leave that out to have the "
                                               "zone found"};
    }
    std::string last;  // how it answered
    for (std::string name = domain; !name.empty(); name = dns_parent(name)) {
      std::string question = co_await or_fail(dns_query(fresh_id(), name, DnsType::kSoa));
      const DnsMessage answer = co_await ask(std::move(question));
      if (const auto zone = zone_by(answer, name)) co_return *zone;
      last = dns_rcode_name(answer.rcode) + (answer.authoritative ? "" : ", not authoritative");
    }
    co_return Error{ErrorCode::kInvalid,
                    "it is not authoritative for " + domain + " nor for a name above it (" + last +
                        "): dns.rfc2136.server has to be the primary of the zone; "
                        "dns.rfc2136.zone names the zone where it does not tell"};
  }

  Task<> change(DnsTxtUpdate update) {
    update.zone = co_await find_zone(update.domain);
    std::string message = co_await or_fail(dns_update(fresh_id(), update));
    Result<DnsMessage> answer = co_await ask(std::move(message)).result();
    if (answer && answer->rcode != 0) answer = refused(answer->rcode, update, key.name);
    if (!answer) co_return std::move(answer).error().in("zone " + update.zone);
    log.debug("dns_update", update.add ? "TXT record added" : "TXT record removed",
              {{"server", options.server},
               {"zone", update.zone},
               {"record", update.domain},
               {"value", update.value}});
    co_return Unit{};
  }

  Task<> tell(bool add, std::string domain, std::string value) {
    DnsTxtUpdate update;
    update.domain = canonical(domain);
    update.value = std::move(value);
    update.ttl = options.ttl;
    update.add = add;
    Result<> done = co_await change(std::move(update)).result();
    if (done) co_return done;
    co_return std::move(done).error().in(
        (add ? "adding a TXT record at " : "removing a TXT record at ") + domain +
        " by DNS update at " + options.server);
  }

  Options options;  // without the secret
  TsigKey key;      // without a name: none
  uv_loop_t& loop;
  Clock& clock;
  Log& log;
};

Rfc2136Records::Rfc2136Records(Options options, uv_loop_t& loop, Clock& clock, Log& log)
    : impl_(std::make_unique<Impl>(std::move(options), loop, clock, log)) {}

Rfc2136Records::~Rfc2136Records() = default;

Result<> Rfc2136Records::check(const Options& options) {
  if (const auto server = dns_server_address(options.server); !server) return server.error();
  if (const auto zone = dns_wire_name(options.zone); !zone) return zone.error();
  if (options.key_name.empty()) return Unit{};
  if (const auto name = dns_wire_name(options.key_name); !name) return name.error();
  if (options.secret.empty()) {
    return Error{ErrorCode::kInvalid, "the key \"" + options.key_name + "\" has no secret"};
  }
  // Signing anything tells whether it can be done.
  const TsigKey key{options.key_name, canonical(options.algorithm), options.secret};
  const auto signed_one = tsig_sign(key, std::string(kDnsHeaderSize, '\0'), WallTime());
  if (!signed_one) return signed_one.error();
  return Unit{};
}

Task<> Rfc2136Records::publish(std::string domain, std::string value) {
  return impl_->tell(true, std::move(domain), std::move(value));
}

Task<> Rfc2136Records::withdraw(std::string domain, std::string value) {
  return impl_->tell(false, std::move(domain), std::move(value));
}

}  // namespace latchkey::acme

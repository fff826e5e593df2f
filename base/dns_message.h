#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace latchkey {

// DNS messages (RFC 1035; updates: RFC 2136) as bytes. Pure functions; what they read may be
// anything.

enum class DnsType : uint16_t {
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kTxt = 16,
  kSrv = 33,
  kTsig = 250,
  kAny = 255
};
enum class DnsClass : uint16_t { kIn = 1, kNone = 254, kAny = 255 };
enum class DnsOpcode : uint8_t { kQuery = 0, kUpdate = 5 };

// Names as text: lower case, without a trailing dot ("" is the root), and with what is neither
// letter, digit, '-', '_' nor '*' as \DDD.

struct DnsRecord {
  std::string name;
  DnsType type{};
  uint16_t klass = 0;
  uint32_t ttl = 0;
  size_t at = 0;  // where it begins in the message
  // NS, CNAME: where it leads; SOA: the primary; TXT: its strings joined; SRV: "PRIORITY WEIGHT
  // PORT TARGET"; else the data's bytes.
  std::string value;
};

struct DnsMessage {
  // A message is at most 64 KiB; one with more records than that is refused.
  static constexpr size_t kMaxRecords = 1024;

  uint16_t id = 0;
  bool response = false;
  bool authoritative = false;
  bool truncated = false;
  uint8_t opcode = 0;
  uint8_t rcode = 0;
  std::vector<DnsRecord> answers, authorities, additionals;

  // Errors are kProtocol and say what is wrong, and where.
  static Result<DnsMessage> parse(std::string_view bytes);
};

// "REFUSED"; "RCODE 12" for what has no name.
std::string dns_rcode_name(uint8_t rcode);

// `name` is in or equal to `zone`; both as above.
bool dns_is_within(std::string_view name, std::string_view zone);
// The name without its first label; "" behind the last one.
std::string dns_parent(std::string_view name);

// A name on the wire, uncompressed and in lower case; a trailing dot is allowed, \DDD is that byte.
// Error (kInvalid): an empty label, one over 63 bytes, over 255 bytes in all, any other \.
Result<std::string> dns_wire_name(std::string_view name);

// A question without recursion.
Result<std::string> dns_query(uint16_t id, std::string_view name, DnsType type);

// Adds one TXT record to what is at `domain`, or removes exactly that one (RFC 2136, 2.5).
struct DnsTxtUpdate {
  std::string zone, domain, value;
  uint32_t ttl = 0;  // when it is added
  bool add = true;
};
Result<std::string> dns_update(uint16_t id, const DnsTxtUpdate& update);

// For who adds a record at the end of a message.
void dns_put16(std::string& bytes, uint16_t value);
void dns_put32(std::string& bytes, uint32_t value);
constexpr size_t kDnsHeaderSize = 12;
constexpr size_t kDnsAdditionalsAt = 10;  // in the header: how many additional records there are

}  // namespace latchkey

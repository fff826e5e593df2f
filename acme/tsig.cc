#include "acme/tsig.h"

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr uint16_t kFudge = 300;  // seconds by which the clocks may differ (RFC 8945, 10)

enum TsigError : uint16_t { kBadSig = 16, kBadKey = 17, kBadTime = 18, kBadTrunc = 22 };

struct Algorithm {
  const char* name;
  const EVP_MD* (*digest)();
};
constexpr Algorithm kAlgorithms[] = {{"hmac-sha1", EVP_sha1},
                                     {"hmac-sha224", EVP_sha224},
                                     {"hmac-sha256", EVP_sha256},
                                     {"hmac-sha384", EVP_sha384},
                                     {"hmac-sha512", EVP_sha512}};

const EVP_MD* digest_of(std::string_view algorithm) {
  for (const Algorithm& known : kAlgorithms) {
    if (known.name == algorithm) return known.digest();
  }
  return nullptr;
}

std::string hmac(const TsigKey& key, std::string_view message) {
  std::string tag(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  CHECK(HMAC(digest_of(key.algorithm), key.secret.data(), key.secret.size(),
             reinterpret_cast<const uint8_t*>(message.data()), message.size(),
             reinterpret_cast<uint8_t*>(tag.data()), &size) != nullptr);
  tag.resize(size);
  return tag;
}

void put48(std::string& bytes, uint64_t value) {
  dns_put16(bytes, static_cast<uint16_t>(value >> 32 & 0xffff));
  dns_put32(bytes, static_cast<uint32_t>(value & 0xffffffff));
}

void put_sized(std::string& bytes, std::string_view piece) {
  dns_put16(bytes, static_cast<uint16_t>(piece.size()));
  bytes += piece;
}

// The data of a TSIG record (RFC 8945, 4.2).
struct Tsig {
  std::string algorithm;  // on the wire, lower case
  uint64_t time = 0;
  uint16_t fudge = kFudge;
  std::string mac;
  uint16_t original_id = 0;
  uint16_t error = 0;
  std::string other;
};

// What is signed beside the message (RFC 8945, 4.3.3).
std::string variables(const std::string& wire_key_name, const Tsig& tsig) {
  std::string bytes = wire_key_name;
  dns_put16(bytes, static_cast<uint16_t>(DnsClass::kAny));
  dns_put32(bytes, 0);  // the record's TTL
  bytes += tsig.algorithm;
  put48(bytes, tsig.time);
  dns_put16(bytes, tsig.fudge);
  dns_put16(bytes, tsig.error);
  put_sized(bytes, tsig.other);
  return bytes;
}

bool read_wire_name(CBS& in, std::string& name) {
  for (;;) {
    uint8_t length = 0;
    CBS label;
    if (!CBS_get_u8(&in, &length) || length > 63 || !CBS_get_bytes(&in, &label, length)) {
      return false;
    }
    name += static_cast<char>(length);
    for (size_t i = 0; i < CBS_len(&label); ++i) {
      name += lower(static_cast<char>(CBS_data(&label)[i]));
    }
    if (name.size() > 255) return false;
    if (length == 0) return true;
  }
}

bool read_sized(CBS& in, std::string& bytes) {
  CBS piece;
  if (!CBS_get_u16_length_prefixed(&in, &piece)) return false;
  bytes.assign(reinterpret_cast<const char*>(CBS_data(&piece)), CBS_len(&piece));
  return true;
}

std::optional<Tsig> parse_tsig(std::string_view data) {
  CBS in;
  CBS_init(&in, reinterpret_cast<const uint8_t*>(data.data()), data.size());
  Tsig tsig;
  uint16_t high = 0;
  uint32_t low = 0;
  if (!read_wire_name(in, tsig.algorithm) || !CBS_get_u16(&in, &high) || !CBS_get_u32(&in, &low) ||
      !CBS_get_u16(&in, &tsig.fudge) || !read_sized(in, tsig.mac) ||
      !CBS_get_u16(&in, &tsig.original_id) || !CBS_get_u16(&in, &tsig.error) ||
      !read_sized(in, tsig.other) || CBS_len(&in) != 0) {
    return std::nullopt;
  }
  tsig.time = uint64_t{high} << 32 | low;
  return tsig;
}

uint64_t seconds(WallTime time) {
  return static_cast<uint64_t>(std::max<int64_t>(0, time.time_since_epoch().count()));
}

uint64_t distance(uint64_t a, uint64_t b) {
  return a > b ? a - b : b - a;
}

// Why the server has not looked at the request; nullopt where it has.
std::optional<Error> refusal(const TsigKey& key, const Tsig& tsig, WallTime now) {
  const std::string which = "key \"" + key.name + "\" (" + key.algorithm + ")";
  switch (tsig.error) {
    case 0:
      return std::nullopt;
    case kBadSig:
      return Error{ErrorCode::kInvalid,
                   "it does not take our signature with " + which +
                       " (BADSIG): its secret there is another one; compare the secrets"};
    case kBadKey:
      return Error{ErrorCode::kInvalid,
                   "it does not know " + which +
                       " (BADKEY): compare name and algorithm with the key in its configuration"};
    case kBadTime: {
      std::string by;
      if (tsig.other.size() == 6) {
        uint64_t there = 0;
        for (const char c : tsig.other) there = there << 8 | static_cast<uint8_t>(c);
        by = " by " + std::to_string(distance(there, seconds(now))) + " s";
      }
      return Error{ErrorCode::kInvalid, "its clock and ours differ" + by +
                                            " (BADTIME), more than the 5 min that signatures "
                                            "allow: set both clocks by NTP"};
    }
    case kBadTrunc:
      return Error{ErrorCode::kInvalid, "it wants signatures of another length with " + which +
                                            " (BADTRUNC): take the algorithm without truncation"};
    default:
      return Error{ErrorCode::kProtocol, "it does not take our signature with " + which +
                                             ": TSIG error " + std::to_string(tsig.error)};
  }
}

}  // namespace

bool tsig_knows(std::string_view algorithm) {
  return digest_of(algorithm) != nullptr;
}

Result<TsigRequest> tsig_sign(const TsigKey& key, std::string message, WallTime now) {
  if (!tsig_knows(key.algorithm)) {
    std::string known;
    for (const Algorithm& one : kAlgorithms)
      known += (known.empty() ? "" : ", ") + std::string(one.name);
    return Error{ErrorCode::kInvalid,
                 "unknown TSIG algorithm \"" + key.algorithm + "\": expected one of " + known};
  }
  const auto key_name = dns_wire_name(key.name);
  if (!key_name) return key_name.error();
  CHECK(message.size() >= kDnsHeaderSize);
  Tsig tsig;
  tsig.algorithm = *dns_wire_name(key.algorithm);
  tsig.time = seconds(now);

  TsigRequest request;
  request.mac = hmac(key, message + variables(*key_name, tsig));
  std::string data = tsig.algorithm;
  put48(data, tsig.time);
  dns_put16(data, tsig.fudge);
  put_sized(data, request.mac);
  data += message.substr(0, 2);  // the original id
  dns_put16(data, tsig.error);
  put_sized(data, tsig.other);

  message[kDnsAdditionalsAt + 1] = static_cast<char>(message[kDnsAdditionalsAt + 1] + 1);
  message += *key_name;
  dns_put16(message, static_cast<uint16_t>(DnsType::kTsig));
  dns_put16(message, static_cast<uint16_t>(DnsClass::kAny));
  dns_put32(message, 0);
  put_sized(message, data);
  request.bytes = std::move(message);
  return request;
}

Result<> tsig_verify(const TsigKey& key, const TsigRequest& request, std::string_view bytes,
                     const DnsMessage& message, WallTime now) {
  const auto distrust = [&](const std::string& why) {
    return Error{ErrorCode::kProtocol,
                 "its answer (" + dns_rcode_name(message.rcode) + ") cannot be trusted: " + why};
  };
  const bool has_one =
      !message.additionals.empty() && message.additionals.back().type == DnsType::kTsig;
  if (!has_one) {
    return distrust("it is not signed, though the question was, with key \"" + key.name + "\"");
  }
  const DnsRecord& record = message.additionals.back();
  const auto tsig = parse_tsig(record.value);
  if (!tsig) return distrust("its TSIG record makes no sense");
  // BADKEY and BADSIG cannot be signed (RFC 8945, 5.3.2): whoever forges them only spoils our try.
  if (auto refused = refusal(key, *tsig, now); refused && tsig->mac.empty()) return *refused;

  const auto key_name = dns_wire_name(key.name);
  const auto algorithm = dns_wire_name(key.algorithm);
  const auto their_name = dns_wire_name(record.name);
  if (!key_name || !algorithm || !their_name || *their_name != *key_name ||
      tsig->algorithm != *algorithm || !tsig_knows(key.algorithm)) {
    return distrust("it is signed with another key than \"" + key.name + "\"");
  }
  // As it was before it was signed (RFC 8945, 5.3).
  std::string signed_part;
  put_sized(signed_part, request.mac);
  dns_put16(signed_part, tsig->original_id);
  signed_part += bytes.substr(2, kDnsAdditionalsAt - 2);
  dns_put16(signed_part, static_cast<uint16_t>(message.additionals.size() - 1));
  signed_part += bytes.substr(kDnsHeaderSize, record.at - kDnsHeaderSize);
  const std::string mac = hmac(key, signed_part + variables(*key_name, *tsig));
  if (mac.size() != tsig->mac.size() ||
      CRYPTO_memcmp(mac.data(), tsig->mac.data(), mac.size()) != 0) {
    return distrust("its signature with key \"" + key.name +
                    "\" is wrong: somebody between it and us changes answers, or it has two keys "
                    "of that name");
  }
  if (auto refused = refusal(key, *tsig, now)) return *refused;
  const uint64_t off = distance(tsig->time, seconds(now));
  if (off > tsig->fudge) {
    return distrust("it is signed " + std::to_string(off) +
                    " s away from our time: set both clocks by NTP");
  }
  return Unit{};
}

}  // namespace latchkey::acme

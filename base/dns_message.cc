#include "base/dns_message.h"

#include <array>
#include <charconv>
#include <optional>

#include "base/text.h"

namespace latchkey {
namespace {

constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxName = 255;   // on the wire
constexpr size_t kMaxJumps = 128;  // of a compressed name; more than it has labels nobody needs
constexpr size_t kMaxText = 255;   // of one string in a TXT record
constexpr uint16_t kInternet = static_cast<uint16_t>(DnsClass::kIn);

void append_label(std::string& text, std::string_view label) {
  if (!text.empty()) text += '.';
  for (const char raw : label) {
    const char c = lower(raw);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '*') {
      text += c;
      continue;
    }
    const auto byte = static_cast<uint8_t>(c);
    text += '\\';
    text += static_cast<char>('0' + byte / 100);
    text += static_cast<char>('0' + byte / 10 % 10);
    text += static_cast<char>('0' + byte % 10);
  }
}

// The bytes of a label that may have some as \DDD; nullopt where a \ is followed by anything else.
std::optional<std::string> unescape(std::string_view label) {
  std::string bytes;
  for (size_t i = 0; i < label.size(); ++i) {
    if (label[i] != '\\') {
      bytes += label[i];
      continue;
    }
    const std::string_view digits = label.substr(i + 1, 3);
    unsigned byte = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), byte);
    if (digits.size() < 3 || read.ptr != digits.data() + digits.size() || byte > 255) {
      return std::nullopt;
    }
    bytes += static_cast<char>(byte);
    i += digits.size();
  }
  return bytes;
}

// Reads forward through a message. After the first thing that is not there, all is zero and bad()
// says what it was.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  size_t at() const { return at_; }
  bool bad() const { return !why_.empty(); }
  Error error() const { return {ErrorCode::kProtocol, "not a DNS message: " + why_}; }
  void complain(const std::string& what) {
    if (!bad()) why_ = what + " at byte " + std::to_string(at_);
    at_ = bytes_.size();
  }

  uint8_t byte() {
    if (at_ >= bytes_.size()) {
      complain("it ends early");
      return 0;
    }
    return static_cast<uint8_t>(bytes_[at_++]);
  }
  uint16_t two() {
    const unsigned high = byte();
    return static_cast<uint16_t>(high << 8 | byte());
  }
  uint32_t four() {
    const uint32_t high = two();
    return high << 16 | two();
  }
  std::string_view take(size_t size) {
    if (size > bytes_.size() - at_) {
      complain("it ends early");
      return {};
    }
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }

  // Pointers lead backwards only, each to before where the labels that it ends began: so it ends;
  // and they are bounded, as a message may have a thousand names that all go the same long way.
  std::string name() {
    std::string text;
    size_t wire = 1;
    size_t jumps = 0;
    size_t begin = at_;
    std::optional<size_t> after;  // where reading goes on, behind the first pointer
    for (;;) {
      const size_t length = byte();
      if (bad()) return "";
      if (length == 0) break;
      if (length >= 0xc0) {
        const size_t target = (length & 0x3f) << 8 | byte();
        if (bad()) return "";
        if (!after) after = at_;
        if (target >= begin) {
          complain("a compressed name leads forward");
          return "";
        }
        if (++jumps > kMaxJumps) {
          complain("a compressed name leads from place to place");
          return "";
        }
        at_ = begin = target;
        continue;
      }
      wire += 1 + length;
      if (length > kMaxLabel || wire > kMaxName) {
        complain("a name is too long");
        return "";
      }
      append_label(text, take(length));
      if (bad()) return "";
    }
    if (after) at_ = *after;
    return text;
  }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  std::string why_;
};

// The data as DnsRecord::value has it; reads exactly `size` bytes.
std::string value(Reader& in, DnsType type, size_t size) {
  const size_t end = in.at() + size;
  std::string value;
  switch (type) {
    case DnsType::kNs:
    case DnsType::kCname:
      value = in.name();
      break;
    case DnsType::kSoa:
      value = in.name();
      in.name();    // the mailbox
      in.take(20);  // serial number, times
      break;
    case DnsType::kTxt:
      while (!in.bad() && in.at() < end) value += in.take(in.byte());
      break;
    case DnsType::kSrv:
      for (int number = 0; number < 3; ++number) value += std::to_string(in.two()) + ' ';
      value += in.name();
      break;
    default:
      return std::string(in.take(size));
  }
  if (!in.bad() && in.at() != end) in.complain("a record's data is not as long as it says");
  return value;
}

DnsRecord record(Reader& in) {
  DnsRecord record;
  record.at = in.at();
  record.name = in.name();
  record.type = static_cast<DnsType>(in.two());
  record.klass = in.two();
  record.ttl = in.four();
  const size_t size = in.two();
  // Updates have records without data.
  if (size > 0) record.value = value(in, record.type, size);
  return record;
}

std::string header(uint16_t id, DnsOpcode opcode, std::array<uint16_t, 4> counts) {
  std::string bytes;
  dns_put16(bytes, id);
  dns_put16(bytes, static_cast<uint16_t>(static_cast<unsigned>(opcode) << 11));
  for (const uint16_t count : counts) dns_put16(bytes, count);
  return bytes;
}

void put_question(std::string& bytes, const std::string& wire_name, DnsType type) {
  bytes += wire_name;
  dns_put16(bytes, static_cast<uint16_t>(type));
  dns_put16(bytes, kInternet);
}

// A TXT record's data: strings of at most 255 bytes.
std::string txt_data(std::string_view value) {
  std::string data;
  do {
    const std::string_view piece = value.substr(0, kMaxText);
    data += static_cast<char>(piece.size());
    data += piece;
    value.remove_prefix(piece.size());
  } while (!value.empty());
  return data;
}

}  // namespace

Result<DnsMessage> DnsMessage::parse(std::string_view bytes) {
  Reader in(bytes);
  DnsMessage message;
  message.id = in.two();
  const unsigned flags = in.two();
  message.response = (flags & 0x8000) != 0;
  message.opcode = static_cast<uint8_t>(flags >> 11 & 0xf);
  message.authoritative = (flags & 0x0400) != 0;
  message.truncated = (flags & 0x0200) != 0;
  message.rcode = static_cast<uint8_t>(flags & 0xf);
  const size_t questions = in.two();
  const std::array<size_t, 3> counts{in.two(), in.two(), in.two()};
  if (questions + counts[0] + counts[1] + counts[2] > kMaxRecords) {
    in.complain("it has too many records");
  }
  for (size_t i = 0; i < questions && !in.bad(); ++i) {
    in.name();
    in.four();  // type and class
  }
  const std::array sections{&message.answers, &message.authorities, &message.additionals};
  for (size_t section = 0; section < sections.size(); ++section) {
    for (size_t i = 0; i < counts[section] && !in.bad(); ++i) {
      sections[section]->push_back(record(in));
    }
  }
  if (!in.bad() && in.at() != bytes.size()) in.complain("something follows it");
  if (in.bad()) return in.error();
  return message;
}

std::string dns_rcode_name(uint8_t rcode) {
  static constexpr std::array kNames{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                     "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                     "NXRRSET", "NOTAUTH", "NOTZONE"};
  return rcode < kNames.size() ? kNames[rcode] : "RCODE " + std::to_string(rcode);
}

bool dns_is_within(std::string_view name, std::string_view zone) {
  if (zone.empty() || name == zone) return true;
  return name.size() > zone.size() && name.ends_with(zone) &&
         name[name.size() - zone.size() - 1] == '.';
}

std::string dns_parent(std::string_view name) {
  const size_t dot = name.find('.');
  return dot == std::string_view::npos ? "" : std::string(name.substr(dot + 1));
}

Result<std::string> dns_wire_name(std::string_view name) {
  const auto refuse = [name](const std::string& why) {
    return Error{ErrorCode::kInvalid,
                 "not a DNS name: \"" + std::string(name.substr(0, 300)) + "\": " + why};
  };
  std::string wire;
  std::string_view rest = name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
  while (!rest.empty()) {
    const std::string_view label = rest.substr(0, rest.find('.'));
    if (label.empty()) return refuse("an empty label");
    const auto bytes = unescape(label);
    if (!bytes) return refuse("a \\ that is not followed by the three digits of a byte");
    if (bytes->size() > kMaxLabel) return refuse("a label of over 63 bytes");
    wire += static_cast<char>(bytes->size());
    for (const char c : *bytes) wire += lower(c);
    if (label.size() == rest.size()) break;
    rest.remove_prefix(label.size() + 1);
    if (rest.empty()) return refuse("an empty label");
  }
  wire += '\0';
  if (wire.size() > kMaxName) return refuse("over 253 bytes");
  return wire;
}

Result<std::string> dns_query(uint16_t id, std::string_view name, DnsType type) {
  const auto wire = dns_wire_name(name);
  if (!wire) return wire.error();
  std::string bytes = header(id, DnsOpcode::kQuery, {1, 0, 0, 0});
  put_question(bytes, *wire, type);
  return bytes;
}

Result<std::string> dns_update(uint16_t id, const DnsTxtUpdate& update) {
  const auto zone = dns_wire_name(update.zone);
  if (!zone) return zone.error();
  const auto domain = dns_wire_name(update.domain);
  if (!domain) return domain.error();
  constexpr size_t kMaxValue = 4096;
  if (update.value.size() > kMaxValue) {
    return Error{ErrorCode::kInvalid, "a TXT record of over 4096 bytes"};
  }
  std::string bytes = header(id, DnsOpcode::kUpdate, {1, 0, 1, 0});
  put_question(bytes, *zone, DnsType::kSoa);
  bytes += *domain;
  dns_put16(bytes, static_cast<uint16_t>(DnsType::kTxt));
  dns_put16(bytes, static_cast<uint16_t>(update.add ? DnsClass::kIn : DnsClass::kNone));
  dns_put32(bytes, update.add ? update.ttl : 0);
  const std::string data = txt_data(update.value);
  dns_put16(bytes, static_cast<uint16_t>(data.size()));
  return bytes + data;
}

void dns_put16(std::string& bytes, uint16_t value) {
  bytes += static_cast<char>(value >> 8);
  bytes += static_cast<char>(value & 0xff);
}

void dns_put32(std::string& bytes, uint32_t value) {
  dns_put16(bytes, static_cast<uint16_t>(value >> 16));
  dns_put16(bytes, static_cast<uint16_t>(value & 0xffff));
}

}  // namespace latchkey

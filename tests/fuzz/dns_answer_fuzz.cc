// Whatever a name server answers: what is read is bounded, complaints are short lines, and no
// answer that a signature is asked of passes without one.

#include <cstdint>
#include <cstdlib>

#include "acme/tsig.h"
#include "base/dns_message.h"

namespace {

using namespace latchkey;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_record(const DnsRecord& record) {
  require(record.name.size() <= 4 * 255);
  for (const char c : record.name) require(c > ' ' && c < 0x7f && (c < 'A' || c > 'Z'));
}

void check_signature(const std::string& bytes, const DnsMessage& message) {
  const acme::TsigKey key{"key", "hmac-sha256", "secret"};
  acme::TsigRequest request;
  request.mac = std::string(32, 'm');
  const auto verified = acme::tsig_verify(key, request, bytes, message, WallTime());
  require(!verified);
  require(verified.error().message.size() <= 1024);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto message = DnsMessage::parse(bytes);
  if (!message) {
    require(message.error().message.size() <= 1024);
  } else {
    size_t values = 0, records = 0;
    for (const auto* section : {&message->answers, &message->authorities, &message->additionals}) {
      for (const DnsRecord& record : *section) {
        check_record(record);
        values += record.value.size();
      }
      records += section->size();
    }
    require(records <= DnsMessage::kMaxRecords);
    require(values <= bytes.size() + records * 4 * 255);
    check_signature(bytes, *message);
  }
  // The input as a name: what can be written can be read.
  if (const auto wire = dns_wire_name(bytes)) {
    require(wire->size() <= 255);
    const auto question = dns_query(1, bytes, DnsType::kSoa);
    require(question.has_value() && DnsMessage::parse(*question).has_value());
  }
  return 0;
}

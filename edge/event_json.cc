#include "edge/event_json.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "edge/steering_json.h"

namespace latchkey::edge {
namespace {

// Bytes.
constexpr size_t kMaxText = 2048;
constexpr size_t kMaxDetails = 4096;
constexpr size_t kMaxWord = 255;  // kind, name, issuer
constexpr size_t kMaxCut = 600;   // of details that are no good; escaping can make six of one

// As the log has it, but for quotes and backslashes: those mean no harm here, and in JSON they
// would be escaped a second time.
std::string one_line(std::string_view text, size_t max) {
  text = text.substr(0, max + 4);  // what a cut does to a character's bytes lies behind `max`
  std::string line;
  while (!text.empty()) {
    const size_t plain = std::min(text.find_first_of("\"\\"), text.size());
    const std::string quoted = json_quote(text.substr(0, plain));
    line.append(quoted, 1, quoted.size() - 2);
    text.remove_prefix(plain);
    if (!text.empty()) line += text.front();
    text.remove_prefix(text.empty() ? 0 : 1);
  }
  if (line.size() <= max) return line;
  size_t end = max;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;
  line.resize(end);
  return line;
}

std::string bounded_details(const std::string& details) {
  if (details.empty()) return details;
  if (details.size() <= kMaxDetails) {
    const auto value = parse_json(details);
    if (value && value->is(JsonValue::Kind::kObject)) {
      std::string compact = json_show(*value, kMaxDetails + 1);
      if (compact.size() <= kMaxDetails) return compact;
    }
  }
  return JsonObject().text("cut", one_line(details, kMaxCut)).str();
}

}  // namespace

Event bounded(Event event) {
  event.kind = one_line(event.kind, kMaxWord);
  event.name = one_line(event.name, kMaxWord);
  event.issuer = one_line(event.issuer, kMaxWord);
  event.text = one_line(event.text, kMaxText);
  event.details = bounded_details(event.details);
  return event;
}

std::string event_json(const Event& event, std::string_view id) {
  JsonObject out;
  out.text("id", id).text("at", iso_time(event.at)).text("kind", event.kind);
  out.text("name", event.name).text("issuer", event.issuer).text("text", event.text);
  out.raw("details", event.details.empty() ? "{}" : event.details);
  out.text("product", "latchkey").text("version", LATCHKEY_VERSION);
  return out.str();
}

EventIds::EventIds() {
  std::array<uint8_t, 8> random{};
  RAND_bytes(random.data(), random.size());
  process_ = to_hex(random.data(), random.size());
}

std::string EventIds::next() {
  return process_ + "-" + std::to_string(++last_);
}

}  // namespace latchkey::edge

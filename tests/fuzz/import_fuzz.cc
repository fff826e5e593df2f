// What other programs wrote (settings, folders' names, keys as JWK, PEM) is read or refused.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/json.h"
#include "cache/certificate.h"
#include "cache/private_key.h"
#include "edge/import/acme_url.h"
#include "edge/import/conf_text.h"
#include "edge/import/jwk.h"

namespace {

using namespace latchkey;

void expect(bool holds) {
  if (!holds) std::abort();
}

// A value is one printable line, whatever it was.
void check_value(const std::string& value) {
  expect(value.size() <= 4096);
  for (const char c : value) expect(c >= ' ' && c <= '~');
}

void check_directory(const std::string& directory) {
  expect(directory.empty() || directory.find("://") != std::string::npos);
  expect(edge::same_directory(directory, directory));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_value(edge::certbot_parameter(text, "server"));
  check_value(edge::acme_sh_parameter(text, "Le_API"));

  const size_t line = text.find('\n');
  const std::string_view first = text.substr(0, line);
  const std::string_view rest = line == text.npos ? std::string_view() : text.substr(line + 1);
  check_directory(edge::directory_from_path(first, rest));
  check_directory(edge::directory_from_caddy_key(first, rest));

  if (const auto json = parse_json(text)) {
    if (const auto key = edge::private_key_from_jwk(*json)) {
      expect(!private_key_to_der(*key).empty());
    }
  }
  if (auto key = private_key_from_pem(text)) {
    const auto certificate = Certificate::from_pem(text, *std::move(key));
    if (certificate) expect(!(*certificate)->chain().empty());
  }
  return 0;
}

#include "bench/load/failures.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

namespace latchkey::bench {
namespace {

// As the RFCs write names: lower case, underscores.
std::string rfc_name(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return c == ' ' ? '_' : static_cast<char>(std::tolower(c));
  });
  return text;
}

}  // namespace

std::string failure_by_errno(int error) {
  switch (error) {
    case ECONNREFUSED:
      return "connect refused";
    case ECONNRESET:
    case EPIPE:
      return "reset";
    case ETIMEDOUT:
      return "connect timeout";
    case EADDRNOTAVAIL:
    case EADDRINUSE:
      return "no free local port (try --sources)";
    case EMFILE:
    case ENFILE:
      return "no free descriptor (raise ulimit -n)";
    default:
      return std::string("socket: ") + std::strerror(error);
  }
}

std::string alert_text(int alert) {
  const std::string name = SSL_alert_desc_string_long(alert);
  return "alert " + (name == "unknown" ? std::to_string(alert) : rfc_name(name));
}

std::string failure_by_tls(uint32_t packed_error) {
  const int reason = ERR_GET_REASON(packed_error);
  if (ERR_GET_LIB(packed_error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET) {
    return alert_text(reason - SSL_AD_REASON_OFFSET);
  }
  const char* text = ERR_reason_error_string(packed_error);
  return "tls " + rfc_name(text == nullptr ? "error" : text);
}

}  // namespace latchkey::bench

#pragma once
// What operations fail of, as text: the keys of Measurement::errors.

#include <cstdint>
#include <string>
#include <string_view>

namespace latchkey::bench {

constexpr std::string_view kTimeout = "timeout";
constexpr std::string_view kClosedEarly = "closed before the handshake ended";

// "connect refused", "reset", "no free local port (try --sources)", ...
std::string failure_by_errno(int error);
// Of BoringSSL's error queue: "alert unrecognized_name" where the server sent one, else "tls ...".
std::string failure_by_tls(uint32_t packed_error);
// "alert handshake_failure", of the number on the wire.
std::string alert_text(int alert);

}  // namespace latchkey::bench

#pragma once
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/http_client.h"
#include "base/result.h"

namespace latchkey::edge {

// One request (with JSON as its body, if any) to the admin API of the process that listens on
// `socket`, and its reply, whatever its status. Blocks, on a loop of its own. The error says what
// to do when nobody answers there.
Result<HttpReply> call_admin(const std::string& socket, const std::string& method,
                             const std::string& path, Millis limit, std::string body = "");

// `name` as a segment of a path.
std::string percent_encode(std::string_view name);

}  // namespace latchkey::edge

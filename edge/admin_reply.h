#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "edge/admin_server.h"

namespace latchkey::edge {

// The admin API's ways to answer.
AdminReply ok(std::string json);
AdminReply refused(int status, std::string_view why);
// 405: another of them would do: "GET, DELETE".
AdminReply only(std::string methods);
// What came of a deed; an error's code becomes the status.
AdminReply reply_of(Result<std::string> outcome);

}  // namespace latchkey::edge

#pragma once
#include <uv.h>

#include <string>

#include "base/task.h"

namespace latchkey::acme {

// "192.0.2.1:53", "[2001:db8::1]:53" as a socket's address. kInvalid with an example where it is
// something else.
Result<sockaddr_storage> dns_server_address(const std::string& server);

// Sends one message by TCP on a connection of its own, and yields the first that comes back (RFC
// 1035, 4.2.2), at most 64 KiB. No time limit: see within(). Errors are kIo and say what failed.
// Dropping the task closes the connection.
Task<std::string> dns_exchange(uv_loop_t& loop, sockaddr_storage server, std::string message);

}  // namespace latchkey::acme

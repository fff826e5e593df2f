#pragma once
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "edge/cli_options.h"

namespace latchkey::edge {

// What commands to the running process have in common.

// The admin socket, by --socket, --config or the default. Fails with what to exit with 78 for.
Result<std::string> admin_socket_of(const CommandLine& line);

// Its answer to one request: JSON, whatever the status.
struct AdminAnswer {
  int status = 0;
  std::string body;  // as it came
  JsonValue json;
};
struct AdminCall {
  const char* method;
  std::string path;
  Millis limit;
  std::string body{};
};
Result<AdminAnswer> ask_admin(const std::string& socket, const AdminCall& call);

// Prints an answer that is not 200: its error, with its lines, and when to come back.
void show_refusal(const AdminAnswer& answer);

}  // namespace latchkey::edge

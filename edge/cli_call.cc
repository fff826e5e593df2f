#include "edge/cli_call.h"

#include <cstdio>
#include <utility>

#include "edge/admin_client.h"
#include "edge/admin_rows.h"
#include "edge/admin_text.h"
#include "edge/config.h"

namespace latchkey::edge {

Result<std::string> admin_socket_of(const CommandLine& line) {
  if (line.has("--socket")) return line.one("--socket");
  if (!line.has("--config")) return *Config().admin_socket;
  const std::string file = line.one("--config");
  auto config = load_config(file);
  if (!config) return std::move(config).error();
  if (!config->admin_socket) {
    return Error{ErrorCode::kInvalid, file + " switches the admin API off (admin.socket is null)"};
  }
  return config->state(*config->admin_socket).string();
}

Result<AdminAnswer> ask_admin(const std::string& socket, const AdminCall& call) {
  auto reply = call_admin(socket, call.method, call.path, call.limit, call.body);
  if (!reply) return std::move(reply).error();
  auto json = parse_json(reply->body);
  if (!json || !json->is(JsonValue::Kind::kObject)) {
    return Error{ErrorCode::kProtocol, socket +
                                           " answers with something else than JSON: is "
                                           "it latchkey's admin socket?"};
  }
  return AdminAnswer{reply->status, std::move(reply->body), *std::move(json)};
}

void show_refusal(const AdminAnswer& answer) {
  std::string text = printable_lines(answer.json.text_of("error"));
  if (text.empty()) text = "latchkey answered with status " + std::to_string(answer.status) + "\n";
  if (has_number(answer.json, "retry_after")) {
    text += "Try again in " + span_text(number_of(answer.json, "retry_after")) + ".\n";
  }
  std::fputs(text.c_str(), stderr);
}

}  // namespace latchkey::edge

#include "edge/cli_admin.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "base/json.h"
#include "edge/admin_client.h"
#include "edge/admin_text.h"
#include "edge/cli_options.h"
#include "edge/config.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

struct AdminVerb {
  std::string_view word;
  const char* method;
  const char* path;    // a name goes behind it
  const char* action;  // ... and this behind the name; null: no name
  Millis limit;
  std::string (*text)(const JsonValue&);
};

constexpr AdminVerb kVerbs[] = {
    {"status", "GET", "/status", nullptr, 30s, status_text},
    {"budget", "GET", "/budget", nullptr, 30s, budget_text},
    {"explain", "GET", "/names/", "", 30s, explain_text},
    {"ask", "POST", "/names/", ":ask", 30s, ask_text},
    {"obtain", "POST", "/names/", ":obtain", 11min, obtain_text},  // an order may take 10
    {"reload", "POST", "/config:reload", nullptr, 30s, reload_text},
};

const AdminVerb* find_verb(std::string_view word) {
  const auto* const found = std::find_if(std::begin(kVerbs), std::end(kVerbs),
                                         [&](const AdminVerb& verb) { return verb.word == word; });
  return found == std::end(kVerbs) ? nullptr : found;
}

Result<std::string> socket_of(const CommandLine& line) {
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

// An error's own words, its lines kept.
std::string lines_of(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    out += printable(text.substr(0, end)) + "\n";
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

int show_refusal(const AdminVerb& verb, const HttpReply& reply, const JsonValue& json) {
  std::string text = lines_of(json.text_of("error"));
  if (text.empty()) text = "latchkey answered with status " + std::to_string(reply.status) + "\n";
  if (const JsonValue* const after = json.find("retry_after");
      after != nullptr && after->is(JsonValue::Kind::kNumber)) {
    text += "Try again in " + span_text(after->number) + ".\n";
  }
  std::fputs(text.c_str(), stderr);
  return verb.word == "reload" && reply.status == 400 ? kBadConfig : kFailure;
}

}  // namespace

bool is_admin_verb(std::string_view verb) {
  return find_verb(verb) != nullptr;
}

int run_admin_verb(int argc, char** argv) {
  const AdminVerb& verb = *find_verb(argv[1]);
  const bool named = verb.action != nullptr;
  CommandSyntax syntax;
  syntax.options = {"--socket", "--config"};
  syntax.flags = {"--json"};
  syntax.words = named ? 1 : 0;
  const auto line = CommandLine::read(argc, argv, syntax);
  if (!line) return usage(line.error().message);
  if (line->has("--socket") && line->has("--config")) {
    return usage("--socket and --config say the same: give one of them");
  }
  std::string path = verb.path;
  if (named) {
    if (line->words().empty()) return usage(std::string(verb.word) + " needs a NAME");
    path += percent_encode(line->words().front()) + verb.action;
  }
  const auto socket = socket_of(*line);
  if (!socket) return complain(socket.error(), kBadConfig);

  const auto reply = call_admin(*socket, verb.method, path, verb.limit);
  if (!reply) return complain(reply.error(), kFailure);
  const auto json = parse_json(reply->body);
  if (!json || !json->is(JsonValue::Kind::kObject)) {
    return complain({ErrorCode::kProtocol, *socket + " answers with something else than JSON: is "
                                                     "it latchkey's admin socket?"},
                    kFailure);
  }
  const bool raw = line->has("--json");
  if (raw) std::fputs(reply->body.c_str(), stdout);
  if (reply->status != 200) return show_refusal(verb, *reply, *json);
  if (!raw) std::fputs(verb.text(*json).c_str(), stdout);
  return verb.word == "ask" && json->text_of("verdict") != "allowed" ? kFailure : kOk;
}

}  // namespace latchkey::edge

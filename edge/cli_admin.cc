#include "edge/cli_admin.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>

#include "base/json.h"
#include "edge/admin_client.h"
#include "edge/admin_text.h"
#include "edge/cli_call.h"
#include "edge/cli_certs.h"
#include "edge/cli_options.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

// One of them; its argument is percent-encoded and goes between `path` and `behind`.
struct AdminVerb {
  std::string_view group;  // the first of its two words, or ""
  std::string_view word;
  const char* method;
  const char* path;
  const char* argument;  // what it is; null: it has none
  const char* behind;
  Millis limit;
  std::string (*text)(const JsonValue&);  // null: see run_admin_verb

  std::string shown() const {
    return (group.empty() ? "" : std::string(group) + " ") + std::string(word);
  }
};

constexpr Millis kLook{30s};
constexpr Millis kAtTheCa{2min};      // a few requests
constexpr Millis kWholeOrder{11min};  // an order may take 10

constexpr AdminVerb kVerbs[] = {
    {"", "status", "GET", "/status", nullptr, "", kLook, status_text},
    {"", "budget", "GET", "/budget", nullptr, "", kLook, budget_text},
    {"", "explain", "GET", "/names/", "NAME", "", kLook, explain_text},
    {"", "ask", "POST", "/names/", "NAME", ":ask", kLook, ask_text},
    {"", "obtain", "POST", "/names/", "NAME", ":obtain", kWholeOrder, obtain_text},
    {"", "retry", "POST", "/names/", "NAME", ":retry", kLook, deed_text},
    {"", "reload", "POST", "/config:reload", nullptr, "", kLook, reload_text},
    {"", "events", "GET", "/events", nullptr, "", kLook, events_text},
    {"certs", "list", "GET", "/names", nullptr, "", kLook, nullptr},
    {"certs", "show", "GET", "/names/", "NAME", "/certificate", kLook, certificate_text},
    {"certs", "renew", "POST", "/names/", "NAME", ":renew", kWholeOrder, obtain_text},
    {"certs", "revoke", "POST", "/names/", "NAME", ":revoke", kAtTheCa, deed_text},
    {"certs", "evict", "POST", "/names/", "NAME", ":evict", kLook, deed_text},
    {"authority", "root", "GET", "/authorities:root", nullptr, "", kLook, roots_text},
    {"authority", "status", "GET", "/authorities", nullptr, "", kLook, authorities_text},
    {"authority", "rotate", "POST", "/authorities:rotate", nullptr, "", kLook, deed_text},
    {"account", "list", "GET", "/accounts", nullptr, "", kLook, accounts_text},
    {"account", "roll-key", "POST", "/accounts/", "ISSUER", ":roll-key", kAtTheCa, deed_text},
    {"account", "deactivate", "POST", "/accounts/", "ISSUER", ":deactivate", kAtTheCa, deed_text},
    {"account", "reactivate", "POST", "/accounts/", "ISSUER", ":reactivate", kAtTheCa, deed_text},
};

const AdminVerb* find_verb(std::string_view group, std::string_view word) {
  const auto* const found =
      std::find_if(std::begin(kVerbs), std::end(kVerbs),
                   [&](const AdminVerb& verb) { return verb.group == group && verb.word == word; });
  return found == std::end(kVerbs) ? nullptr : found;
}

// "list, show, renew"; "" when it is no group.
std::string words_of(std::string_view group) {
  std::string out;
  for (const AdminVerb& verb : kVerbs) {
    if (verb.group == group) out += (out.empty() ? "" : ", ") + std::string(verb.word);
  }
  if (group == "certs") out += ", import, export";  // edge/cli_certs.h
  return out;
}

CommandSyntax syntax_of(const AdminVerb& verb) {
  CommandSyntax syntax;
  syntax.options = {"--socket", "--config"};
  syntax.flags = {"--json"};
  const bool of_authority = verb.group == "authority" && verb.word != "status";
  syntax.words = verb.argument != nullptr || verb.word == "events" || of_authority ? 1 : 0;
  const auto also = [&](const char* option) { syntax.options.emplace_back(option); };
  if (verb.word == "revoke") also("--reason");
  if (verb.word == "events") also("--limit");
  if (verb.word == "rotate") syntax.flags.emplace_back("--root");
  if (verb.group == "certs" && verb.word == "list") {
    also("--contains");
    also("--expires-within");
  }
  return syntax;
}

// What is asked of the process.
Result<AdminCall> call_of(const AdminVerb& verb, const CommandLine& line) {
  AdminCall call{verb.method, verb.path, verb.limit};
  const std::string argument = line.words().empty() ? "" : line.words().front();
  if (verb.argument != nullptr) {
    if (line.words().empty()) {
      return Error{ErrorCode::kInvalid, verb.shown() + " needs " +
                                            (*verb.argument == 'I' ? "an " : "a ") + verb.argument};
    }
    call.path += percent_encode(argument) + verb.behind;
  } else if (verb.word == "rotate") {
    JsonObject body;
    if (!argument.empty()) body.text("issuer", argument);
    call.body = body.boolean("root", line.has("--root")).str();
  } else if (verb.group == "authority") {
    if (!argument.empty()) call.path += "?issuer=" + percent_encode(argument);
  } else if (!line.words().empty()) {  // of events
    call.path = "/names/" + percent_encode(argument) + "/events";
  }
  if (line.has("--limit")) {
    const std::string limit = line.one("--limit");
    int number = 0;
    const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), number);
    if (error != std::errc() || end != limit.data() + limit.size() || number < 1 || number > 1000) {
      return Error{ErrorCode::kInvalid, "--limit: expected a number from 1 to 1000"};
    }
    call.path += "?limit=" + limit;
  }
  if (line.has("--reason")) call.body = JsonObject().text("reason", line.one("--reason")).str();
  return call;
}

int ask_and_show(const AdminVerb& verb, const CommandLine& line, const std::string& socket,
                 const AdminCall& call) {
  const auto answer = ask_admin(socket, call);
  if (!answer) return complain(answer.error(), kFailure);
  const bool raw = line.has("--json");
  if (raw) std::fputs(answer->body.c_str(), stdout);
  if (answer->status != 200) {
    show_refusal(*answer);
    return verb.word == "reload" && answer->status == 400 ? kBadConfig : kFailure;
  }
  if (!raw) std::fputs(verb.text(answer->json).c_str(), stdout);
  return verb.word == "ask" && answer->json.text_of("verdict") != "allowed" ? kFailure : kOk;
}

}  // namespace

bool is_admin_verb(std::string_view word) {
  return find_verb("", word) != nullptr || (!word.empty() && !words_of(word).empty());
}

int run_admin_verb(int argc, char** argv) {
  const AdminVerb* verb = find_verb("", argv[1]);
  if (verb == nullptr) {
    const std::string_view group = argv[1];
    verb = argc > 2 ? find_verb(group, argv[2]) : nullptr;
    if (verb == nullptr) return usage(std::string(group) + ": expected one of " + words_of(group));
    --argc;
    ++argv;
  }
  const auto line = CommandLine::read(argc, argv, syntax_of(*verb));
  if (!line) return usage(line.error().message);
  if (line->has("--socket") && line->has("--config")) {
    return usage("--socket and --config say the same: give one of them");
  }
  const auto call = call_of(*verb, *line);
  if (!call) return usage(call.error().message);
  const auto socket = admin_socket_of(*line);
  if (!socket) return complain(socket.error(), kBadConfig);
  if (verb->text == nullptr) return list_certificates(*line, *socket);
  return ask_and_show(*verb, *line, *socket, *call);
}

}  // namespace latchkey::edge

#include "edge/cli_certs.h"

#include <chrono>
#include <cstdio>
#include <string_view>

#include "base/json.h"
#include "edge/admin_client.h"
#include "edge/admin_text.h"
#include "edge/cli_call.h"
#include "edge/cli_export.h"
#include "edge/cli_import.h"
#include "edge/steering_json.h"

namespace latchkey::edge {

using namespace std::chrono_literals;

int list_certificates(const CommandLine& line, const std::string& socket) {
  std::string filter = "/names?limit=500";
  if (line.has("--contains")) filter += "&contains=" + percent_encode(line.one("--contains"));
  if (line.has("--expires-within")) {
    const auto span = parse_duration(line.one("--expires-within"));
    if (!span) return usage("--expires-within: expected a span like 30d or 12h");
    const auto until = std::chrono::system_clock::now() + *span;
    const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(until);
    filter += "&expires_before=" + percent_encode(iso_time(seconds));
  }

  CertificateTable table;
  std::string after;
  bool any = false;
  for (;;) {
    const AdminCall call{"GET", after.empty() ? filter : filter + "&after=" + percent_encode(after),
                         30s};
    const auto answer = ask_admin(socket, call);
    if (!answer) return complain(answer.error(), kFailure);
    const bool raw = line.has("--json");
    if (raw) std::fputs(answer->body.c_str(), stdout);
    if (answer->status != 200) {
      show_refusal(*answer);
      return kFailure;
    }
    const std::string page = table.page(answer->json);
    any = any || !page.empty();
    if (!raw) std::fputs(page.c_str(), stdout);
    if (std::fflush(stdout) != 0) return kFailure;  // nobody reads on
    const std::string next(answer->json.text_of("next"));
    if (next.empty()) {
      if (!any && !raw) std::puts("No certificates.");
      return kOk;
    }
    if (next <= after) {
      return complain({ErrorCode::kProtocol, "the list does not go on behind " + printable(after)},
                      kFailure);
    }
    after = next;
  }
}

std::optional<int> run_certs_verb(int argc, char** argv) {
  if (argc < 3 || argv[1] != std::string_view("certs")) return std::nullopt;
  const std::string_view word = argv[2];
  if (word == "export") return run_export(argc - 1, argv + 1);
  if (word == "import") return run_import_verb(argc - 1, argv + 1);
  return std::nullopt;
}

}  // namespace latchkey::edge

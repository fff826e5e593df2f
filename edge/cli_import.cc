#include "edge/cli_import.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "base/log.h"
#include "edge/admin_socket.h"
#include "edge/cli_options.h"
#include "edge/config.h"
#include "edge/import/run.h"
#include "edge/import/sinks.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxPaths = 10'000;  // on the command line
constexpr size_t kMaxThreads = 16;

CommandSyntax import_syntax() {
  CommandSyntax syntax;
  syntax.options = {"--config", "--state-dir", "--socket", "--format", "--report"};
  syntax.flags = {"--dry-run", "--no-accounts", "--verbose"};
  syntax.words = kMaxPaths;
  return syntax;
}

// Where a process would be found, and whose state folder it is.
struct Target {
  Config config;
  std::string socket;     // "": there is none
  bool has_state = true;  // the configuration, or the folder, was named
};

// The issuers of a start without a file (latchkey run --issuer), which leaves none behind.
std::vector<Config::Issuer> well_known_issuers() {
  Config::Issuer production, staging;
  production.name = "letsencrypt";
  production.directory = "https://acme-v02.api.letsencrypt.org/directory";
  staging.name = "letsencrypt-staging";
  staging.directory = "https://acme-staging-v02.api.letsencrypt.org/directory";
  return {production, staging};
}

Result<Target> target_of(const CommandLine& line) {
  Target target;
  if (line.has("--config")) {
    Result<Config> config = load_config(line.one("--config"));
    if (!config) return std::move(config).error();
    target.config = *std::move(config);
  } else {
    target.config.folder = std::filesystem::current_path();
    target.config.issuers = well_known_issuers();
    target.has_state = line.has("--state-dir");
    if (target.has_state) {
      target.config.state_dir = line.one("--state-dir");
      target.config.admin_socket = "admin.sock";
    }
  }
  if (line.has("--socket")) {
    target.socket = line.one("--socket");
  } else if (target.config.admin_socket) {
    target.socket = target.config.state(*target.config.admin_socket).string();
  }
  return target;
}

bool somebody_listens(const std::string& socket) {
  return !socket.empty() && bad_socket_path(socket).empty() && knock(socket) == 0;
}

// Null, after it has said why: there is nowhere to store.
std::unique_ptr<ImportSink> open_sink(const Target& target, const ImportOptions& options,
                                      const CommandLine& line, Log& log, int& exit_code) {
  if (somebody_listens(target.socket)) return make_admin_sink(target.socket);
  if (line.has("--socket")) {
    exit_code = complain({ErrorCode::kIo, "no latchkey answers at " + target.socket}, kFailure);
    return nullptr;
  }
  if (!target.has_state && !options.dry_run) {
    exit_code = usage("no latchkey answers at " + target.socket +
                      ": give --config FILE, or --state-dir DIR, to import beside no process");
    return nullptr;
  }
  auto sink =
      options.dry_run ? make_dry_sink(target.config, log) : make_store_sink(target.config, log);
  if (sink) return *std::move(sink);
  exit_code = complain(sink.error(), kFailure);
  return nullptr;
}

}  // namespace

int run_import_verb(int argc, char** argv) {
  const auto line = CommandLine::read(argc, argv, import_syntax());
  if (!line) return usage(line.error().message);
  if (line->words().empty()) return usage("certs import needs a PATH: a folder, or PEM files");
  const int places = static_cast<int>(line->has("--config")) +
                     static_cast<int>(line->has("--state-dir")) +
                     static_cast<int>(line->has("--socket"));
  if (places > 1) return usage("--config, --state-dir and --socket say the same: give one of them");
  ImportOptions options;
  if (line->has("--format")) {
    const auto format = import_format_from(line->one("--format"));
    if (!format) {
      return usage("--format: expected auto, certbot, caddy, acme.sh or pem, got \"" +
                   line->one("--format") + "\"");
    }
    options.format = *format;
  }
  options.paths.assign(line->words().begin(), line->words().end());
  options.accounts = !line->has("--no-accounts");
  options.dry_run = line->has("--dry-run");
  options.threads = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMaxThreads);

  const auto target = target_of(*line);
  if (!target) return complain(target.error(), kBadConfig);
  ImportReport::Options shown;
  shown.verbose = line->has("--verbose");
  shown.terminal = ::isatty(STDERR_FILENO) == 1;
  shown.dry_run = options.dry_run;
  shown.file = line->one("--report");
  auto report = ImportReport::open(std::move(shown));
  if (!report) return complain(report.error(), kFailure);

  Log log(STDERR_FILENO, Log::Format::kText, LogLevel::kWarning);
  int exit_code = kFailure;
  const std::unique_ptr<ImportSink> sink = open_sink(*target, options, *line, log, exit_code);
  if (sink == nullptr) return exit_code;
  const Result<> done = run_import(options, *sink, *report);
  report->finish(done ? "" : done.error().message);
  return done && report->is_clean() ? kOk : kFailure;
}

}  // namespace latchkey::edge

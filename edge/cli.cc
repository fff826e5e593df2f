#include "edge/cli.h"

#include <unistd.h>

#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "edge/config.h"
#include "edge/control.h"
#include "edge/control_plane.h"
#include "edge/listener.h"
#include "edge/routes.h"

namespace latchkey::edge {
namespace {

constexpr int kOk = 0, kFailure = 1, kUsage = 2, kBadConfig = 78;

constexpr char kHelp[] =
    R"(latchkey: HTTPS for every customer's own domain, by itself

  latchkey run --config FILE        serve, in the foreground
  latchkey validate --config FILE   say what is wrong with a configuration; exit 0 or 78
  latchkey config --config FILE     print the effective configuration, without secrets
  latchkey version

Without a file:
  latchkey run --ask URL --upstream URL --issuer letsencrypt-staging --accept-terms
    --ask URL                 the endpoint that says whether a name is wanted (Caddy's contract)
    --allow NAME              a name or "*.suffix" that is wanted without asking; may be repeated
    --upstream URL            where requests go; may be repeated
    --issuer NAME             letsencrypt or letsencrypt-staging
    --issuer-directory URL    another CA's ACME directory
    --issuer-ca-file FILE     the roots to trust for that CA's own HTTPS
    --email ADDRESS           for the CA's warnings
    --accept-terms            you agree to the CA's terms of service
    --https ADDRESS           default 0.0.0.0:443 and [::]:443
    --http ADDRESS            default 0.0.0.0:80 and [::]:80
    --state-dir DIR           default /var/lib/latchkey

Signals: HUP reads the configuration again; TERM ends after what is being answered; INT, or a
second TERM, ends at once.
)";

int usage(const std::string& why) {
  std::fprintf(stderr, "latchkey: %s\nTry: latchkey help\n", why.c_str());
  return kUsage;
}

// The options of a command, by name; each may be there several times.
using Options = std::map<std::string, std::vector<std::string>>;

Result<Options> read_options(int argc, char** argv, const std::vector<std::string>& known) {
  Options out;
  for (int i = 2; i < argc; ++i) {
    std::string name = argv[i];
    std::string value;
    const size_t equals = name.find('=');
    const bool inline_value = equals != std::string::npos;
    if (inline_value) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    bool found = false;
    for (const std::string& k : known) found = found || k == name;
    if (!found) {
      return Error{ErrorCode::kInvalid, "unknown option " + name};
    }
    if (name != "--accept-terms" && !inline_value) {
      if (++i == argc) return Error{ErrorCode::kInvalid, name + " needs a value"};
      value = argv[i];
    }
    out[name].push_back(value);
  }
  return out;
}

std::string one(const Options& options, const std::string& name) {
  const auto found = options.find(name);
  return found == options.end() ? "" : found->second.back();
}

Result<Config> short_start(const Options& options) {
  const auto bad = [](const std::string& what) { return Error{ErrorCode::kInvalid, what}; };
  Config config;
  config.folder = std::filesystem::current_path();
  Config::Acme issuer;
  issuer.name = one(options, "--issuer");
  issuer.email = one(options, "--email");
  issuer.accept_terms = options.contains("--accept-terms");
  issuer.directory = one(options, "--issuer-directory");
  if (!issuer.directory.empty()) {
    issuer.name = "acme";
  } else if (issuer.name == "letsencrypt") {
    issuer.directory = "https://acme-v02.api.letsencrypt.org/directory";
  } else if (issuer.name == "letsencrypt-staging") {
    issuer.directory = "https://acme-staging-v02.api.letsencrypt.org/directory";
  } else if (issuer.name.empty()) {
    return bad("--issuer is missing: letsencrypt, letsencrypt-staging, or --issuer-directory URL");
  } else {
    return bad("--issuer: expected letsencrypt or letsencrypt-staging, got \"" + issuer.name +
               "\"");
  }
  if (options.contains("--issuer-ca-file")) issuer.ca_file = one(options, "--issuer-ca-file");
  config.issuers.push_back(issuer);

  if (options.contains("--ask")) config.on_demand.ask.emplace().url = one(options, "--ask");
  if (options.contains("--allow")) config.on_demand.allow = options.at("--allow");
  if (!options.contains("--upstream")) return bad("--upstream is missing: where requests go");
  Config::Route& route = config.routes.emplace_back();
  route.upstreams = options.at("--upstream");
  for (const std::string& upstream : route.upstreams) {
    auto parsed = parse_upstream(upstream);
    if (!parsed) return std::move(parsed).error().in("--upstream");
  }
  if (options.contains("--https")) config.https = options.at("--https");
  if (options.contains("--http")) config.http = options.at("--http");
  for (const auto* list : {&config.https, &config.http}) {
    for (const std::string& address : *list) {
      if (auto parsed = ListenAddress::parse(address); !parsed) return parsed.error();
    }
  }
  if (options.contains("--state-dir")) config.state_dir = one(options, "--state-dir");
  const std::string incomplete = check_config(config);
  if (!incomplete.empty()) return bad(incomplete);
  return config;
}

int complain(const Error& error, int code) {
  std::string text = error.message;
  while (text.ends_with('\n')) text.pop_back();
  std::fprintf(stderr, "%s\n", text.c_str());
  return code;
}

Log::Format log_format(const Config& config) {
  const bool json = config.log_format == 2 || (config.log_format == 0 && !::isatty(STDERR_FILENO));
  return json ? Log::Format::kJson : Log::Format::kText;
}

int run(const Options& options) {
  const std::string file = one(options, "--config");
  if (!file.empty() && options.size() > 1) {
    return usage("--config stands alone: put the other options into the file");
  }
  auto config = file.empty() ? short_start(options) : load_config(file);
  if (!config) return complain(config.error(), kBadConfig);
  Log log(STDERR_FILENO, log_format(*config), config->log_level);
  Control::Reread reread;
  if (!file.empty()) reread = [file] { return load_config(file); };
  Control control(*std::move(config), std::move(reread), log);
  if (auto started = control.start(); !started) {
    log.error("start_failed", started.error().message);
    return kFailure;
  }
  control.run();
  return kOk;
}

// What a start would read besides the file itself.
int validate(const Config& config) {
  Log log(STDERR_FILENO, Log::Format::kText, LogLevel::kInfo);
  auto allowlist = load_allowlist(config, log);
  if (!allowlist) return complain(allowlist.error(), kBadConfig);
  if (auto files = check_files(config); !files) return complain(files.error(), kBadConfig);
  std::printf("The configuration is good: %zu allowlist entries, %zu issuers, %zu routes.\n",
              (*allowlist)->size(), config.issuers.size(), config.routes.size());
  return kOk;
}

}  // namespace

int run_command(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "help";
  if (verb == "version" || verb == "--version") {
    std::printf("latchkey %s\n", LATCHKEY_VERSION);
    return kOk;
  }
  if (verb == "help" || verb == "--help" || verb == "-h") {
    std::fputs(kHelp, stdout);
    return argc > 1 ? kOk : kUsage;
  }
  if (verb == "run") {
    auto options = read_options(
        argc, argv,
        {"--config", "--ask", "--allow", "--upstream", "--issuer", "--issuer-directory",
         "--issuer-ca-file", "--email", "--accept-terms", "--https", "--http", "--state-dir"});
    return options ? run(*options) : usage(options.error().message);
  }
  if (verb == "validate" || verb == "config") {
    auto options = read_options(argc, argv, {"--config"});
    if (!options) return usage(options.error().message);
    if (!options->contains("--config")) return usage("--config FILE is missing");
    auto config = load_config(one(*options, "--config"));
    if (!config) return complain(config.error(), kBadConfig);
    if (verb == "validate") return validate(*config);
    std::printf("%s\n", show_config(*config).c_str());
    return kOk;
  }
  return usage("unknown command \"" + std::string(verb) + "\"");
}

}  // namespace latchkey::edge

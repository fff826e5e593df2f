#include "edge/cli.h"

#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "edge/cli_admin.h"
#include "edge/cli_certs.h"
#include "edge/cli_options.h"
#include "edge/config.h"
#include "edge/control.h"
#include "edge/control_plane.h"
#include "edge/listener.h"
#include "edge/routes.h"

namespace latchkey::edge {
namespace {

constexpr char kHelp[] =
    R"(latchkey: HTTPS for every customer's own domain, by itself

  latchkey run --config FILE        serve, in the foreground
  latchkey validate --config FILE   say what is wrong with a configuration; exit 0 or 78
  latchkey config --config FILE     print the effective configuration, without secrets
  latchkey version

To the process that runs (--socket PATH, or --config FILE for its admin.socket; else
/run/latchkey/admin.sock; --json for the answer as it is):
  latchkey status                   the process, in numbers
  latchkey budget                   what may still be asked of the CAs, and who waits for it
  latchkey explain NAME             what is known of a name: served or not, by what, why not
  latchkey ask NAME                 ask the policy now; exit 0 allowed, 1 denied or unknown
  latchkey obtain NAME              get its certificate now; exit 1 with the first error
  latchkey retry NAME               forget its failures, and try in the background
  latchkey certs list               all certificates: until when, and when they are renewed
    --contains TEXT           only names with this in them
    --expires-within SPAN     only those that expire so soon, or have: 30d, 12h
  latchkey certs show NAME          one in full, with its chain in PEM
  latchkey certs renew NAME         replace it now, with a new key; exit 1 with the first error
  latchkey certs revoke NAME        at the CA; it is deleted with its key, and another one comes
    --reason WORD             unspecified, keyCompromise, affiliationChanged, superseded or
                              cessationOfOperation
  latchkey certs evict NAME         out of memory: the next visit reads the store
  latchkey certs import PATH...     certificates and accounts of certbot, Caddy, acme.sh, or in PEM
                                    (--config FILE | --state-dir DIR | --socket PATH)
    --dry-run                 only say what would be taken
    --format WORD             certbot, caddy, acme.sh or pem; default auto: by what is there
    --no-accounts             leave the ACME accounts where they are
    --verbose, --report FILE  each one, not only the first 20 of each kind
  latchkey certs export --to DIR [NAME...]
                                    certificates and keys as DIR/NAME/fullchain.pem, privkey.pem
                                    out of the store, all or these (--config FILE | --state-dir DIR)
  latchkey events [NAME]            what has happened, the newest last
    --limit N                 the newest N; default 100
  latchkey account list             the accounts at the CAs
  latchkey account roll-key ISSUER  give the account a new key
  latchkey account deactivate ISSUER, reactivate ISSUER
                                    no orders there; register a new account and order again
  latchkey authority root [ISSUER]  the root of an authority in this program, PEM: what clients
                                    are to trust
  latchkey authority status         the authorities, their roots and intermediates
  latchkey authority rotate [ISSUER]
                                    a new intermediate now; old certificates stay good
    --root                    a new root, too; clients must come to trust it
  latchkey reload                   read the configuration again; exit 78 if it is bad

Without a file:
  latchkey run --ask URL --upstream URL
  latchkey run --ask URL --upstream URL --issuer letsencrypt-staging --accept-terms
    --ask URL                 the endpoint that says whether a name is wanted (Caddy's contract)
    --allow NAME              a name or "*.suffix" that is wanted without asking; may be repeated
    --upstream URL            where requests go; may be repeated
    --issuer NAME             local (the default: a CA in this program, see authority root),
                              letsencrypt or letsencrypt-staging
    --issuer-directory URL    another CA's ACME directory
    --issuer-ca-file FILE     the roots to trust for that CA's own HTTPS
    --email ADDRESS           for the CA's warnings
    --accept-terms            you agree to the CA's terms of service
    --https ADDRESS           default 0.0.0.0:443 and [::]:443
    --http ADDRESS            default 0.0.0.0:80 and [::]:80
    --state-dir DIR           default /var/lib/latchkey; with it, the socket is DIR/admin.sock

Signals: HUP reads the configuration again; USR2 replaces the process by a new one of the same file,
without a gap; TERM ends after what is being answered; INT, or a second TERM, ends at once.
)";

Result<Config> short_start(const CommandLine& options) {
  const auto bad = [](const std::string& what) { return Error{ErrorCode::kInvalid, what}; };
  Config config;
  config.folder = std::filesystem::current_path();
  Config::Issuer issuer;
  issuer.name = options.one("--issuer");
  issuer.email = options.one("--email");
  issuer.accept_terms = options.has("--accept-terms");
  issuer.directory = options.one("--issuer-directory");
  if (!issuer.directory.empty()) {
    issuer.name = "acme";
  } else if (issuer.name == "local" || issuer.name.empty()) {
    issuer.name = "local";
    issuer.authority.emplace();
    issuer.challenges.clear();
  } else if (issuer.name == "letsencrypt") {
    issuer.directory = "https://acme-v02.api.letsencrypt.org/directory";
  } else if (issuer.name == "letsencrypt-staging") {
    issuer.directory = "https://acme-staging-v02.api.letsencrypt.org/directory";
  } else {
    return bad("--issuer: expected local, letsencrypt or letsencrypt-staging, got \"" +
               issuer.name + "\"");
  }
  if (options.has("--issuer-ca-file")) issuer.ca_file = options.one("--issuer-ca-file");
  config.issuers.push_back(issuer);
  config.on_demand.per_registered_domain = default_bound(config);

  if (options.has("--ask")) config.on_demand.ask.emplace().url = options.one("--ask");
  if (options.has("--allow")) config.on_demand.allow = options.all("--allow");
  if (!options.has("--upstream")) return bad("--upstream is missing: where requests go");
  Config::Route& route = config.routes.emplace_back();
  route.upstreams = options.all("--upstream");
  for (const std::string& upstream : route.upstreams) {
    auto parsed = parse_upstream(upstream);
    if (!parsed) return std::move(parsed).error().in("--upstream");
  }
  if (options.has("--https")) config.https = options.all("--https");
  if (options.has("--http")) config.http = options.all("--http");
  for (const auto* list : {&config.https, &config.http}) {
    for (const std::string& address : *list) {
      if (auto parsed = ListenAddress::parse(address); !parsed) return parsed.error();
    }
  }
  if (options.has("--state-dir")) {
    config.state_dir = options.one("--state-dir");
    config.admin_socket = "admin.sock";  // in it: who runs beside the service, or not as root
  }
  const std::string incomplete = check_config(config);
  if (!incomplete.empty()) return bad(incomplete);
  return config;
}

Log::Format log_format(const Config& config) {
  const bool json = config.log_format == 2 || (config.log_format == 0 && !::isatty(STDERR_FILENO));
  return json ? Log::Format::kJson : Log::Format::kText;
}

int run(const CommandLine& options, Control::Origin origin) {
  const std::string file = options.one("--config");
  if (!file.empty() && options.options() > 1) {
    return usage("--config stands alone: put the other options into the file");
  }
  auto config = file.empty() ? short_start(options) : load_config(file);
  if (!config) return complain(config.error(), kBadConfig);
  Log log(STDERR_FILENO, log_format(*config), config->log_level);
  Control::Reread reread;
  if (!file.empty()) reread = [file] { return load_config(file); };
  Control control(*std::move(config), file, std::move(reread), log, std::move(origin));
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
  if (auto pairs = check_configured(config); !pairs) return complain(pairs.error(), kBadConfig);
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
    CommandSyntax syntax;
    syntax.options = {
        "--config",         "--ask",   "--allow", "--upstream", "--issuer",   "--issuer-directory",
        "--issuer-ca-file", "--email", "--https", "--http",     "--state-dir"};
    syntax.flags = {"--accept-terms"};
    const auto options = CommandLine::read(argc, argv, syntax);
    if (!options) return usage(options.error().message);
    return run(*options, Control::Origin::of_this_process(argc, argv));
  }
  if (verb == "validate" || verb == "config") {
    CommandSyntax syntax;
    syntax.options = {"--config"};
    const auto options = CommandLine::read(argc, argv, syntax);
    if (!options) return usage(options.error().message);
    if (!options->has("--config")) return usage("--config FILE is missing");
    auto config = load_config(options->one("--config"));
    if (!config) return complain(config.error(), kBadConfig);
    if (verb == "validate") return validate(*config);
    std::printf("%s\n", show_config(*config).c_str());
    return kOk;
  }
  if (const auto code = run_certs_verb(argc, argv)) return *code;
  if (is_admin_verb(verb)) return run_admin_verb(argc, argv);
  return usage("unknown command \"" + std::string(verb) + "\"");
}

}  // namespace latchkey::edge

#include "tests/support/acme_client.h"

#include <unistd.h>

#include "base/check.h"
#include "tests/support/acme_caddy.h"
#include "tests/support/certbot.h"
#include "tests/support/http_server.h"
#include "tests/support/ports.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {
namespace {

using std::filesystem::path;

constexpr Millis kLimit{120'000};

// Shows the files of a folder by their names alone: what a webroot is to a CA.
class Webroot {
 public:
  Webroot(path folder, uint16_t port)
      : server_(
            [folder](const Request& request) {
              Response response;
              response.body = read_text(folder / request.path.substr(request.path.rfind('/') + 1));
              if (response.body.empty()) response.status = 404;
              return response;
            },
            port) {
    std::filesystem::create_directories(folder);
  }

 private:
  HttpServer server_;
};

void write_program(const path& file, const std::string& text) {
  write_text(file, text);
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
}

class CertbotClient final : public AcmeClient {
 public:
  explicit CertbotClient(const Options& options)
      : options_(options), certbot_(options.folder, options.directory, options.ca_file) {
    CHECK(options.challenge == "http-01");  // it has no other that needs no DNS
  }
  ProgramEnded obtain() override {
    return certbot_.obtain({options_.name}, Certbot::standalone(options_.http_port));
  }
  ProgramEnded renew() override { return certbot_.renew(); }
  ProgramEnded revoke() override {
    return certbot_.run({"revoke", "--cert-name", options_.name, "--no-delete-after-revoke"});
  }
  std::string chain() const override {
    return read_text(certbot_.live() / options_.name / "fullchain.pem");
  }

 private:
  const Options options_;
  const Certbot certbot_;
};

// A record stays where it is: more than one may be there.
constexpr const char* kLegoDnsHook = R"sh(#!/bin/sh
# present|cleanup NAME VALUE
[ "$1" = present ] || exit 0
exec curl --silent --fail --data "{\"host\": \"$2\", \"value\": \"$3\"}" "http://$DNS/set-txt"
)sh";

class LegoClient final : public AcmeClient {
 public:
  explicit LegoClient(const Options& options) : options_(options) {
    write_program(options.folder / "hook", kLegoDnsHook);
  }
  ProgramEnded obtain() override {
    if (options_.preferred_chain.empty()) return run({"run"});
    return run({"run", "--preferred-chain", options_.preferred_chain});
  }
  ProgramEnded renew() override { return run({"renew", "--days", "10000", "--no-random-sleep"}); }
  ProgramEnded revoke() override { return run({"revoke", "--keep"}); }
  std::string chain() const override {
    std::string name = options_.name;
    if (name.starts_with('*')) name[0] = '_';
    return read_text(options_.folder / "certificates" / (name + ".crt"));
  }

 private:
  std::vector<std::string> way() const {
    if (options_.challenge == "dns-01") return {"--dns", "exec", "--dns.disable-cp"};
    const bool http = options_.challenge == "http-01";
    const uint16_t port = http ? options_.http_port : options_.tls_port;
    return {http ? "--http" : "--tls", http ? "--http.port" : "--tls.port",
            "127.0.0.1:" + std::to_string(port)};
  }
  ProgramEnded run(const std::vector<std::string>& verb) const {
    Process::Options program;
    program.args = {"lego",
                    "--path",
                    options_.folder.string(),
                    "--server",
                    options_.directory,
                    "--email",
                    "operator@example.com",
                    "--accept-tos",
                    "--domains",
                    options_.name};
    std::vector<std::string> binding;
    if (!options_.external_kid.empty()) {
      binding = {"--eab", "--kid", options_.external_kid, "--hmac", options_.external_key};
    }
    for (const auto& more : {way(), binding, verb}) {
      program.args.insert(program.args.end(), more.begin(), more.end());
    }
    program.env = {{"LEGO_CA_CERTIFICATES", options_.ca_file.string()},
                   {"DNS", options_.dns_management},
                   {"EXEC_PATH", (options_.folder / "hook").string()},
                   {"EXEC_POLLING_INTERVAL", "1"}};
    program.output = options_.folder / "lego.log";
    program.directory = options_.folder;
    return run_to_end(std::move(program), kLimit);
  }

  const Options options_;
};

// For TLS-ALPN it makes the certificate and leaves it to a hook to show it.
constexpr const char* kDehydratedHook = R"sh(#!/bin/bash
case $1 in
  deploy_challenge)
    openssl s_server -accept "127.0.0.1:$TLS_PORT" -alpn acme-tls/1 -quiet \
      -cert "$BASEDIR/alpn-certs/$2.crt.pem" -key "$BASEDIR/alpn-certs/$2.key.pem" \
      < /dev/null >> "$BASEDIR/server.log" 2>&1 &
    echo $! > "$BASEDIR/server.pid"
    for ((i = 0; i < 100; ++i)); do
      (exec 3<> "/dev/tcp/127.0.0.1/$TLS_PORT") 2> /dev/null && exit 0
      sleep 0.05
    done
    exit 1 ;;
  clean_challenge) kill "$(cat "$BASEDIR/server.pid")" ;;
esac
)sh";

class DehydratedClient final : public AcmeClient {
 public:
  explicit DehydratedClient(const Options& options) : options_(options) {
    const path webroot = options.folder / "webroot";
    std::filesystem::create_directories(webroot);
    std::string config = "CA=\"" + options.directory + "\"\nCURL_OPTS=\"--cacert " +
                         options.ca_file.string() + "\"\nBASEDIR=\"" + options.folder.string() +
                         "\"\nWELLKNOWN=\"" + webroot.string() +
                         "\"\nCHALLENGETYPE=" + options.challenge + "\nKEY_ALGO=prime256v1\n";
    if (options.challenge == "http-01") {
      webroot_.emplace(webroot, options.http_port);
    } else {
      write_program(options.folder / "hook", kDehydratedHook);
      config += "HOOK=" + (options.folder / "hook").string() + "\n";
    }
    write_text(options.folder / "config", config);
  }
  ProgramEnded obtain() override {
    ProgramEnded registered = run({"--register", "--accept-terms"});
    if (registered.code != 0) return registered;
    return run({"--cron", "--domain", options_.name});
  }
  ProgramEnded renew() override { return run({"--cron", "--force", "--domain", options_.name}); }
  ProgramEnded revoke() override { return run({"--revoke", (folder() / "cert.pem").string()}); }
  std::string chain() const override { return read_text(folder() / "fullchain.pem"); }

 private:
  path folder() const { return options_.folder / "certs" / options_.name; }
  ProgramEnded run(const std::vector<std::string>& verb) const {
    Process::Options program;
    program.args = {"dehydrated", "--config", (options_.folder / "config").string()};
    program.args.insert(program.args.end(), verb.begin(), verb.end());
    program.env = {{"TLS_PORT", std::to_string(options_.tls_port)}};
    program.output = options_.folder / "dehydrated.log";
    program.directory = options_.folder;
    return run_to_end(std::move(program), kLimit);
  }

  const Options options_;
  std::optional<Webroot> webroot_;
};

constexpr const char* kUacmeHook = R"sh(#!/bin/sh
# METHOD TYPE NAME TOKEN AUTHORIZATION
[ "$2" = "$CHALLENGE" ] || exit 1
case $2-$1 in
  http-01-begin) printf %s "$5" > "$WEBROOT/$4" ;;
  http-01-*) rm "$WEBROOT/$4" ;;
  tls-alpn-01-begin) [ "$(echo "auth $3 $5" | ualpn -s "$UALPN")" = OK ] ;;
  tls-alpn-01-*) [ "$(echo "unauth $3" | ualpn -s "$UALPN")" = OK ] ;;
esac
)sh";

// It trusts the system's authorities and cannot be told others: it is shown another file of them.
constexpr const char* kWithAuthorities =
    "mount --bind \"$0\" /etc/ssl/certs/ca-certificates.crt && exec \"$@\"";

std::vector<std::string> in_own_mounts() {
  if (geteuid() == 0) return {"unshare", "--mount"};
  return {"unshare", "--mount", "--map-root-user"};
}

class UacmeClient final : public AcmeClient {
 public:
  explicit UacmeClient(const Options& options) : options_(options) {
    std::filesystem::create_directories(options.folder);
    write_program(options.folder / "hook", kUacmeHook);
    if (options.challenge == "http-01") {
      webroot_.emplace(options.folder / "webroot", options.http_port);
      return;
    }
    Process::Options
        program;  // its own server; what is not for it goes on to a port that is closed
    program.args = {"ualpn",
                    "-s",
                    socket(),
                    "-b",
                    "127.0.0.1@" + std::to_string(options.tls_port),
                    "-c",
                    "127.0.0.1@" + std::to_string(closed_.number()),
                    "-v"};
    program.output = options.folder / "ualpn.log";
    program.directory = options.folder;
    ualpn_.emplace(std::move(program));
    CHECK(ualpn_->wait_for_line("frontend listening", Millis(20'000)));
  }
  ProgramEnded obtain() override {
    ProgramEnded made = run({"-y", "new", "operator@example.com"});
    if (made.code != 0) return made;
    return run({"-h", (options_.folder / "hook").string(), "issue", options_.name});
  }
  ProgramEnded renew() override {
    return run({"-f", "-h", (options_.folder / "hook").string(), "issue", options_.name});
  }
  ProgramEnded revoke() override { return run({"revoke", certificate().string()}); }
  std::string chain() const override { return read_text(certificate()); }

 private:
  path certificate() const { return options_.folder / "conf" / options_.name / "cert.pem"; }
  std::string socket() const { return (options_.folder / "ualpn.sock").string(); }
  ProgramEnded run(const std::vector<std::string>& verb) const {
    Process::Options program;
    program.args = in_own_mounts();
    program.args.insert(program.args.end(),
                        {"sh", "-c", kWithAuthorities, options_.ca_file.string(), "uacme", "-v",
                         "-c", (options_.folder / "conf").string(), "-a", options_.directory});
    program.args.insert(program.args.end(), verb.begin(), verb.end());
    program.env = {{"CHALLENGE", options_.challenge},
                   {"WEBROOT", (options_.folder / "webroot").string()},
                   {"UALPN", socket()}};
    program.output = options_.folder / "uacme.log";
    program.directory = options_.folder;
    return run_to_end(std::move(program), kLimit);
  }

  const Options options_;
  const ReservedPort closed_;
  std::optional<Webroot> webroot_;
  std::optional<Process> ualpn_;
};

}  // namespace

bool AcmeClient::works_here(Kind kind) {
  if (kind != Kind::kUacme) return true;
  Process::Options program;
  program.args = in_own_mounts();
  program.args.emplace_back("true");
  program.output = "/dev/null";
  return run_to_end(std::move(program)).code == 0;
}

std::unique_ptr<AcmeClient> AcmeClient::make(Kind kind, const Options& options) {
  std::filesystem::create_directories(options.folder);
  switch (kind) {
    case Kind::kCertbot:
      return std::make_unique<CertbotClient>(options);
    case Kind::kLego:
      return std::make_unique<LegoClient>(options);
    case Kind::kDehydrated:
      return std::make_unique<DehydratedClient>(options);
    case Kind::kUacme:
      return std::make_unique<UacmeClient>(options);
    case Kind::kCaddy:
      break;
  }
  return std::make_unique<AcmeCaddy>(options);
}

}  // namespace latchkey::test

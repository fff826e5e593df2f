#include "tests/support/acme_caddy.h"

#include "base/json.h"
#include "tests/support/certbot.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {
namespace {

std::string list(const std::string& json) {
  return "[" + json + "]";
}

std::string object(const char* key, const std::string& json) {
  return JsonObject().raw(key, json).str();
}

}  // namespace

AcmeCaddy::AcmeCaddy(const Options& options) : options_(options) {
  std::filesystem::create_directories(options_.folder);
}

std::string AcmeCaddy::config(double renewal_window) const {
  const bool http = options_.challenge == "http-01";
  const uint16_t port = http ? options_.http_port : options_.tls_port;
  const std::string challenge = JsonObject().number("alternate_port", port).str();
  const std::string off = JsonObject().boolean("disabled", true).str();
  const std::string issuer =
      JsonObject()
          .text("module", "acme")
          .text("ca", options_.directory)
          .text("email", "operator@example.com")
          .raw("trusted_roots_pem_files", list(json_quote(options_.ca_file.string())))
          .raw("challenges", JsonObject()
                                 .raw("http", http ? challenge : off)
                                 .raw("tls-alpn", http ? off : challenge)
                                 .text("bind_host", "127.0.0.1")
                                 .str())
          .str();
  const std::string policy = JsonObject()
                                 .raw("subjects", list(json_quote(options_.name)))
                                 .raw("renewal_window_ratio", std::to_string(renewal_window))
                                 .raw("issuers", list(issuer))
                                 .str();
  const std::string tls =
      JsonObject()
          .raw("certificates", object("automate", list(json_quote(options_.name))))
          .raw("automation", object("policies", list(policy)))
          .str();
  const std::string storage = JsonObject()
                                  .text("module", "file_system")
                                  .text("root", (options_.folder / "data").string())
                                  .str();
  const std::string admin =
      JsonObject().text("listen", "127.0.0.1:" + std::to_string(admin_.number())).str();
  return JsonObject()
      .raw("admin", admin)
      .raw("storage", storage)
      .raw("apps", object("tls", tls))
      .str();
}

ProgramEnded AcmeCaddy::run_until(const std::string& line, double renewal_window) {
  write_text(options_.folder / "caddy.json", config(renewal_window));
  Process::Options program;
  program.args = {"caddy", "run", "--config", (options_.folder / "caddy.json").string()};
  program.env = {{"HOME", options_.folder.string()},
                 {"XDG_CONFIG_HOME", (options_.folder / "config").string()}};
  program.output = options_.folder / "caddy.log";
  program.directory = options_.folder;
  Process caddy(std::move(program));
  const bool done = caddy.wait_for_line(line, Millis(120'000)).has_value();
  return {done ? 0 : 1, caddy.output()};
}

ProgramEnded AcmeCaddy::obtain() {
  return run_until("certificate obtained successfully", 0.3);
}

ProgramEnded AcmeCaddy::renew() {
  return run_until("certificate renewed successfully", 1);
}

ProgramEnded AcmeCaddy::revoke() {
  std::filesystem::path key = certificate();
  key.replace_extension(".key");
  const Certbot certbot(options_.folder / "certbot", options_.directory, options_.ca_file);
  return certbot.run({"revoke", "--cert-path", certificate().string(), "--key-path", key.string(),
                      "--no-delete-after-revoke"});
}

std::filesystem::path AcmeCaddy::certificate() const {
  const std::filesystem::path certificates = options_.folder / "data" / "certificates";
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(certificates, none)) {
    auto file = entry.path() / options_.name / (options_.name + ".crt");
    if (std::filesystem::exists(file)) return file;
  }
  return {};
}

std::string AcmeCaddy::chain() const {
  return read_text(certificate());
}

}  // namespace latchkey::test

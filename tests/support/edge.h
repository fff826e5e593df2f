#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "tests/support/http_exchange.h"
#include "tests/support/process.h"

namespace latchkey::test {

// The part of the configuration that tests vary. What is empty or 0 is left to its default.
struct EdgeSettings {
  uint16_t https_port = 0;
  uint16_t http_port = 0;
  std::vector<std::string> proxy_protocol_from{};
  std::filesystem::path state_dir;
  int workers = 2;
  std::vector<std::string> allow{};
  std::vector<std::string> allow_files{};
  std::string ask{};  // URL
  std::string ask_timeout{};
  std::string ask_positive_ttl{}, ask_negative_ttl{}, ask_stale_ttl{};
  bool ask_send_reason = false;
  std::filesystem::path ask_token_file{};
  int ask_max_concurrent = 0;
  std::string denied{};                 // "serve" or "refuse"
  std::string throttle{};               // JSON: rate(), or "null"
  std::string per_registered_domain{};  // likewise
  std::string park_timeout{};
  int max_parked = 0;
  int max_parked_per_name = 0;
  int max_parked_per_prefix = 0;
  int max_orders = 0;
  std::string authority{};  // JSON, "{}": our issuer is the edge's own, embedded
  std::string directory{};
  std::filesystem::path ca_file{};
  std::vector<std::string> challenges{};
  std::string eab{};  // of our issuer, too; JSON: external_account()
  std::string profile{}, preferred_chain{};
  std::string limits{};  // of our issuer; JSON: a word in quotes, or an object
  int issuer_max_orders = 0;
  std::string issuers{};       // JSON objects, each with a comma behind it, that stand before ours
  std::string more_issuers{};  // the same, but each with a comma before it, behind ours
  // JSON: files(), or "\"self_signed\"" for the latter.
  std::string default_certificate{}, parking_certificate{};
  int max_certificates = 0;
  std::vector<std::string> managed{};
  std::string renewal{};       // JSON: an object
  std::string certificates{};  // JSON: an array of files() and {"dir": ...}
  std::string rsa{};           // "never", "on_demand", "always"
  std::string tls{};           // JSON: an object
  std::string dns{};           // JSON: hook() or rfc2136()
  std::string export_to{};     // JSON: an object
  std::string challenge_upstream{};
  std::vector<std::pair<std::string, std::string>> keys{};  // others: their names, their JSON
  bool ocsp = true;
  std::string events{};        // likewise
  std::string keep_expired{};  // of the store
  // For host "*". Or the routes as JSON.
  std::string upstream{};
  std::string routes{};
  std::string groups{};            // JSON: an array
  std::string resolvers{};         // of upstreams' names: a server's address
  std::string response_timeout{};  // of upstreams
  std::string shutdown_grace{};
  std::string upgrade_timeout{}, upgrade_grace{};
  std::string log_level = "debug";
  std::filesystem::path admin_socket{};  // Edge puts it into its folder
  std::filesystem::path binary{};        // instead of the one that was built
  std::vector<int> listen_fds{};         // see Process::Options
  std::string listen_names{};
  int descriptors = 0;  // that it may have open; 0: as many as we may
  int cpu = -1;         // the program runs on this one alone; -1: on all
  std::vector<std::pair<std::string, std::string>> env{};

  std::string json() const;
  // Parts of it. `per`: a duration, "7d".
  static std::string rate(int burst, std::string_view per);
  static std::string files(const std::filesystem::path& cert_file,
                           const std::filesystem::path& key_file);
  // The folder of certificates, for `certificates`.
  static std::string folder_of(const std::filesystem::path& dir);
  static std::string external_account(std::string_view kid, const std::filesystem::path& key_file);
  static std::string issuer(std::string_view name, std::string_view directory,
                            std::string_view limits = "\"none\"");
};

// The binary under test. A crash, a sanitizer's report or an unexpected end is a test failure.
class Edge {
 public:
  Edge(std::filesystem::path folder, EdgeSettings settings);
  ~Edge();

  EdgeSettings settings;  // take effect at the next start, or at reload()
  const std::filesystem::path& config_file() const { return config_; }
  const std::filesystem::path& folder() const { return folder_; }

  // Writes the configuration, starts the program and waits for its event "ready"; false, and a
  // test failure, when it ends or stays silent. What it took is in ready_after().
  bool start(Millis limit = Millis(20'000));
  // Without waiting, for starts that are to fail.
  void launch();
  Millis ready_after() const { return ready_after_; }

  bool running() { return process_ && process_->running(); }
  void kill_hard();
  // TERM, and waits for the end. Null when it has not ended within `limit`.
  std::optional<Process::Exit> terminate(Millis limit = Millis(40'000));
  std::optional<Process::Exit> interrupt(Millis limit = Millis(20'000));  // the same with INT
  std::optional<Process::Exit> wait(Millis limit);
  // The program is to end by itself. Null when it has not within `limit`.
  std::optional<Process::Exit> expect_end(Millis limit = Millis(20'000));
  void signal(int number) { process_->signal(number); }
  // Writes the settings, sends HUP and waits for the event that tells how it went.
  std::string reload();
  // The same with the configuration as it is given.
  std::string reload(std::string_view config);
  // Writes the settings, sends USR2 and waits: for the new process, which is the one that this is
  // about from then on (true); or for the failure of the upgrade (false). The old ones live until
  // their connections have ended, or this goes.
  bool upgrade(Millis limit = Millis(30'000));
  // In two steps, for who has something to do between them.
  void begin_upgrade();
  bool finish_upgrade(Millis limit = Millis(30'000));
  // Kills the new process of the last upgrade: this is about the old one again.
  void kill_the_new_one();
  std::vector<std::unique_ptr<Process>>& replaced() { return replaced_; }
  pid_t pid() const { return process_->pid(); }
  Process& process() { return *process_; }

  // Of the log since the last start.
  std::vector<JsonValue> events(std::string_view event) const;
  size_t count(std::string_view event) const { return events(event).size(); }
  bool wait_for(std::string_view event, size_t times = 1, Millis limit = Millis(20'000)) const;
  // ... that is about `name`.
  size_t count(std::string_view event, std::string_view name) const;
  std::string log() const { return process_->output(); }
  // Does a line hold both?
  bool logged(std::string_view part, std::string_view other = "") const;
  // A number that is logged at the end, in "counts" or "counts_issuance"; -1 if it is not there.
  int64_t final_count(std::string_view key) const;

  // One request to the admin API, on a connection of its own. Status 0: no answer.
  HttpAnswer admin(std::string_view method, std::string_view path, std::string_view body = "",
                   Millis limit = Millis(30'000)) const;
  // The answer's body; a test failure and null when it is not 200 or no JSON.
  JsonValue admin_json(std::string_view method, std::string_view path,
                       std::string_view body = "") const;

  // What clients of an embedded authority are to trust, PEM.
  std::string authority_roots() const;

  // Runs another verb of the program to its end.
  using Outcome = ProgramEnded;
  // One that talks to the running process.
  Outcome command(std::vector<std::string> args, Millis limit = Millis(30'000)) const;
  static Outcome run(const std::filesystem::path& folder, std::vector<std::string> args,
                     Millis limit = Millis(20'000));

 private:
  void look_for_reports() const;

  std::filesystem::path folder_, config_;
  std::vector<std::unique_ptr<Process>> replaced_;
  std::unique_ptr<Process> process_;
  bool end_expected_ = false;
  size_t upgrades_ = 0, failed_upgrades_ = 0;  // in the log, when the last one began
  Millis ready_after_{0};
};

}  // namespace latchkey::test

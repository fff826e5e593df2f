#include "tests/support/edge.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "base/check.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {
namespace {

std::string list(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out.append(out.empty() ? "" : ",").append(json_quote(text));
  return "[" + out + "]";
}

std::string address(uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

void text_if(JsonObject& object, const char* key, const std::string& value) {
  if (!value.empty()) object.text(key, value);
}

void number_if(JsonObject& object, const char* key, int value) {
  if (value != 0) object.number(key, value);
}

void raw_if(JsonObject& object, const char* key, const std::string& json) {
  if (!json.empty()) object.raw(key, json);
}

Process::Options program(const std::filesystem::path& folder, std::vector<std::string> args,
                         int cpu = -1,
                         const std::vector<std::pair<std::string, std::string>>& env = {},
                         const std::filesystem::path& binary = {}) {
  Process::Options options;
  if (cpu >= 0) options.args = {"taskset", "-c", std::to_string(cpu)};
  options.args.push_back(binary.empty() ? LATCHKEY_BINARY : binary.string());
  options.args.insert(options.args.end(), args.begin(), args.end());
  options.env = env;
  options.env.emplace_back("LATCHKEY_NO_PUBLIC_CA", "1");
  options.output = folder / "latchkey.log";
  options.directory = folder;
  return options;
}

}  // namespace

std::string EdgeSettings::json() const {
  JsonObject listen;
  listen.raw("https", list({address(https_port)}));
  if (http_port != 0) listen.raw("http", list({address(http_port)}));
  if (!proxy_protocol_from.empty()) listen.raw("proxy_protocol_from", list(proxy_protocol_from));

  JsonObject on_demand;
  if (!allow.empty()) on_demand.raw("allow", list(allow));
  if (!allow_files.empty()) on_demand.raw("allow_files", list(allow_files));
  if (!ask.empty()) {
    JsonObject endpoint;
    endpoint.text("url", ask);
    text_if(endpoint, "timeout", ask_timeout);
    text_if(endpoint, "token_file", ask_token_file.string());
    number_if(endpoint, "max_concurrent", ask_max_concurrent);
    text_if(endpoint, "positive_ttl", ask_positive_ttl);
    text_if(endpoint, "negative_ttl", ask_negative_ttl);
    text_if(endpoint, "stale_ttl", ask_stale_ttl);
    if (ask_send_reason) endpoint.boolean("send_reason", true);
    on_demand.raw("ask", endpoint.str());
  }
  text_if(on_demand, "park_timeout", park_timeout);
  number_if(on_demand, "max_parked", max_parked);
  number_if(on_demand, "max_parked_per_name", max_parked_per_name);
  number_if(on_demand, "max_parked_per_prefix", max_parked_per_prefix);
  number_if(on_demand, "max_orders", max_orders);
  text_if(on_demand, "denied", denied);
  raw_if(on_demand, "throttle", throttle);
  raw_if(on_demand, "per_registered_domain", per_registered_domain);

  JsonObject acme;
  acme.text("directory", directory).boolean("accept_terms", true);
  text_if(acme, "ca_file", ca_file.string());
  if (!challenges.empty()) acme.raw("challenges", list(challenges));
  raw_if(acme, "eab", eab);
  text_if(acme, "profile", profile);
  text_if(acme, "preferred_chain", preferred_chain);
  JsonObject issuer;
  issuer.text("name", "test");
  authority.empty() ? issuer.raw("acme", acme.str()) : issuer.raw("authority", authority);
  raw_if(issuer, "limits", limits);
  number_if(issuer, "max_orders", issuer_max_orders);

  JsonObject all;
  all.raw("listen", listen.str()).text("state_dir", state_dir.string()).number("workers", workers);
  all.raw("on_demand", on_demand.str())
      .raw("issuers", "[" + issuers + issuer.str() + more_issuers + "]");
  if (!admin_socket.empty()) {
    all.raw("admin", JsonObject().text("socket", admin_socket.string()).str());
  }
  JsonObject fallback;
  raw_if(fallback, "default_certificate", default_certificate);
  raw_if(fallback, "parking_certificate", parking_certificate);
  if (fallback.str() != "{}") all.raw("fallback", fallback.str());
  if (max_certificates != 0) {
    all.raw("cache", JsonObject().number("max_certificates", max_certificates).str());
  }
  if (!managed.empty()) all.raw("managed", list(managed));
  raw_if(all, "renewal", renewal);
  raw_if(all, "certificates", certificates);
  text_if(all, "rsa", rsa);
  raw_if(all, "tls", tls);
  raw_if(all, "dns", dns);
  raw_if(all, "export", export_to);
  text_if(all, "challenge_upstream", challenge_upstream);
  for (const auto& [key, json] : keys) all.raw(key, json);
  if (!ocsp) all.raw("ocsp", JsonObject().boolean("enabled", false).str());
  raw_if(all, "events", events);
  if (!keep_expired.empty()) {
    all.raw("store", JsonObject().text("keep_expired", keep_expired).str());
  }
  if (!routes.empty()) {
    all.raw("routes", routes);
  } else if (!upstream.empty()) {
    const std::string route =
        JsonObject().raw("hosts", list({"*"})).raw("upstreams", list({upstream})).str();
    all.raw("routes", "[" + route + "]");
  }
  raw_if(all, "groups", groups);
  JsonObject upstream_keys;
  text_if(upstream_keys, "response_timeout", response_timeout);
  if (!resolvers.empty()) upstream_keys.raw("resolvers", list({resolvers}));
  if (upstream_keys.str() != "{}") all.raw("upstream", upstream_keys.str());
  text_if(all, "shutdown_grace", shutdown_grace);
  text_if(all, "upgrade_timeout", upgrade_timeout);
  text_if(all, "upgrade_grace", upgrade_grace);
  all.raw("log", JsonObject().text("level", log_level).text("format", "json").str());
  return all.str();
}

std::string EdgeSettings::rate(int burst, std::string_view per) {
  return JsonObject().number("burst", burst).text("per", per).str();
}

std::string EdgeSettings::files(const std::filesystem::path& cert_file,
                                const std::filesystem::path& key_file) {
  return JsonObject()
      .text("cert_file", cert_file.string())
      .text("key_file", key_file.string())
      .str();
}

std::string EdgeSettings::folder_of(const std::filesystem::path& dir) {
  return JsonObject().text("dir", dir.string()).str();
}

std::string EdgeSettings::external_account(std::string_view kid,
                                           const std::filesystem::path& key_file) {
  return JsonObject().text("kid", kid).text("hmac_key_file", key_file.string()).str();
}

std::string EdgeSettings::issuer(std::string_view name, std::string_view directory,
                                 std::string_view limits) {
  const std::string acme =
      JsonObject().text("directory", directory).boolean("accept_terms", true).str();
  return JsonObject().text("name", name).raw("acme", acme).raw("limits", limits).str();
}

Edge::Edge(std::filesystem::path folder, EdgeSettings initial)
    : settings(std::move(initial)), folder_(std::move(folder)), config_(folder_ / "config.json") {
  settings.admin_socket = folder_ / "admin.sock";
  std::filesystem::create_directories(folder_);
}

Edge::~Edge() {
  if (process_) look_for_reports();
}

void Edge::launch() {
  if (process_) look_for_reports();
  write_text(config_, settings.json());
  end_expected_ = true;
  replaced_.clear();
  Process::Options options = program(folder_, {"run", "--config", config_.string()}, settings.cpu,
                                     settings.env, settings.binary);
  options.listen_fds = settings.listen_fds;
  options.listen_names = settings.listen_names;
  if (settings.descriptors > 0) {
    const std::string limit = std::to_string(settings.descriptors);
    options.args.insert(options.args.begin(), {"prlimit", "--nofile=" + limit + ":" + limit});
  }
  process_ = std::make_unique<Process>(std::move(options));
}

bool Edge::start(Millis limit) {
  const Stopwatch time;
  launch();
  const bool ready = wait_for("ready", 1, limit);
  ready_after_ = time.elapsed();
  end_expected_ = false;
  EXPECT_TRUE(ready) << "the edge did not become ready:\n" << log();
  return ready;
}

void Edge::kill_hard() {
  end_expected_ = true;
  process_->kill_hard();
}

std::optional<Process::Exit> Edge::terminate(Millis limit) {
  end_expected_ = true;
  process_->signal(SIGTERM);
  return process_->wait(limit);
}

std::optional<Process::Exit> Edge::interrupt(Millis limit) {
  end_expected_ = true;
  process_->signal(SIGINT);
  return process_->wait(limit);
}

std::optional<Process::Exit> Edge::expect_end(Millis limit) {
  end_expected_ = true;
  return process_->wait(limit);
}

std::optional<Process::Exit> Edge::wait(Millis limit) {
  return process_->wait(limit);
}

std::string Edge::reload() {
  return reload(settings.json());
}

std::string Edge::reload(std::string_view config) {
  const size_t good = count("reloaded");
  const size_t bad = count("reload_failed");
  write_text(config_, config);
  process_->signal(SIGHUP);
  eventually([&] { return count("reloaded") > good || count("reload_failed") > bad; });
  if (count("reloaded") > good) return "reloaded";
  return count("reload_failed") > bad ? "reload_failed" : "nothing";
}

bool Edge::upgrade(Millis limit) {
  begin_upgrade();
  return finish_upgrade(limit);
}

void Edge::begin_upgrade() {
  upgrades_ = count("upgraded");
  failed_upgrades_ = count("upgrade_failed");
  write_text(config_, settings.json());
  process_->signal(SIGUSR2);
}

bool Edge::finish_upgrade(Millis limit) {
  eventually(
      [&] { return count("upgraded") > upgrades_ || count("upgrade_failed") > failed_upgrades_; },
      limit);
  const auto done = events("upgraded");
  if (done.size() == upgrades_) return false;
  const auto pid = static_cast<pid_t>(done.back().find("successor")->number);
  auto next = std::make_unique<Process>(pid, *process_);
  replaced_.push_back(std::exchange(process_, std::move(next)));
  return true;
}

std::vector<JsonValue> Edge::events(std::string_view event) const {
  const std::string mark = "\"event\":" + json_quote(event);
  std::vector<JsonValue> result;
  for (const auto& line : process_->lines()) {
    if (line.find(mark) == std::string::npos) continue;
    auto value = parse_json(line);
    EXPECT_TRUE(value.has_value()) << "not JSON: " << line;
    if (value) result.push_back(*std::move(value));
  }
  return result;
}

bool Edge::wait_for(std::string_view event, size_t times, Millis limit) const {
  auto& process = const_cast<Process&>(*process_);
  bool found = false;
  eventually(
      [&] {
        const bool ended = !process.running();
        found = count(event) >= times;
        return found || ended;
      },
      limit);
  return found;
}

void Edge::kill_the_new_one() {
  process_->kill_hard();
  process_ = std::move(replaced_.back());
  replaced_.pop_back();
}

size_t Edge::count(std::string_view event, std::string_view name) const {
  const auto all = events(event);
  return static_cast<size_t>(std::count_if(all.begin(), all.end(), [name](const JsonValue& line) {
    return line.text_of("name") == name;
  }));
}

bool Edge::logged(std::string_view part, std::string_view other) const {
  const auto lines = process_->lines();
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.find(part) != std::string::npos && line.find(other) != std::string::npos;
  });
}

int64_t Edge::final_count(std::string_view key) const {
  for (const char* event : {"counts", "counts_issuance"}) {
    for (const JsonValue& line : events(event)) {
      if (const JsonValue* value = line.find(key)) return static_cast<int64_t>(value->number);
    }
  }
  return -1;
}

HttpAnswer Edge::admin(std::string_view method, std::string_view path, std::string_view body,
                       Millis limit) const {
  UnixClient client(settings.admin_socket.string(), limit);
  if (!client.connected()) return {};
  std::string request(method);
  request.append(" ").append(path).append(" HTTP/1.1\r\nHost: localhost\r\n");
  if (!body.empty() || method == "POST") {
    request += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size());
    request += "\r\n";
  }
  request.append("\r\n").append(body);
  return HttpConversation(client).exchange(request);
}

JsonValue Edge::admin_json(std::string_view method, std::string_view path,
                           std::string_view body) const {
  const HttpAnswer answer = admin(method, path, body);
  EXPECT_EQ(answer.status, 200) << method << " " << path << ": " << answer.body;
  auto json = parse_json(answer.body);
  EXPECT_TRUE(json.has_value()) << method << " " << path << ": " << answer.body;
  return json ? *std::move(json) : JsonValue();
}

std::string Edge::authority_roots() const {
  return std::string(admin_json("GET", "/authorities:root").text_of("pem"));
}

Edge::Outcome Edge::command(std::vector<std::string> args, Millis limit) const {
  args.insert(args.end(), {"--config", config_.string()});
  Process::Options options = program(folder_, std::move(args));
  options.output = folder_ / "command.log";
  return run_to_end(std::move(options), limit);
}

Edge::Outcome Edge::run(const std::filesystem::path& folder, std::vector<std::string> args,
                        Millis limit) {
  return run_to_end(program(folder, std::move(args)), limit);
}

void Edge::look_for_reports() const {
  for (const char* mark : {"Sanitizer", "runtime error:", "CHECK failed"}) {
    if (logged(mark)) ADD_FAILURE() << "the edge reported:\n" << log();
  }
  auto& process = const_cast<Process&>(*process_);
  if (end_expected_ || process.running()) return;
  const auto exit = *process.wait(Millis(0));
  const std::string text = log();
  ADD_FAILURE() << "the edge ended by itself (code " << exit.code << ", signal " << exit.signal
                << "):\n"
                << text.substr(text.size() > 8000 ? text.size() - 8000 : 0);
}

}  // namespace latchkey::test

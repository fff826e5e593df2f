#include "tests/support/name_server.h"

#include <signal.h>
#include <stdio.h>

#include <algorithm>

#include "base/check.h"
#include "base/resolver.h"
#include "tests/support/eventually.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {
namespace {

constexpr Millis kStart{20'000};
constexpr const char* kProgram = "/usr/sbin/named";

std::string base64(const std::string& bytes) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i) {
      group = group << 8 | (at + i < bytes.size() ? static_cast<uint8_t>(bytes[at + i]) : 0);
    }
    for (size_t i = 0; i < 4; ++i) {
      text += at + i > bytes.size() ? '=' : kAlphabet[group >> (18 - 6 * i) & 63];
    }
  }
  return text;
}

}  // namespace

NameServer::NameServer(std::filesystem::path folder, Options options)
    : folder_(std::move(folder)), options_(std::move(options)) {
  std::filesystem::create_directories(folder_);
  for (int i = 0; i < 32; ++i) secret_ += static_cast<char>(i * 7 + 3);
  // AppArmor lets Debian's named write in its own folders only; it knows it by its path.
  CHECK(std::filesystem::exists(kProgram));  // package bind9
  std::filesystem::copy_file(kProgram, folder_ / "named");
  configure();
  start();
}

std::string NameServer::address() const {
  return "127.0.0.1:" + std::to_string(port_.number());
}

std::string NameServer::secret_base64() const {
  return base64(secret_);
}

void NameServer::configure() const {
  std::string text =
      "controls { };\n"
      "options {\n"
      "  directory \"" +
      folder_.string() +
      "\";\n"
      "  listen-on port " +
      std::to_string(port_.number()) +
      " { 127.0.0.1; };\n"
      "  listen-on-v6 { none; };\n"
      "  pid-file none; session-keyfile none; lock-file none; dump-file \"dump\";\n"
      // A CNAME is followed into its other zones; what is in none of them leads nowhere.
      "  recursion yes; forward only; forwarders { 127.0.0.1 port 1; }; max-cache-size 8m;\n"
      "  dnssec-validation no; empty-zones-enable no; notify no;\n"
      "  allow-transfer { none; }; version none;\n"
      "};\n"
      "zone \".\" { type hint; file \"hints\"; };\n"
      "key \"" +
      key_name_ + "\" { algorithm " + options_.algorithm + "; secret \"" + secret_base64() +
      "\"; };\n";
  for (const Zone& zone : options_.zones) {
    text += "zone \"" + zone.name + "\" { type primary; file \"" + zone.name +
            ".zone\"; allow-update { key \"" + key_name_ + "\"; }; };\n";
    // A negative answer may be remembered for a second.
    std::string records =
        "$TTL 1\n@ SOA ns hostmaster 1 3600 900 86400 1\n@ NS ns\nns A 127.0.0.1\n";
    if (options_.names_are_loopback) records += "@ A 127.0.0.1\n* A 127.0.0.1\n";
    write_text(folder_ / (zone.name + ".zone"), records + zone.records);
  }
  write_text(folder_ / "hints", ". 3600 NS here.\nhere. 3600 A 127.0.0.1\n");
  write_text(folder_ / "named.conf", text);
}

void NameServer::start() {
  stop();
  Process::Options options;
  options.args = {(folder_ / "named").string(),     "-g", "-n", "1", "-c",
                  (folder_ / "named.conf").string()};
  options.output = folder_ / "named.log";
  options.directory = folder_;
  server_.emplace(std::move(options));
  const auto is_ready = [](std::string_view line) { return line.ends_with(" running"); };
  if (!server_->wait_for_line(is_ready, kStart)) {
    fprintf(stderr, "%s", log().c_str());
    CHECK(!"named does not start");
  }
}

void NameServer::stop() {
  if (!server_) return;
  server_->signal(SIGCONT);
  server_->signal(SIGTERM);
  server_->wait(kStart);
  server_.reset();
}

void NameServer::freeze() {
  server_->signal(SIGSTOP);
  // Each of its threads stops when it comes to it.
  const auto threads = std::filesystem::path("/proc") / std::to_string(server_->pid()) / "task";
  CHECK(eventually([&] {
    for (const auto& thread : std::filesystem::directory_iterator(threads)) {
      if (read_text(thread.path() / "status").find("State:\tT") == std::string::npos) return false;
    }
    return true;
  }));
}

void NameServer::thaw() {
  server_->signal(SIGCONT);
}

std::vector<std::string> NameServer::txt(const std::string& name) const {
  Loop loop;
  Resolver::Options options;
  options.servers = address();
  Resolver resolver(loop.uv(), options);
  auto found = run(loop, resolver.records(name, Resolver::RecordType::kTxt));
  CHECK(found.has_value());
  std::sort(found->begin(), found->end());
  return *std::move(found);
}

}  // namespace latchkey::test

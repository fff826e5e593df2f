#include "bench/comparison/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>

#include "base/loop.h"
#include "tests/support/eventually.h"
#include "tests/support/fd.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {
namespace {

struct Kind {
  std::string_view name;
  PeerProgram (*program)(const PeerSetup&);
  std::vector<std::string> version;  // a command; the first number that it says is the version
  std::string_view package;          // of Debian
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"latchkey", latchkey_program, {LATCHKEY_BINARY, "--version"}, ""},
      {"floor", floor_program, {}, ""},
      {"nginx", nginx_program, {"nginx", "-v"}, "nginx-light"},
      {"haproxy", haproxy_program, {"haproxy", "-v"}, "haproxy"},
      {"caddy", caddy_program, {"caddy", "version"}, "caddy"},
  };
  return all;
}

const Kind* find_kind(std::string_view server) {
  for (const Kind& kind : kinds()) {
    if (kind.name == server) return &kind;
  }
  return nullptr;
}

Error unknown(std::string_view server) {
  std::string known;
  for (const auto& name : Peer::servers()) known.append(known.empty() ? "" : ", ").append(name);
  return {ErrorCode::kInvalid,
          "there is no server \"" + std::string(server) + "\"; there are: " + known};
}

bool accepts_at(uint16_t port) {
  const test::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::string end_of(const std::string& text) {
  constexpr size_t kEnd = 1500;
  return text.size() > kEnd ? text.substr(text.size() - kEnd) : text;
}

}  // namespace

const std::vector<std::string>& Peer::servers() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const Kind& kind : kinds()) out.emplace_back(kind.name);
    return out;
  }();
  return names;
}

Result<std::unique_ptr<Peer>> Peer::launch(std::string_view server, const PeerSetup& setup) {
  const Kind* kind = find_kind(server);
  if (kind == nullptr) return unknown(server);
  std::error_code failed;
  std::filesystem::create_directories(setup.folder, failed);
  if (failed) {
    return Error{ErrorCode::kIo, setup.folder.string() + " cannot be made: " + failed.message()};
  }
  PeerProgram program = kind->program(setup);
  test::Process::Options options;
  options.args = {"taskset", "-c", std::to_string(setup.cpu)};
  options.args.insert(options.args.end(), program.args.begin(), program.args.end());
  options.env = std::move(program.env);
  options.output = setup.folder / "output.log";
  options.directory = setup.folder;
  return std::unique_ptr<Peer>(new Peer(server, setup, std::move(options)));
}

Result<std::unique_ptr<Peer>> Peer::start(std::string_view server, const PeerSetup& setup,
                                          Millis limit) {
  auto launched = launch(server, setup);
  if (!launched) return launched;
  Peer& peer = **launched;
  test::eventually([&] { return peer.accepts() || !peer.running(); }, limit);
  if (!peer.running()) return peer.failure("ended at its start");
  if (!peer.accepts()) {
    return peer.failure("takes no connections after " + std::to_string(limit.count()) + " ms");
  }
  return launched;
}

Result<std::string> Peer::version(std::string_view server) {
  const Kind* kind = find_kind(server);
  if (kind == nullptr) return unknown(server);
  if (kind->version.empty()) return std::string("of this tree, with the same BoringSSL");
  const test::TempFolder folder;
  test::Process::Options options;
  options.args = kind->version;
  options.output = folder / "version";
  const test::ProgramEnded ended = test::run_to_end(std::move(options), Millis(10'000));
  const size_t at = ended.output.find_first_of("0123456789");  // "nginx version: nginx/1.22.1"
  if (ended.code == 0 && at != std::string::npos) {
    return ended.output.substr(at, ended.output.find_first_of(" \n", at) - at);
  }
  std::string message = std::string(server) + " does not run";
  if (!kind->package.empty()) {
    message.append(": cmake/install-dependencies.sh bench installs Debian's ")
        .append(kind->package);
  }
  return Error{ErrorCode::kNotFound, std::move(message)};
}

Peer::Peer(std::string_view server, const PeerSetup& setup, test::Process::Options options)
    : server_(server),
      port_(setup.port),
      admin_socket_(setup.folder / "admin.sock"),
      process_(std::move(options)) {}

// nginx's worker would outlive a killed master, and its port a moment longer than it.
Peer::~Peer() {
  process_.signal(server_ == "nginx" ? SIGTERM : SIGKILL);
  process_.wait(Millis(10'000));
}

Error Peer::failure(std::string_view what) const {
  return {ErrorCode::kIo,
          server_ + " " + std::string(what) + "; its output ends with:\n" + end_of(log())};
}

bool Peer::accepts() {
  return accepts_at(port_) && (server_ != "nginx" || find_worker());
}

bool Peer::find_worker() {
  const std::string pid = std::to_string(process_.pid());
  std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
  pid_t child = 0;
  if (children >> child) worker_ = child;
  return worker_ > 0;
}

}  // namespace latchkey::bench

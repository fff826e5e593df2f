#pragma once
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bench/comparison/compare_options.h"
#include "bench/comparison/filled_store.h"
#include "bench/comparison/peer.h"
#include "bench/report/comparison.h"
#include "bench/report/measurement.h"
#include "tests/support/ports.h"
#include "tests/support/process.h"

namespace latchkey::bench {

// What all rows share: the folder, the cores, the one certificate, the origin, and whatever a row
// leaves for later ones. Of the main thread.
class Lab {
 public:
  // Puts this process, and so the origin, the CAs and all clients, on the clients' core. Errors:
  // no room for files, the origin does not start.
  static Result<std::unique_ptr<Lab>> open(const CompareOptions& options);
  ~Lab();
  Lab(const Lab&) = delete;

  const CompareOptions& options() const { return options_; }
  int client_cpu() const { return 0; }
  int server_cpu() const { return server_cpu_; }  // another one, if there is one
  const OneCertificate& certificate() const { return certificate_; }
  const std::filesystem::path& folder() const { return folder_; }
  // Of nobody else.
  std::filesystem::path new_folder(std::string_view name);
  uint16_t new_port();

  // A setup with folder, port, upstream, certificate and core filled in; a Latchkey's store has
  // the one certificate.
  PeerSetup setup(std::string_view server);
  // A state folder for a Latchkey of its own that holds so many stored names. What was filled once
  // is kept for later rows, who share it one after the other.
  std::filesystem::path store(int64_t count);
  // The different certificates of fill_folder(): HAProxy's list of them is `list`.
  struct Files {
    std::filesystem::path folder, list;
  };
  const Files& files(int count);

  // What HAProxy or Caddy needs for a start with files(count), to the end of the first handshake,
  // and how large it is then; measured once, for that takes long.
  struct FilesStart {
    double seconds = 0;
    double resident_bytes = 0;
  };
  Result<FilesStart> start_with_files(const std::string& server, int count);

  // Started once for all rows that take it as setup() has it (with `body` and `close` for the
  // floor), and left running between them. Errors are remembered.
  Result<Peer*> shared(std::string_view server, size_t body = 1024, bool close = false);
  void stop_shared();

  // latchkey-bench against that server on the clients' core, to its end; the server's CPU and
  // memory are measured. Errors: it failed (its words), no operation was done, or it took too long.
  Result<Measurement> load(Peer& peer, std::vector<std::string> arguments,
                           Millis limit = Millis(120'000));
  // ... without waiting; its result is lost.
  std::unique_ptr<test::Process> start_load(Peer& peer, std::vector<std::string> arguments);

 private:
  explicit Lab(const CompareOptions& options);
  Result<> start_origin();

  const CompareOptions options_;
  int server_cpu_ = 1;
  std::filesystem::path folder_;
  const OneCertificate certificate_ = make_one_certificate();
  std::list<test::ReservedPort> ports_;
  uint16_t origin_port_ = 0;
  std::unique_ptr<test::Process> origin_;
  int folders_ = 0, loads_ = 0;
  std::map<int64_t, std::filesystem::path> stores_;  // by their size
  std::map<int, Files> files_;                       // likewise
  std::map<std::pair<std::string, int>, Result<FilesStart>> files_starts_;
  std::map<std::string, Result<std::unique_ptr<Peer>>> shared_;
};

// Calls `measure` for each server in turn, rounds times (A B C A B C), and adds a sample, and a
// rate if there is one, to its cell. Once it fails for a server, its cell has no samples, and a
// note.
struct Sample {
  double value = 0;
  double rate = 0;  // 0: none
};
using MeasureServer = std::function<Result<Sample>(const std::string& server)>;
std::vector<Cell> in_turns(const std::vector<std::string>& servers, int rounds,
                           const MeasureServer& measure);

}  // namespace latchkey::bench

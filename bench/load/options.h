#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bench/load/arrivals.h"
#include "bench/load/names.h"
#include "bench/load/tls_client.h"

namespace latchkey::bench {

// What the command line says; its defaults are those of --help. Times are in seconds.
struct Options {
  std::string scenario;
  std::string target;
  NamePlan names, flood_names;

  // Load.
  unsigned connections = 0;  // 0: the scenario's own default
  double rate = 0;           // of all threads; 0: closed loop
  double flood_rate = 0;
  uint64_t flood_count = 0;
  Arrivals::Kind arrivals = Arrivals::Kind::kPoisson;
  double duration = 10, warmup = 1;
  uint64_t count = 0;  // 0: the scenario's own default
  unsigned repeat = 1;
  double timeout = 10;  // of a handshake, and of an answer
  double settle = 0;    // idle; 0: its default
  double interval = 0;  // of the series; 0: the scenario's own
  bool resume = false;

  // Requests.
  int http = 1;  // 1 or 2
  std::string path = "/";
  unsigned streams = 1;
  uint64_t body = 0;                       // bytes of a request
  std::optional<uint64_t> answer_bytes{};  // of each answer; another length is a failure
  bool close_each = false;                 // one request a connection
  bool request_once = false;               // idle: a request on each connection before it rests

  TlsSettings tls;

  // Measuring and output.
  std::vector<pid_t> server_pids;
  int cpu = -1;
  unsigned threads = 1;
  std::string json_file, html_file;
  bool quiet = false;
  bool own_target = false;
  bool help = false;

  std::vector<std::string> command;  // as it was given
};

// Errors are for the terminal: what is wrong with which option, and what it should be. Does not
// know the scenarios' names.
Result<Options> parse_options(const std::vector<std::string>& arguments);

// The options' part of --help.
std::string options_help();

}  // namespace latchkey::bench

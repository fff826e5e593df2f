#include "bench/load/program.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "bench/load/descriptors.h"
#include "bench/load/options.h"
#include "bench/load/scenarios.h"
#include "bench/load/tls_client.h"
#include "bench/report/html.h"
#include "bench/report/text.h"

namespace latchkey::bench {
namespace {

constexpr int kUsage = 2, kFailed = 1;

int complain(const Error& error, int status) {
  std::fprintf(stderr, "latchkey-bench: %s\n", error.message.c_str());
  return status;
}

Error invalid(std::string message) {
  return {ErrorCode::kInvalid, std::move(message)};
}

std::string help() {
  std::string text =
      "usage: latchkey-bench SCENARIO --target HOST:PORT [OPTIONS]\n"
      "Puts load on a TLS server, and measures it.\n\nscenarios\n";
  for (const Scenario& scenario : scenarios()) {
    std::string name = "  " + std::string(scenario.name);
    name.resize(14, ' ');
    text += name + std::string(scenario.summary) + "\n";
  }
  return text + "\n" + options_help();
}

std::string known_scenarios() {
  std::string text;
  for (const Scenario& scenario : scenarios()) {
    text += (text.empty() ? "" : ", ") + std::string(scenario.name);
  }
  return text;
}

// Errors: whose load would hit somebody else.
Result<> allowed(const Options& options, const Endpoint& target) {
  if (target.loopback || options.own_target) {
    if (options.tls.sources > 1 && target.address.ss_family != AF_INET) {
      return invalid("--sources: expected a target of 127.0.0.0/8, got " + target.numeric);
    }
    return Unit{};
  }
  return invalid("--target: " + target.text + " is " + target.numeric +
                 ", which is not this machine. Load on a server of somebody else is an attack, "
                 "and unknown names at a server with a public CA use up that CA's rate limits for "
                 "its owner. If the server is yours and load is welcome there, say "
                 "--i-own-this-target");
}

// Not atomic: it may be a pipe.
Result<> write_output(const char* option, const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::trunc);
  out << text << std::flush;
  if (out) return Unit{};
  return Error{ErrorCode::kIo,
               std::string(option) + ": " + file + " cannot be written: " + std::strerror(errno)};
}

Result<> write_outputs(const Options& options, const Measurement& measurement) {
  if (options.json_file == "-") {
    std::printf("%s\n", to_json(measurement).c_str());
  } else {
    const Colours colours = isatty(STDOUT_FILENO) == 1 ? Colours::kAnsi : Colours::kNone;
    std::printf("%s", text_report(measurement, colours).c_str());
  }
  if (!options.json_file.empty() && options.json_file != "-") {
    const std::string json = to_json(measurement) + "\n";
    if (auto written = write_output("--json", options.json_file, json); !written) return written;
  }
  if (options.html_file.empty()) return Unit{};
  return write_output("--html", options.html_file, html_report(measurement));
}

}  // namespace

int run_program(const std::vector<std::string>& arguments) {
  signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  auto options = parse_options({arguments.begin() + 1, arguments.end()});
  if (!options) return complain(options.error(), kUsage);
  if (options->help) return std::fputs(help().c_str(), stdout), 0;
  options->command = arguments;
  if (options->scenario.empty()) {
    return complain(invalid("expected a scenario (" + known_scenarios() + "); --help shows more"),
                    kUsage);
  }
  const Scenario* scenario = find_scenario(options->scenario);
  if (scenario == nullptr) {
    return complain(
        invalid("no scenario \"" + options->scenario + "\"; there are: " + known_scenarios()),
        kUsage);
  }
  if (options->target.empty()) {
    return complain(invalid("--target: expected a server's HOST:PORT, such as 127.0.0.1:8443"),
                    kUsage);
  }
  if (options->tls.plain && scenario->name != "proxy") {
    return complain(
        invalid("--plain: only the scenario proxy does without TLS, not " + options->scenario),
        kUsage);
  }
  if (const auto settled = scenario->settle(*options); !settled) {
    return complain(settled.error(), kUsage);
  }
  auto target = resolve_target(options->target);
  if (!target) return complain(target.error(), kUsage);
  if (const auto may = allowed(*options, *target); !may) return complain(may.error(), kUsage);
  const auto client = TlsClient::make(options->tls, *target);
  if (!client) return complain(client.error(), kUsage);

  const auto measurement = scenario->run(*options, *client);
  if (!measurement) return complain(measurement.error(), kFailed);
  if (const auto written = write_outputs(*options, *measurement); !written) {
    return complain(written.error(), kFailed);
  }
  return measurement->done == 0 ? kFailed : 0;
}

}  // namespace latchkey::bench

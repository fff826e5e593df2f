// latchkey-bench-compare: the program of bench/compare.
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <set>
#include <thread>

#include "bench/comparison/compare_options.h"
#include "bench/comparison/lab.h"
#include "bench/comparison/rows.h"
#include "bench/comparison/started.h"
#include "bench/report/html.h"
#include "bench/report/text.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {
namespace {

std::string time_text(const char* format) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char out[64];
  return std::string(out, std::strftime(out, sizeof out, format, &utc));
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::vector<std::pair<std::string, std::string>> machine_facts() {
  utsname system{};
  uname(&system);
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  return {{"cpu", cpu_model()},
          {"cores", std::to_string(std::thread::hardware_concurrency())},
          {"kernel", std::string(system.sysname) + " " + system.release},
          {"descriptor limit", std::to_string(descriptors.rlim_max)}};
}

// Of the servers in the rows, in the order of Peer::servers().
std::vector<std::pair<std::string, std::string>> versions_of(const std::vector<Row>& rows) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& server : Peer::servers()) {
    const bool there = std::any_of(rows.begin(), rows.end(),
                                   [&](const Row& row) { return row.cell(server) != nullptr; });
    if (!there) continue;
    const auto version = Peer::version(server);
    out.emplace_back(server, version ? *version : version.error().message);
  }
  return out;
}

std::vector<Row> measure_rows(Lab& lab) {
  std::vector<Row> measured;
  std::set<std::vector<Row> (*)(Lab&)> done;
  for (const RowPlan& plan : row_plans()) {
    if (!lab.options().wants(plan.id) || !done.insert(plan.measure).second) continue;
    const Timer timer;
    for (Row& row : plan.measure(lab)) {
      if (lab.options().wants(row.id)) measured.push_back(std::move(row));
    }
    std::fprintf(stderr, "  %s and what belongs to it: %.0f s\n", std::string(plan.id).c_str(),
                 timer.seconds());
  }
  // Groups are measured in one go, the report has the order of the plans.
  const auto place = [](const Row& row) {
    const auto& plans = row_plans();
    return std::find_if(plans.begin(), plans.end(),
                        [&](const RowPlan& plan) { return plan.id == row.id; }) -
           plans.begin();
  };
  std::stable_sort(measured.begin(), measured.end(),
                   [&](const Row& a, const Row& b) { return place(a) < place(b); });
  return measured;
}

// To a file, or to the standard output. False, and says so: it cannot be written.
bool write_result(const std::filesystem::path& file, const std::string& text) {
  if (file == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return true;
  }
  std::error_code ignored;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), ignored);
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out.good()) std::fprintf(stderr, "%s cannot be written\n", file.c_str());
  return out.good();
}

bool report(const CompareOptions& options, const Comparison& comparison) {
  const std::filesystem::path results =
      std::filesystem::path(LATCHKEY_SOURCE_DIR) / "bench/results";
  const std::string date = time_text("%Y-%m-%dT%H%M%SZ");
  const auto json = options.json.empty() ? results / (date + ".json") : options.json;
  const auto html = options.html.empty() ? results / (date + ".html") : options.html;
  bool written = write_result(json, to_json(comparison));
  written = write_result(html, html_report(comparison)) && written;
  if (json != "-" && html != "-") {
    const auto colours = isatty(1) ? Colours::kAnsi : Colours::kNone;
    std::fputs(text_report(comparison, colours).c_str(), stdout);
    std::printf("\n%s\n%s\n", json.c_str(), html.c_str());
  }
  return written;
}

int list_rows() {
  for (const RowPlan& plan : row_plans()) std::printf("%s\n", std::string(plan.id).c_str());
  return 0;
}

int run(const CompareOptions& options) {
  const auto& plans = row_plans();
  if (std::none_of(plans.begin(), plans.end(),
                   [&](const RowPlan& plan) { return options.wants(plan.id); })) {
    std::fprintf(stderr, "bench/compare: no row begins like that; --list shows them\n");
    return 2;
  }
  setenv("LATCHKEY_NO_PUBLIC_CA", "1", 1);
  signal(SIGPIPE, SIG_IGN);
  const Timer timer;
  Comparison comparison;
  comparison.started = time_text("%Y-%m-%dT%H:%M:%SZ");
  comparison.machine = machine_facts();
  auto lab = Lab::open(options);
  if (!lab) {
    std::fprintf(stderr, "bench/compare: %s\n", lab.error().message.c_str());
    return 1;
  }
  comparison.rows = measure_rows(**lab);
  comparison.versions = versions_of(comparison.rows);
  comparison.seconds = timer.seconds();
  return report(options, comparison) ? 0 : 1;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  using namespace latchkey::bench;
  const auto options = parse_compare_options({argv + 1, argv + argc});
  if (!options) {
    std::fprintf(stderr, "bench/compare: %s\n", options.error().message.c_str());
    return 2;
  }
  if (options->help) return std::fputs(compare_help().c_str(), stdout) < 0;
  return options->list ? list_rows() : run(*options);
}

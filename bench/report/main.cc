// latchkey-bench-report: shows stored results again, as text and as a page.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "bench/report/html.h"
#include "bench/report/text.h"

namespace latchkey::bench {
namespace {

constexpr size_t kMaxBytes = 256u << 20;  // a long soak has many slices
constexpr int kBadCommandLine = 2;

constexpr const char* kUsage =
    "latchkey-bench-report FILE... [--html OUT]\n"
    "Shows results that latchkey-bench or bench/compare wrote as JSON: as text, and as a page "
    "that\n"
    "opens offline. OUT is the page; with several FILEs it is a folder for a page each.\n";

struct Options {
  std::vector<std::filesystem::path> files;
  std::filesystem::path html;  // empty: none
};

struct Report {
  std::string text, html;
};

template <typename Parsed>
Result<Report> rendered(Parsed parsed, Colours colours, bool with_html) {
  if (!parsed) return std::move(parsed).error();
  return Report{text_report(*parsed, colours), with_html ? html_report(*parsed) : ""};
}

Result<Report> report_of(std::string_view json, Colours colours, bool with_html) {
  auto document = parse_json(json);
  if (!document) return std::move(document).error();
  const std::string_view schema = document->text_of("schema");
  if (schema.substr(0, 15) == "latchkey-bench/") {
    return rendered(parse_measurement(json), colours, with_html);
  }
  if (schema.substr(0, 17) == "latchkey-compare/") {
    return rendered(parse_comparison(json), colours, with_html);
  }
  return Error{ErrorCode::kInvalid,
               "schema: expected \"latchkey-bench/1\" or \"latchkey-compare/1\", got " +
                   json_quote(schema) + ": the file is no result of the harness"};
}

Result<Options> parse_options(const std::vector<std::string>& args) {
  Options out;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--html") {
      if (++i == args.size()) return Error{ErrorCode::kInvalid, "--html: needs a file to write"};
      out.html = args[i];
    } else if (args[i].size() > 1 && args[i][0] == '-') {
      return Error{ErrorCode::kInvalid, "unknown option \"" + args[i] + "\"; there is --html OUT"};
    } else {
      out.files.emplace_back(args[i]);
    }
  }
  if (out.files.empty()) return Error{ErrorCode::kInvalid, "no FILE to show"};
  return out;
}

Result<> write_page(const Options& options, const std::filesystem::path& file,
                    const std::string& html) {
  std::filesystem::path out = options.html;
  if (options.files.size() > 1) {
    std::error_code failed;
    std::filesystem::create_directories(out, failed);  // the write says what is wrong
    out /= file.stem();
    out += ".html";
  }
  return write_file_atomic(out, html, 0644);
}

Result<> show(const Options& options, const std::filesystem::path& file) {
  auto json = read_file(file, kMaxBytes);
  if (!json) return std::move(json).error();
  const Colours colours = isatty(STDOUT_FILENO) == 1 ? Colours::kAnsi : Colours::kNone;
  auto report = report_of(*json, colours, !options.html.empty());
  if (!report) return std::move(report).error().in(file.string());
  std::fputs(report->text.c_str(), stdout);
  return options.html.empty() ? Result<>(Unit{}) : write_page(options, file, report->html);
}

int run(const std::vector<std::string>& args) {
  if (args.size() == 1 && (args[0] == "--help" || args[0] == "-h")) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  auto options = parse_options(args);
  if (!options) {
    std::fprintf(stderr, "latchkey-bench-report: %s\n%s", options.error().message.c_str(), kUsage);
    return kBadCommandLine;
  }
  int code = 0;
  bool first = true;
  for (const std::filesystem::path& file : options->files) {
    if (!first) std::puts("");
    first = false;
    const auto shown = show(*options, file);
    if (shown) continue;
    std::fflush(stdout);
    std::fprintf(stderr, "latchkey-bench-report: %s\n", shown.error().message.c_str());
    code = 1;
  }
  return code;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  return latchkey::bench::run(std::vector<std::string>(argv + 1, argv + argc));
}

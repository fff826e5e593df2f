// latchkey-bench-report, and what a browser makes of its pages.
#include <gmock/gmock.h>

#include "bench/report/html.h"
#include "tests/bench/sample_results.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {
namespace {

using test::read_text;
using test::write_text;
using ::testing::HasSubstr;

class ReportProgramTest : public ::testing::Test {
 protected:
  test::ProgramEnded run(std::vector<std::string> args) {
    test::Process::Options options;
    options.args = std::move(args);
    options.env = {{"HOME", folder_.path().string()}};
    options.output = folder_ / "output";
    options.directory = folder_.path();
    return test::run_to_end(std::move(options));
  }
  test::ProgramEnded report(std::vector<std::string> args) {
    args.insert(args.begin(), LATCHKEY_BENCH_REPORT);
    return run(std::move(args));
  }
  std::string file(const char* name, const std::string& json) {
    write_text(folder_ / name, json);
    return (folder_ / name).string();
  }
  // The page as the browser understood it.
  std::string dom_of(const std::filesystem::path& page) {
    return run({"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync",
                "--user-data-dir=" + (folder_ / "chromium").string(), "--dump-dom",
                "file://" + page.string()})
        .output;
  }

  test::TempFolder folder_;
};

TEST_F(ReportProgramTest, ShowsBothKindsAndWritesTheirPages) {
  const std::string one = file("one.json", to_json(sample_measurement()));
  const std::string two = file("two.json", to_json(sample_comparison()));
  const auto shown = report({one, two, "--html", (folder_ / "pages").string()});
  EXPECT_EQ(shown.code, 0) << shown.output;
  EXPECT_THAT(shown.output, HasSubstr("handshake against 127.0.0.1:8443"));
  EXPECT_THAT(shown.output, HasSubstr("1 of 3 targets met"));
  EXPECT_EQ(read_text(folder_ / "pages/one.html"), html_report(sample_measurement()));
  EXPECT_EQ(read_text(folder_ / "pages/two.html"), html_report(sample_comparison()));
}

TEST_F(ReportProgramTest, SaysWhichFileIsWrongAndShowsTheOthers) {
  const std::string good = file("good.json", to_json(sample_comparison()));
  const std::string other = file("other.json", "{\"schema\":\"else\"}");
  const auto shown = report({(folder_ / "none.json").string(), other, good});
  EXPECT_EQ(shown.code, 1);
  EXPECT_THAT(shown.output, HasSubstr("none.json"));
  EXPECT_THAT(shown.output, HasSubstr("other.json: schema: expected \"latchkey-bench/1\" or"));
  EXPECT_THAT(shown.output, HasSubstr("1 of 3 targets met"));
}

TEST_F(ReportProgramTest, RefusesABadCommandLine) {
  EXPECT_EQ(report({}).code, 2);
  EXPECT_EQ(report({"x.json", "--html"}).code, 2);
  const auto unknown = report({"--htlm", "x.json"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.output, HasSubstr("unknown option \"--htlm\""));
  EXPECT_EQ(report({"--help"}).code, 0);
}

TEST_F(ReportProgramTest, ABrowserFindsEveryRowAndItsVerdict) {
  if (run({"sh", "-c", "command -v chromium"}).code != 0) {
    GTEST_SKIP() << "chromium is not installed: cmake/install-dependencies.sh test";
  }
  Comparison comparison = sample_comparison();
  comparison.rows[3].note = "<script>document.body.innerHTML = ''</script>";
  write_text(folder_ / "comparison.html", html_report(comparison));
  std::string dom = dom_of(folder_ / "comparison.html");
  for (const Row& row : comparison.rows) {
    EXPECT_THAT(dom, HasSubstr("<h3>" + row.title + "</h3>"));
  }
  for (const char* verdict : {">met<", ">missed<", ">not measured<", ">no target<"}) {
    EXPECT_THAT(dom, HasSubstr(verdict));
  }
  EXPECT_THAT(dom, HasSubstr("&lt;script&gt;document.body"));

  write_text(folder_ / "measurement.html", html_report(sample_measurement()));
  dom = dom_of(folder_ / "measurement.html");
  EXPECT_THAT(dom, HasSubstr("<h1>handshake against 127.0.0.1:8443</h1>"));
  EXPECT_THAT(dom, HasSubstr("latency by percentile"));
  EXPECT_THAT(dom, HasSubstr("alert unrecognized_name"));
}

}  // namespace
}  // namespace latchkey::bench

// bench/compare's program: its command line, its turns, and one row of it from end to end.
#include <gtest/gtest.h>

#include "bench/comparison/compare_options.h"
#include "bench/comparison/lab.h"
#include "bench/comparison/rows.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {
namespace {

std::string complaint(const std::vector<std::string>& arguments) {
  const auto options = parse_compare_options(arguments);
  return options ? "" : options.error().message;
}

TEST(CompareOptionsTest, RowsAreTakenByPrefix) {
  const auto options = parse_compare_options({"--rows", "http1,deny_1000"});
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->wants("http1_64k"));
  EXPECT_TRUE(options->wants("deny_1000"));
  EXPECT_FALSE(options->wants("http2_1k"));
  EXPECT_TRUE(CompareOptions().wants("anything"));
}

TEST(CompareOptionsTest, AQuickRunHasOneRoundUnlessToldOtherwise) {
  EXPECT_EQ(parse_compare_options({})->rounds, 3);
  EXPECT_EQ(parse_compare_options({"--quick"})->rounds, 1);
  EXPECT_EQ(parse_compare_options({"--rounds", "2", "--quick"})->rounds, 2);
}

TEST(CompareOptionsTest, WhatIsWrongIsNamed) {
  EXPECT_EQ(complaint({"--row"}), "there is no option \"--row\"; --help shows them all");
  EXPECT_EQ(complaint({"--json"}), "--json needs a value");
  EXPECT_EQ(complaint({"--rounds", "0"}), "--rounds: expected a number from 1 to 100, got \"0\"");
  EXPECT_EQ(complaint({"--rows", "a,,b"}), "--rows: expected prefixes of rows' ids, got \"a,,b\"");
}

TEST(CompareTurnsTest, ServersTakeTurnsAndAFailureLeavesANote) {
  std::string order;
  const auto cells = in_turns({"a", "b"}, 3, [&](const std::string& server) -> Result<Sample> {
    order += server;
    if (server == "b" && order.size() > 2) return Error{ErrorCode::kIo, "b is gone"};
    return Sample{static_cast<double>(order.size()), 10};
  });
  EXPECT_EQ(order, "ababa");
  ASSERT_EQ(cells.size(), 2u);
  EXPECT_EQ(cells[0].samples, (std::vector<double>{1, 3, 5}));
  EXPECT_EQ(cells[0].rates.size(), 3u);
  EXPECT_TRUE(cells[1].samples.empty());
  EXPECT_EQ(cells[1].note, "b is gone");
}

TEST(CompareProgramTest, AQuickRunOfTwoRowsHasAllTheirCells) {
  const test::TempFolder folder;
  test::Process::Options program;
  program.args = {
      LATCHKEY_BENCH_COMPARE, "--quick", "--rows",           "handshake_full,idle_memory", "--json",
      folder / "out.json",    "--html",  folder / "out.html"};
  program.output = folder / "output";
  const test::ProgramEnded ended = test::run_to_end(std::move(program), Millis(60'000));
  EXPECT_EQ(ended.code, 0) << ended.output;
  const auto comparison = parse_comparison(test::read_text(folder / "out.json"));
  ASSERT_TRUE(comparison) << comparison.error().message << "\n" << ended.output;
  ASSERT_EQ(comparison->rows.size(), 2u);
  EXPECT_EQ(comparison->rows[0].id, "handshake_full");
  EXPECT_EQ(comparison->rows[1].id, "idle_memory");
  for (const Row& row : comparison->rows) {
    for (const std::string& server : Peer::servers()) {
      const Cell* cell = row.cell(server);
      ASSERT_NE(cell, nullptr) << server;
      if (!Peer::version(server)) continue;  // its package is not there
      ASSERT_EQ(cell->samples.size(), 1u) << row.id << ", " << server << ": " << cell->note;
      EXPECT_GT(cell->median(), 0) << row.id << ", " << server;
    }
  }
  EXPECT_FALSE(comparison->versions.empty());
  EXPECT_NE(test::read_text(folder / "out.html").find("full TLS 1.3 handshake"), std::string::npos);
}

TEST(CompareProgramTest, ARowThatIsNotThereIsAMistakeOfTheCommandLine) {
  const test::TempFolder folder;
  test::Process::Options program;
  program.args = {LATCHKEY_BENCH_COMPARE, "--rows", "quic"};
  program.output = folder / "output";
  const test::ProgramEnded ended = test::run_to_end(std::move(program), Millis(10'000));
  EXPECT_EQ(ended.code, 2);
  EXPECT_NE(ended.output.find("--list"), std::string::npos) << ended.output;
}

}  // namespace
}  // namespace latchkey::bench

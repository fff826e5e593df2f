#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "bench/report/measurement.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {

// One call of latchkey-bench. Its measurement; an empty one, and a test failure, where there is
// none. `status`: what it ends with; 1 where no operation succeeds.
inline bench::Measurement run_bench(std::vector<std::string> args, int status = 0) {
  const TempFolder folder;
  args.insert(args.begin(), LATCHKEY_BENCH_BINARY);
  args.insert(args.end(), {"--quiet", "--json", folder / "result.json"});
  const ProgramEnded ended =
      run_to_end({.args = std::move(args), .env = {}, .output = folder / "out", .directory = {}},
                 Millis(30'000));
  EXPECT_EQ(ended.code, status) << ended.output;
  auto parsed = bench::parse_measurement(read_text(folder / "result.json"));
  if (parsed) return *std::move(parsed);
  ADD_FAILURE() << parsed.error().message << "\n" << ended.output;
  return {};
}

// What it says when it is to refuse its command line (status 2).
inline std::string refusal_of_bench(std::vector<std::string> args) {
  const TempFolder folder;
  args.insert(args.begin(), LATCHKEY_BENCH_BINARY);
  const ProgramEnded ended =
      run_to_end({.args = std::move(args), .env = {}, .output = folder / "out", .directory = {}},
                 Millis(10'000));
  EXPECT_EQ(ended.code, 2) << ended.output;
  return ended.output;
}

}  // namespace latchkey::test

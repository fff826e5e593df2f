#include "bench/load/options.h"

#include <gtest/gtest.h>

namespace latchkey::bench {
namespace {

using Words = std::vector<std::string>;

Options parsed(const Words& words) {
  auto options = parse_options(words);
  EXPECT_TRUE(options) << options.error().message;
  return options ? *options : Options();
}

std::string refused(const Words& words) {
  const auto options = parse_options(words);
  EXPECT_FALSE(options);
  return options ? "" : options.error().message;
}

TEST(OptionsTest, AreReadInAnyOrderAndBothForms) {
  const Options options = parsed({"--rate",
                                  "250.5",
                                  "handshake",
                                  "--target=127.0.0.1:8443",
                                  "--sni-range",
                                  "shop%d.test",
                                  "--names",
                                  "20",
                                  "--first=5",
                                  "--order",
                                  "random",
                                  "--arrivals",
                                  "even",
                                  "--duration",
                                  "0.5",
                                  "--warmup",
                                  "0",
                                  "--tls",
                                  "1.2",
                                  "--resume",
                                  "--server-pid",
                                  "12,34",
                                  "--end",
                                  "reset",
                                  "--sources",
                                  "4",
                                  "--threads",
                                  "2",
                                  "--cpu",
                                  "1"});
  EXPECT_EQ(options.scenario, "handshake");
  EXPECT_EQ(options.target, "127.0.0.1:8443");
  EXPECT_EQ(options.names.kind, NamePlan::Kind::kRange);
  EXPECT_EQ(options.names.text, "shop%d.test");
  EXPECT_EQ(options.names.count, 20u);
  EXPECT_EQ(options.names.first, 5u);
  EXPECT_TRUE(options.names.at_random);
  EXPECT_EQ(options.rate, 250.5);
  EXPECT_EQ(options.arrivals, Arrivals::Kind::kEven);
  EXPECT_EQ(options.duration, 0.5);
  EXPECT_EQ(options.warmup, 0);
  EXPECT_EQ(options.tls.version, TlsSettings::Version::kTls12);
  EXPECT_EQ(options.tls.ending, TlsSettings::Ending::kReset);
  EXPECT_EQ(options.tls.sources, 4u);
  EXPECT_TRUE(options.resume);
  EXPECT_EQ(options.server_pids, (std::vector<pid_t>{12, 34}));
  EXPECT_EQ(options.threads, 2u);
  EXPECT_EQ(options.cpu, 1);
}

TEST(OptionsTest, HaveTheDefaultsOfTheHelp) {
  const Options options = parsed({"handshake", "--sni-range", "%d.test"});
  EXPECT_EQ(options.names.count, 1000u);
  EXPECT_EQ(options.duration, 10);
  EXPECT_EQ(options.warmup, 1);
  EXPECT_EQ(options.tls.version, TlsSettings::Version::kTls13);
  EXPECT_EQ(options.tls.ending, TlsSettings::Ending::kCloseNotify);
  EXPECT_EQ(options.rate, 0);
  EXPECT_EQ(options.threads, 1u);
  EXPECT_FALSE(options.own_target);
}

TEST(OptionsTest, WhatIsWrongIsSaidWithWhatWasExpected) {
  EXPECT_EQ(refused({"--rat", "5"}), "unknown option --rat; --help shows them all");
  EXPECT_EQ(refused({"--rate"}), "--rate: expected R behind it");
  EXPECT_EQ(refused({"--rate", "fast"}),
            "--rate: expected operations a second, from 0.001 to 1000000, got \"fast\"");
  EXPECT_EQ(refused({"--rate", "-1"}),
            "--rate: expected operations a second, from 0.001 to 1000000, got \"-1\"");
  EXPECT_EQ(refused({"--duration", "0"}),
            "--duration: expected seconds, more than 0 and up to a million, got \"0\"");
  EXPECT_EQ(refused({"--duration", "nan"}),
            "--duration: expected seconds, more than 0 and up to a million, got \"nan\"");
  EXPECT_EQ(refused({"--connections", "0"}),
            "--connections: expected a whole number from 1 to 1000000, got \"0\"");
  EXPECT_EQ(refused({"--connections", "1.5"}),
            "--connections: expected a whole number from 1 to 1000000, got \"1.5\"");
  EXPECT_EQ(refused({"--tls", "1.1"}), "--tls: expected 1.2 or 1.3, got \"1.1\"");
  EXPECT_EQ(refused({"--end", "rst"}), "--end: expected close-notify or fin or reset, got \"rst\"");
  EXPECT_EQ(refused({"--server-pid", "12,"}),
            "--server-pid: expected process ids between commas, got \"12,\"");
  EXPECT_EQ(refused({"--quiet=yes"}), "--quiet takes no value");
  EXPECT_EQ(refused({"handshake", "deny"}),
            "expected one scenario, got \"handshake\" and \"deny\"");
  EXPECT_EQ(refused({"--sni", "a.test", "--sni-file", "f"}),
            "--sni-file: expected one of --sni, --sni-file, --sni-range and --sni-random, not two, "
            "got \"f\"");
  EXPECT_EQ(refused({"--path", "x"}), "--path: expected a path that begins with /, got \"x\"");
}

TEST(OptionsTest, TheHelpNamesEachOfThem) {
  const std::string help = options_help();
  for (const char* name :
       {"--target", "--sni-random", "--rate", "--arrivals", "--resume", "--server-pid", "--json",
        "--html", "--i-own-this-target", "--end", "--flood-rate", "--settle", "--streams"}) {
    EXPECT_NE(help.find(std::string("  ") + name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace latchkey::bench

#include "edge/import/run.h"

#include <gmock/gmock.h>

#include "edge/import/files.h"
#include "tests/edge/import/trees.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

// Takes all, and writes down what came.
class FakeSink final : public ImportSink {
 public:
  Result<ImportAnswer> take(ImportBatch batch) override {
    if (fail_after == batches) return Error{ErrorCode::kIo, "the disk is full"};
    ++batches;
    dry_run = batch.dry_run;
    ImportAnswer answer;
    for (const ImportBatch::Item& item : batch.certificates) {
      EXPECT_TRUE(item.judged);
      names.push_back(item.judged->name.text());
      rsa.push_back(item.judged->certificate->is_rsa());
      answer.certificates.push_back({ImportKind::kTaken, names.back()});
    }
    size_t bytes = 0;
    for (const ImportAccount& account : batch.accounts) {
      bytes += account.key_pem.size();
      accounts.push_back(account.url);
      answer.accounts.push_back({ImportKind::kTaken, account.url});
    }
    largest = std::max(largest, batch.certificates.size());
    most_key_bytes = std::max(most_key_bytes, bytes);
    return answer;
  }

  size_t fail_after = SIZE_MAX, batches = 0, largest = 0, most_key_bytes = 0;
  bool dry_run = false;
  std::vector<std::string> names, accounts;
  std::vector<bool> rsa;
};

class ImportRunTest : public testing::Test {
 protected:
  ImportRunTest() : shown_(std::tmpfile()) {}
  ~ImportRunTest() override { std::fclose(shown_); }

  Result<> run(ImportOptions options, ImportReport::Options shown = {}) {
    if (options.paths.empty()) options.paths = {root_};
    shown.out = shown.progress = shown_;
    auto report = ImportReport::open(std::move(shown));
    EXPECT_TRUE(report);
    const Result<> done = run_import(options, sink_, *report);
    report->finish(done ? "" : done.error().message);
    clean_ = report->is_clean();
    std::rewind(shown_);
    std::string text(1 << 20, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), shown_));
    output_ = text;
    return done;
  }
  Result<> run() { return run(ImportOptions()); }

  const TestCa ca_;
  test::TempFolder folder_;
  const fs::path root_ = folder_ / "tree";
  FakeSink sink_;
  std::FILE* const shown_;
  std::string output_;
  bool clean_ = false;
};

TEST_F(ImportRunTest, ADamagedEntryStopsNoOther) {
  for (int i = 0; i < 40; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    Pair pair = make_pair_of(ca_, {name});
    if (i % 4 == 1) pair.chain.resize(100);
    add_lineage(root_, name, pair);
  }
  ASSERT_TRUE(run());
  EXPECT_EQ(sink_.names.size(), 30u);
  EXPECT_FALSE(clean_);
  EXPECT_THAT(output_, HasSubstr("40 certificates: 30 taken, 10 damaged."));
  EXPECT_THAT(output_, HasSubstr("... and 10 more"));
  EXPECT_THAT(output_, Not(HasSubstr("BEGIN")));
}

TEST_F(ImportRunTest, RsaCertificatesComeAfterAllOthersAndEachOnce) {
  const PrivateKey key = generate_rsa_key();
  for (int i = 0; i < 10; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    add_acme_sh_name(root_, name, make_pair_of(ca_, {name}, key), false);
    add_acme_sh_name(root_, name, make_pair_of(ca_, {name}), true);
  }
  ASSERT_TRUE(run());
  ASSERT_EQ(sink_.rsa.size(), 20u);
  EXPECT_TRUE(std::is_sorted(sink_.rsa.begin(), sink_.rsa.end()));
  EXPECT_EQ(std::count(sink_.rsa.begin(), sink_.rsa.end(), true), 10);
  EXPECT_TRUE(clean_);
}

TEST_F(ImportRunTest, ADamagedRsaCertificateIsToldOfOnce) {
  Pair pair = make_pair_of(ca_, {"a.test"}, generate_rsa_key());
  pair.key = make_pair_of(ca_, {"a.test"}).key;
  add_acme_sh_name(root_, "a.test", pair, false);
  ASSERT_TRUE(run());
  EXPECT_THAT(output_, HasSubstr("1 certificate: 1 damaged."));
}

TEST_F(ImportRunTest, BatchesAreBounded) {
  const Pair pair = make_pair_of(ca_, {"a.test"});
  for (int i = 0; i < 700; ++i) {
    write_file(root_ / ("n" + std::to_string(i) + ".pem"), pair.chain + pair.key);
  }
  ASSERT_TRUE(run());
  EXPECT_EQ(sink_.names.size(), 700u);
  EXPECT_LE(sink_.largest, 256u);
}

TEST_F(ImportRunTest, TheAccountWithTheMostCertificatesGoesFirst) {
  for (int i = 0; i < 3; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    add_lineage(root_, name, make_pair_of(ca_, {name}), i == 0 ? "aaaa" : "bbbb");
  }
  add_certbot_account(root_, generate_p256_key(), "aaaa", "https://ca.test:14000/a");
  add_certbot_account(root_, generate_p256_key(), "bbbb", "https://ca.test:14000/b");
  add_certbot_account(root_, generate_p256_key(), "cccc", "https://ca.test:14000/c");
  ASSERT_TRUE(run());
  EXPECT_EQ(sink_.accounts.size(), 3u);
  EXPECT_EQ(sink_.accounts[0], "https://ca.test:14000/b");
  EXPECT_EQ(sink_.accounts[1], "https://ca.test:14000/a");
  EXPECT_THAT(output_, HasSubstr("3 ACME accounts: 3 taken."));

  sink_.accounts.clear();
  ImportOptions without;
  without.accounts = false;
  ASSERT_TRUE(run(without));
  EXPECT_TRUE(sink_.accounts.empty());
  EXPECT_TRUE(clean_);
}

// The process takes 16 MiB in one request, and each "\n" of a key is two bytes there.
TEST_F(ImportRunTest, AccountsWithOverlongKeysFitIntoTheRequests) {
  for (int i = 0; i < 200; ++i) {
    const fs::path folder = root_ / "ca" / "ca.test" / std::to_string(i);
    write_file(folder / "account.key", std::string(kMaxImportFile, '\n'));
  }
  write_file(root_ / "account.conf", "");
  ASSERT_TRUE(run());
  EXPECT_EQ(sink_.accounts.size(), 200u);
  EXPECT_LT(sink_.most_key_bytes, size_t{4} << 20);
}

TEST_F(ImportRunTest, ASinkThatFailsEndsIt) {
  const Pair pair = make_pair_of(ca_, {"a.test"});
  for (int i = 0; i < 3000; ++i) {
    write_file(root_ / ("n" + std::to_string(i) + ".pem"), pair.chain + pair.key);
  }
  sink_.fail_after = 1;
  const Result<> done = run();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "the disk is full");
  EXPECT_THAT(output_, HasSubstr("Not all was looked at: the disk is full"));
  EXPECT_EQ(sink_.batches, 1u);
}

TEST_F(ImportRunTest, WhereNothingIsNothingIsSent) {
  fs::create_directories(root_);
  ASSERT_TRUE(run());
  EXPECT_EQ(output_, "Nothing was found.\n");
  EXPECT_TRUE(clean_);
  ImportOptions options;
  options.paths = {folder_ / "nowhere"};
  ASSERT_TRUE(run(options));
  EXPECT_FALSE(clean_);
  EXPECT_EQ(sink_.batches, 0u);
}

TEST_F(ImportRunTest, TheReportFileHasAllOfThem) {
  const Pair pair = make_pair_of(ca_, {"a.test"});
  for (int i = 0; i < 50; ++i) {
    write_file(root_ / ("n" + std::to_string(i) + ".pem"), pair.chain + pair.key);
  }
  write_file(root_ / "b\nd.pem", "nothing");
  ImportReport::Options shown;
  shown.file = folder_ / "report";
  ASSERT_TRUE(run(ImportOptions(), shown));
  const std::string report = test::read_text(folder_ / "report");
  EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), 51);
  EXPECT_THAT(report, HasSubstr("n49.pem: a.test"));
  EXPECT_THAT(report, HasSubstr("damaged: "));
  EXPECT_THAT(report, Not(HasSubstr("PRIVATE")));
  EXPECT_THAT(output_, HasSubstr("and 30 more"));

  shown.file = folder_ / "nowhere/report";
  EXPECT_FALSE(ImportReport::open(shown));
}

TEST_F(ImportRunTest, VerboseShowsEachOnce) {
  const Pair pair = make_pair_of(ca_, {"a.test"});
  for (int i = 0; i < 50; ++i) {
    write_file(root_ / ("n" + std::to_string(i) + ".pem"), pair.chain + pair.key);
  }
  ImportReport::Options shown;
  shown.verbose = true;
  shown.dry_run = true;
  ImportOptions options;
  options.dry_run = true;
  ASSERT_TRUE(run(options, shown));
  EXPECT_TRUE(sink_.dry_run);
  EXPECT_EQ(std::count(output_.begin(), output_.end(), '\n'), 53);
  EXPECT_THAT(output_, HasSubstr("would be taken: "));
  EXPECT_THAT(output_, HasSubstr("nothing was stored"));
}

}  // namespace
}  // namespace latchkey::edge

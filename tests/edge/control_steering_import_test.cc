#include <gtest/gtest.h>

#include "edge/import/store_batch.h"
#include "tests/edge/control_steering_fixture.h"
#include "tests/edge/import/trees.h"

namespace latchkey::edge {
namespace {

using test::at;

class ControlSteeringImportTest : public ControlSteeringTest {
 protected:
  ControlSteeringImportTest() {
    Config::Issuer issuer;
    issuer.name = "ca";
    issuer.directory = kDirectory;
    issuer.accept_terms = true;
    config_.issuers = {issuer};
  }

  ImportBatch batch_of(const TestCa::Names& names) {
    const Pair pair = make_pair_of(ca_, names);
    ImportBatch batch;
    ImportEntry& entry = batch.certificates.emplace_back().entry;
    entry.path = "here";
    entry.chain_pem = pair.chain;
    entry.key_pem = pair.key;
    entry.directory = kDirectory;
    entry.account = kAccountUrl;
    return batch;
  }
};

TEST_F(ControlSteeringImportTest, WhatIsImportedIsStoredWithWhereItIsFrom) {
  ImportBatch batch = batch_of({"a.test", "b.test"});
  batch.accounts.push_back(
      {"p", kDirectory, kAccountUrl, private_key_pem(generate_p256_key()), ""});
  const JsonValue answer = said(steering().import(write_batch(batch)));
  EXPECT_EQ(at(answer, "certificates.0.outcome").text, "taken");
  EXPECT_EQ(at(answer, "accounts.0.outcome").text, "taken");
  const NameRecord record = record_of("b.test");
  ASSERT_TRUE(record.info);
  EXPECT_EQ(record.info->issuer, "ca");
  EXPECT_EQ(record.info->account, kAccountUrl);
  EXPECT_EQ(record.info->name.text(), "a.test");
  const JsonValue again = said(steering().import(write_batch(batch)));
  EXPECT_EQ(at(again, "certificates.0.outcome").text, "same");
  EXPECT_EQ(at(again, "accounts.0.outcome").text, "same");
}

TEST_F(ControlSteeringImportTest, ADryRunStoresNothing) {
  ImportBatch batch = batch_of({"a.test"});
  batch.dry_run = true;
  const JsonValue answer = said(steering().import(write_batch(batch)));
  EXPECT_EQ(at(answer, "certificates.0.outcome").text, "taken");
  EXPECT_FALSE(record_of("a.test").info);
}

TEST_F(ControlSteeringImportTest, WhatIsNoBatchIsRefused) {
  const Error error = refusal(steering().import("{\"certificates\": [\"secret\"]}"));
  EXPECT_EQ(error.code, ErrorCode::kInvalid);
  EXPECT_EQ(error.message.find("secret"), std::string::npos);
}

TEST_F(ControlSteeringImportTest, TwoAtATime) {
  const std::string text = write_batch(batch_of({"a.test"}));
  Task<std::string> first = steering().import(text), second = steering().import(text);
  first.start();
  second.start();
  const Error error = refusal(steering().import(text));
  EXPECT_EQ(error.code, ErrorCode::kThrottled);
  second = Task<std::string>();
  EXPECT_TRUE(loop_.finish(steering().import(text)));
  EXPECT_TRUE(loop_.run_until([&] { return first.done(); }));
}

TEST_F(ControlSteeringImportTest, WhoeverLeavesLeavesNothingBehind) {
  const std::string text = write_batch(batch_of({"a.test"}));
  for (int turns = 0; turns < 30; turns += 3) {
    Task<std::string> task = steering().import(text);
    task.start();
    for (int i = 0; i < turns && !task.done(); ++i) loop_.turn();
  }
  EXPECT_TRUE(loop_.finish(steering().import(text)));
  Task<std::string> last = steering().import(text);
  last.start();
  last = Task<std::string>();
  end();
}

}  // namespace
}  // namespace latchkey::edge

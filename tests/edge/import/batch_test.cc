#include "edge/import/batch.h"

#include <gtest/gtest.h>

#include "edge/import/store_batch.h"
#include "tests/edge/import/trees.h"
#include "tests/support/fake_store.h"
#include "tests/support/run_task.h"

namespace latchkey::edge {
namespace {

using std::chrono::hours;

const TestCa& ca() {
  static const TestCa one;
  return one;
}

ServerName name(std::string_view text) {
  return *ServerName::parse(text);
}

ImportBatch::Item item_of(const Pair& pair, std::string path = "here") {
  ImportBatch::Item item;
  item.entry.path = std::move(path);
  item.entry.chain_pem = pair.chain;
  item.entry.key_pem = pair.key;
  item.entry.directory = kDirectory;
  return item;
}

std::vector<Config::Issuer> issuers() {
  Config::Issuer one;
  one.name = "ca";
  one.directory = kDirectory;
  return {one};
}

TEST(ImportBatchTest, ABatchGoesOverTheWireAsItIs) {
  const Pair pair = make_pair_of(ca(), {"a.test"});
  const WallTime now = TestCa::now();
  ImportBatch batch;
  batch.dry_run = true;
  batch.certificates.push_back(item_of(pair, "a \"path\"\n"));
  batch.certificates.push_back(item_of(pair));
  ImportEntry& entry = batch.certificates[1].entry;
  entry.account = kAccountUrl;
  entry.window = RenewalWindow{now, now + hours(2)};
  entry.renew_at = now + hours(1);
  batch.accounts.push_back({"p", kDirectory, kAccountUrl, "key", "kid"});
  const Result<ImportBatch> read = read_batch(write_batch(batch));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->dry_run);
  ASSERT_EQ(read->certificates.size(), 2u);
  EXPECT_EQ(read->certificates[0].entry.path, "a \"path\"\n");
  EXPECT_EQ(read->certificates[0].entry.chain_pem, pair.chain);
  EXPECT_EQ(read->certificates[0].entry.key_pem, pair.key);
  EXPECT_FALSE(read->certificates[0].judged);
  const ImportEntry& other = read->certificates[1].entry;
  EXPECT_EQ(other.directory, kDirectory);
  EXPECT_EQ(other.account, kAccountUrl);
  EXPECT_EQ(other.window, entry.window);
  EXPECT_EQ(other.renew_at, entry.renew_at);
  ASSERT_EQ(read->accounts.size(), 1u);
  EXPECT_EQ(read->accounts[0].key_pem, "key");
  EXPECT_EQ(read->accounts[0].eab_kid, "kid");
}

TEST(ImportBatchTest, WhatIsNoBatchIsRefusedAndNotQuoted) {
  for (const char* text :
       {"", "[]", "secret", "{\"key\": \"secret\"}", R"({"certificates": "secret"})",
        R"({"certificates": ["secret"]})", R"({"certificates": [{"key": "secret"}]})",
        R"({"certificates": [{"chain": "", "key": ["secret"]}]})", R"({"dry_run": "secret"})",
        R"({"accounts": [{"key": "secret", "directory": 7}]})",
        R"({"certificates": [{"chain": "", "key": "secret", "renew_at": "secret"}]})",
        R"({"certificates": [{"chain": "", "key": "secret", "window": {"start": "secret"}}]})",
        R"({"certificates": [{"chain": "", "key": "secret"}] "secret")"}) {
    const Result<ImportBatch> read = read_batch(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(read.error().message.find("secret"), std::string::npos) << read.error().message;
  }
  std::string many = R"({"accounts": [{"directory": "", "key": ""})";
  for (int i = 0; i < 10'000; ++i) many += R"(,{"directory": "", "key": ""})";
  EXPECT_FALSE(read_batch(many + "]}"));
}

TEST(ImportBatchTest, AnAnswerGoesOverTheWireAsItIs) {
  ImportAnswer answer;
  for (size_t i = 0; i < kImportKinds; ++i) {
    answer.certificates.push_back({static_cast<ImportKind>(i), "what " + std::to_string(i)});
  }
  answer.accounts.push_back({ImportKind::kKept, "another"});
  const std::string text = write_answer(answer);
  const Result<ImportAnswer> read = read_answer(text, kImportKinds, 1);
  ASSERT_TRUE(read) << read.error().message;
  for (size_t i = 0; i < kImportKinds; ++i) {
    EXPECT_EQ(read->certificates[i].kind, answer.certificates[i].kind);
    EXPECT_EQ(read->certificates[i].what, answer.certificates[i].what);
  }
  EXPECT_EQ(read->accounts[0].what, "another");
  EXPECT_FALSE(read_answer(text, kImportKinds, 0));
  EXPECT_FALSE(read_answer("{}", 1, 0));
  EXPECT_FALSE(read_answer(R"({"certificates": [{"outcome": "eaten"}]})", 1, 0));
}

TEST(ImportBatchTest, SecretsAreOverwritten) {
  ImportBatch batch;
  batch.certificates.push_back(item_of({"chain", "key"}));
  batch.accounts.push_back({"p", kDirectory, "", "key", ""});
  wipe_secrets(batch);
  EXPECT_EQ(batch.certificates[0].entry.key_pem.find("key"), std::string::npos);
  EXPECT_EQ(batch.accounts[0].key_pem.find("key"), std::string::npos);
}

class StoreBatchTest : public testing::Test {
 protected:
  ImportAnswer store(ImportBatch batch) {
    auto answer = test::run(loop_, store_batch(store_, file(std::move(batch)), now_));
    EXPECT_TRUE(answer) << answer.error().message;
    return answer ? *answer : ImportAnswer();
  }
  FiledBatch file(ImportBatch batch) { return file_batch(std::move(batch), filing_, now_); }
  ImportAnswer store(std::vector<ImportBatch::Item> items, bool dry_run = false) {
    ImportBatch batch;
    batch.certificates = std::move(items);
    batch.dry_run = dry_run;
    return store(std::move(batch));
  }
  static std::vector<std::string> kinds(const std::vector<ImportRow>& rows) {
    std::vector<std::string> out;
    for (const ImportRow& row : rows) out.emplace_back(to_string(row.kind));
    return out;
  }
  using Kinds = std::vector<std::string>;

  Loop loop_;
  FakeStore store_;
  const WallTime now_ = TestCa::now();
  const ImportFiling filing_{issuers(), RenewalRules()};
};

TEST_F(StoreBatchTest, EachOfABatchHasAnOutcomeOfItsOwn) {
  const Pair good = make_pair_of(ca(), {"a.test"});
  Pair damaged = make_pair_of(ca(), {"b.test"});
  damaged.chain.resize(200);
  const PrivateKey key = generate_p256_key();
  const Pair expired{ca().issue_pem({"c.test"}, now_ - hours(50), now_ - hours(2), key),
                     private_key_pem(key)};
  store_.unstorable = {name("d.test")};
  const ImportAnswer answer =
      store({item_of(damaged), item_of(good), item_of(expired),
             item_of(make_pair_of(ca(), {"d.test"})), item_of(make_pair_of(ca(), {"e.test"}))});
  EXPECT_EQ(kinds(answer.certificates), (Kinds{"damaged", "taken", "skipped", "failed", "taken"}));
  EXPECT_EQ(answer.certificates[1].what.substr(0, 14), "a.test, until ");
  EXPECT_EQ(store_.imports, 1);
  EXPECT_EQ(kinds(store({item_of(good)}).certificates), Kinds{"same"});
}

TEST_F(StoreBatchTest, ANewerOneIsKept) {
  const PrivateKey key = generate_p256_key();
  const Pair old{ca().issue_pem({"a.test"}, now_ - hours(50), now_ + hours(24), key),
                 private_key_pem(key)};
  store({item_of(make_pair_of(ca(), {"a.test"}))});
  for (const bool dry_run : {true, false}) {
    EXPECT_EQ(kinds(store({item_of(old)}, dry_run).certificates), Kinds{"kept"});
  }
}

TEST_F(StoreBatchTest, ADryRunStoresNothing) {
  const Pair pair = make_pair_of(ca(), {"a.test"});
  ImportBatch batch;
  batch.dry_run = true;
  batch.certificates = {item_of(pair), item_of({"", ""})};
  const std::string key = private_key_pem(generate_p256_key());
  const std::string other = private_key_pem(generate_p256_key());
  batch.accounts = {{"p", kDirectory, kAccountUrl, key, ""}, {"q", kDirectory, "", other, ""}};
  const ImportAnswer answer = store(std::move(batch));
  EXPECT_EQ(kinds(answer.certificates), (Kinds{"taken", "damaged"}));
  EXPECT_EQ(kinds(answer.accounts), (Kinds{"taken", "kept"}));
  EXPECT_EQ(store_.imports, 0);
  EXPECT_TRUE(store_.accounts.empty());
  store({item_of(pair)});
  EXPECT_EQ(kinds(store({item_of(pair)}, true).certificates), Kinds{"same"});
}

TEST_F(StoreBatchTest, AnRsaCertificateBesideAnotherIsItsTwin) {
  const Pair rsa = make_pair_of(ca(), {"a.test", "b.test"}, generate_rsa_key());
  store({item_of(make_pair_of(ca(), {"a.test"}))});
  // b.test has none yet: visitors of it would get nothing if it were only a twin.
  EXPECT_EQ(kinds(store({item_of(rsa)}, true).certificates), Kinds{"taken"});
  store({item_of(make_pair_of(ca(), {"b.test"}))});
  const ImportAnswer answer = store({item_of(rsa)});
  EXPECT_EQ(kinds(answer.certificates), Kinds{"taken"});
  EXPECT_NE(answer.certificates[0].what.find("without ECDSA"), std::string::npos);
  const auto main = test::run(loop_, store_.find_certificate(name("a.test"), Slot::kMain));
  const auto twin = test::run(loop_, store_.find_certificate(name("a.test"), Slot::kRsa));
  ASSERT_TRUE(main && twin && *main && *twin);
  EXPECT_FALSE((*main)->is_rsa());
  EXPECT_TRUE((*twin)->is_rsa());
}

TEST_F(StoreBatchTest, AnRsaCertificateAloneIsForEverybody) {
  store({item_of(make_pair_of(ca(), {"a.test"}, generate_rsa_key()))});
  const auto main = test::run(loop_, store_.find_certificate(name("a.test"), Slot::kMain));
  ASSERT_TRUE(main && *main);
  EXPECT_TRUE((*main)->is_rsa());
}

TEST_F(StoreBatchTest, AnAccountIsPutWhereThereIsNone) {
  const PrivateKey key = generate_p256_key();
  const auto send = [&](const std::string& text) {
    ImportBatch batch;
    batch.accounts.push_back({"p", kDirectory, kAccountUrl, text, "kid"});
    return store(std::move(batch)).accounts.at(0);
  };
  EXPECT_EQ(send(jwk_of(key)).kind, ImportKind::kTaken);
  const AccountRecord& record = store_.accounts.at(kDirectory);
  EXPECT_EQ(record.url, kAccountUrl);
  EXPECT_EQ(record.key_der, private_key_to_der(key));
  EXPECT_EQ(record.eab_kid, "kid");
  EXPECT_EQ(send(private_key_pem(key)).kind, ImportKind::kSame);
  const ImportRow other = send(jwk_of(generate_p256_key()));
  EXPECT_EQ(other.kind, ImportKind::kKept);
  EXPECT_NE(other.what.find(kAccountUrl), std::string::npos);
  EXPECT_EQ(store_.accounts.at(kDirectory).key_der, private_key_to_der(key));
  EXPECT_EQ(send("{}").kind, ImportKind::kDamaged);
}

TEST_F(StoreBatchTest, AStoreThatIsOutOfOrderFailsTheBatch) {
  store_.broken = Error{ErrorCode::kIo, "the disk is full"};
  ImportBatch batch;
  batch.certificates.push_back(item_of(make_pair_of(ca(), {"a.test"})));
  const auto answer = test::run(loop_, store_batch(store_, file(std::move(batch)), now_));
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("the disk is full"), std::string::npos);
  ImportBatch accounts;
  accounts.accounts.push_back({"p", kDirectory, "", private_key_pem(generate_p256_key()), ""});
  EXPECT_EQ(kinds(store(std::move(accounts)).accounts), Kinds{"failed"});
}

// Whatever it waits for: the certificate's twins, the import, the accounts.
TEST_F(StoreBatchTest, IsCancelledAtEachWait) {
  store_.clock = &loop_.clock();
  store_.delay = Millis(1);
  for (int turns = 0; turns < 12; ++turns) {
    ImportBatch batch;
    batch.certificates = {item_of(make_pair_of(ca(), {"a.test"}, generate_rsa_key())),
                          item_of(make_pair_of(ca(), {"b.test"}))};
    batch.accounts.push_back({"p", kDirectory, "", private_key_pem(generate_p256_key()), ""});
    Task<ImportAnswer> task = store_batch(store_, file(std::move(batch)), now_);
    task.start();
    test::turn(loop_, task, turns);
  }
}

}  // namespace
}  // namespace latchkey::edge

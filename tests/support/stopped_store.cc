#include "tests/support/stopped_store.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/support/run_task.h"

namespace latchkey::test {
namespace {

ServerName parsed(const std::string& name) {
  auto result = ServerName::parse(name);
  CHECK(result);
  return *result;
}

}  // namespace

StoppedStore::StoppedStore(const std::filesystem::path& state_dir) {
  auto opened = SqliteStore::open({state_dir / "latchkey.db", state_dir / "encryption.key"},
                                  loop_.address(), log_);
  CHECK(opened);
  store_ = *std::move(opened);
}

StoppedStore::~StoppedStore() = default;

void StoppedStore::put(const std::string& name, CertificatePtr certificate) {
  const auto done =
      run(loop_, store_->put_certificate(parsed(name), std::move(certificate), "elsewhere"));
  EXPECT_TRUE(done.has_value()) << done.error().message;
}

void StoppedStore::fail(const std::string& name, FailureRecord failure) {
  const auto done = run(loop_, store_->put_failure(parsed(name), std::move(failure)));
  EXPECT_TRUE(done.has_value()) << done.error().message;
}

NameRecord StoppedStore::find(const std::string& name) {
  auto found = run(loop_, store_->find_name(parsed(name), Slot::kMain));
  EXPECT_TRUE(found.has_value()) << found.error().message;
  return found ? *std::move(found) : NameRecord();
}

}  // namespace latchkey::test

#include "base/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/test_loop.h"

namespace latchkey {
namespace {

TEST(PoolTest, TheWorkIsDoneElsewhereAndTheValueComesHome) {
  test::TestLoop loop;
  const auto here = std::this_thread::get_id();
  std::function<Result<bool>()> work = [here]() -> Result<bool> {
    return std::this_thread::get_id() != here;
  };
  const auto result = loop.finish(in_pool(loop.uv(), std::move(work)));
  ASSERT_TRUE(result);
  EXPECT_TRUE(*result);
}

TEST(PoolTest, AnErrorComesHomeToo) {
  test::TestLoop loop;
  std::function<Result<>()> work = []() -> Result<> { return Error{ErrorCode::kIo, "no"}; };
  const auto result = loop.finish(in_pool(loop.uv(), std::move(work)));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "no");
}

TEST(PoolTest, DroppingTheTaskForgetsTheResultAndTheWorkOwnsWhatItUses) {
  auto begun = std::make_shared<std::atomic<bool>>(false);
  auto go = std::make_shared<std::atomic<bool>>(false);
  const std::weak_ptr<std::atomic<bool>> owned = go;
  {
    test::TestLoop loop;
    std::function<Result<std::string>()> work = [begun, go]() -> Result<std::string> {
      *begun = true;
      while (!*go) std::this_thread::yield();
      return std::string(100, 'x');
    };
    Task<std::string> task = in_pool(loop.uv(), std::move(work));
    task.start();
    while (!*begun) std::this_thread::yield();
    task = {};
    *go = true;
    go.reset();
    loop.run_until([&] { return owned.expired(); });
  }
  EXPECT_TRUE(owned.expired());
}

}  // namespace
}  // namespace latchkey

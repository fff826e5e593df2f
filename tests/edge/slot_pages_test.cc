#include "edge/slot_pages.h"

#include <gtest/gtest.h>

#include "tests/support/fake_store.h"
#include "tests/support/test_certificates.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

// Names with and without twins, listed in pages of every size: each once, by name.
TEST(SlotPagesTest, EveryNameAndSlotIsListedOnceWhereverAPageEnds) {
  const TestCa ca;
  const CertificatePtr one = ca.issue({"a.test"});
  FakeStore store;
  test::TestLoop loop;
  std::vector<SlotName> all;
  for (const char* text : {"a.test", "b.test", "c.test", "d.test", "e.test"}) {
    for (const Slot slot : {Slot::kMain, Slot::kRsa}) {
      if (slot == Slot::kRsa && *text % 2 == 0) continue;
      CertificateOrigin origin("ca");
      origin.slot = slot;
      all.push_back({*ServerName::parse(text), slot});
      ASSERT_TRUE(loop.finish(store.put_certificate(all.back().name, one, origin)));
    }
  }
  for (size_t limit = 3; limit < 12; ++limit) {
    SlotPages pages(store, limit);
    std::vector<SlotName> seen;
    for (;;) {
      const auto page = loop.finish(pages.next());
      ASSERT_TRUE(page);
      if (page->empty()) break;
      seen.insert(seen.end(), page->begin(), page->end());
    }
    EXPECT_EQ(seen, all) << limit;
  }
}

TEST(SlotPagesTest, AnErrorLeavesThePageToBeReadAgain) {
  FakeStore store;
  test::TestLoop loop;
  const TestCa ca;
  ASSERT_TRUE(
      loop.finish(store.put_certificate(*ServerName::parse("a.test"), ca.issue({"a.test"}), "ca")));
  SlotPages pages(store);
  store.broken = Error{ErrorCode::kIo, "no"};
  EXPECT_FALSE(loop.finish(pages.next()));
  store.broken.reset();
  const auto page = loop.finish(pages.next());
  ASSERT_TRUE(page);
  EXPECT_EQ(page->size(), 1u);
}

}  // namespace
}  // namespace latchkey::edge

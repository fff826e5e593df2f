#include "edge/send_gather.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "base/loop.h"

namespace latchkey::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SendGatherTest : public ::testing::Test {
 protected:
  struct Speaker final : SendGather::Owner {
    Speaker(std::string name, std::vector<std::string>& sent)
        : name_(std::move(name)), sent_(sent) {}
    void send_gathered(std::string_view bytes) override {
      sent_.push_back(name_ + ":" +
                      (bytes.size() > 20 ? std::to_string(bytes.size()) : std::string(bytes)));
      if (gather != nullptr) gather->flush_if_owned_by(*this);  // it breaks
    }
    SendGather* gather = nullptr;

   private:
    const std::string name_;
    std::vector<std::string>& sent_;
  };

  Loop loop;
  SendGather gather{loop.uv()};
  std::vector<std::string> sent;
  Speaker a{"a", sent}, b{"b", sent};
};

TEST_F(SendGatherTest, EachConnectionsBytesGoInOnePieceAtTheTurnsEnd) {
  gather.append(a, "1");
  gather.append(a, "2");
  gather.append(b, "3");
  EXPECT_THAT(sent, IsEmpty());
  EXPECT_EQ(gather.gathered_for(a), 2U);
  EXPECT_EQ(gather.gathered_for(b), 1U);
  uv_run(&loop.uv(), UV_RUN_NOWAIT);
  EXPECT_THAT(sent, ElementsAre("a:12", "b:3"));
  EXPECT_EQ(gather.gathered_for(a), 0U);
}

TEST_F(SendGatherTest, WhoSpeaksAgainBehindAnotherKeepsItsOrder) {
  gather.append(a, "1");
  gather.append(b, "2");
  gather.append(a, "3");
  EXPECT_THAT(sent, ElementsAre("a:1"));
  gather.flush();
  EXPECT_THAT(sent, ElementsAre("a:1", "b:2", "a:3"));
}

TEST_F(SendGatherTest, OneThatGoesTakesItsBytesAlong) {
  gather.append(a, "1");
  gather.append(b, "2");
  gather.flush_if_owned_by(a);
  gather.flush_if_owned_by(a);
  EXPECT_THAT(sent, ElementsAre("a:1"));
  EXPECT_EQ(gather.gathered_for(a), 0U);
  EXPECT_EQ(gather.gathered_for(b), 1U);
  gather.flush();
  EXPECT_THAT(sent, ElementsAre("a:1", "b:2"));
}

TEST_F(SendGatherTest, OneThatBreaksSendsNothingTwice) {
  a.gather = &gather;
  gather.append(a, "1");
  gather.append(b, "2");
  gather.flush();
  EXPECT_THAT(sent, ElementsAre("a:1", "b:2"));
}

TEST_F(SendGatherTest, NobodyWaitsForManyOthersNorForMuch) {
  std::vector<std::unique_ptr<Speaker>> many;
  for (int i = 0; i < 17; ++i) {
    many.push_back(std::make_unique<Speaker>("", sent));
    gather.append(*many.back(), "x");
  }
  EXPECT_EQ(sent.size(), 16U);
  gather.flush();
  sent.clear();
  gather.append(a, std::string(16 << 10, 'x'));
  gather.append(b, "2");
  EXPECT_THAT(sent, ElementsAre("a:16384"));
}

TEST_F(SendGatherTest, MuchOfOneGoesBufferByBufferInItsOrder) {
  gather.append(b, "1");
  for (int i = 0; i < 3; ++i) gather.append(a, std::string(16 << 10, 'x'));
  EXPECT_THAT(sent, ElementsAre("b:1", "a:32768"));
  gather.append(a, std::string(100 << 10, 'x'));
  EXPECT_THAT(sent, ElementsAre("b:1", "a:32768", "a:16384", "a:102400"));
}

}  // namespace
}  // namespace latchkey::edge

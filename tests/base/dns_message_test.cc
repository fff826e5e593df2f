#include "base/dns_message.h"

#include <gmock/gmock.h>

namespace latchkey {
namespace {

using ::testing::HasSubstr;

using namespace std::string_literals;

std::string header(int answers, int authorities = 0, int additionals = 0) {
  return "\x12\x34\x84\x00\x00\x01"s + '\0' + static_cast<char>(answers) + '\0' +
         static_cast<char>(authorities) + '\0' + static_cast<char>(additionals);
}

// "a.test", from byte 12 on.
const std::string kQuestion = "\1a\4test\0\0\x10\0\1"s;

std::string record(const std::string& name, int type, const std::string& data) {
  return name + '\0' + static_cast<char>(type) + "\0\1\0\0\0\x3c\0"s +
         static_cast<char>(data.size()) + data;
}

std::string complaint(const std::string& bytes) {
  const auto message = DnsMessage::parse(bytes);
  if (message) return "";
  EXPECT_EQ(message.error().code, ErrorCode::kProtocol);
  return message.error().message;
}

TEST(DnsMessageTest, ReadsRecords) {
  const std::string soa = "\2NS\xc0\x0c\3ops\xc0\x0c"s + std::string(20, '\1');
  const auto message = DnsMessage::parse(
      header(3, 1, 1) + kQuestion + record("\xc0\x0c", 16, "\3one\0\3two"s) +
      record("\1B\xc0\x0c", 5, "\1C\xc0\x0e") + record("\xc0\x0e", 2, "\2ns\4test\0"s) +
      record("\xc0\x0c", 6, soa) + record("\0"s, 41, "xyz"));
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(message->id, 0x1234);
  EXPECT_TRUE(message->response);
  EXPECT_TRUE(message->authoritative);
  EXPECT_FALSE(message->truncated);
  ASSERT_EQ(message->answers.size(), 3u);
  EXPECT_EQ(message->answers[0].name, "a.test");
  EXPECT_EQ(message->answers[0].value, "onetwo");
  EXPECT_EQ(message->answers[0].ttl, 60u);
  EXPECT_EQ(message->answers[0].at, 12 + kQuestion.size());
  EXPECT_EQ(message->answers[1].name, "b.a.test");
  EXPECT_EQ(message->answers[1].value, "c.test");
  EXPECT_EQ(message->answers[2].value, "ns.test");
  ASSERT_EQ(message->authorities.size(), 1u);
  EXPECT_EQ(message->authorities[0].type, DnsType::kSoa);
  EXPECT_EQ(message->authorities[0].value, "ns.a.test");
  ASSERT_EQ(message->additionals.size(), 1u);
  EXPECT_EQ(message->additionals[0].name, "");
  EXPECT_EQ(message->additionals[0].value, "xyz");
}

TEST(DnsMessageTest, AnyPartOfAMessageIsRefused) {
  const std::string whole = header(2) + kQuestion + record("\xc0\x0c", 16, "\3one"s) +
                            record("\xc0\x0c", 5, "\1c\xc0\x0c");
  ASSERT_EQ(complaint(whole), "");
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(complaint(whole.substr(0, size)), HasSubstr("it ends early")) << size;
  }
  EXPECT_THAT(complaint(whole + "x"), HasSubstr("something follows"));
}

TEST(DnsMessageTest, NamesLeadBackwardsOnly) {
  const auto with = [](const std::string& name) {
    return complaint(header(1) + kQuestion + record(name, 16, "\1x"));
  };
  const auto own = static_cast<char>(12 + kQuestion.size());
  EXPECT_THAT(with("\xc0"s + own), HasSubstr("leads forward"));
  EXPECT_THAT(with("\xc0"s + static_cast<char>(own + 4)), HasSubstr("leads forward"));
  EXPECT_THAT(with("\1x\xc0"s + own), HasSubstr("leads forward"));
  EXPECT_THAT(with("\xff\xff"), HasSubstr("leads forward"));
  EXPECT_THAT(with("\x40"), HasSubstr("too long"));
  std::string longest;
  for (int i = 0; i < 5; ++i) longest += "\x3f" + std::string(63, 'x');
  EXPECT_THAT(with(longest + '\0'), HasSubstr("too long"));
}

// Each of a thousand names could lead through all of a message.
TEST(DnsMessageTest, NamesLeadThroughFewPlaces) {
  const auto with = [](size_t jumps) {
    // In the first record's data: the root, and pointers each to the one before.
    const size_t data = 12 + kQuestion.size() + 12;
    std::string chain = "\0"s;
    size_t target = data;
    for (size_t i = 1; i < jumps; ++i) {
      const size_t here = data + chain.size();
      chain += static_cast<char>(0xc0 | target >> 8);
      chain += static_cast<char>(target & 0xff);
      target = here;
    }
    const std::string last = {static_cast<char>(0xc0 | target >> 8),
                              static_cast<char>(target & 0xff)};
    return complaint(header(2) + kQuestion + "\xc0\x0c\0\x63\0\1\0\0\0\x3c"s +
                     static_cast<char>(chain.size() >> 8) + static_cast<char>(chain.size() & 0xff) +
                     chain + record(last, 16, "\1x"));
  };
  EXPECT_EQ(with(128), "");
  EXPECT_THAT(with(129), HasSubstr("from place to place"));
}

TEST(DnsMessageTest, DataIsAsLongAsItSays) {
  const auto with = [](int type, const std::string& data) {
    return complaint(header(1) + kQuestion + record("\xc0\x0c", type, data));
  };
  EXPECT_THAT(with(5, "\1c\0x"s), HasSubstr("not as long"));
  EXPECT_THAT(with(16, "\1cx"), HasSubstr("it ends early"));
  EXPECT_THAT(with(6, "\1c\0"s), HasSubstr("it ends early"));
  EXPECT_EQ(with(5, ""), "");  // as in updates
}

TEST(DnsMessageTest, RecordsAreCountedBeforeTheyAreRead) {
  EXPECT_THAT(complaint("\0\0\0\0\0\0\x04\x01\0\0\0\0"s), HasSubstr("too many"));
  EXPECT_THAT(complaint("\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"s), HasSubstr("too many"));
}

TEST(DnsMessageTest, OddBytesOfNamesAreEscaped) {
  const auto message =
      DnsMessage::parse(header(1) + "\3a.\xff\0\0\x10\0\1"s + record("\xc0\x0c", 16, "\1x"));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->answers[0].name, "a\\046\\255");
  EXPECT_EQ(*dns_wire_name(message->answers[0].name), "\3a.\xff\0"s);
  for (const char* const bad : {"a\\", "a\\04", "a\\b46", "a\\256", "a\\0.6"}) {
    EXPECT_FALSE(dns_wire_name(bad)) << bad;
  }
}

TEST(DnsMessageTest, NamesOnTheWire) {
  EXPECT_EQ(*dns_wire_name("_acme-challenge.A.test."), "\x0f_acme-challenge\1a\4test\0"s);
  EXPECT_EQ(*dns_wire_name(""), "\0"s);
  EXPECT_EQ(*dns_wire_name("."), "\0"s);
  const std::string label(63, 'x');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'y');
  EXPECT_EQ(dns_wire_name(longest)->size(), 255u);
  for (const std::string& bad : {"a..b"s, ".a"s, "a.."s, label + "x", longest + "y"}) {
    const auto wire = dns_wire_name(bad);
    ASSERT_FALSE(wire) << bad;
    EXPECT_EQ(wire.error().code, ErrorCode::kInvalid);
  }
}

TEST(DnsMessageTest, Parents) {
  EXPECT_EQ(dns_parent("a.b.test"), "b.test");
  EXPECT_EQ(dns_parent("test"), "");
  EXPECT_TRUE(dns_is_within("a.test", "a.test"));
  EXPECT_TRUE(dns_is_within("b.a.test", "a.test"));
  EXPECT_TRUE(dns_is_within("b.a.test", ""));
  EXPECT_FALSE(dns_is_within("ba.test", "a.test"));
  EXPECT_FALSE(dns_is_within("test", "a.test"));
}

TEST(DnsMessageTest, Questions) {
  EXPECT_EQ(*dns_query(0x1234, "a.test", DnsType::kSoa),
            "\x12\x34\0\0\0\1\0\0\0\0\0\0\1a\4test\0\0\6\0\1"s);
  EXPECT_FALSE(dns_query(1, "a..test", DnsType::kSoa));
}

TEST(DnsMessageTest, Updates) {
  DnsTxtUpdate update{"a.test", "x.a.test", "value", 60, true};
  EXPECT_EQ(*dns_update(0x1234, update),
            "\x12\x34\x28\0\0\1\0\0\0\1\0\0\1a\4test\0\0\6\0\1"
            "\1x\1a\4test\0\0\x10\0\1\0\0\0\x3c\0\6\5value"s);
  update.add = false;
  EXPECT_EQ(*dns_update(0x1234, update),
            "\x12\x34\x28\0\0\1\0\0\0\1\0\0\1a\4test\0\0\6\0\1"
            "\1x\1a\4test\0\0\x10\0\xfe\0\0\0\0\0\6\5value"s);
  update.value = std::string(300, 'v');
  EXPECT_THAT(*dns_update(1, update), HasSubstr("\xff" + std::string(255, 'v') + "\x2d" + "v"));
  update.value = std::string(5000, 'v');
  EXPECT_FALSE(dns_update(1, update));
}

}  // namespace
}  // namespace latchkey

#include "acme/tsig.h"

#include <gmock/gmock.h>
#include <openssl/digest.h>
#include <openssl/hmac.h>

namespace latchkey::acme {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using namespace std::string_literals;

const TsigKey kKey{"Key.test", "hmac-sha256", "0123456789abcdef0123456789abcdef"};
constexpr WallTime kNow{std::chrono::seconds(1'700'000'000)};

// The server's side, written from RFC 8945 once more.
struct Answer {
  std::string written{};  // the key's name in the record, if not as it is signed
  std::string key_name = "\3key\4test\0"s;
  std::string algorithm = "\x0bhmac-sha256\0"s;
  std::string secret = kKey.secret;
  int64_t time = kNow.time_since_epoch().count();
  uint16_t error = 0;
  std::string other{};
  uint8_t rcode = 0;
  bool with_mac = true;
  bool with_tsig = true;
  std::string behind{};  // the TSIG record
  std::string more{};    // of its data
};

std::string two(size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

std::string make(const Answer& from, const TsigRequest& request) {
  const std::string id = request.bytes.substr(0, 2);
  const std::string flags = "\xa8"s + static_cast<char>(from.rcode);
  const std::string counts = "\0\1\0\0\0\0"s;
  const std::string question = "\1a\4test\0\0\6\0\1"s;
  const std::string time = "\0\0"s + static_cast<char>(from.time >> 24 & 0xff) +
                           static_cast<char>(from.time >> 16 & 0xff) + two(from.time & 0xffff);
  const std::string fudge = two(300);
  const std::string to_sign = two(request.mac.size()) + request.mac + id + flags + counts +
                              "\0\0"s + question + from.key_name + "\0\xff\0\0\0\0"s +
                              from.algorithm + time + fudge + two(from.error) +
                              two(from.other.size()) + from.other;
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), from.secret.data(), from.secret.size(),
       reinterpret_cast<const uint8_t*>(to_sign.data()), to_sign.size(), mac, &size);
  const std::string tag =
      from.with_mac ? std::string(reinterpret_cast<const char*>(mac), size) : "";
  const std::string data = from.algorithm + time + fudge + two(tag.size()) + tag + id +
                           two(from.error) + two(from.other.size()) + from.other + from.more;
  const std::string tsig = from.with_tsig ? (from.written.empty() ? from.key_name : from.written) +
                                                "\0\xfa\0\xff\0\0\0\0"s + two(data.size()) + data
                                          : "";
  const size_t additionals = (from.with_tsig ? 1u : 0u) + (from.behind.empty() ? 0u : 1u);
  return id + flags + counts + two(additionals) + question + tsig + from.behind;
}

class TsigTest : public testing::Test {
 protected:
  Result<> verify(const Answer& answer, WallTime now = kNow) {
    return verify_bytes(make(answer, request), now);
  }
  Result<> verify_bytes(const std::string& bytes, WallTime now = kNow) {
    const auto message = DnsMessage::parse(bytes);
    if (!message) return message.error();
    return tsig_verify(kKey, request, bytes, *message, now);
  }
  std::string complaint(const Answer& answer, ErrorCode code, WallTime now = kNow) {
    const auto result = verify(answer, now);
    if (result) return "";
    EXPECT_EQ(result.error().code, code);
    EXPECT_THAT(result.error().message, Not(HasSubstr(kKey.secret)));
    return result.error().message;
  }

  const TsigRequest request = *tsig_sign(kKey, *dns_query(0x1234, "a.test", DnsType::kSoa), kNow);
};

TEST_F(TsigTest, ARequestIsSignedAtItsEnd) {
  const auto message = DnsMessage::parse(request.bytes);
  ASSERT_TRUE(message) << message.error().message;
  ASSERT_EQ(message->additionals.size(), 1u);
  EXPECT_EQ(message->additionals[0].name, "key.test");
  EXPECT_EQ(message->additionals[0].type, DnsType::kTsig);
  EXPECT_EQ(request.mac.size(), 32u);
  EXPECT_THAT(request.bytes, HasSubstr(request.mac));
  EXPECT_THAT(request.bytes, Not(HasSubstr(kKey.secret)));
}

TEST_F(TsigTest, AGoodAnswerIsVerified) {
  EXPECT_EQ(complaint(Answer(), ErrorCode::kInvalid), "");
  Answer refused;
  refused.rcode = 5;  // the server's word, whatever it is
  EXPECT_TRUE(verify(refused));
  Answer shouting;  // names are compared in lower case
  shouting.written = "\3KEY\4test\0"s;
  EXPECT_TRUE(verify(shouting));
}

// Names of keys may have more than names of hosts.
TEST_F(TsigTest, AKeysNameMayHaveOddBytes) {
  const TsigKey key{"edge/acme", kKey.algorithm, kKey.secret};
  const auto asked = tsig_sign(key, *dns_query(0x1234, "a.test", DnsType::kSoa), kNow);
  ASSERT_TRUE(asked);
  Answer answer;
  answer.key_name =
      "\x09"
      "edge/acme\0"s;
  const std::string bytes = make(answer, *asked);
  const auto message = DnsMessage::parse(bytes);
  ASSERT_TRUE(message);
  const auto verified = tsig_verify(key, *asked, bytes, *message, kNow);
  EXPECT_TRUE(verified) << verified.error().message;
}

TEST_F(TsigTest, EveryByteIsCovered) {
  const std::string good = make(Answer(), request);
  ASSERT_TRUE(verify_bytes(good));
  // The key's name may be written in another case, the TTL of the record is of no account.
  const size_t tsig_at = DnsMessage::parse(good)->additionals[0].at;
  for (size_t i = 0; i < good.size(); ++i) {
    std::string changed = good;
    changed[i] = static_cast<char>(changed[i] ^ 0x01);
    const bool is_id = i < 2;  // the original one counts
    const bool is_ttl = i >= tsig_at + 14 && i < tsig_at + 18;
    const bool is_class = i >= tsig_at + 12 && i < tsig_at + 14;
    if (is_id || is_ttl || is_class) continue;
    EXPECT_FALSE(verify_bytes(changed)) << i;
  }
}

TEST_F(TsigTest, AnUnsignedAnswerIsNotTrusted) {
  Answer plain;
  plain.with_tsig = false;
  plain.rcode = 5;
  EXPECT_THAT(complaint(plain, ErrorCode::kProtocol),
              AllOf(HasSubstr("REFUSED"), HasSubstr("not signed"), HasSubstr("Key.test")));
  Answer early;
  early.behind = "\0\0\x29\0\0\0\0\0\0\0\0"s;
  EXPECT_THAT(complaint(early, ErrorCode::kProtocol), HasSubstr("not signed"));
  Answer empty;
  empty.with_mac = false;
  EXPECT_THAT(complaint(empty, ErrorCode::kProtocol), HasSubstr("signature"));
}

TEST_F(TsigTest, AnotherKeyIsNotTrusted) {
  Answer other;
  other.secret = "another";
  EXPECT_THAT(complaint(other, ErrorCode::kProtocol), HasSubstr("is wrong"));
  Answer name;
  name.key_name = "\3kex\4test\0"s;
  EXPECT_THAT(complaint(name, ErrorCode::kProtocol), HasSubstr("another key"));
  Answer algorithm;
  algorithm.algorithm = "\x09hmac-sha1\0"s;
  EXPECT_THAT(complaint(algorithm, ErrorCode::kProtocol), HasSubstr("another key"));
  Answer longer;
  longer.more = "x";
  EXPECT_THAT(complaint(longer, ErrorCode::kProtocol), HasSubstr("makes no sense"));
}

TEST_F(TsigTest, AnswersOfAnotherTimeAreNotTrusted) {
  EXPECT_TRUE(verify(Answer(), kNow + std::chrono::seconds(300)));
  EXPECT_THAT(complaint(Answer(), ErrorCode::kProtocol, kNow + std::chrono::seconds(301)),
              AllOf(HasSubstr("301 s"), HasSubstr("NTP")));
  EXPECT_THAT(complaint(Answer(), ErrorCode::kProtocol, kNow - std::chrono::seconds(301)),
              HasSubstr("301 s"));
}

TEST_F(TsigTest, ThatTheServerDoesNotTakeOurKeySaysWhatToCompare) {
  Answer answer;
  answer.rcode = 9;
  answer.with_mac = false;
  answer.error = 16;
  EXPECT_THAT(complaint(answer, ErrorCode::kInvalid),
              AllOf(HasSubstr("BADSIG"), HasSubstr("Key.test"), HasSubstr("secret")));
  answer.error = 17;
  EXPECT_THAT(complaint(answer, ErrorCode::kInvalid),
              AllOf(HasSubstr("BADKEY"), HasSubstr("hmac-sha256"), HasSubstr("algorithm")));
  answer.error = 22;
  EXPECT_THAT(complaint(answer, ErrorCode::kInvalid), HasSubstr("BADTRUNC"));
  answer.error = 99;
  EXPECT_THAT(complaint(answer, ErrorCode::kProtocol), HasSubstr("TSIG error 99"));
}

TEST_F(TsigTest, ClocksThatDifferAreNamed) {
  Answer answer;
  answer.rcode = 9;
  answer.error = 18;
  const int64_t theirs = kNow.time_since_epoch().count() + 3600;
  answer.other = "\0\0"s + static_cast<char>(theirs >> 24) +
                 static_cast<char>(theirs >> 16 & 0xff) + two(static_cast<size_t>(theirs & 0xffff));
  EXPECT_THAT(complaint(answer, ErrorCode::kInvalid),
              AllOf(HasSubstr("BADTIME"), HasSubstr("3600 s"), HasSubstr("NTP")));
  // A signed one that was changed is not believed.
  answer.secret = "another";
  EXPECT_THAT(complaint(answer, ErrorCode::kProtocol), HasSubstr("is wrong"));
}

TEST_F(TsigTest, KeysThatCannotSign) {
  TsigKey key = kKey;
  key.algorithm = "hmac-md5";
  const std::string message = *dns_query(1, "a.test", DnsType::kSoa);
  const auto unknown = tsig_sign(key, message, kNow);
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, AllOf(HasSubstr("hmac-md5"), HasSubstr("hmac-sha512")));
  key = kKey;
  key.name = "a..b";
  EXPECT_FALSE(tsig_sign(key, message, kNow));
}

}  // namespace
}  // namespace latchkey::acme

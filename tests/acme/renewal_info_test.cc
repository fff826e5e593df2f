#include "acme/renewal_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/mem.h>
#include <openssl/pem.h>

#include <chrono>
#include <string>

#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::string window(const std::string& start, const std::string& end) {
  return R"({"suggestedWindow":{"start":")" + start + R"(","end":")" + end + R"("}})";
}

std::string error(const std::string& body) {
  const Result<RenewalInfo> info = RenewalInfo::parse("https://ca.test/renewal/x.y", body);
  return info ? "it was accepted" : info.error().message;
}

// The start of a window whose end lies in the far future; the epoch where it was refused.
WallTime start_of(const std::string& text) {
  const auto info = RenewalInfo::parse("u", window(text, "9999-12-31T23:59:59Z"));
  return info ? info->window.start : WallTime{};
}

WallTime at(int year, unsigned month, unsigned day, Millis time = Millis(0)) {
  const std::chrono::sys_days date =
      std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day);
  return std::chrono::time_point_cast<WallTime::duration>(date + time);
}

TEST(RenewalInfoTest, TheExampleOfTheRfcIsRead) {  // RFC 9773, 4.2
  const auto info = RenewalInfo::parse("u", R"({
    "suggestedWindow": {"start": "2025-01-02T04:00:00Z", "end": "2025-01-03T04:00:00Z"},
    "explanationURL": "https://acme.example.com/docs/ari"})");
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->window.start, at(2025, 1, 2, 4h));
  EXPECT_EQ(info->window.end, at(2025, 1, 3, 4h));
  EXPECT_EQ(info->explanation_url, "https://acme.example.com/docs/ari");
  EXPECT_EQ(info->poll_after, 6h);
}

TEST(RenewalInfoTest, DatesAreReadAsRfc3339WritesThem) {
  EXPECT_EQ(start_of("2025-01-02T04:00:00.999999999Z"), at(2025, 1, 2, 4h));
  EXPECT_EQ(start_of("2025-01-02T04:00:00+02:30"), at(2025, 1, 2, 1h + 30min));
  EXPECT_EQ(start_of("2025-01-02T23:00:00-02:00"), at(2025, 1, 3, 1h));
  EXPECT_EQ(start_of("2025-01-02t04:00:00z"), at(2025, 1, 2, 4h));
  EXPECT_EQ(start_of("2025-01-02 04:00:00Z"), at(2025, 1, 2, 4h));
  EXPECT_EQ(start_of("2024-02-29T00:00:00-00:00"), at(2024, 2, 29));
  EXPECT_EQ(start_of("2016-12-31T23:59:60Z"), at(2017, 1, 1)) << "a leap second";
}

TEST(RenewalInfoTest, WhatIsNoDateIsNamed) {
  for (const char* bad :
       {"", "2025-01-02", "2025-01-02T04:00:00", "2025-13-02T04:00:00Z", "2025-02-29T04:00:00Z",
        "2025-01-02T24:00:00Z", "2025-01-02T04:60:00Z", "2025-01-02T04:00:61Z",
        "2025-01-02T04:00:00.Z", "2025-01-02T04:00:00ZZ", "2025-01-02T04:00:00+0230",
        "2025-01-02T04:00:00+24:00", "25-01-02T04:00:00Z", "1969-12-31T23:59:59Z",
        "12025-01-02T04:00:00Z", " 2025-01-02T04:00:00Z", "-025-01-02T04:00:00Z",
        "2025-01-02T04:00:00.000000000000000000000000000000000000Z"}) {
    EXPECT_EQ(start_of(bad), WallTime{}) << bad;
  }
  EXPECT_THAT(error(window("tomorrow", "2025-01-02T04:00:00Z")),
              HasSubstr("suggestedWindow.start: expected a date"));
  EXPECT_THAT(error(window("2025-01-02T04:00:00Z", "\\u0007")),
              HasSubstr("suggestedWindow.end: expected a date"));
}

TEST(RenewalInfoTest, AWindowThatIsInvertedOrEmptyIsRefused) {
  const auto inverted =
      RenewalInfo::parse("u", window("2025-01-03T04:00:00Z", "2025-01-02T04:00:00Z"));
  ASSERT_FALSE(inverted);
  EXPECT_EQ(inverted.error().code, ErrorCode::kProtocol);
  EXPECT_THAT(inverted.error().message, HasSubstr("is not after its start"));
  EXPECT_THAT(error(window("2025-01-03T04:00:00Z", "2025-01-03T04:00:00Z")),
              HasSubstr("is not after its start"));
  EXPECT_THAT(error(window("2025-01-03T04:00:00Z", "2025-01-03T05:00:00+01:00")),
              HasSubstr("is not after its start"));
}

TEST(RenewalInfoTest, WhatIsNoSuchDocumentIsAnErrorWithItsAddress) {
  for (const char* bad : {"", "null", "[]", "{}", "not JSON", R"({"suggestedWindow":7})",
                          R"({"suggestedWindow":{}})", R"({"suggestedWindow":{"start":1}})"}) {
    EXPECT_THAT(error(bad), HasSubstr("https://ca.test/renewal/x.y")) << bad;
  }
}

TEST(RenewalInfoTest, APageThatIsNoPageIsLeftOut) {
  for (const char* bad : {"javascript:alert(1)", "file:///etc/passwd", "http://ca.test/", ""}) {
    const auto info = RenewalInfo::parse(
        "u", R"({"suggestedWindow":{"start":"2025-01-02T04:00:00Z","end":"2025-01-03T04:00:00Z"},)"
             R"("explanationURL":")" +
                 std::string(bad) + R"("})");
    ASSERT_TRUE(info);
    EXPECT_EQ(info->explanation_url, "");
  }
}

std::string der_of(const std::string& pem) {
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  char* name = nullptr;
  char* header = nullptr;
  uint8_t* data = nullptr;
  long size = 0;
  if (PEM_read_bio(bio.get(), &name, &header, &data, &size) != 1) return {};
  const bssl::UniquePtr<char> own_name(name);
  const bssl::UniquePtr<char> own_header(header);
  const bssl::UniquePtr<uint8_t> own_data(data);
  return {reinterpret_cast<const char*>(data), static_cast<size_t>(size)};
}

TEST(RenewalId, IsThatOfTheRfc) {  // RFC 9773, Appendix A
  EXPECT_EQ(renewal_id(der_of(R"(-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
)")),
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
}

TEST(RenewalId, IsEmptyWithoutAnAuthorityKeyIdentifier) {
  EXPECT_EQ(renewal_id(""), "");
  EXPECT_EQ(renewal_id("garbage"), "");
}

}  // namespace
}  // namespace latchkey::acme

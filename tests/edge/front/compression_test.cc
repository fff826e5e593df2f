#include "edge/front/compression.h"

#include <brotli/decode.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <zlib.h>

namespace latchkey::edge {
namespace {

using Then = Compressor::Then;

const std::vector<std::string> kBoth{"br", "gzip"};

TEST(CodingTest, IsWhatTheClientLikesBest) {
  const std::vector<std::pair<const char*, Coding>> table = {
      {"", Coding::kIdentity},
      {"gzip", Coding::kGzip},
      {"x-gzip", Coding::kGzip},
      {"br", Coding::kBrotli},
      {"gzip, br", Coding::kBrotli},
      {"GZIP;Q=0.8, br;q=0.5", Coding::kGzip},
      {"gzip;q=1.0, br; q=0.999", Coding::kGzip},
      {"gzip;q=0, br;q=0", Coding::kIdentity},
      {"*", Coding::kBrotli},
      {"*;q=0.5, gzip;q=0.6", Coding::kGzip},
      {"br;q=0, *", Coding::kGzip},
      {"*;q=0", Coding::kIdentity},
      {"gzip;q=0.001", Coding::kGzip},
      {"gzip;q=", Coding::kIdentity},
      {"gzip;q=x", Coding::kIdentity},
      {"gzip;q=0.0000", Coding::kIdentity},
      {"identity", Coding::kIdentity},
      {"deflate, zstd", Coding::kIdentity},
      {"gzipped, brotli", Coding::kIdentity},
      {";q=1, ,", Coding::kIdentity},
  };
  for (const auto& [accepted, coding] : table) {
    EXPECT_EQ(best_coding(accepted, kBoth), coding) << accepted;
  }
  EXPECT_EQ(best_coding("br, gzip", {"gzip", "br"}), Coding::kGzip) << "ours decides a tie";
  EXPECT_EQ(best_coding("br", {"gzip"}), Coding::kIdentity);
}

ResponseHead page() {
  ResponseHead head;
  head.status = 200;
  head.headers.add("content-type", "Text/HTML; charset=utf-8");
  head.body = {Body::Kind::kLength, 5000};
  return head;
}

bool compressible_with(const char* name, const char* value) {
  ResponseHead head = page();
  head.headers.set(name, value);
  return is_compressible(head, CompressionConfig());
}

TEST(CompressibleTest, NotEverythingIs) {
  EXPECT_TRUE(is_compressible(page(), CompressionConfig()));
  EXPECT_TRUE(compressible_with("content-type", "application/vnd.api+json"));
  EXPECT_TRUE(compressible_with("cache-control", "public, max-age=5"));
  EXPECT_FALSE(compressible_with("content-type", "image/png"));
  EXPECT_FALSE(compressible_with("content-type", ""));
  EXPECT_FALSE(compressible_with("content-encoding", "gzip"));
  EXPECT_FALSE(compressible_with("content-range", "bytes 0-1/2"));
  EXPECT_FALSE(compressible_with("cache-control", "public, No-Transform"));
  EXPECT_FALSE(compressible_with("content-digest", "sha-256=:x:"));
  for (const int status : {101, 204, 205, 206, 304}) {
    ResponseHead head = page();
    head.status = status;
    EXPECT_FALSE(is_compressible(head, CompressionConfig())) << status;
  }
  ResponseHead small = page();
  small.body.length = 1023;
  EXPECT_FALSE(is_compressible(small, CompressionConfig()));
  small.body = {Body::Kind::kChunked, 0};
  EXPECT_TRUE(is_compressible(small, CompressionConfig())) << "nobody knows its size";
}

TEST(CompressibleTest, TheHeaderSaysWhatBecameOfIt) {
  ResponseHead head = page();
  head.headers.add("etag", "\"a\"");
  head.headers.add("vary", "Cookie");
  head.headers.add("accept-ranges", "bytes");
  vary_by_coding(head);
  vary_by_coding(head);
  become_coded(head, Coding::kBrotli);
  EXPECT_EQ(head.headers.get("content-encoding"), "br");
  EXPECT_EQ(head.headers.get("etag"), "W/\"a\"");
  EXPECT_EQ(head.headers.count("vary"), 2U);
  EXPECT_TRUE(head.headers.has_token("vary", "accept-encoding"));
  EXPECT_FALSE(head.headers.has("accept-ranges"));
  EXPECT_EQ(head.body.kind, Body::Kind::kChunked);
  ResponseHead any = page();
  any.headers.add("vary", "*");
  any.headers.add("etag", "W/\"a\"");
  vary_by_coding(any);
  become_coded(any, Coding::kGzip);
  EXPECT_EQ(any.headers.count("vary"), 1U);
  EXPECT_EQ(any.headers.get("etag"), "W/\"a\"");
}

std::string decode_gzip(const std::string& coded) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(coded.data()));
  stream.avail_in = static_cast<uInt>(coded.size());
  std::string out(8 << 20, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  inflate(&stream, Z_SYNC_FLUSH);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

std::string decode_brotli(const std::string& coded) {
  auto* state = BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
  std::string out(8 << 20, '\0');
  size_t in_left = coded.size(), out_left = out.size();
  const auto* in = reinterpret_cast<const uint8_t*>(coded.data());
  auto* to = reinterpret_cast<uint8_t*>(out.data());
  BrotliDecoderDecompressStream(state, &in_left, &in, &out_left, &to, nullptr);
  BrotliDecoderDestroyInstance(state);
  out.resize(out.size() - out_left);
  return out;
}

class CompressorTest : public testing::TestWithParam<Coding> {
 protected:
  static std::unique_ptr<Compressor> make() {
    return GetParam() == Coding::kGzip ? make_gzip() : make_brotli();
  }
  static std::string decode(const std::string& coded) {
    return GetParam() == Coding::kGzip ? decode_gzip(coded) : decode_brotli(coded);
  }
};

std::string text_of(size_t size) {
  std::string out;
  uint32_t state = 1;
  while (out.size() < size) {
    state = state * 1664525 + 1013904223;
    out += "<li class=\"item\">" + std::to_string(state >> 20) + "</li>\n";
  }
  out.resize(size);
  return out;
}

TEST_P(CompressorTest, WhatGoesInComesOut) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{16} << 10, size_t{3} << 20}) {
    for (const size_t piece : {size_t{777}, size_t{64} << 10}) {
      const std::string text = text_of(size);
      const auto compressor = make();
      std::string out;
      for (size_t at = 0; at < text.size(); at += piece) {
        compressor->add(std::string_view(text).substr(at, piece), Then::kMore, out);
      }
      compressor->add({}, Then::kFinish, out);
      EXPECT_TRUE(decode(out) == text) << size << " in pieces of " << piece;
    }
  }
}

TEST_P(CompressorTest, AFlushLeavesNothingBehind) {
  const auto compressor = make();
  std::string out, said;
  for (int i = 0; i < 100; ++i) {
    const std::string event = "data: " + std::to_string(i) + "\n\n";
    compressor->add(event, Then::kFlush, out);
    said += event;
    ASSERT_EQ(decode(out), said);
  }
}

TEST_P(CompressorTest, TakesTheMemoryThatItsHeaderSays) {
  const std::string text = text_of(4 << 20);
  const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  const auto compressor = make();
  size_t most = 0, sent = 0;
  for (size_t at = 0; at < text.size(); at += 64 << 10) {
    std::string out;
    compressor->add(std::string_view(text).substr(at, 64 << 10), Then::kMore, out);
    sent += out.size();
    out = {};
    most = std::max(most, mallinfo2().uordblks + mallinfo2().hblkhd - before);
  }
  printf("one stream: %zu KiB; 4 MiB became %zu KiB\n", most >> 10, sent >> 10);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_GT(most, 100U << 10);
  EXPECT_LT(most, 1U << 20);
#endif
}

INSTANTIATE_TEST_SUITE_P(, CompressorTest, testing::Values(Coding::kGzip, Coding::kBrotli),
                         [](const auto& coding) {
                           return coding.param == Coding::kGzip ? std::string("Gzip")
                                                                : std::string("Brotli");
                         });

}  // namespace
}  // namespace latchkey::edge

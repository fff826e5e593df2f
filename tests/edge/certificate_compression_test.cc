// Certificate messages made smaller (RFC 8879): what is kept, what is not, and that it is right.
#include "edge/certificate_compression.h"

#include <brotli/decode.h>

#include <chrono>
#include <iostream>
#include <thread>
#include <vector>

#include "tests/edge/client_connection_fixture.h"

namespace latchkey::edge {
namespace {

std::string decompressed(std::string_view bytes, size_t size) {
  std::string out(size, '\0');
  const auto done =
      BrotliDecoderDecompress(bytes.size(), reinterpret_cast<const uint8_t*>(bytes.data()), &size,
                              reinterpret_cast<uint8_t*>(out.data()));
  EXPECT_EQ(done, BROTLI_DECODER_RESULT_SUCCESS);
  out.resize(size);
  return out;
}

std::string message_of(const Certificate& certificate) {
  std::string out;
  for (const std::string& der : certificate.chain_der()) out += der;
  return out;
}

std::string noise(size_t size, uint32_t seed) {
  std::string out(size, '\0');
  for (char& c : out) {
    seed = seed * 1664525 + 1013904223;
    c = static_cast<char>(seed >> 24);
  }
  return out;
}

TEST(CertificateCompressionTest, AMessageThatComesAgainIsCompressedOnceAndKept) {
  CertificateCompression compression;
  const std::string message = message_of(*ca().issue({"a.test", "b.a.test", "c.a.test"}));
  for (int i = 0; i < 10; ++i) {
    const auto bytes = compression.compress(message);
    ASSERT_NE(bytes, nullptr);
    EXPECT_EQ(decompressed(*bytes, message.size()), message);
    EXPECT_LT(bytes->size(), message.size());
    EXPECT_EQ(compression.kept() > 0, i > 0);
  }
  EXPECT_EQ(compression.counts().messages.value(), 10u);
  EXPECT_EQ(compression.counts().quick.value(), 1u);
  EXPECT_EQ(compression.counts().best.value(), 1u);
  EXPECT_LT(compression.counts().sent.value(), compression.counts().bytes.value());
}

TEST(CertificateCompressionTest, MessagesThatComeOnceDisplaceNothing) {
  CertificateCompression compression(1 << 20);
  const std::string often = noise(1000, 1);
  compression.compress(often);
  compression.compress(often);
  const size_t kept = compression.kept();
  for (uint32_t i = 2; i < 5000; ++i) compression.compress(noise(1000, i));
  EXPECT_EQ(compression.kept(), kept);
  EXPECT_EQ(compression.counts().best.value(), 1u);
  compression.compress(often);
  EXPECT_EQ(compression.counts().quick.value(), 4999u);
}

TEST(CertificateCompressionTest, WhatIsKeptIsBounded) {
  constexpr size_t kMax = 64 << 10;
  CertificateCompression compression(kMax);
  for (uint32_t i = 0; i < 1000; ++i) {
    const std::string message = noise(500 + i, i);
    compression.compress(message);
    const auto bytes = compression.compress(message);
    ASSERT_EQ(decompressed(*bytes, message.size()), message) << "larger, but right";
    ASSERT_LE(compression.kept(), kMax);
  }
  EXPECT_GT(compression.kept(), kMax / 2);
}

TEST(CertificateCompressionTest, WorkersShareIt) {
  CertificateCompression compression(64 << 10);
  std::vector<std::string> messages;
  messages.reserve(50);
  for (uint32_t i = 0; i < 50; ++i) messages.push_back(noise(600, i) + std::string(600, 'x'));
  std::atomic<int> wrong{0};
  std::vector<std::thread> workers;
  workers.reserve(4);
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        for (const std::string& message : messages) {
          const auto bytes = compression.compress(message);
          if (decompressed(*bytes, message.size()) != message) ++wrong;
        }
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(wrong, 0);
}

TEST(CertificateCompressionTest, Figures) {
  using Time = std::chrono::steady_clock;
  const std::string message = message_of(*ca().issue({"shop.example.com", "www.example.com"}));
  CertificateCompression compression;
  const auto took = [&] {
    const auto begin = Time::now();
    compression.compress(message);
    return std::chrono::duration_cast<std::chrono::microseconds>(Time::now() - begin).count();
  };
  const auto quick = took(), best = took();
  const auto begin = Time::now();
  for (int i = 0; i < 1000; ++i) compression.compress(message);
  const std::chrono::duration<double, std::micro> kept = Time::now() - begin;
  std::cout << "a chain of " << message.size() << " bytes becomes "
            << compression.compress(message)->size() << "; the first time " << quick
            << " us, the second " << best << " us, then " << kept.count() / 1000 << " us\n";
}

using ClientConnectionCompressionTest = ClientConnectionTest;

TEST_F(ClientConnectionCompressionTest, ClientsThatOfferItGetSmallerCertificates) {
  CertificateCompression compression;
  tls->use_compression(compression);
  const CertificatePtr certificate = ca().issue({"a.test"});
  cache.put(a, certificate);
  for (int i = 0; i < 3; ++i) {
    auto client = connect("a.test");
    client->take_compressed();
    run(*client);
    ASSERT_TRUE(client->done);
    EXPECT_EQ(client->compressed, 1);
    const STACK_OF(CRYPTO_BUFFER)* const chain = SSL_get0_peer_certificates(client->ssl());
    ASSERT_EQ(sk_CRYPTO_BUFFER_num(chain), 2u);
    const CRYPTO_BUFFER* const leaf = sk_CRYPTO_BUFFER_value(chain, 0);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(CRYPTO_BUFFER_data(leaf)),
                          CRYPTO_BUFFER_len(leaf)),
              certificate->chain_der().front());
  }
  EXPECT_EQ(compression.counts().messages.value(), 3u);
  auto plain = connect("a.test");
  run(*plain);
  EXPECT_TRUE(plain->done);
  EXPECT_EQ(plain->compressed, 0);
  EXPECT_EQ(compression.counts().messages.value(), 3u);
}

TEST_F(ClientConnectionCompressionTest, ParkedHandshakesGetThemToo) {
  CertificateCompression compression;
  tls->use_compression(compression);
  auto client = connect("a.test");
  client->take_compressed();
  run(*client);
  parking.resume(a, Result<CertificatePtr>(ca().issue({"a.test"})));
  run(*client);
  EXPECT_TRUE(client->done);
  EXPECT_EQ(client->compressed, 1);
}

}  // namespace
}  // namespace latchkey::edge

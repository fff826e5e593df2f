#include "edge/certificate_compression.h"

#include <brotli/encode.h>
#include <openssl/sha.h>

#include <cstring>
#include <optional>
#include <utility>

namespace latchkey::edge {
namespace {

// Of a chain of 2 to 4 KiB: quality 1 takes ten microseconds, quality 9 some hundreds and saves a
// twentieth more; what is beyond it takes milliseconds.
constexpr int kQuick = 1;
constexpr int kBest = 9;
constexpr int kWindow = 12;        // 4 KiB: a larger one costs clearing larger tables
constexpr size_t kOverhead = 192;  // of an entry: its key, nodes, string

std::optional<std::string> brotli(std::string_view message, int quality) {
  size_t size = BrotliEncoderMaxCompressedSize(message.size());
  std::string out(size, '\0');
  if (BrotliEncoderCompress(quality, kWindow, BROTLI_MODE_GENERIC, message.size(),
                            reinterpret_cast<const uint8_t*>(message.data()), &size,
                            reinterpret_cast<uint8_t*>(out.data())) == BROTLI_FALSE) {
    return std::nullopt;
  }
  out.resize(size);
  out.shrink_to_fit();
  return out;
}

}  // namespace

CertificateCompression::CertificateCompression(size_t max_bytes) {
  for (auto& shard : shards_) shard = std::make_unique<Shard>(max_bytes / kShards);
}

CertificateCompression::Bytes CertificateCompression::compress(std::string_view message) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const uint8_t*>(message.data()), message.size(), digest.data());
  std::string key(digest.begin(), digest.end());
  uint32_t mark = 0, place = 0;
  std::memcpy(&mark, &digest[1], sizeof mark);
  std::memcpy(&place, &digest[5], sizeof place);
  Shard& shard = *shards_[digest[0] % kShards];
  bool again = false;
  counts_.messages.add();
  counts_.bytes.add(message.size());
  {
    const std::lock_guard lock(shard.mutex);
    if (Bytes found = shard.kept.get(key)) {
      counts_.sent.add(found->size());
      return found;
    }
    again = std::exchange(shard.seen[place % kSeen], mark) == mark;
  }
  auto made = brotli(message, again ? kBest : kQuick);
  if (!made) return nullptr;
  (again ? counts_.best : counts_.quick).add();
  counts_.sent.add(made->size());
  auto bytes = std::make_shared<const std::string>(*std::move(made));
  if (!again) return bytes;
  Lru<std::string>::Dropped dropped;
  const std::lock_guard lock(shard.mutex);
  dropped = shard.kept.put(std::move(key), bytes, bytes->size() + kOverhead);
  return bytes;
}

size_t CertificateCompression::kept() const {
  size_t sum = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    sum += shard->kept.cost();
  }
  return sum;
}

}  // namespace latchkey::edge

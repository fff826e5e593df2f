#include "edge/ticket_keys.h"

#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace latchkey::edge {

struct TicketKeys::Table {
  int64_t period = 0;
  std::array<Key, kOlder + 2> keys{};  // the next one, the newest, the older ones

  Table(const std::string& secret, int64_t now) : period(now) {
    for (size_t i = 0; i < keys.size(); ++i) {
      derive(secret, period + 1 - static_cast<int64_t>(i), keys[i]);
    }
  }
  ~Table() { OPENSSL_cleanse(keys.data(), sizeof keys); }
  Table(const Table&) = delete;

  static void derive(const std::string& secret, int64_t period, Key& key) {
    const std::string info = "latchkey session ticket " + std::to_string(period);
    std::array<uint8_t, sizeof(Key)> bytes{};
    CHECK(HKDF_expand(bytes.data(), bytes.size(), EVP_sha256(),
                      reinterpret_cast<const uint8_t*>(secret.data()), secret.size(),
                      reinterpret_cast<const uint8_t*>(info.data()), info.size()));
    auto at = bytes.begin();
    for (const std::span<uint8_t> part :
         {std::span<uint8_t>(key.name), std::span<uint8_t>(key.cipher),
          std::span<uint8_t>(key.mac)}) {
      std::copy_n(at, part.size(), part.begin());
      at += static_cast<ptrdiff_t>(part.size());
    }
    OPENSSL_cleanse(bytes.data(), bytes.size());
  }
};

TicketKeys::TicketKeys(std::string secret, std::function<WallTime()> now)
    : secret_(std::move(secret)), now_(std::move(now)) {
  CHECK(secret_.size() >= 32);
}

TicketKeys::~TicketKeys() {
  OPENSSL_cleanse(secret_.data(), secret_.size());
}

WallTime TicketKeys::calendar() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::shared_ptr<const TicketKeys::Table> TicketKeys::table() const {
  const int64_t period = now_().time_since_epoch() / kPeriod;
  const std::lock_guard lock(mutex_);
  if (table_ == nullptr || table_->period != period) {
    table_ = std::make_shared<const Table>(secret_, period);
  }
  return table_;
}

TicketKeys::Key TicketKeys::newest() const {
  return table()->keys[1];
}

std::optional<TicketKeys::Found> TicketKeys::find(std::span<const uint8_t, 16> name) const {
  const auto table = this->table();
  for (size_t i = 0; i < table->keys.size(); ++i) {
    const Key& key = table->keys[i];
    if (std::equal(name.begin(), name.end(), key.name.begin())) return Found{key, i <= 1};
  }
  return std::nullopt;
}

}  // namespace latchkey::edge

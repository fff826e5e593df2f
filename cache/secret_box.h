#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"

namespace latchkey {

// Seals secrets for the store: AES-256-GCM under a key that lies outside of it. What is sealed is
// bound to its place (table, row): moved elsewhere, it does not open. Cheap to copy; any thread.
//
// Sealed:   0x01 | key id (4 bytes) | nonce (12, random) | ciphertext and tag
// AAD:      0x01 | key id | context
// Key file: lines of "latchkey-key-1 <key id, 8 hex digits> <key, 64 hex digits>" and of
//           comments (#). The first key seals, all of them open: to change the key, put a new
//           line first and keep the old. At most 16 keys.
class SecretBox {
 public:
  // Refused (kInvalid): a file that everybody may read or others may write, a malformed one. A
  // file that does not exist is kNotFound. The messages name the file and the remedy.
  static Result<SecretBox> from_file(const std::filesystem::path& file);
  static Result<SecretBox> from_text(std::string_view text);
  // A new random key in a new file (0600). Logs "encryption_key_made": the operator must back it
  // up. REQUIRES: the file does not exist.
  static Result<SecretBox> make(const std::filesystem::path& file, Log& log);

  // `context` says what it is and where: "account" + '\0' + directory URL, for instance.
  std::string seal(std::string_view secret, std::string_view context) const;
  // Errors: kNotFound, sealed with a key that is not in our file; kInvalid, altered, cut, or moved.
  Result<std::string> open(std::string_view sealed, std::string_view context) const;

  // 32 bytes that follow from the key that seals and what they are for (RFC 5869): the same for all
  // who have the key, of no use to find it.
  std::string derive(std::string_view purpose) const;

  std::string key_id() const;   // of the key that seals; hex
  std::string key_ids() const;  // of all of them, in their order, with blanks between
  // The id of the key that a sealed secret needs, hex; "" if it is no sealed secret.
  static std::string key_id_of(std::string_view sealed);

 private:
  struct Keys;
  explicit SecretBox(std::shared_ptr<const Keys> keys) : keys_(std::move(keys)) {}
  std::shared_ptr<const Keys> keys_;
};

// Overwrites a secret that is no longer needed.
void wipe(std::string& secret);

}  // namespace latchkey

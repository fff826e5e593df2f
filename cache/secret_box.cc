#include "cache/secret_box.h"

#include <openssl/aead.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include <array>
#include <optional>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "base/text.h"

namespace latchkey {
namespace {

namespace fs = std::filesystem;

constexpr char kVersion = 1;
constexpr size_t kIdBytes = 4;
constexpr size_t kKeyBytes = 32;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr size_t kHeaderBytes = 1 + kIdBytes + kNonceBytes;
constexpr size_t kMaxKeys = 16;
constexpr size_t kMaxKeyFile = 16 << 10;
constexpr std::string_view kKeyWord = "latchkey-key-1";

const uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}
uint8_t* bytes_of(std::string& text) {
  return reinterpret_cast<uint8_t*>(text.data());
}

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  RAND_bytes(bytes_of(bytes), count);
  return bytes;
}

std::optional<std::string> from_hex(std::string_view text, size_t bytes) {
  if (text.size() != 2 * bytes) return std::nullopt;
  std::string out;
  out.reserve(bytes);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

// Takes the next word, between blanks, off the line.
std::string_view word(std::string_view& line) {
  const size_t start = std::min(line.find_first_not_of(" \t\r"), line.size());
  line.remove_prefix(start);
  const std::string_view found = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(found.size());
  return found;
}

std::string associated(std::string_view head, std::string_view context) {
  std::string all(head);
  return all.append(context);
}

struct Aead {
  bssl::ScopedEVP_AEAD_CTX context;

  explicit Aead(std::string_view key) {
    CHECK(EVP_AEAD_CTX_init(context.get(), EVP_aead_aes_256_gcm(), bytes_of(key), key.size(),
                            kTagBytes, nullptr));
  }
};

}  // namespace

struct SecretBox::Keys {
  struct Key {
    std::string id;
    std::string key;
  };
  std::vector<Key> all;  // the one that seals first; 1 to kMaxKeys

  Keys() { all.reserve(kMaxKeys); }  // so that no copy of a key is left behind by growing
  ~Keys() {
    for (Key& one : all) wipe(one.key);
  }
  Keys(const Keys&) = delete;
};

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

Result<SecretBox> SecretBox::from_text(std::string_view text) {
  auto keys = std::make_shared<Keys>();
  for (size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::string_view first = word(line);
    if (first.empty() || first.front() == '#') continue;
    const std::string where = "line " + std::to_string(number);
    auto id = from_hex(word(line), kIdBytes);
    auto key = from_hex(word(line), kKeyBytes);
    if (first != kKeyWord || !id || !key || !word(line).empty()) {
      return Error{ErrorCode::kInvalid,
                   where + " is not \"latchkey-key-1 <8 hex digits> <64 hex digits>\""};
    }
    if (keys->all.size() == kMaxKeys) {
      return Error{ErrorCode::kInvalid, where + ": there are more than 16 keys"};
    }
    keys->all.push_back({*std::move(id), std::move(*key)});
  }
  if (keys->all.empty()) return Error{ErrorCode::kInvalid, "there is no key in it"};
  return SecretBox(std::move(keys));
}

Result<SecretBox> SecretBox::from_file(const fs::path& file) {
  auto text = read_file(file, kMaxKeyFile);
  if (!text) return std::move(text).error().in("the encryption key file");
  struct stat found {};
  if (::stat(file.c_str(), &found) == 0 && (found.st_mode & 027) != 0 && S_ISREG(found.st_mode)) {
    wipe(*text);
    return Error{ErrorCode::kInvalid, "the encryption key file " + file.string() +
                                          " is open to other users; chmod 600 it, and if they "
                                          "are not to be trusted change the key"};
  }
  auto box = from_text(*text);
  wipe(*text);
  if (!box) return std::move(box).error().in("the encryption key file " + file.string());
  return box;
}

Result<SecretBox> SecretBox::make(const fs::path& file, Log& log) {
  if (file.has_parent_path()) {
    if (auto made = make_private_folder(file.parent_path()); !made) return std::move(made).error();
  }
  const std::string id = to_hex(random_bytes(kIdBytes));
  std::string text =
      "# Latchkey's encryption key. Without it the private keys in the store cannot be read.\n"
      "# Keep a copy in a safe place, apart from the copies of the store.\n";
  text.append(kKeyWord).append(" ").append(id).append(" ");
  text.append(to_hex(random_bytes(kKeyBytes))).append("\n");
  auto written = write_file_atomic(file, text, 0600);
  auto box = from_text(text);
  wipe(text);
  if (!written) return std::move(written).error().in("making the encryption key file");
  log.info("encryption_key_made",
           "made a new encryption key; back this file up, apart from the store: without it the "
           "stored private keys and ACME accounts are lost",
           {{"file", file.string()}, {"key_id", id}});
  return box;
}

std::string SecretBox::seal(std::string_view secret, std::string_view context) const {
  const Keys::Key& with = keys_->all.front();
  const std::string head = kVersion + with.id;
  std::string sealed = head + random_bytes(kNonceBytes);
  sealed.resize(kHeaderBytes + secret.size() + kTagBytes);
  const Aead aead(with.key);
  const std::string aad = associated(head, context);
  size_t length = 0;
  CHECK(EVP_AEAD_CTX_seal(aead.context.get(), bytes_of(sealed) + kHeaderBytes, &length,
                          secret.size() + kTagBytes, bytes_of(sealed) + head.size(), kNonceBytes,
                          bytes_of(secret), secret.size(), bytes_of(aad), aad.size()));
  return sealed;
}

Result<std::string> SecretBox::open(std::string_view sealed, std::string_view context) const {
  if (sealed.size() < kHeaderBytes + kTagBytes || sealed[0] != kVersion) {
    return Error{ErrorCode::kInvalid, "it is no sealed secret"};
  }
  const std::string_view head = sealed.substr(0, 1 + kIdBytes);
  const std::string aad = associated(head, context);
  bool known = false;
  for (const Keys::Key& one : keys_->all) {
    if (one.id != head.substr(1)) continue;
    known = true;
    const Aead aead(one.key);
    std::string secret(sealed.size() - kHeaderBytes, '\0');
    size_t length = 0;
    const std::string_view body = sealed.substr(kHeaderBytes);
    if (EVP_AEAD_CTX_open(aead.context.get(), bytes_of(secret), &length, secret.size(),
                          bytes_of(sealed) + head.size(), kNonceBytes, bytes_of(body), body.size(),
                          bytes_of(aad), aad.size())) {
      secret.resize(length);
      return secret;
    }
    ERR_clear_error();
  }
  if (known) {
    return Error{ErrorCode::kInvalid,
                 "the sealed secret was altered, or moved, or its key is a "
                 "different one of the same id"};
  }
  return Error{ErrorCode::kNotFound,
               "it is sealed with key " + to_hex(head.substr(1)) + ", which the key file lacks"};
}

std::string SecretBox::derive(std::string_view purpose) const {
  const std::string& key = keys_->all.front().key;
  std::string out(kKeyBytes, '\0');
  CHECK(HKDF(bytes_of(out), out.size(), EVP_sha256(), bytes_of(key), key.size(), nullptr, 0,
             bytes_of(purpose), purpose.size()));
  return out;
}

std::string SecretBox::key_id() const {
  return to_hex(keys_->all.front().id);
}

std::string SecretBox::key_ids() const {
  std::string ids;
  for (const Keys::Key& one : keys_->all) ids.append(ids.empty() ? "" : " ").append(to_hex(one.id));
  return ids;
}

std::string SecretBox::key_id_of(std::string_view sealed) {
  if (sealed.size() < kHeaderBytes + kTagBytes || sealed[0] != kVersion) return {};
  return to_hex(sealed.substr(1, kIdBytes));
}

}  // namespace latchkey

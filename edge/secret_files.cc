#include "edge/secret_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "acme/base64url.h"
#include "base/file.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxSecret = 4096;  // bytes

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

Error unusable(const std::filesystem::path& file, const std::string& why) {
  return {ErrorCode::kInvalid, file.string() + ": " + why};
}

Error failed(const std::filesystem::path& file, int number) {
  return {number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
          "cannot read " + file.string() + ": " + errno_text(number) +
              "; put a file there that our user can read"};
}

}  // namespace

Result<std::string> read_secret(const std::filesystem::path& file) {
  // Whoever opens a pipe waits for its writer.
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) return failed(file, errno);
  if (!S_ISREG(status.st_mode)) return unusable(file, "is no regular file");
  if ((status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return unusable(file, "everybody may read or write it, and it holds a secret: chmod o-rw");
  }
  std::array<char, kMaxSecret + 1> bytes{};
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t n = ::read(fd.get(), bytes.data() + size, bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(file, errno);
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > kMaxSecret) return unusable(file, "is longer than the 4096 bytes of a secret");
  while (size > 0 && (bytes[size - 1] == '\n' || bytes[size - 1] == '\r')) --size;
  if (size == 0) return unusable(file, "is empty; it must hold a secret");
  return std::string(bytes.data(), size);
}

Result<std::string> read_eab_key(const std::filesystem::path& file) {
  auto text = read_secret(file);
  if (!text) return text.error();
  while (text->ends_with('=')) text->pop_back();
  auto key = acme::base64url_decode(*text);
  if (!key || key->empty()) {
    return unusable(file, "is not base64url: it must hold the HMAC key as the CA gave it");
  }
  return *std::move(key);
}

Result<std::string> read_tsig_key(const std::filesystem::path& file) {
  auto text = read_secret(file);
  if (!text) return text.error();
  while (text->ends_with('=')) text->pop_back();
  // The other alphabet (RFC 4648, 5) would be somebody's mistake.
  const bool strange = text->find_first_of("-_") != std::string::npos;
  for (char& c : *text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  auto key = acme::base64url_decode(*text);
  if (strange || !key || key->empty()) {
    return unusable(file,
                    "is not base64: it must hold the TSIG key's secret alone, as tsig-keygen "
                    "prints it between the quotes");
  }
  return *std::move(key);
}

Result<> check_secret_files(const Config& config) {
  for (const Config::Issuer& issuer : config.issuers) {
    if (!issuer.eab) continue;
    const auto key = read_eab_key(config.file(issuer.eab->hmac_key_file));
    if (!key) return Error(key.error()).in("issuer " + issuer.name + ": acme.eab.hmac_key_file");
  }
  if (config.acme_server) {
    for (const EabConfig& one : config.acme_server->eab_keys) {
      const auto key = read_eab_key(config.file(one.hmac_key_file));
      if (!key) return Error(key.error()).in("acme_server.eab_keys: \"" + one.kid + "\"");
    }
  }
  if (config.dns && config.dns->rfc2136 && config.dns->rfc2136->secret_file) {
    const auto key = read_tsig_key(config.file(*config.dns->rfc2136->secret_file));
    if (!key) return Error(key.error()).in("dns.rfc2136.secret_file");
  }
  if (config.webhook && config.webhook->secret_file) {
    const auto secret = read_secret(config.file(*config.webhook->secret_file));
    if (!secret) return Error(secret.error()).in("events.webhook.secret_file");
  }
  return Unit{};
}

}  // namespace latchkey::edge

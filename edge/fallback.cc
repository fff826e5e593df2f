#include "edge/fallback.h"

#include <vector>

#include "acme/self_signed.h"
#include "base/file.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxPem = 1 << 20;
constexpr auto kTenYears = std::chrono::hours(24) * 3652;

constexpr char kDefaultKey[] = "fallback.default_certificate";
constexpr char kParkingKey[] = "fallback.parking_certificate";

struct Unusable {
  const char* key;
  std::string file;  // the bad one; "" for none
  Error why;
};

// `at`: the file that is being read or judged.
Result<CertificatePtr> read_pair(const Config& config, const CertificateFiles& files,
                                 std::string& at) {
  const std::string cert_file = config.file(files.cert_file).string();
  const std::string key_file = config.file(files.key_file).string();
  at = cert_file;
  const auto chain = read_file(cert_file, kMaxPem);
  if (!chain) return Error(chain.error()).in("cert_file");
  at = key_file;
  const auto pem = read_file(key_file, kMaxPem);
  if (!pem) return Error(pem.error()).in("key_file");
  auto key = private_key_from_pem(*pem);
  if (!key) return std::move(key).error().in(key_file).in("key_file");
  at = cert_file;
  auto certificate = Certificate::from_pem(*chain, *std::move(key));
  if (!certificate) return std::move(certificate).error().in(cert_file).in("cert_file");
  return certificate;
}

Result<CertificatePtr> make_parking() {
  acme::SelfSigned what;
  what.common_name = "latchkey parking";
  what.dns_name = "parking.invalid";
  what.life = kTenYears;
  return acme::make_self_signed(what);
}

// What could be made; `bad`: what could not.
std::shared_ptr<const Fallback> load_each(const Config& config, std::vector<Unusable>& bad) {
  const Config::FallbackKeys& keys = config.fallback;
  auto made = std::make_shared<Fallback>();
  std::string at;
  const auto take = [&](Result<CertificatePtr> from, const char* key, CertificatePtr& into) {
    if (from) {
      into = *std::move(from);
    } else {
      bad.push_back({key, at, std::move(from).error().in(key)});
    }
  };
  if (keys.default_certificate) {
    take(read_pair(config, *keys.default_certificate, at), kDefaultKey, made->no_sni);
  }
  if (keys.parking_certificate) {
    take(read_pair(config, *keys.parking_certificate, at), kParkingKey, made->parking);
  } else if (keys.self_signed_parking) {
    at.clear();
    take(make_parking(), kParkingKey, made->parking);
  }
  return made;
}

}  // namespace

Result<std::shared_ptr<const Fallback>> Fallback::load(const Config& config) {
  std::vector<Unusable> bad;
  auto made = load_each(config, bad);
  if (bad.empty()) return made;
  Error all = std::move(bad.front().why);
  for (size_t i = 1; i < bad.size(); ++i) all.message += "\n" + bad[i].why.message;
  return all;
}

std::shared_ptr<const Fallback> Fallback::load_usable(const Config& config, Log& log) {
  std::vector<Unusable> bad;
  auto made = load_each(config, bad);
  for (const Unusable& one : bad) {
    log.error("fallback_unusable",
              "handshakes that need it are refused; mend its files and reload: " + one.why.message,
              {{"key", one.key}, {"file", one.file}});
  }
  return made;
}

void Fallback::warn_of_expired(Log& log, WallTime now) const {
  const auto warn = [&](const CertificatePtr& certificate, const char* key) {
    if (certificate == nullptr || !certificate->expired_at(now)) return;
    log.warning("fallback_expired",
                "the certificate has expired and is served all the same; replace its files and "
                "reload",
                {{"key", key}, {"serial", certificate->serial()}});
  };
  warn(no_sni, kDefaultKey);
  warn(parking, kParkingKey);
}

}  // namespace latchkey::edge

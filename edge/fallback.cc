#include "edge/fallback.h"

#include "acme/self_signed.h"
#include "base/file.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxPem = 1 << 20;
constexpr auto kTenYears = std::chrono::hours(24) * 3652;

Result<CertificatePtr> read_pair(const Config& config, const CertificateFiles& files) {
  const auto cert_file = config.file(files.cert_file);
  const auto chain = read_file(cert_file, kMaxPem);
  if (!chain) return Error(chain.error()).in("cert_file");
  const auto key_file = config.file(files.key_file);
  const auto pem = read_file(key_file, kMaxPem);
  if (!pem) return Error(pem.error()).in("key_file");
  auto key = private_key_from_pem(*pem);
  if (!key) return std::move(key).error().in(key_file.string()).in("key_file");
  auto certificate = Certificate::from_pem(*chain, *std::move(key));
  if (!certificate) return std::move(certificate).error().in(cert_file.string()).in("cert_file");
  return certificate;
}

Result<CertificatePtr> make_parking() {
  acme::SelfSigned what;
  what.common_name = "latchkey parking";
  what.dns_name = "parking.invalid";
  what.life = kTenYears;
  return acme::make_self_signed(what);
}

}  // namespace

Result<std::shared_ptr<const Fallback>> Fallback::load(const Config& config) {
  const Config::FallbackKeys& keys = config.fallback;
  auto made = std::make_shared<Fallback>();
  if (keys.default_certificate) {
    auto read = read_pair(config, *keys.default_certificate);
    if (!read) return std::move(read).error().in("fallback.default_certificate");
    made->no_sni = *std::move(read);
  }
  if (keys.parking_certificate) {
    auto read = read_pair(config, *keys.parking_certificate);
    if (!read) return std::move(read).error().in("fallback.parking_certificate");
    made->parking = *std::move(read);
  } else if (keys.self_signed_parking) {
    auto signed_by_us = make_parking();
    if (!signed_by_us) return std::move(signed_by_us).error().in("fallback.parking_certificate");
    made->parking = *std::move(signed_by_us);
  }
  return std::shared_ptr<const Fallback>(std::move(made));
}

void Fallback::warn_of_expired(Log& log, WallTime now) const {
  const auto warn = [&](const CertificatePtr& certificate, const char* key) {
    if (certificate == nullptr || !certificate->expired_at(now)) return;
    log.warning("fallback_expired",
                "the certificate has expired and is served all the same; replace its files and "
                "reload",
                {{"key", key}, {"serial", certificate->serial()}});
  };
  warn(no_sni, "fallback.default_certificate");
  warn(parking, "fallback.parking_certificate");
}

}  // namespace latchkey::edge

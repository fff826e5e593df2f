#pragma once
// OCSP answers, right and wrong ones, as a CA or its delegate would sign them (RFC 6960).

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/certificate.h"

namespace latchkey::test {

// DER: the tag, the length, the contents.
std::string der(uint8_t tag, std::string_view contents);

// Who signs an answer.
struct OcspSigner {
  PrivateKey key;
  std::string certificate{};  // DER
};

// One word about one certificate.
struct OcspSingle {
  enum class Status { kGood, kRevoked, kUnknown };

  std::string cert_id;  // DER
  Status status = Status::kGood;
  WallTime this_update{};
  std::optional<WallTime> next_update{};
  WallTime revoked_at{};
  std::optional<int> reason{};
  std::string extensions{};  // DER of a SEQUENCE OF Extension; "": none
};

struct OcspForm {
  std::vector<OcspSingle> singles;
  WallTime produced_at{};
  bool by_name = false;                   // the responder's ID; else by the hash of its key
  std::vector<std::string> attached{};    // DER certificates
  std::string extensions{};               // as above
  bool pss = false;                       // RSA keys
  int response_status = 0;                // of the whole; but 0: nothing follows
  std::string response_type{};            // DER of an OID; "": id-pkix-ocsp-basic
  std::optional<OcspSigner> pretended{};  // the ID is its; signed by the other's key
};

std::string make_ocsp_answer(const OcspForm& form, const OcspSigner& signer);
// {a critical extension that nobody knows}, for `extensions`.
std::string critical_extension();

// A CA with one certificate that signs leaves, answers and delegates. Immutable; any thread.
class OcspCa {
 public:
  explicit OcspCa(PrivateKey key = generate_p256_key(), std::string_view name = "OCSP Test CA");
  // Somebody else's, Pebble's intermediate for one. REQUIRES: they belong together.
  OcspCa(std::string_view certificate_pem, std::string_view key_pem);

  // The chain is leaf, CA. `responder`: its authorityInfoAccess; "": none.
  CertificatePtr issue(const std::vector<std::string>& names, std::string_view responder,
                       WallTime not_before, WallTime not_after, PrivateKey key = nullptr) const;
  // From an hour ago for 90 days.
  CertificatePtr issue(const std::vector<std::string>& names, std::string_view responder) const;

  const OcspSigner& self() const { return self_; }
  std::string certificate_pem() const;

  struct Delegate {
    std::string name = "OCSP Delegate";
    bool ocsp_signing = true;  // has the extended key usage; else serverAuth
    WallTime not_before{};     // not set: an hour ago
    WallTime not_after{};      // not set: in a day
    PrivateKey key{};          // null: a new P-256 key
  };
  // Somebody whom this CA has certified.
  OcspSigner delegate(const Delegate& form) const;

  // Of a certificate of this CA.
  std::string cert_id(const Certificate& certificate, bool sha256 = false) const;
  std::string cert_id(std::string_view serial, bool sha256 = false) const;

 private:
  OcspSigner self_;
};

// The certID (DER) that a request asks about first; "" where it does not parse.
std::string cert_id_of_request(std::string_view request);
// The same with its serial number changed.
std::string with_other_serial(std::string_view cert_id);
// In hex, lower case, as Certificate::serial().
std::string serial_of_cert_id(std::string_view cert_id);

}  // namespace latchkey::test

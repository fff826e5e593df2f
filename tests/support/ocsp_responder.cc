#include "tests/support/ocsp_responder.h"

#include <openssl/base64.h>

#include <cstdlib>

namespace latchkey::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

WallTime now() {
  return std::chrono::floor<seconds>(std::chrono::system_clock::now());
}

std::string percent_decoded(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%' && at + 2 < text.size()) {
      const std::string digits(text.substr(at + 1, 2));
      plain += static_cast<char>(std::strtoul(digits.c_str(), nullptr, 16));
      at += 2;
    } else {
      plain += text[at];
    }
  }
  return plain;
}

std::string base64_decoded(std::string_view text) {
  std::string bytes(text.size(), '\0');
  size_t size = 0;
  if (!EVP_DecodeBase64(reinterpret_cast<uint8_t*>(bytes.data()), &size, bytes.size(),
                        reinterpret_cast<const uint8_t*>(text.data()), text.size())) {
    return "";
  }
  bytes.resize(size);
  return bytes;
}

// RFC 6960, appendix A.
std::string request_of(const Request& request) {
  if (request.method == "POST") return request.body;
  constexpr std::string_view kPath = "/ocsp/";
  if (!request.path.starts_with(kPath)) return "";
  return base64_decoded(percent_decoded(request.path.substr(kPath.size())));
}

}  // namespace

OcspResponder::OcspResponder(OcspCa ca, uint16_t port)
    : ca_(std::move(ca)),
      server_([this](const Request& request) { return answer(request); }, port) {}

void OcspResponder::set_mode(OcspMode mode) {
  const std::lock_guard lock(mutex_);
  mode_ = mode;
}
void OcspResponder::set_mode(const std::string& serial, OcspMode mode) {
  const std::lock_guard lock(mutex_);
  modes_[serial] = mode;
}
void OcspResponder::set_reason(std::optional<int> reason) {
  const std::lock_guard lock(mutex_);
  reason_ = reason;
}
void OcspResponder::set_life(seconds life) {
  const std::lock_guard lock(mutex_);
  life_ = life;
}
void OcspResponder::set_delay(Millis delay) {
  const std::lock_guard lock(mutex_);
  delay_ = delay;
}
void OcspResponder::set_ca(OcspCa ca) {
  const std::lock_guard lock(mutex_);
  ca_ = std::move(ca);
}

size_t OcspResponder::requests_about(const std::string& serial) const {
  const std::lock_guard lock(mutex_);
  const auto found = requests_.find(serial);
  return found == requests_.end() ? 0 : found->second;
}

Response OcspResponder::answer(const Request& request) {
  const std::lock_guard lock(mutex_);
  Response response;
  response.delay = delay_;
  const std::string cert_id = cert_id_of_request(request_of(request));
  const std::string serial = serial_of_cert_id(cert_id);
  if (serial.empty()) {
    response.status = 400;
    return response;
  }
  ++requests_[serial];
  const auto own = modes_.find(serial);
  const OcspMode mode = own == modes_.end() ? mode_ : own->second;
  response.hang = mode == OcspMode::kHang;
  response.reset = mode == OcspMode::kReset;
  if (mode == OcspMode::kServerError) {
    response.status = 500;
    response.body = "the database is down";
    return response;
  }
  response.headers.emplace_back("Content-Type", "application/ocsp-response");
  response.body = answer_der(mode, cert_id);
  return response;
}

std::string OcspResponder::answer_der(OcspMode mode, const std::string& cert_id) const {
  if (mode == OcspMode::kMalformed) return "<html>Please log in to use this network.</html>";
  OcspForm form;
  form.produced_at = now();
  if (mode == OcspMode::kTryLater) form.response_status = 3;
  if (mode == OcspMode::kUnauthorized) form.response_status = 6;
  OcspSingle single;
  single.cert_id = mode == OcspMode::kWrongSerial ? with_other_serial(cert_id) : cert_id;
  single.this_update = now() - seconds(1);
  if (mode == OcspMode::kExpired) single.this_update = now() - life_ - minutes(1);
  if (mode == OcspMode::kFuture) single.this_update = now() + hours(24);
  if (life_ > seconds(0)) single.next_update = single.this_update + life_;
  if (mode == OcspMode::kUnknown) single.status = OcspSingle::Status::kUnknown;
  if (mode == OcspMode::kRevoked) {
    single.status = OcspSingle::Status::kRevoked;
    single.revoked_at = now() - minutes(1);
    single.reason = reason_;
  }
  form.singles.push_back(single);
  OcspSigner signer = ca_.self();
  const bool authorized = mode == OcspMode::kGoodByDelegate;
  if (authorized || mode == OcspMode::kUnauthorizedDelegate) {
    OcspCa::Delegate delegate;
    delegate.ocsp_signing = authorized;
    signer = ca_.delegate(delegate);
    form.attached.push_back(signer.certificate);
  } else if (mode == OcspMode::kStranger) {
    signer = OcspCa().self();
    form.attached.push_back(signer.certificate);
  }
  std::string bytes = make_ocsp_answer(form, signer);
  if (mode == OcspMode::kTruncated) bytes.resize(bytes.size() / 2);
  return bytes;
}

}  // namespace latchkey::test

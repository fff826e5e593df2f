#pragma once
#include <optional>
#include <string>

#include "tests/support/acme_client.h"
#include "tests/support/ports.h"

namespace latchkey::test {

// Caddy as an ACME client: a web server that looks after its certificate by itself. It renews when
// it is started with a window of the whole lifetime, and has no way to revoke: certbot does that
// with the certificate's key.
class AcmeCaddy final : public AcmeClient {
 public:
  explicit AcmeCaddy(const Options& options);

  ProgramEnded obtain() override;
  ProgramEnded renew() override;
  ProgramEnded revoke() override;
  std::string chain() const override;

 private:
  // Until it says so.
  ProgramEnded run_until(const std::string& line, double renewal_window);
  std::string config(double renewal_window) const;
  std::filesystem::path certificate() const;

  const Options options_;
  const ReservedPort admin_{ReservedPort::Hold::kFree};
};

}  // namespace latchkey::test

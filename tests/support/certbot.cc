#include "tests/support/certbot.h"

#include "tests/support/temp_folder.h"

namespace latchkey::test {

Certbot::Certbot(std::filesystem::path folder, std::string directory, std::filesystem::path ca_file)
    : folder_(std::move(folder)), directory_(std::move(directory)), ca_file_(std::move(ca_file)) {
  std::filesystem::create_directories(folder_);
}

ProgramEnded Certbot::run(std::vector<std::string> args) const {
  Process::Options options;
  options.args = {"certbot"};
  options.args.insert(options.args.end(), args.begin(), args.end());
  for (const char* which : {"config", "work", "logs"}) {
    options.args.insert(options.args.end(),
                        {"--" + std::string(which) + "-dir", (folder_ / which).string()});
  }
  options.args.insert(options.args.end(), {"--non-interactive", "--server", directory_});
  if (!ca_file_.empty()) options.env = {{"REQUESTS_CA_BUNDLE", ca_file_.string()}};
  options.env.emplace_back("HOME", folder_.string());  // no cli.ini of this machine's user
  options.output = folder_ / "certbot.log";
  options.directory = folder_;
  return run_to_end(std::move(options), Millis(120'000));
}

ProgramEnded Certbot::obtain(const std::vector<std::string>& names,
                             const std::vector<std::string>& how) const {
  std::vector<std::string> args{"certonly", "--agree-tos", "--register-unsafely-without-email"};
  args.insert(args.end(), how.begin(), how.end());
  for (const auto& name : names) args.insert(args.end(), {"-d", name});
  return run(std::move(args));
}

ProgramEnded Certbot::renew() const {
  return run({"renew", "--force-renewal", "--no-random-sleep-on-renew"});
}

std::vector<std::string> Certbot::standalone(uint16_t port) {
  return {"--standalone", "--http-01-address", "127.0.0.1", "--http-01-port", std::to_string(port)};
}

std::vector<std::string> Certbot::webroot(const std::filesystem::path& folder) {
  return {"--webroot", "-w", folder.string()};
}

}  // namespace latchkey::test

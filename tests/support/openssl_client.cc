#include "tests/support/openssl_client.h"

namespace latchkey::test {

ProgramEnded openssl(const std::filesystem::path& folder,
                     const std::vector<std::string>& arguments) {
  Process::Options options;
  options.args = {"openssl"};
  options.args.insert(options.args.end(), arguments.begin(), arguments.end());
  options.output = folder / "openssl.log";
  options.directory = folder;
  return run_to_end(std::move(options), Millis(40'000));
}

ProgramEnded openssl_client(const std::filesystem::path& folder, uint16_t port,
                            const std::string& name, const std::vector<std::string>& arguments) {
  std::vector<std::string> all{"s_client", "-connect", "127.0.0.1:" + std::to_string(port),
                               "-servername", name};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return openssl(folder, all);
}

}  // namespace latchkey::test

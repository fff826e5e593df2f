#include "tests/support/openssl_judge.h"

#include <algorithm>
#include <utility>

#include "base/server_name.h"
#include "tests/support/byte_stream.h"
#include "tests/support/http_exchange.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {
namespace {

// "http://HOST:PORT/PATH" of this machine, asked for.
HttpAnswer fetch(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  const size_t path = url.find('/', kScheme.size());
  if (!url.starts_with(kScheme) || path == std::string::npos) return {};
  const std::string authority = url.substr(kScheme.size(), path - kScheme.size());
  const size_t colon = authority.find(':');
  const int port = colon == std::string::npos ? 80 : std::stoi(authority.substr(colon + 1));
  PlainClient client(static_cast<uint16_t>(port));
  return HttpConversation(client).get(authority, url.substr(path));
}

// The rest of the first line that has `mark` in it.
std::string behind(const std::string& text, std::string_view mark) {
  const size_t at = text.find(mark);
  if (at == std::string::npos) return "";
  const size_t begin = at + mark.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

OpensslJudge::OpensslJudge(std::filesystem::path folder, std::filesystem::path root_file)
    : folder_(std::move(folder)), root_file_(std::move(root_file)) {
  std::filesystem::create_directories(folder_);
}

OpensslJudge::Files OpensslJudge::split(const std::string& chain) const {
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----\n";
  const size_t end = std::min(chain.find(kEnd), chain.size() - std::min(chain.size(), kEnd.size()));
  Files files{(folder_ / "leaf.pem").string(), (folder_ / "issuers.pem").string()};
  write_text(files.leaf, chain.substr(0, end + kEnd.size()));
  write_text(files.issuers, chain.substr(std::min(end + kEnd.size(), chain.size())));
  return files;
}

ProgramEnded OpensslJudge::run(std::vector<std::string> args) const {
  Process::Options program;
  program.args = {"openssl"};
  program.args.insert(program.args.end(), args.begin(), args.end());
  program.output = folder_ / "openssl.log";
  program.directory = folder_;
  return run_to_end(std::move(program));
}

ProgramEnded OpensslJudge::verify(const Files& files, const std::vector<std::string>& more) const {
  std::vector<std::string> args{"verify",     "-x509_strict", "-purpose", "sslserver",
                                "-no-CApath", "-no-CAstore",  "-CAfile",  root_file_.string(),
                                "-untrusted", files.issuers};
  args.insert(args.end(), more.begin(), more.end());
  args.push_back(files.leaf);
  return run(std::move(args));
}

std::string OpensslJudge::trouble(const std::string& chain, const std::string& name) const {
  const char* const kind = ServerName::parse_ip(name) ? "-verify_ip" : "-verify_hostname";
  const ProgramEnded ended = verify(split(chain), {kind, name});
  return ended.code == 0 ? "" : ended.output;
}

std::string OpensslJudge::serial(const std::string& chain) const {
  return behind(run({"x509", "-noout", "-serial", "-in", split(chain).leaf}).output, "serial=");
}

std::string OpensslJudge::by_crl(const std::string& chain) const {
  const Files files = split(chain);
  const ProgramEnded shown =
      run({"x509", "-noout", "-ext", "crlDistributionPoints", "-in", files.leaf});
  const std::string url = behind(shown.output, "URI:");
  const HttpAnswer crl = fetch(url);
  if (crl.status != 200) return "no CRL: \"" + url + "\", " + std::to_string(crl.status);
  const std::string der = folder_ / "crl.der";
  const std::string pem = folder_ / "crl.pem";
  write_text(der, crl.body);
  const ProgramEnded read = run({"crl", "-inform", "DER", "-in", der, "-out", pem});
  if (read.code != 0) return read.output;
  const ProgramEnded ended = verify(files, {"-crl_check", "-CRLfile", pem});
  if (ended.code == 0) return "good";
  const bool revoked = ended.output.find("certificate revoked") != std::string::npos;
  return revoked ? "revoked" : ended.output;
}

std::string OpensslJudge::by_ocsp(const std::string& chain) const {
  const Files files = split(chain);
  std::string url = run({"x509", "-noout", "-ocsp_uri", "-in", files.leaf}).output;
  std::erase(url, '\n');
  const ProgramEnded ended =
      run({"ocsp", "-issuer", files.issuers, "-cert", files.leaf, "-url", url, "-no-CApath",
           "-no-CAstore", "-CAfile", root_file_.string(), "-verify_other", files.issuers});
  if (ended.output.find("Response verify OK") == std::string::npos) return ended.output;
  for (const char* status : {"good", "revoked"}) {
    if (ended.output.find(files.leaf + ": " + status) != std::string::npos) return status;
  }
  return ended.output;
}

}  // namespace latchkey::test

#pragma once
// What a CA would see from outside, as a test says.

#include <functional>
#include <string>
#include <vector>

#include "acme/authority/probes.h"

namespace latchkey::acme {

class ScriptedProbes final : public Probes {
 public:
  // What each answers; nothing is there by default.
  std::function<Result<HttpReply>(const std::string& url)> on_get = [](const auto& url) {
    return Error{ErrorCode::kNotFound, "no address: " + url};
  };
  std::function<Result<std::string>(const ServerName&, uint16_t port)> on_tls = [](const auto& name,
                                                                                   auto) {
    return Error{ErrorCode::kNotFound, "no: " + name.text()};
  };
  std::function<Result<std::vector<std::string>>(const std::string& name)> on_txt =
      [](const auto&) { return std::vector<std::string>(); };

  std::vector<std::string> asked;  // URLs and names, as they came

  Task<HttpReply> get(std::string url) override {
    asked.push_back(url);
    Result<HttpReply> reply = on_get(url);
    co_return reply;
  }
  Task<std::string> acme_tls(ServerName name, uint16_t port) override {
    asked.push_back(name.text() + ":" + std::to_string(port));
    Result<std::string> leaf = on_tls(name, port);
    co_return leaf;
  }
  Task<std::vector<std::string>> txt(std::string name) override {
    asked.push_back(name);
    Result<std::vector<std::string>> records = on_txt(name);
    co_return records;
  }
};

}  // namespace latchkey::acme

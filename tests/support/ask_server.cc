#include "tests/support/ask_server.h"

namespace latchkey::test {

AskServer::AskServer(Judge judge) : judge_(std::move(judge)) {
  start();
}

AskServer::Judge AskServer::allow_all() {
  return answer(Response());
}

AskServer::Judge AskServer::deny_all() {
  Response no;
  no.status = 403;
  return answer(std::move(no));
}

AskServer::Judge AskServer::answer(Response response) {
  return [response = std::move(response)](const std::string&) { return response; };
}

void AskServer::judge_by(Judge judge) {
  const std::lock_guard lock(mutex_);
  judge_ = std::move(judge);
}

void AskServer::stop() {
  server_.reset();
}

void AskServer::start() {
  stop();
  server_ = std::make_unique<HttpServer>(
      [this](const Request& request) { return answer_to(request); }, port_.number());
}

std::string AskServer::url() const {
  return "http://127.0.0.1:" + std::to_string(port_.number()) + "/check";
}

size_t AskServer::asked() const {
  const std::lock_guard lock(mutex_);
  size_t sum = 0;
  for (const auto& [domain, count] : counts_) sum += count;
  return sum;
}

size_t AskServer::asked(const std::string& domain) const {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(domain);
  return found == counts_.end() ? 0 : found->second;
}

size_t AskServer::different_names() const {
  const std::lock_guard lock(mutex_);
  return counts_.size();
}

std::vector<std::string> AskServer::reasons(const std::string& domain) const {
  const std::lock_guard lock(mutex_);
  const auto found = reasons_.find(domain);
  return found == reasons_.end() ? std::vector<std::string>() : found->second;
}

Response AskServer::answer_to(const Request& request) {
  const std::string domain = request.parameter("domain");
  const std::string reason = request.parameter("reason");
  Judge judge;
  {
    const std::lock_guard lock(mutex_);
    ++counts_[domain];
    if (!reason.empty()) reasons_[domain].push_back(reason);
    judge = judge_;
  }
  return judge(domain);
}

}  // namespace latchkey::test

#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/http_server.h"
#include "tests/support/ports.h"

namespace latchkey::test {

// An ask endpoint that counts by name, and that can go down and come back at the same address.
class AskServer {
 public:
  using Judge = std::function<Response(const std::string& domain)>;

  explicit AskServer(Judge judge = allow_all());
  static Judge allow_all();
  static Judge deny_all();  // by 403
  static Judge answer(Response response);

  void judge_by(Judge judge);
  void stop();  // connections are refused
  void start();

  std::string url() const;
  size_t asked() const;                           // in all
  size_t asked(const std::string& domain) const;  // about that name
  size_t different_names() const;
  std::vector<std::string> reasons(const std::string& domain) const;  // that were sent

 private:
  Response answer_to(const Request& request);

  const ReservedPort port_;
  mutable std::mutex mutex_;
  Judge judge_;                                              // guarded by mutex_
  std::map<std::string, size_t> counts_;                     // guarded by mutex_
  std::map<std::string, std::vector<std::string>> reasons_;  // guarded by mutex_
  std::unique_ptr<HttpServer> server_;
};

}  // namespace latchkey::test

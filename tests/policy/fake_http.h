#pragma once
#include <list>
#include <string>
#include <utility>

#include "base/http_client.h"
#include "base/pending.h"

namespace latchkey {

// An HttpClient whose answers a test gives by hand, in any order.
class FakeHttp final : public HttpClient {
 public:
  Task<HttpReply> send(HttpRequest request) override { return exchange(*this, std::move(request)); }

  size_t open() const { return open_.size(); }
  const HttpRequest& request(size_t i = 0) const { return (*std::next(begin(), at(i)))->request; }
  void answer(size_t i, Result<HttpReply> reply) {
    (*std::next(begin(), at(i)))->reply.resolve(std::move(reply));
  }
  void answer(size_t i, int status) {
    HttpReply reply;
    reply.status = status;
    answer(i, std::move(reply));
  }

 private:
  struct Open {
    Open(FakeHttp& http, HttpRequest r) : owner(http), request(std::move(r)) {
      owner.open_.push_back(this);
    }
    ~Open() { owner.open_.remove(this); }
    Open(const Open&) = delete;

    FakeHttp& owner;
    HttpRequest request;
    Pending<HttpReply> reply;
  };

  static Task<HttpReply> exchange(FakeHttp& http, HttpRequest request) {
    Open self(http, std::move(request));
    Result<HttpReply> reply = co_await self.reply;
    co_return reply;
  }
  std::list<Open*>::const_iterator begin() const { return open_.begin(); }
  static std::ptrdiff_t at(size_t i) { return static_cast<std::ptrdiff_t>(i); }

  std::list<Open*> open_;  // in the order of asking
};

}  // namespace latchkey

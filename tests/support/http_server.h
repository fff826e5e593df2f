#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "tests/support/fd.h"

namespace latchkey::test {

struct Request {
  std::string method;
  std::string target;  // as it came
  std::string path;    // of the target
  std::string query;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string head;       // the head's bytes as they came
  size_t connection = 0;  // the how-manieth of the server

  std::string header(std::string_view lower_case_name) const;
  std::string parameter(std::string_view name) const;  // of the query, not decoded
};

// What the server does with a request; the defaults are a well-behaved answer.
struct Response {
  int status = 200;
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::vector<int> informational{};  // sent before it
  bool chunked = false;
  bool close = false;  // ends the connection after it
  Millis delay{0};     // before it; other connections go on

  // Misbehaviour.
  bool hang = false;        // no answer at all
  bool reset = false;       // RST instead of an answer
  bool endless = false;     // the body goes on for as long as somebody reads
  size_t cut_after = ~0ul;  // closes after so many bytes of the answer
  std::string raw{};        // these bytes instead of everything above
  bool echo = false;        // after the answer, sends back whatever comes (for 101)
};

// An HTTP/1.1 server on 127.0.0.1 and a thread of its own, for hundreds of connections: ask
// endpoint, upstream, or a CA that misbehaves. `handle` is called on that thread.
class HttpServer {
 public:
  using Handle = std::function<Response(const Request&)>;

  // Port 0: any. Otherwise a port whose reservation we share (SO_REUSEPORT is set).
  explicit HttpServer(Handle handle, uint16_t port = 0);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;

  uint16_t port() const { return port_; }
  std::string url(std::string_view path = "") const;

  size_t requests() const;                            // complete heads
  size_t requests(std::string_view path) const;       // of that path, without its query
  std::vector<Request> seen() const;                  // the first 1000
  size_t connections() const { return accepted_; }    // ever
  size_t most_at_once() const { return most_busy_; }  // requests being answered
  uint64_t bytes_received() const { return received_; }
  void replace_handler(Handle handle);

 private:
  struct Connection;

  void run();
  void accept_all();
  void on_event(Connection& connection, uint32_t events);
  void read_from(Connection& connection);
  void parse(Connection& connection);
  void answer(Connection& connection, Request request);
  void start_due();
  void write_to(Connection& connection);
  void watch(Connection& connection);
  void drop(Connection& connection, bool reset = false);

  uint16_t port_ = 0;
  Fd listener_, epoll_, wake_;
  std::map<uint64_t, Connection> open_;  // by their number
  size_t busy_ = 0;

  mutable std::mutex mutex_;
  Handle handle_;                        // guarded by mutex_
  std::map<std::string, size_t> paths_;  // guarded by mutex_
  std::vector<Request> seen_;            // guarded by mutex_

  std::atomic<size_t> accepted_ = 0, most_busy_ = 0;
  std::atomic<uint64_t> received_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;  // the last: it uses all of the above
};

}  // namespace latchkey::test

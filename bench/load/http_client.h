#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace latchkey::bench {

// What is asked for, the same each time.
struct HttpRequest {
  enum class Version { kHttp1, kHttp2 };

  Version version = Version::kHttp1;
  std::string path = "/";
  uint64_t body = 0;                       // bytes; with any, it is a POST
  bool close = false;                      // the connection ends after one answer
  uint32_t streams = 1;                    // at a time; HTTP/1.1 is never pipelined
  std::optional<uint64_t> answer_bytes{};  // of the answer's body; another length is a failure
};

// The client's side of HTTP on one connection after the other, without the socket. It allocates
// nothing for a request but what nghttp2 does, and looks at nothing of the answer but its status
// and its length.
class HttpClient {
 public:
  struct Answer {
    int status = 0;
    uint64_t body = 0;           // bytes
    std::string_view failure{};  // the stream's own: "stream REFUSED_STREAM"; mostly empty
  };
  // Within these, request() may be called, begin() and take() may not.
  class Events {
   public:
    virtual ~Events() = default;
    virtual void send(std::string_view bytes) = 0;
    virtual void on_first_byte(uint32_t request) = 0;  // of its answer's head
    virtual void on_answer(uint32_t request, const Answer& answer) = 0;
  };

  static std::unique_ptr<HttpClient> make(const HttpRequest& request, Events& events);
  virtual ~HttpClient() = default;

  // A new connection to a server of this name; whatever was under way is forgotten.
  virtual void begin(std::string_view host) = 0;
  // `number`: below HttpRequest::streams, and not under way. What is to be sent waits for flush(),
  // and within take() for its end. REQUIRES: open().
  virtual void request(uint32_t number) = 0;
  virtual void flush() = 0;
  // What came from the server. False: it broke the protocol, as failure() says.
  virtual bool take(std::string_view bytes) = 0;
  // The server has ended the connection: answers whose end is that of the connection are complete.
  virtual void ended() {}
  // A request may be sent: the server has not said that it will end the connection.
  virtual bool open() const = 0;
  const std::string& failure() const { return failure_; }

 protected:
  std::string failure_;
};

// The kind of failure that an answer is: "status 502"; empty for a good one.
std::string judge(const HttpRequest& request, const HttpClient::Answer& answer);

}  // namespace latchkey::bench

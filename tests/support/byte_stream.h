#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "tests/support/fd.h"

namespace latchkey::test {

// A blocking stream as a test's client sees it.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  virtual bool write(std::string_view bytes) = 0;
  // What is there, after waiting for it: "" at the proper end, null for a broken connection or
  // when the time is up.
  virtual std::optional<std::string> read() = 0;
};

// A connection to 127.0.0.1 whose every wait is limited. No descriptor if it was refused.
Fd connect_to(uint16_t port, Millis limit);
Fd connect_to_socket(const std::string& path, Millis limit);  // a UNIX one

class PlainClient : public ByteStream {
 public:
  explicit PlainClient(uint16_t port, Millis limit = Millis(30'000));
  explicit PlainClient(Fd connection) : fd_(std::move(connection)) {}

  bool connected() const { return static_cast<bool>(fd_); }
  int fd() const { return fd_.get(); }
  bool write(std::string_view bytes) override;
  std::optional<std::string> read() override;
  void finish_writing();

 private:
  Fd fd_;
};

class UnixClient final : public PlainClient {
 public:
  explicit UnixClient(const std::string& path, Millis limit = Millis(30'000))
      : PlainClient(connect_to_socket(path, limit)) {}
};

}  // namespace latchkey::test

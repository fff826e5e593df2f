// Name servers that break the protocol, by TCP.

#include "acme/dns_exchange.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <functional>
#include <vector>

#include "acme/rfc2136.h"
#include "base/check.h"
#include "base/dns_message.h"
#include "tests/support/test_loop.h"

namespace latchkey::acme {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using namespace std::chrono_literals;
using namespace std::string_literals;

// On the test's loop: reads a whole message, then writes the pieces that `answer` makes of it, one
// a turn, and closes.
class ScriptedServer {
 public:
  using Answer = std::function<std::vector<std::string>(const std::string& question)>;

  ScriptedServer(uv_loop_t& loop, Answer answer) : loop_(loop), answer_(std::move(answer)) {
    CHECK(uv_tcp_init(&loop_, listener_.get()) == 0);
    sockaddr_in address{};
    uv_ip4_addr("127.0.0.1", 0, &address);
    CHECK(uv_tcp_bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), 0) == 0);
    listener_->data = this;
    CHECK(uv_listen(reinterpret_cast<uv_stream_t*>(listener_.get()), 8, &on_connection) == 0);
    uv_timer_init(&loop_, turn_.get());
    turn_->data = this;
  }
  ScriptedServer(const ScriptedServer&) = delete;

  std::string address() const {
    sockaddr_in bound{};
    int size = sizeof bound;
    uv_tcp_getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    return "127.0.0.1:" + std::to_string(ntohs(bound.sin_port));
  }
  std::vector<std::string> questions;

 private:
  static void on_connection(uv_stream_t* listener, int) {
    auto& self = *static_cast<ScriptedServer*>(listener->data);
    uv_timer_stop(self.turn_.get());  // it would close this one in the place of the one before
    self.connection_.reset(new uv_tcp_t);
    self.received_.clear();
    uv_tcp_init(&self.loop_, self.connection_.get());
    self.connection_->data = &self;
    auto* stream = reinterpret_cast<uv_stream_t*>(self.connection_.get());
    uv_accept(listener, stream);
    const auto space = [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
      auto& of = *static_cast<ScriptedServer*>(handle->data);
      *buffer = uv_buf_init(of.space_, sizeof of.space_);
    };
    uv_read_start(stream, space, [](uv_stream_t* from, ssize_t size, const uv_buf_t*) {
      static_cast<ScriptedServer*>(from->data)->read(size);
    });
  }
  void read(ssize_t size) {
    if (size < 0) return;
    received_.append(space_, static_cast<size_t>(size));
    const auto length = static_cast<size_t>(static_cast<uint8_t>(received_[0])) << 8 |
                        static_cast<uint8_t>(received_[1]);
    if (received_.size() != length + 2) return;
    questions.push_back(received_.substr(2));
    pieces_ = answer_(questions.back());
    next_ = 0;
    uv_timer_start(turn_.get(), &on_turn, 0, 1);
  }
  static void on_turn(uv_timer_t* timer) {
    auto& self = *static_cast<ScriptedServer*>(timer->data);
    if (self.next_ == self.pieces_.size()) {
      uv_timer_stop(timer);
      self.connection_.reset();
      return;
    }
    std::string& piece = self.pieces_[self.next_++];
    const uv_buf_t buffer = uv_buf_init(piece.data(), static_cast<unsigned>(piece.size()));
    uv_try_write(reinterpret_cast<uv_stream_t*>(self.connection_.get()), &buffer, 1);
  }

  uv_loop_t& loop_;
  Answer answer_;
  UvPtr<uv_tcp_t> listener_{new uv_tcp_t};
  UvPtr<uv_tcp_t> connection_;  // one at a time
  std::string received_;
  char space_[4096];
  std::vector<std::string> pieces_;
  size_t next_ = 0;
  UvPtr<uv_timer_t> turn_{new uv_timer_t};
};

std::string framed(const std::string& message) {
  std::string bytes;
  dns_put16(bytes, static_cast<uint16_t>(message.size()));
  return bytes + message;
}

// The question as an answer with that rcode.
std::string answer_to(const std::string& question, uint8_t rcode = 0) {
  std::string answer = question;
  answer[2] = static_cast<char>(answer[2] | 0x84);
  answer[3] = static_cast<char>(rcode);
  return answer;
}

class DnsExchangeTest : public testing::Test {
 protected:
  // An unsigned update in a zone that is given.
  std::string complaint(ScriptedServer::Answer answer, ErrorCode code) {
    ScriptedServer server(loop.uv(), std::move(answer));
    Rfc2136Records::Options options;
    options.server = server.address();
    options.zone = "a.test";
    options.timeout = 2s;
    Rfc2136Records records(options, loop.uv(), loop.clock(), log);
    const auto result = loop.finish(records.publish("x.a.test", "v"));
    if (result) return "";
    EXPECT_EQ(result.error().code, code) << result.error().message;
    return result.error().message;
  }
  std::string after_rcode(uint8_t rcode, ErrorCode code) {
    return complaint(
        [rcode](const std::string& question) {
          return std::vector{framed(answer_to(question, rcode))};
        },
        code);
  }

  test::TestLoop loop;
  Log log{open("/dev/null", O_WRONLY | O_CLOEXEC), Log::Format::kText, LogLevel::kDebug};
};

TEST_F(DnsExchangeTest, AnAnswerMayComeInPieces) {
  const auto bytewise = [](const std::string& question) {
    std::vector<std::string> pieces;
    for (const char c : framed(answer_to(question))) pieces.emplace_back(1, c);
    return pieces;
  };
  EXPECT_EQ(complaint(bytewise, ErrorCode::kIo), "");
  const auto more = [](const std::string& question) {
    return std::vector{framed(answer_to(question)) + "more"};
  };
  EXPECT_EQ(complaint(more, ErrorCode::kIo), "");
}

TEST_F(DnsExchangeTest, EachMessageHasAConnectionAndAnIdOfItsOwn) {
  ScriptedServer server(loop.uv(), [](const std::string& question) {
    return std::vector{framed(answer_to(question))};
  });
  Rfc2136Records::Options options;
  options.server = server.address();
  options.zone = "a.test";
  Rfc2136Records records(options, loop.uv(), loop.clock(), log);
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(loop.finish(records.publish("x.a.test", "v")));
    ids.push_back(server.questions.back().substr(0, 2));
  }
  EXPECT_FALSE(ids[0] == ids[1] && ids[1] == ids[2]);
}

TEST_F(DnsExchangeTest, ConnectionsThatEndEarly) {
  const auto nothing = [](const std::string&) { return std::vector<std::string>(); };
  EXPECT_THAT(complaint(nothing, ErrorCode::kIo),
              AllOf(HasSubstr("closed the connection"), HasSubstr("x.a.test")));
  const auto half = [](const std::string& question) {
    return std::vector{framed(answer_to(question)).substr(0, 9)};
  };
  EXPECT_THAT(complaint(half, ErrorCode::kIo), HasSubstr("closed the connection"));
}

TEST_F(DnsExchangeTest, WhatDoesNotAnswerUs) {
  const auto changed = [this](size_t at, char bits) {
    return complaint(
        [at, bits](const std::string& question) {
          std::string answer = answer_to(question);
          answer[at] = static_cast<char>(answer[at] ^ bits);
          return std::vector{framed(answer)};
        },
        ErrorCode::kProtocol);
  };
  EXPECT_THAT(changed(0, 1), HasSubstr("does not answer our question"));       // another id
  EXPECT_THAT(changed(2, '\x80'), HasSubstr("does not answer our question"));  // a question
  EXPECT_THAT(changed(2, '\x28'), HasSubstr("does not answer our question"));  // another opcode
  EXPECT_THAT(changed(5, 2), HasSubstr("not a DNS message"));
  const auto empty = [](const std::string&) { return std::vector{framed("")}; };
  EXPECT_THAT(complaint(empty, ErrorCode::kProtocol), HasSubstr("not a DNS message"));
  const auto noise = [](const std::string&) { return std::vector{framed("HTTP/1.1 400 Bad")}; };
  EXPECT_THAT(complaint(noise, ErrorCode::kProtocol), HasSubstr("not a DNS message"));
}

TEST_F(DnsExchangeTest, EachRefusalHasItsRemedy) {
  EXPECT_THAT(after_rcode(1, ErrorCode::kProtocol), HasSubstr("FORMERR"));
  EXPECT_THAT(after_rcode(2, ErrorCode::kIo), AllOf(HasSubstr("SERVFAIL"), HasSubstr("log")));
  EXPECT_THAT(after_rcode(4, ErrorCode::kInvalid),
              AllOf(HasSubstr("NOTIMP"), HasSubstr("primary")));
  EXPECT_THAT(after_rcode(5, ErrorCode::kInvalid),
              AllOf(HasSubstr("REFUSED"), HasSubstr("allow-update")));
  EXPECT_THAT(after_rcode(6, ErrorCode::kProtocol), HasSubstr("YXDOMAIN"));
  EXPECT_THAT(after_rcode(9, ErrorCode::kInvalid),
              AllOf(HasSubstr("NOTAUTH"), HasSubstr("zone a.test")));
  EXPECT_THAT(after_rcode(10, ErrorCode::kInvalid),
              AllOf(HasSubstr("NOTZONE"), HasSubstr("x.a.test")));
  EXPECT_THAT(after_rcode(15, ErrorCode::kProtocol), HasSubstr("RCODE 15"));
}

// A resolver knows the SOA, too.
TEST_F(DnsExchangeTest, OnlyAnAuthoritativeAnswerNamesTheZone) {
  for (const bool authoritative : {true, false}) {
    ScriptedServer server(loop.uv(), [&](const std::string& question) {
      std::string answer = answer_to(question);
      if (!authoritative) answer[2] = static_cast<char>(answer[2] & ~0x04);
      const bool is_query = (question[2] & 0x78) == 0;
      const size_t name_size = question.find('\0', 12) + 1 - 12;
      if (is_query && question[12] == 1 && question[13] == 'a') {  // a.test
        answer[7] = 1;
        answer +=
            question.substr(12, name_size) + "\0\6\0\1\0\0\0\1\0\x16\0\0"s + std::string(20, '\1');
      }
      return std::vector{framed(answer)};
    });
    Rfc2136Records::Options options;
    options.server = server.address();
    Rfc2136Records records(options, loop.uv(), loop.clock(), log);
    const auto result = loop.finish(records.publish("x.y.a.test", "v"));
    EXPECT_EQ(result.has_value(), authoritative);
    EXPECT_TRUE(result || result.error().message.find("not authoritative") != std::string::npos);
    EXPECT_EQ(server.questions.size(), 4u);  // x.y.a.test, y.a.test, a.test; update or test
  }
}

TEST_F(DnsExchangeTest, AddressesOfServers) {
  EXPECT_EQ(dns_server_address("192.0.2.1:53")->ss_family, AF_INET);
  EXPECT_EQ(dns_server_address("[2001:db8::1]:5353")->ss_family, AF_INET6);
  EXPECT_FALSE(dns_server_address("2001:db8::1:53"));
}

// As many pieces of nothing as there are turns.
TEST_F(DnsExchangeTest, ASilentServerIsLeftByDroppingTheTask) {
  ScriptedServer server(loop.uv(),
                        [](const std::string&) { return std::vector<std::string>(100'000, ""); });
  const sockaddr_storage address = *dns_server_address(server.address());
  for (int turns = 0; turns < 12; ++turns) {
    Task<std::string> task = dns_exchange(loop.uv(), address, "\0\1\x28"s);
    task.start();
    for (int i = 0; i < turns; ++i) loop.turn();
    EXPECT_FALSE(task.done());
  }
  loop.turn();
}

}  // namespace
}  // namespace latchkey::acme

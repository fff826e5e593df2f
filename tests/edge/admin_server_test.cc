#include "edge/admin_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <list>

#include "base/curl_http_client.h"
#include "edge/admin_api.h"
#include "tests/edge/fake_steering.h"
#include "tests/support/fd.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

// Bytes over a UNIX socket, without blocking: server and client share the loop's thread.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
  }
  void say(std::string_view bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void finish_writing() { ::shutdown(fd_.get(), SHUT_WR); }
  void hang_up() { fd_.reset(); }
  // Reads what is there.
  bool ended() {
    char buffer[4096];
    for (;;) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n > 0) {
        received.append(buffer, static_cast<size_t>(n));
      } else {
        return n == 0 || errno != EAGAIN;
      }
    }
  }
  bool has(std::string_view text) {
    ended();
    return received.find(text) != std::string::npos;
  }

  std::string received;

 private:
  test::Fd fd_;
};

class AdminServerTest : public testing::Test {
 protected:
  AdminServerTest() {
    auto opened = open(path);
    EXPECT_TRUE(opened) << opened.error().message;
    server = *std::move(opened);
  }
  Result<std::unique_ptr<AdminServer>> open(const std::string& at) {
    return AdminServer::open(
        at, loop,
        [this](AdminRequest request) { return answer_admin(steering, std::move(request)); }, log);
  }
  // Turns the loop until `holds()`.
  template <typename Condition>
  void until(Condition holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!holds()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "nothing happened for 20 s";
      uv_run(&loop.uv(), UV_RUN_NOWAIT);
    }
  }
  HttpReply call(std::string method, const std::string& target, std::string body = "") {
    HttpRequest request;
    request.method = std::move(method);
    request.url = "http://localhost" + target;
    request.body = std::move(body);
    Task<HttpReply> task = client->send(std::move(request));
    task.start();
    until([&] { return task.done(); });
    EXPECT_TRUE(task.outcome()) << task.outcome().error().message;
    return task.outcome() ? *std::move(task.outcome()) : HttpReply();
  }
  static std::string request(const std::string& method, const std::string& target) {
    return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
  }
  static CurlHttpClient::Options by_socket(const std::string& at) {
    CurlHttpClient::Options options;
    options.unix_socket = at;
    return options;
  }

  test::TempFolder folder;
  const std::string path = (folder / "run" / "admin.sock").string();
  Log log{STDERR_FILENO, Log::Format::kText, LogLevel::kError};
  Loop loop;
  FakeSteering steering;
  std::unique_ptr<AdminServer> server;
  std::optional<CurlHttpClient> client{std::in_place, loop.uv(), by_socket(path)};
};

TEST_F(AdminServerTest, AnswersInJson) {
  const HttpReply reply = call("GET", "/status");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, std::string(FakeSteering::kStatus) + "\n");
  EXPECT_EQ(reply.header("content-type"), "application/json");
  EXPECT_EQ(reply.header("cache-control"), "no-store");
}

TEST_F(AdminServerTest, TheQueryIsNoPartOfThePath) {
  EXPECT_EQ(call("GET", "/status?verbose=1").status, 200);
}

TEST_F(AdminServerTest, SaysWhichMethodsAndWhenToComeBack) {
  EXPECT_EQ(call("PUT", "/names/a.test").header("allow"), "GET, DELETE");
  steering.answers.insert_or_assign("obtain", Error{ErrorCode::kThrottled, "full", Millis(60'000)});
  const HttpReply reply = call("POST", "/names/a.test:obtain");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.header("retry-after"), "60");
}

TEST_F(AdminServerTest, NamesGoThroughPercentEncoding) {
  EXPECT_EQ(call("GET", "/names/%61.test").body, "{\"name\":\"a.test\"}\n");
}

TEST_F(AdminServerTest, AHandlerThatFailsIsAnsweredWith500) {
  const std::string other = (folder / "other.sock").string();
  auto failing = AdminServer::open(
      other, loop,
      [](AdminRequest) -> Task<AdminReply> {
        co_return Error{ErrorCode::kIo, "out of order"};
      },
      log);
  ASSERT_TRUE(failing);
  RawClient raw(other);
  raw.say(request("GET", "/"));
  until([&] { return raw.has("{\"error\":\"out of order\"}\n"); });
  EXPECT_TRUE(raw.received.starts_with("HTTP/1.1 500 "));
}

TEST_F(AdminServerTest, ABodyOfSixteenMebibytesIsTakenAndOneByteMoreIsNot) {
  std::string body = "\"a.test\"";
  body.insert(0, (16 << 20) - body.size(), ' ');
  EXPECT_EQ(call("POST", "/names", body).status, 200);
  EXPECT_EQ(steering.prefetch_names.size(), 1U);
  body.insert(0, 1, ' ');
  EXPECT_EQ(call("POST", "/names", body).status, 413);
}

TEST_F(AdminServerTest, AChunkedBodyIsBoundedToo) {
  RawClient raw(path);
  raw.say("POST /names HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "4000\r\n" + std::string(0x4000, ' ') + "\r\n";
  for (int i = 0; i < 1024; ++i) {
    raw.say(chunk);
    uv_run(&loop.uv(), UV_RUN_NOWAIT);
  }
  EXPECT_FALSE(raw.has("HTTP"));
  raw.say("1\r\n \r\n");
  until([&] { return raw.has("16777216 bytes"); });
  EXPECT_TRUE(raw.received.starts_with("HTTP/1.1 413 "));
}

TEST_F(AdminServerTest, AClientThatWaitsForA100GetsIt) {
  RawClient raw(path);
  raw.say("POST /names HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n");
  until([&] { return raw.has("HTTP/1.1 100 "); });
  raw.say("\"a.test\"");
  until([&] { return raw.has("\"taken\":1"); });
}

TEST_F(AdminServerTest, RequestsFollowOneAnotherOnOneConnection) {
  RawClient raw(path);
  raw.say(request("GET", "/names/a.test") + request("GET", "/names/b.test"));
  until([&] { return raw.has("b.test"); });
  EXPECT_NE(raw.received.find("a.test"), std::string::npos);
  EXPECT_FALSE(raw.ended());
}

TEST_F(AdminServerTest, AnyHostWillDoAndGarbageIsRefused) {
  RawClient any(path);
  any.say("GET /status HTTP/1.1\r\nHost: whatever.example\r\n\r\n");
  until([&] { return any.has("ready"); });
  RawClient garbage(path);
  garbage.say("what?\r\n\r\n");
  until([&] { return garbage.ended(); });
  EXPECT_TRUE(garbage.received.starts_with("HTTP/1.1 400 "));
}

TEST_F(AdminServerTest, ASlowAnswerIsWaitedFor) {
  steering.held_verb = "obtain";
  RawClient raw(path);
  raw.say(request("POST", "/names/a.test:obtain"));
  until([&] { return steering.under_way == 1; });
  EXPECT_EQ(call("GET", "/status").status, 200);  // others are answered meanwhile
  steering.release();
  until([&] { return raw.has("{\"name\":\"a.test\"}"); });
  EXPECT_EQ(steering.dropped, 0U);
}

TEST_F(AdminServerTest, AClientThatIsGoneEndsItsQuestionAtOnce) {
  steering.held_verb = "obtain";
  RawClient raw(path);
  raw.say(request("POST", "/names/a.test:obtain"));
  until([&] { return steering.under_way == 1; });
  const auto before = loop.clock().now();
  raw.hang_up();
  until([&] { return steering.under_way == 0; });
  EXPECT_EQ(steering.dropped, 1U);
  EXPECT_LT(loop.clock().now() - before, Millis(4000));
  EXPECT_EQ(call("GET", "/status").status, 200);
}

TEST_F(AdminServerTest, AClientThatHasSaidAllStillGetsItsAnswer) {
  steering.held_verb = "ask";
  RawClient raw(path);
  raw.say(request("POST", "/names/a.test:ask"));
  raw.finish_writing();
  until([&] { return steering.under_way == 1; });
  for (int i = 0; i < 10; ++i) uv_run(&loop.uv(), UV_RUN_NOWAIT);
  EXPECT_EQ(steering.under_way, 1U);
  steering.release();
  until([&] { return raw.ended(); });
  EXPECT_NE(raw.received.find("{\"name\":\"a.test\"}"), std::string::npos);
}

// It is not told from one that waits; what bounds it is how long any half-closed one may wait.
TEST_F(AdminServerTest, AClientThatHasSaidAllAndIsGoneHoldsItsPlaceForSecondsOnly) {
  steering.held_verb = "obtain";
  RawClient raw(path);
  raw.say(request("POST", "/names/a.test:obtain"));
  raw.finish_writing();
  until([&] { return steering.under_way == 1; });
  for (int i = 0; i < 10; ++i) uv_run(&loop.uv(), UV_RUN_NOWAIT);
  raw.hang_up();
  until([&] { return steering.under_way == 0; });
  EXPECT_EQ(steering.dropped, 1U);
}

TEST_F(AdminServerTest, TheServerMayGoWhileQuestionsAreOpen) {
  steering.held_verb = "obtain";
  RawClient busy(path), idle(path), halfway(path);
  busy.say(request("POST", "/names/a.test:obtain"));
  halfway.say("GET /sta");
  until([&] { return steering.under_way == 1; });
  server.reset();
  EXPECT_EQ(steering.dropped, 1U);
  EXPECT_TRUE(busy.ended() && idle.ended() && halfway.ended());
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST_F(AdminServerTest, ItMayGoBetweenTheOutcomeAndTheAnswer) {
  steering.held_verb = "obtain";
  RawClient raw(path);
  raw.say(request("POST", "/names/a.test:obtain"));
  until([&] { return steering.under_way == 1; });
  steering.release();
  server.reset();
  EXPECT_TRUE(raw.ended());
  EXPECT_EQ(raw.received, "");
}

TEST_F(AdminServerTest, SixtyFourConnectionsAndNoMore) {
  std::list<RawClient> clients;
  for (int i = 0; i < 64; ++i) clients.emplace_back(path);
  clients.back().say(request("GET", "/status"));
  until([&] { return clients.back().has("ready"); });
  RawClient late(path);
  until([&] { return late.ended(); });
  EXPECT_EQ(late.received, "");
  clients.pop_front();
  for (int i = 0; i < 3; ++i) uv_run(&loop.uv(), UV_RUN_NOWAIT);
  RawClient next(path);
  next.say(request("GET", "/status"));
  until([&] { return next.has("ready"); });
}

}  // namespace
}  // namespace latchkey::edge

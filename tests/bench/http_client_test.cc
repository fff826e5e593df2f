#include "bench/load/http_client.h"

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <memory>
#include <vector>

namespace latchkey::bench {
namespace {

// The other end of the socket, and who asks.
struct Wire : HttpClient::Events {
  struct Got {
    uint32_t request;
    int status;
    uint64_t body;
    std::string failure;
    bool operator==(const Got&) const = default;
  };

  void send(std::string_view bytes) override {
    sent += bytes;
    ++sends;
  }
  void on_first_byte(uint32_t request) override { first_bytes.push_back(request); }
  void on_answer(uint32_t request, const HttpClient::Answer& answer) override {
    got.push_back({request, answer.status, answer.body, std::string(answer.failure)});
    if (again > 0) {
      --again;
      client->request(request);
    }
  }

  std::string take_sent() { return std::exchange(sent, {}); }

  HttpClient* client = nullptr;
  std::string sent;
  int sends = 0;
  int again = 0;  // answers that are followed by another request at once
  std::vector<uint32_t> first_bytes;
  std::vector<Got> got;
};

class Http1ClientTest : public testing::Test {
 protected:
  HttpClient& client() {
    if (made == nullptr) {
      made = HttpClient::make(request, wire);
      wire.client = made.get();
      made->begin("a.test");
    }
    return *made;
  }
  void ask() {
    client().request(0);
    client().flush();
  }

  HttpRequest request;
  Wire wire;
  std::unique_ptr<HttpClient> made;
};

TEST_F(Http1ClientTest, AsksForThePathAtTheName) {
  request.path = "/1024";
  ask();
  EXPECT_EQ(wire.sent, "GET /1024 HTTP/1.1\r\nHost: a.test\r\n\r\n");
  wire.take_sent();
  client().begin("b.test");
  ask();
  EXPECT_EQ(wire.sent, "GET /1024 HTTP/1.1\r\nHost: b.test\r\n\r\n");
}

TEST_F(Http1ClientTest, SendsABodyAndSaysThatItIsTheOnlyRequest) {
  request.body = 3;
  request.close = true;
  ask();
  EXPECT_EQ(wire.sent,
            "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbbb");
  EXPECT_TRUE(client().take("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_FALSE(client().open());
}

TEST_F(Http1ClientTest, CountsTheBodyWhereverItIsSplit) {
  const std::string answers[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
      "5\r\n\r\nabcde"};
  for (const std::string& answer : answers) {
    for (size_t split = 1; split < answer.size(); ++split) {
      wire.got.clear();
      wire.first_bytes.clear();
      ask();
      ASSERT_TRUE(client().take(answer.substr(0, split)));
      EXPECT_EQ(wire.got.size(), 0u);
      ASSERT_TRUE(client().take(answer.substr(split))) << client().failure();
      EXPECT_EQ(wire.got, (std::vector<Wire::Got>{{0, 200, 5, ""}}));
      EXPECT_EQ(wire.first_bytes.size(), 1u);
      EXPECT_TRUE(client().open());
    }
  }
}

TEST_F(Http1ClientTest, SendsTheNextRequestFromWithinAnAnswer) {
  wire.again = 1;
  ask();
  const std::string first = wire.take_sent();
  ASSERT_TRUE(client().take("HTTP/1.1 204 No Content\r\n\r\n"));
  EXPECT_EQ(wire.sent, first);
  ASSERT_TRUE(client().take("HTTP/1.1 204 No Content\r\n\r\n"));
  EXPECT_EQ(wire.got.size(), 2u);
}

TEST_F(Http1ClientTest, AnAnswerMayEndWithTheConnection) {
  ask();
  ASSERT_TRUE(client().take("HTTP/1.1 200 OK\r\n\r\nabc"));
  EXPECT_EQ(wire.got.size(), 0u);
  client().ended();
  EXPECT_EQ(wire.got, (std::vector<Wire::Got>{{0, 200, 3, ""}}));
  EXPECT_FALSE(client().open());
}

TEST_F(Http1ClientTest, AnAnswerThatIsCutOffIsNone) {
  ask();
  ASSERT_TRUE(client().take("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"));
  client().ended();
  EXPECT_EQ(wire.got.size(), 0u);
}

TEST_F(Http1ClientTest, SeesThatTheServerEndsTheConnection) {
  ask();
  ASSERT_TRUE(client().take("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_FALSE(client().open());
}

TEST_F(Http1ClientTest, RefusesWhatIsNoAnswerToAnything) {
  EXPECT_FALSE(client().take("HTTP/1.1 200 OK\r\n\r\n"));
  EXPECT_EQ(client().failure(), "bytes without a request");

  made.reset();
  ask();
  EXPECT_FALSE(client().take("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"));
  EXPECT_EQ(client().failure(), "bytes without a request");

  made.reset();
  ask();
  EXPECT_FALSE(client().take("SSH-2.0-x\r\n"));
  EXPECT_EQ(client().failure(), "HTTP/1.1 INVALID_CONSTANT");
}

// nghttp2's server, which answers every request with `body` bytes.
class Http2Server {
 public:
  explicit Http2Server(size_t body, uint32_t max_streams = 100) : body_(body) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, uint8_t, int32_t, const uint8_t*, size_t size, void* user) {
          static_cast<Http2Server*>(user)->received += size;
          return 0;
        });
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry streams{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams};
    nghttp2_submit_settings(session_, 0, &streams, 1);
  }
  ~Http2Server() { nghttp2_session_del(session_); }

  std::string exchange(std::string_view bytes) {
    EXPECT_EQ(nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()),
                                       bytes.size()),
              static_cast<ssize_t>(bytes.size()));
    std::string out;
    for (const uint8_t* at = nullptr;;) {
      const ssize_t n = nghttp2_session_mem_send(session_, &at);
      if (n <= 0) return out;
      out.append(reinterpret_cast<const char*>(at), static_cast<size_t>(n));
    }
  }
  void say_goodbye() { nghttp2_submit_goaway(session_, 0, 1, NGHTTP2_NO_ERROR, nullptr, 0); }

  std::vector<std::string> fields;
  size_t received = 0;
  bool refuses = false;

 private:
  static int on_header(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user) {
    static_cast<Http2Server*>(user)->fields.push_back(
        std::string(reinterpret_cast<const char*>(name), size) + "=" +
        std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    auto& self = *static_cast<Http2Server*>(user);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    const int32_t id = frame->hd.stream_id;
    if (self.refuses) {
      return nghttp2_submit_rst_stream(session, 0, id, NGHTTP2_REFUSED_STREAM);
    }
    char name[] = ":status", value[] = "200";
    const nghttp2_nv status{reinterpret_cast<uint8_t*>(name), reinterpret_cast<uint8_t*>(value), 7,
                            3, 0};
    nghttp2_data_provider data{};
    data.source.ptr = reinterpret_cast<void*>(self.body_);
    data.read_callback = [](nghttp2_session* s, int32_t stream, uint8_t* into, size_t room,
                            uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
      const auto left = reinterpret_cast<size_t>(source->ptr);
      const size_t n = std::min(room, left);
      std::fill_n(into, n, 'x');
      source->ptr = reinterpret_cast<void*>(left - n);
      if (n == left) *flags |= NGHTTP2_DATA_FLAG_EOF;
      static_cast<void>(s), static_cast<void>(stream);
      return static_cast<ssize_t>(n);
    };
    return nghttp2_submit_response(session, id, &status, 1, &data);
  }

  nghttp2_session* session_ = nullptr;
  size_t body_;
};

class Http2ClientTest : public testing::Test {
 protected:
  Http2ClientTest() {
    request.version = HttpRequest::Version::kHttp2;
    request.streams = 4;
  }
  HttpClient& client() {
    if (made == nullptr) {
      made = HttpClient::make(request, wire);
      wire.client = made.get();
      made->begin("a.test");
    }
    return *made;
  }
  void ask(uint32_t streams) {
    for (uint32_t i = 0; i < streams; ++i) client().request(i);
    client().flush();
  }
  // Until both are silent.
  void talk(Http2Server& server) {
    while (!wire.sent.empty()) {
      const std::string answer = server.exchange(wire.take_sent());
      if (!answer.empty()) {
        ASSERT_TRUE(client().take(answer)) << client().failure();
      }
    }
  }

  HttpRequest request;
  Wire wire;
  std::unique_ptr<HttpClient> made;
};

TEST_F(Http2ClientTest, RequestsOfOneEventLeaveTogether) {
  Http2Server server(1024);
  ask(4);
  EXPECT_EQ(wire.sends, 1);
  talk(server);
  EXPECT_EQ(wire.got,
            (std::vector<Wire::Got>{
                {0, 200, 1024, ""}, {1, 200, 1024, ""}, {2, 200, 1024, ""}, {3, 200, 1024, ""}}));
  EXPECT_EQ(wire.first_bytes, (std::vector<uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(server.fields.size(), 16u);
  EXPECT_EQ(server.fields[0], ":method=GET");
  EXPECT_EQ(server.fields[2], ":authority=a.test");
}

TEST_F(Http2ClientTest, ItsWindowsAreNeverTheLimit) {
  Http2Server server(9'000'000);
  ask(4);
  // A single exchange: nothing waits for a WINDOW_UPDATE that follows data.
  std::string answer = server.exchange(wire.take_sent());
  ASSERT_TRUE(client().take(answer));
  EXPECT_EQ(wire.got.size(), 4u);
  EXPECT_EQ(wire.got[3].body, 9'000'000u);
}

TEST_F(Http2ClientTest, AnswersCanBeSplitAnywhere) {
  Http2Server server(50);
  ask(2);
  const std::string answer = server.exchange(wire.take_sent());
  for (const char byte : answer) ASSERT_TRUE(client().take({&byte, 1}));
  EXPECT_EQ(wire.got, (std::vector<Wire::Got>{{0, 200, 50, ""}, {1, 200, 50, ""}}));
}

TEST_F(Http2ClientTest, SendsTheNextRequestsFromWithinAnswers) {
  Http2Server server(10);
  wire.again = 1000;
  ask(4);
  talk(server);
  EXPECT_EQ(wire.got.size(), 1004u);
}

TEST_F(Http2ClientTest, WaitsWhereTheServerAllowsFewerStreams) {
  Http2Server server(10, 1);
  ask(1);
  talk(server);
  ask(4);
  talk(server);
  EXPECT_EQ(wire.got.size(), 5u);
}

TEST_F(Http2ClientTest, SendsBodies) {
  request.body = 30'000;
  Http2Server server(0);
  ask(2);
  talk(server);
  EXPECT_EQ(wire.got.size(), 2u);
  EXPECT_EQ(server.received, 60'000u);
  EXPECT_EQ(server.fields[0], ":method=POST");
  EXPECT_EQ(server.fields[4], "content-length=30000");
}

TEST_F(Http2ClientTest, TellsOfRefusedStreamsAndOfGoodbyes) {
  Http2Server server(0);
  server.refuses = true;
  ask(1);
  talk(server);
  EXPECT_EQ(wire.got, (std::vector<Wire::Got>{{0, 0, 0, "stream REFUSED_STREAM"}}));
  EXPECT_TRUE(client().open());
  server.say_goodbye();
  ASSERT_TRUE(client().take(server.exchange("")));
  EXPECT_FALSE(client().open());
}

TEST_F(Http2ClientTest, RefusesWhatIsNoHttp2) {
  ask(1);
  EXPECT_FALSE(client().take("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
  EXPECT_EQ(client().failure(), "HTTP/2 protocol error");
}

TEST(JudgeTest, NamesWhatIsWrongWithAnAnswer) {
  HttpRequest request;
  const auto judged = [&](int status, uint64_t body, std::string_view failure = {}) {
    HttpClient::Answer answer;
    answer.status = status;
    answer.body = body;
    answer.failure = failure;
    return judge(request, answer);
  };
  EXPECT_EQ(judged(200, 7), "");
  EXPECT_EQ(judged(204, 0), "");
  EXPECT_EQ(judged(502, 7), "status 502");
  EXPECT_EQ(judged(301, 7), "status 301");
  EXPECT_EQ(judged(0, 0, "stream CANCEL"), "stream CANCEL");
  request.answer_bytes = 8;
  EXPECT_EQ(judged(200, 7), "answer of 7 bytes");
  EXPECT_EQ(judged(200, 8), "");
}

}  // namespace
}  // namespace latchkey::bench

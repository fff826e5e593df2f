#include "edge/admin_server.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <list>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "edge/admin_socket.h"
#include "edge/http/http1_session.h"
#include "edge/listener.h"
#include "edge/plain_socket.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxConnections = 64;  // each holds a body of kMaxBody at most
constexpr size_t kMaxBody = 16 << 20;

AdminReply error_reply(int status, std::string_view why) {
  AdminReply reply;
  reply.status = status;
  reply.json = JsonObject().text("error", why).str();
  return reply;
}

// A PlainSocket that tells a client that is gone from one that has only said all it wants to: the
// latter waits for its answer.
class AdminStream final : public Transport {
 public:
  AdminStream(uv_loop_t& loop, int fd) : fd_(fd), socket_(loop, fd) {}

  void set_events(Events* events) override { socket_.set_events(events); }
  void want(bool read, bool write) override { socket_.want(read, write); }
  Moved read(std::span<char> into) override {
    const Moved moved = socket_.read(into);
    if (moved.io != Io::kEnd) return moved;
    pollfd state{fd_, 0, 0};
    const bool gone = ::poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) != 0;
    return gone ? Moved{Io::kError, 0} : moved;
  }
  Moved write(std::string_view bytes) override { return socket_.write(bytes); }
  void finish_writing() override { socket_.finish_writing(); }
  size_t unsent() const override { return socket_.unsent(); }
  std::string error() const override { return socket_.error(); }

 private:
  const int fd_;  // socket_'s
  PlainSocket socket_;
};

// Collects the request, runs the handler, answers.
class AdminExchange final : public Exchange {
 public:
  AdminExchange(RequestHead head, ResponseStream& stream, Clock& clock, const AdminHandler& handler)
      : head_(std::move(head)), stream_(stream), clock_(clock), handler_(handler) {}

  void start() override {
    if (head_.body.kind == Body::Kind::kLength && head_.body.length > kMaxBody) return too_long();
    if (!head_.expect_continue) return;
    ResponseHead go_on;
    go_on.status = 100;
    stream_.send_interim(go_on);
    stream_.flush();
  }

  void on_body(std::string_view bytes) override {
    if (answered_) return;
    if (body_.size() + bytes.size() > kMaxBody) return too_long();
    body_ += bytes;
  }

  void on_request_end(const HeaderList&) override {
    if (answered_) return;
    AdminRequest request;
    request.method = std::move(head_.method);
    const size_t question = head_.target.find('?');
    request.path = head_.target.substr(0, question);
    if (question != std::string::npos) request.query = head_.target.substr(question + 1);
    request.body = std::move(body_);
    task_ = run(*this, handler_(std::move(request)));
    task_.start();
  }

  void on_writable() override {}

 private:
  // The task ends before the answer goes out: that may destroy us, and the task with us.
  static Task<> run(AdminExchange& self, Task<AdminReply> work) {
    Result<AdminReply> outcome = co_await std::move(work).result();
    self.reply_ = outcome ? *std::move(outcome) : error_reply(500, outcome.error().message);
    self.soon_ = self.clock_.after(Millis(0), [&self] { self.answer(self.reply_); });
    co_return Unit{};
  }

  void too_long() {
    std::string().swap(body_);
    answer(error_reply(
        413, "the body is longer than the " + std::to_string(kMaxBody) + " bytes it may have"));
  }

  void answer(const AdminReply& reply) {
    answered_ = true;
    ResponseHead head;
    head.status = reply.status;
    head.headers.add("content-type", "application/json");
    head.headers.add("cache-control", "no-store");
    if (!reply.allow.empty()) head.headers.add("allow", reply.allow);
    if (reply.retry_after > 0) {
      head.headers.add("retry-after", std::to_string(reply.retry_after));
    }
    const std::string text = reply.json + "\n";
    head.body = {Body::Kind::kLength, text.size()};
    stream_.send_head(head);
    stream_.send_body(text);
    stream_.finish();
  }

  RequestHead head_;
  ResponseStream& stream_;
  Clock& clock_;
  const AdminHandler& handler_;
  std::string body_;  // <= kMaxBody
  bool answered_ = false;
  AdminReply reply_;
  Task<> task_;
  Alarm soon_;
};

}  // namespace

struct AdminServer::Impl {
  class Connection {
   public:
    Connection(Impl& impl, int fd)
        : stream_(impl.loop.uv(), fd), session_(stream_, impl.http, {}, [this, &impl] {
            impl.connections.erase(place);  // the end of this
          }) {}
    Connection(const Connection&) = delete;

    void drain() { session_.drain(); }  // may destroy it

    std::list<std::unique_ptr<Connection>>::iterator place;  // in the server's list

   private:
    AdminStream stream_;
    Http1Session session_;
  };

  Impl(AdminSocket opened, Loop& on, AdminHandler answer, Log& to_log)
      : socket(std::move(opened)),
        loop(on),
        handler(std::move(answer)),
        http{loop.clock(),
             [this](RequestHead head, ResponseStream& stream) {
               return std::make_unique<AdminExchange>(std::move(head), stream, loop.clock(),
                                                      handler);
             }},
        log_(to_log) {}

  Result<> listen() {
    if (!socket) return Unit{};
    const int fd = socket->duplicate();
    if (fd < 0) return Error{ErrorCode::kIo, "admin socket: " + errno_text(errno)};
    Listener::Callbacks callbacks{[] { return true; },
                                  [this](int client, const std::string&) { accept(client); }};
    listener.emplace(loop.uv(), loop.clock(), log_, fd, std::move(callbacks));
    return Unit{};
  }

  void accept(int fd) {
    if (connections.size() >= kMaxConnections) {
      ::close(fd);
      return;
    }
    const auto place = connections.insert(connections.end(), nullptr);
    *place = std::make_unique<Connection>(*this, fd);
    (*place)->place = place;
  }

  std::optional<AdminSocket> socket;  // its file goes last
  Loop& loop;
  const AdminHandler handler;
  const SessionContext http;
  std::list<std::unique_ptr<Connection>> connections;  // <= kMaxConnections
  Log& log_;
  std::optional<Listener> listener;  // null: paused
};

Result<std::unique_ptr<AdminServer>> AdminServer::open(const std::string& path, Loop& loop,
                                                       AdminHandler handler, Log& log) {
  auto socket = AdminSocket::open(path);
  if (!socket) return std::move(socket).error();
  return adopt(*std::move(socket), loop, std::move(handler), log);
}

Result<std::unique_ptr<AdminServer>> AdminServer::adopt(AdminSocket socket, Loop& loop,
                                                        AdminHandler handler, Log& log) {
  auto impl = std::make_unique<Impl>(std::move(socket), loop, std::move(handler), log);
  if (auto listens = impl->listen(); !listens) return listens.error();
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

void AdminServer::pause() {
  impl_->listener.reset();
}

void AdminServer::resume() {
  static_cast<void>(impl_->listen());  // out of descriptors: then it stays as it is
}

void AdminServer::drain() {
  auto& all = impl_->connections;
  for (auto next = all.begin(); next != all.end();) (*next++)->drain();
}

void AdminServer::close() {
  impl_->listener.reset();
  impl_->socket.reset();
}

AdminSocket* AdminServer::socket() {
  return impl_->socket ? &*impl_->socket : nullptr;
}

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

AdminServer::~AdminServer() = default;

}  // namespace latchkey::edge

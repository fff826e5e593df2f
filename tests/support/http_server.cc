#include "tests/support/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/check.h"
#include "base/text.h"

namespace latchkey::test {
namespace {

using Time = std::chrono::steady_clock::time_point;

constexpr uint64_t kListener = ~0ull;
constexpr uint64_t kWake = kListener - 1;
constexpr size_t kSeen = 1000;
constexpr size_t kEndlessPart = 65536;

Request parse_head(std::string_view head) {
  Request request;
  request.head = head;
  size_t end = head.find("\r\n");
  const std::string_view line = head.substr(0, end);
  const size_t first = line.find(' ');
  const size_t second = line.find(' ', first + 1);
  request.method = line.substr(0, first);
  request.target = line.substr(first + 1, second - first - 1);
  const size_t mark = request.target.find('?');
  request.path = request.target.substr(0, mark);
  if (mark != std::string::npos) request.query = request.target.substr(mark + 1);
  while (end != std::string_view::npos) {
    const size_t start = end + 2;
    end = head.find("\r\n", start);
    const std::string_view field = head.substr(start, end - start);
    const size_t colon = field.find(':');
    if (colon == std::string_view::npos) continue;
    const size_t value = std::min(field.find_first_not_of(" \t", colon + 1), field.size());
    request.headers.emplace_back(lower(field.substr(0, colon)), field.substr(value));
  }
  return request;
}

// Takes a whole chunked body off `bytes` from `start` on; null while it is not whole.
struct Chunked {
  std::string body;
  size_t end;
};
std::optional<Chunked> take_chunks(std::string_view bytes, size_t start) {
  Chunked result{"", start};
  for (;;) {
    const size_t line = bytes.find("\r\n", result.end);
    if (line == std::string_view::npos) return std::nullopt;
    const size_t size = std::strtoul(bytes.data() + result.end, nullptr, 16);
    result.end = line + 2;
    if (size == 0) {  // trailers, then an empty line
      for (;;) {
        const size_t trailer = bytes.find("\r\n", result.end);
        if (trailer == std::string_view::npos) return std::nullopt;
        const bool last = trailer == result.end;
        result.end = trailer + 2;
        if (last) return result;
      }
    }
    if (bytes.size() < result.end + size + 2) return std::nullopt;
    result.body.append(bytes.substr(result.end, size));
    result.end += size + 2;
  }
}

std::string render(const Response& response, bool to_head) {
  if (!response.raw.empty()) return response.raw;
  std::string out;
  for (const int status : response.informational) {
    out += "HTTP/1.1 " + std::to_string(status) + " Early\r\nLink: </style.css>\r\n\r\n";
  }
  out += "HTTP/1.1 " + std::to_string(response.status) + " Status\r\n";
  for (const auto& [name, value] : response.headers) out += name + ": " + value + "\r\n";
  if (response.close) out += "Connection: close\r\n";
  const bool bodyless = response.status == 101 || response.status == 204 || response.status == 304;
  if (response.chunked) {
    out += "Transfer-Encoding: chunked\r\n\r\n";
    if (to_head) return out;
    constexpr size_t kChunk = 10'000;
    for (size_t at = 0; at < response.body.size(); at += kChunk) {
      const std::string part = response.body.substr(at, kChunk);
      char size[32];
      std::snprintf(size, sizeof size, "%zx\r\n", part.size());
      out += size + part + "\r\n";
    }
    return out + "0\r\n\r\n";
  }
  if (!bodyless && !response.endless) {
    out += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  }
  out += "\r\n";
  if (!to_head) out += response.body;
  return out;
}

}  // namespace

std::string Request::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return "";
}

std::string Request::parameter(std::string_view name) const {
  for (size_t start = 0; start <= query.size();) {
    const size_t end = std::min(query.find('&', start), query.size());
    const std::string_view pair = std::string_view(query).substr(start, end - start);
    const size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) == name)
      return std::string(pair.substr(std::min(equals + 1, pair.size())));
    start = end + 1;
  }
  return "";
}

struct HttpServer::Connection {
  uint64_t number = 0;
  Fd fd;
  std::string in, out;
  size_t sent = 0;         // of `out`
  bool busy = false;       // a request is being answered
  bool continued = false;  // "100 Continue" was sent for the request being read
  bool input_ended = false;
  Response response{};        // being sent, or due
  std::optional<Time> due{};  // when `response` is to start
  bool to_head = false;
};

HttpServer::HttpServer(Handle handle, uint16_t port)
    : listener_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      handle_(std::move(handle)) {
  const int on = 1;
  setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (port != 0) setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  CHECK(bind(listener_.get(), generic, size) == 0);
  CHECK(listen(listener_.get(), 4096) == 0);
  CHECK(getsockname(listener_.get(), generic, &size) == 0);
  port_ = ntohs(address.sin_port);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kListener;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event);
  event.data.u64 = kWake;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
  thread_ = std::thread([this] { run(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  const uint64_t one = 1;
  CHECK(::write(wake_.get(), &one, sizeof one) == sizeof one);
  thread_.join();
}

std::string HttpServer::url(std::string_view path) const {
  return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
}

size_t HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  size_t sum = 0;
  for (const auto& [path, count] : paths_) sum += count;
  return sum;
}

size_t HttpServer::requests(std::string_view path) const {
  const std::lock_guard lock(mutex_);
  const auto found = paths_.find(std::string(path));
  return found == paths_.end() ? 0 : found->second;
}

std::vector<Request> HttpServer::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void HttpServer::replace_handler(Handle handle) {
  const std::lock_guard lock(mutex_);
  handle_ = std::move(handle);
}

void HttpServer::run() {
  std::vector<epoll_event> events(256);
  while (!stopping_) {
    int wait = -1;
    for (const auto& [number, connection] : open_) {
      if (!connection.due) continue;
      const auto left = *connection.due - std::chrono::steady_clock::now();
      const auto millis = std::chrono::ceil<std::chrono::milliseconds>(left).count();
      const int rounded = static_cast<int>(std::max<int64_t>(0, millis));
      wait = wait < 0 ? rounded : std::min(wait, rounded);
    }
    const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait);
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == kListener) accept_all();
      const auto found = open_.find(event.data.u64);
      if (found != open_.end()) on_event(found->second, event.events);
    }
    start_due();
  }
}

void HttpServer::accept_all() {
  for (;;) {
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const uint64_t number = ++accepted_;
    Connection& connection = open_[number];
    connection.number = number;
    connection.fd = std::move(fd);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = number;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection.fd.get(), &event);
  }
}

void HttpServer::on_event(Connection& connection, uint32_t events) {
  const uint64_t number = connection.number;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return drop(connection);
  if ((events & EPOLLIN) != 0) read_from(connection);
  const auto found = open_.find(number);
  if (found != open_.end() && (events & EPOLLOUT) != 0) write_to(found->second);
}

void HttpServer::read_from(Connection& connection) {
  std::string buffer(65536, '\0');
  const ssize_t n = recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
  if (n < 0) return errno == EAGAIN ? void() : drop(connection);
  if (n == 0) {
    connection.input_ended = true;
    if (!connection.busy) return drop(connection);
    return watch(connection);  // answers who closed only his side
  }
  received_ += static_cast<uint64_t>(n);
  buffer.resize(static_cast<size_t>(n));
  if (connection.busy && connection.response.echo) {
    connection.out += buffer;
    return write_to(connection);
  }
  connection.in += buffer;
  if (!connection.busy) parse(connection);
}

void HttpServer::parse(Connection& connection) {
  const size_t end = connection.in.find("\r\n\r\n");
  if (end == std::string::npos) return;
  Request request = parse_head(std::string_view(connection.in).substr(0, end));
  size_t taken = end + 4;
  const bool chunked = lower(request.header("transfer-encoding")) == "chunked";
  const std::string length = request.header("content-length");
  if (!connection.continued && lower(request.header("expect")) == "100-continue") {
    connection.continued = true;
    connection.out += "HTTP/1.1 100 Continue\r\n\r\n";
    const ssize_t n =
        send(connection.fd.get(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    CHECK(n == static_cast<ssize_t>(connection.out.size()));
    connection.out.clear();
  }
  if (chunked) {
    auto body = take_chunks(connection.in, taken);
    if (!body) return;
    request.body = std::move(body->body);
    taken = body->end;
  } else if (!length.empty()) {
    const size_t size = std::strtoul(length.c_str(), nullptr, 10);
    if (connection.in.size() < taken + size) return;
    request.body = connection.in.substr(taken, size);
    taken += size;
  }
  connection.in.erase(0, taken);
  connection.continued = false;
  request.connection = connection.number;
  answer(connection, std::move(request));
}

void HttpServer::answer(Connection& connection, Request request) {
  Handle handle;
  {
    const std::lock_guard lock(mutex_);
    ++paths_[request.path];
    if (seen_.size() < kSeen) seen_.push_back(request);
    handle = handle_;
  }
  connection.busy = true;
  most_busy_ = std::max(most_busy_.load(), ++busy_);
  connection.to_head = request.method == "HEAD";
  connection.response = handle(request);
  if (connection.response.reset) return drop(connection, true);
  if (connection.response.hang) return watch(connection);
  connection.due = std::chrono::steady_clock::now() + connection.response.delay;
}

void HttpServer::start_due() {
  std::vector<uint64_t> due;
  const Time now = std::chrono::steady_clock::now();
  for (const auto& [number, connection] : open_) {
    if (connection.due && *connection.due <= now) due.push_back(number);
  }
  for (const uint64_t number : due) {
    Connection& connection = open_.at(number);
    connection.due.reset();
    connection.out = render(connection.response, connection.to_head);
    if (connection.out.size() > connection.response.cut_after) {
      connection.out.resize(connection.response.cut_after);
      connection.response.close = true;
    }
    if (connection.response.echo) connection.out += std::exchange(connection.in, "");
    write_to(connection);
  }
}

void HttpServer::write_to(Connection& connection) {
  for (;;) {
    if (connection.sent == connection.out.size()) {
      connection.out.clear();
      connection.sent = 0;
      if (!connection.response.endless || !connection.busy) break;
      connection.out.assign(kEndlessPart, 'x');
    }
    const ssize_t n = send(connection.fd.get(), connection.out.data() + connection.sent,
                           connection.out.size() - connection.sent, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? watch(connection) : drop(connection);
    connection.sent += static_cast<size_t>(n);
  }
  if (connection.response.echo && !connection.input_ended) return watch(connection);
  if (connection.response.close || connection.response.echo || connection.input_ended ||
      !connection.response.raw.empty()) {
    return drop(connection);
  }
  connection.busy = false;
  --busy_;
  watch(connection);
  parse(connection);  // the next one may be there already
}

void HttpServer::watch(Connection& connection) {
  epoll_event event{};
  event.data.u64 = connection.number;
  if (!connection.input_ended) event.events |= EPOLLIN;
  if (connection.sent < connection.out.size()) event.events |= EPOLLOUT;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd.get(), &event);
}

void HttpServer::drop(Connection& connection, bool reset) {
  if (reset) {
    const linger now{1, 0};
    setsockopt(connection.fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  if (connection.busy) --busy_;
  open_.erase(connection.number);
}

}  // namespace latchkey::test

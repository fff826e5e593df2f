#include "edge/admin_client.h"

#include <cerrno>
#include <csignal>
#include <optional>

#include "base/curl_http_client.h"
#include "base/file.h"
#include "base/loop.h"
#include "edge/admin_socket.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxReply = 4 << 20;

// Stops the loop when it is over, so that one loop can wait for it.
Task<HttpReply> send_and_stop(Loop& loop, HttpClient& client, HttpRequest request) {
  Result<HttpReply> reply = co_await client.send(std::move(request)).result();
  loop.stop();
  co_return reply;
}

// curl says no more than that it could not connect.
Error unreachable(const std::string& socket, int why) {
  std::string text = "no latchkey answers at " + socket;
  if (why == EACCES || why == EPERM) {
    text += ": " + errno_text(why) + "; run this as root, or as the user that latchkey runs as";
  } else {
    text += ": is it running? (--socket, --config)";
  }
  return Error{ErrorCode::kIo, text};
}

}  // namespace

Result<HttpReply> call_admin(const std::string& socket, const std::string& method,
                             const std::string& path, Millis limit, std::string body) {
  if (const std::string bad = bad_socket_path(socket); !bad.empty()) {
    return Error{ErrorCode::kInvalid, "admin socket " + socket + ": " + bad};
  }
  if (const int why = knock(socket); why != 0 && why != EAGAIN) return unreachable(socket, why);
  std::signal(SIGPIPE, SIG_IGN);

  Loop loop;
  CurlHttpClient::Options options;
  options.unix_socket = socket;
  CurlHttpClient client(loop.uv(), options);
  HttpRequest request;
  request.method = method;
  request.url = "http://localhost" + path;
  request.timeout = limit;
  if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  request.max_body = kMaxReply;
  Task<HttpReply> task = send_and_stop(loop, client, std::move(request));
  task.start();
  while (!task.done()) loop.run();
  return std::move(task.outcome());
}

std::string percent_encode(std::string_view name) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace latchkey::edge

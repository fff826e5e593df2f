#include "base/curl_http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/check.h"
#include "base/link.h"
#include "base/pending.h"
#include "base/text.h"
#include "base/uv.h"

namespace latchkey {
namespace {

constexpr size_t kMaxHeaderBytes = 64 << 10;  // of one exchange, interim replies and trailers too
constexpr size_t kMaxShownUrl = 300;          // bytes of a URL in a message
constexpr long kMaxIdleConnections = 64;      // kept open, in all

struct CurlFree {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  void operator()(char* text) const { curl_free(text); }
};
struct CurlMultiFree {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, CurlFree> owned(text);
  return text;
}

// 127.0.0.0/8, [::1] and localhost, as curl spells a parsed host (127.1 is 127.0.0.1 by then).
bool is_loopback(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  if (host.starts_with('[') && host.ends_with(']')) {
    in6_addr v6{};
    const std::string literal = host.substr(1, host.size() - 2);
    return inet_pton(AF_INET6, literal.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
  }
  return same_text(host, "localhost");
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < '\x7f' && std::strchr("\"(),/:;<=>?@[\\]{}", c) == nullptr;
  });
}

bool is_field_value(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos;
}

// A URL that was parsed once: curl asks what we checked.
struct Target {
  std::unique_ptr<CURLU, CurlFree> url;
  std::string shown;  // without user, password, query and fragment
  bool https = false;
  bool loopback = false;
};

Result<Target> parse_target(const HttpRequest& request) {
  const auto invalid = [](const std::string& shown, const std::string& why) {
    return Error{ErrorCode::kInvalid, shown + ": " + why};
  };
  Target target{std::unique_ptr<CURLU, CurlFree>(curl_url()), {}, false, false};
  CHECK(target.url != nullptr);
  const CURLUcode rc = curl_url_set(target.url.get(), CURLUPART_URL, request.url.c_str(), 0);
  if (rc != CURLUE_OK || request.url.find('\0') != std::string::npos) {
    // What may hold a secret is not shown.
    const bool plain = request.url.find('@') == std::string::npos;
    const std::string shown = request.url.substr(0, request.url.find_first_of("?#")).substr(0, 80);
    return invalid(plain ? "\"" + shown + "\"" : "URL",
                   "not a URL (" + std::string(curl_url_strerror(rc)) +
                       "); expected http:// or https://, a host and a path");
  }
  const std::string scheme = part_of(target.url.get(), CURLUPART_SCHEME);
  const std::string host = part_of(target.url.get(), CURLUPART_HOST);
  const std::string port = part_of(target.url.get(), CURLUPART_PORT);
  target.shown = scheme + "://" + host + (port.empty() ? "" : ":" + port) +
                 part_of(target.url.get(), CURLUPART_PATH);
  if (target.shown.size() > kMaxShownUrl) {
    target.shown = target.shown.substr(0, kMaxShownUrl) + "...";
  }
  target.https = scheme == "https";
  target.loopback = is_loopback(host);
  if (!target.https && scheme != "http") {
    return invalid(target.shown, "expected http:// or https://");
  }
  if (!target.https && !target.loopback && request.http_on_loopback_only) {
    return invalid(target.shown, "http:// is accepted for loopback addresses only: use https://");
  }
  if (!is_token(request.method)) return invalid(target.shown, "the method is not a token");
  for (const auto& [name, value] : request.headers) {
    if (!is_token(name) || !is_field_value(value)) {
      return invalid(target.shown, "a request header with forbidden bytes");
    }
  }
  return target;
}

// Which of our codes a failure of curl's is, and what people can do about it.
Error explain(CURLcode code, const char* detail, const std::string& ca_file) {
  const std::string why = *detail != '\0' ? detail : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return {ErrorCode::kTimeout, why};
    case CURLE_URL_MALFORMAT:
      return {ErrorCode::kInvalid, why};
    case CURLE_UNSUPPORTED_PROTOCOL:  // "Received HTTP/0.9 when not allowed"
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_BAD_CONTENT_ENCODING:
      return {ErrorCode::kProtocol, "not a valid HTTP answer: " + why};
    case CURLE_OUT_OF_MEMORY:  // what curl says of a header line beyond its own bound
      return {ErrorCode::kProtocol, "a header line that is too long"};
    case CURLE_PARTIAL_FILE:
      return {ErrorCode::kIo, "the answer was cut off: " + why};
    case CURLE_GOT_NOTHING:
      return {ErrorCode::kIo, "the server closed the connection without an answer"};
    case CURLE_COULDNT_CONNECT:
      return {ErrorCode::kIo, why + " (is it running, and reachable from here?)"};
    case CURLE_PEER_FAILED_VERIFICATION:
      return {ErrorCode::kIo, "its TLS certificate is not trusted: " + why +
                                  " (for a private CA, set ca_file to its root)"};
    case CURLE_SSL_CACERT_BADFILE:
      return {ErrorCode::kIo, "ca_file " + ca_file + " cannot be read, or is not PEM: " + why};
    default:
      return {ErrorCode::kIo, why};
  }
}

}  // namespace

// The multi handle with the polls and the timer that it asked for. curl's callbacks only take
// notes; exchanges are resolved from here, when curl is not on the stack.
class CurlHttpClient::Multi {
 public:
  Multi(uv_loop_t& loop, Options options);
  Multi(const Multi&) = delete;

  CURLM* get() { return multi_.get(); }
  const Options& options() const { return options_; }

 private:
  static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void*);
  static int on_timer_wanted(CURLM*, long timeout_ms, void* self);
  void watch(curl_socket_t fd, int what);
  // May destroy this: it runs those who wait.
  void act(curl_socket_t fd, int events);

  uv_loop_t& loop_;
  const Options options_;
  UvPtr<uv_timer_t> timer_{new uv_timer_t};
  std::map<curl_socket_t, UvPtr<uv_poll_t>> polls_;  // one for each of curl's connections
  std::unique_ptr<CURLM, CurlMultiFree> multi_;      // calls on_socket while it dies
};

// One request and its reply. Destroying it ends the transfer at once.
class CurlHttpClient::Exchange : public Link {
 public:
  Exchange(Multi& multi, HttpRequest request, Target target);
  ~Exchange() { curl_multi_remove_handle(multi_.get(), easy_.get()); }

  Result<> start();
  void set_code(CURLcode code) { code_ = code; }
  // Resolves `reply`, which may destroy this.
  void finish();

  Pending<HttpReply> reply;

 private:
  enum class Bound { kNone, kHeaders, kBody };

  static size_t on_header(char* data, size_t, size_t size, void* self);
  static size_t on_body(char* data, size_t, size_t size, void* self);
  template <typename V>
  void set(CURLoption option, V value) {
    CHECK(curl_easy_setopt(easy_.get(), option, value) == CURLE_OK);
  }
  void set_addresses();
  void set_method();
  void set_headers();
  void read_header(std::string_view line);
  Result<HttpReply> outcome();

  Multi& multi_;
  const HttpRequest request_;
  const Target target_;
  std::unique_ptr<curl_slist, CurlFree> headers_, addresses_;
  char detail_[CURL_ERROR_SIZE] = "";
  HttpReply reply_;  // <= kMaxHeaderBytes + request_.max_body
  size_t header_bytes_ = 0;
  bool headers_done_ = false;  // what comes later are trailers: dropped
  Bound exceeded_ = Bound::kNone;
  CURLcode code_ = CURLE_OK;
  std::unique_ptr<CURL, CurlFree> easy_{curl_easy_init()};
};

CurlHttpClient::Multi::Multi(uv_loop_t& loop, Options options)
    : loop_(loop), options_(std::move(options)) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  CHECK(initialised == CURLE_OK);
  uv_timer_init(&loop_, timer_.get());
  timer_->data = this;
  multi_.reset(curl_multi_init());
  CHECK(multi_ != nullptr);
  CURLM* const multi = multi_.get();
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &Multi::on_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &Multi::on_timer_wanted);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, options_.max_connections_per_host);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, kMaxIdleConnections);
}

int CurlHttpClient::Multi::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  static_cast<Multi*>(self)->watch(fd, what);
  return 0;
}

void CurlHttpClient::Multi::watch(curl_socket_t fd, int what) {
  if (what == CURL_POLL_REMOVE) {
    polls_.erase(fd);
    return;
  }
  UvPtr<uv_poll_t>& poll = polls_[fd];
  if (poll == nullptr) {
    auto fresh = std::make_unique<uv_poll_t>();
    // Should the kernel refuse to watch it, the transfer meets its time limit.
    if (uv_poll_init_socket(&loop_, fresh.get(), fd) != 0) return;
    fresh->data = this;
    poll.reset(fresh.release());
  }
  const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                     ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
  uv_poll_start(poll.get(), events, [](uv_poll_t* handle, int status, int ready) {
    uv_os_fd_t socket = -1;
    uv_fileno(reinterpret_cast<uv_handle_t*>(handle), &socket);
    const int bits = ((ready & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
                     ((ready & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0) |
                     (status < 0 ? CURL_CSELECT_ERR : 0);
    static_cast<Multi*>(handle->data)->act(socket, bits);
  });
}

int CurlHttpClient::Multi::on_timer_wanted(CURLM*, long timeout_ms, void* self) {
  uv_timer_t* const timer = static_cast<Multi*>(self)->timer_.get();
  if (timeout_ms < 0) return uv_timer_stop(timer);
  const auto on_timer = [](uv_timer_t* t) {
    static_cast<Multi*>(t->data)->act(CURL_SOCKET_TIMEOUT, 0);
  };
  return uv_timer_start(timer, on_timer, static_cast<uint64_t>(timeout_ms), 0);
}

void CurlHttpClient::Multi::act(curl_socket_t fd, int events) {
  int running = 0;
  curl_multi_socket_action(multi_.get(), fd, events, &running);
  Link finished;  // who is destroyed meanwhile leaves it
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    char* exchange = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
    auto* done = reinterpret_cast<Exchange*>(exchange);
    done->set_code(message->data.result);
    finished.push_back(*done);
  }
  while (!finished.alone()) {
    auto& next = static_cast<Exchange&>(finished.next());
    next.unlink();
    next.finish();
  }
}

CurlHttpClient::Exchange::Exchange(Multi& multi, HttpRequest request, Target target)
    : multi_(multi), request_(std::move(request)), target_(std::move(target)) {
  CHECK(easy_ != nullptr);
  const Options& options = multi_.options();
  set(CURLOPT_CURLU, target_.url.get());
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, static_cast<char*>(detail_));
  set(CURLOPT_NOSIGNAL, 1L);
  // A look-up that hangs in getaddrinfo is left to its thread instead of being waited for.
  set(CURLOPT_QUICK_EXIT, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<int64_t>(1, request_.timeout.count())));
  // h2c is never tried; on TLS, who comes while a connection is being made waits to share it.
  set(CURLOPT_HTTP_VERSION,
      static_cast<long>(target_.https ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PIPEWAIT, target_.https ? 1L : 0L);
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options.ca_file.empty()) {
    set(CURLOPT_CAINFO, options.ca_file.c_str());
    set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  }
  if (target_.loopback || options.probing) set(CURLOPT_PROXY, "");
  if (options.probing) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
    set(CURLOPT_FRESH_CONNECT, 1L);
    set(CURLOPT_FORBID_REUSE, 1L);
  }
  if (!options.unix_socket.empty()) {
    set(CURLOPT_UNIX_SOCKET_PATH, options.unix_socket.c_str());
  }
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_USERAGENT, options.user_agent.c_str());
  set(CURLOPT_HEADERFUNCTION, &Exchange::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &Exchange::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set_addresses();
  set_method();
  set_headers();
}

// As an entry of curl's cache of addresses, which ages as one that was looked up does ("+").
void CurlHttpClient::Exchange::set_addresses() {
  const std::string host = part_of(target_.url.get(), CURLUPART_HOST);
  // An IPv6 literal is not looked up, and would not parse here.
  if (request_.addresses.empty() || host.starts_with('[')) return;
  std::string entry =
      "+" + host + ":" + part_of(target_.url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  for (size_t i = 0; i < request_.addresses.size(); ++i) {
    entry += (i == 0 ? ":" : ",") + request_.addresses[i];
  }
  addresses_.reset(curl_slist_append(nullptr, entry.c_str()));
  CHECK(addresses_ != nullptr);
  set(CURLOPT_RESOLVE, addresses_.get());
}

void CurlHttpClient::Exchange::set_method() {
  if (!request_.body.empty() || request_.method == "POST") {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(CURLOPT_POSTFIELDS, request_.body.data());  // not copied: we outlive the transfer
  }
  if (request_.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request_.method != "GET" || !request_.body.empty()) {
    set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
}

void CurlHttpClient::Exchange::set_headers() {
  const auto add = [this](const std::string& line) {
    curl_slist* const longer = curl_slist_append(headers_.get(), line.c_str());
    CHECK(longer != nullptr);
    if (headers_ == nullptr) headers_.reset(longer);
  };
  // "Name:" tells curl to leave out a header of its own, "Name;" to send one that is empty.
  bool typed = false;
  for (const auto& [name, value] : request_.headers) {
    typed = typed || curl_strequal(name.c_str(), "content-type") != 0;
    add(value.empty() ? name + ";" : name + ": " + value);
  }
  if (!typed) add("Content-Type:");
  add("Expect:");
  set(CURLOPT_HTTPHEADER, headers_.get());
}

Result<> CurlHttpClient::Exchange::start() {
  const CURLMcode rc = curl_multi_add_handle(multi_.get(), easy_.get());
  if (rc == CURLM_OK) return Unit{};
  return Error{ErrorCode::kIo, target_.shown + ": " + curl_multi_strerror(rc)};
}

size_t CurlHttpClient::Exchange::on_header(char* data, size_t, size_t size, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  exchange.header_bytes_ += size;
  if (exchange.header_bytes_ > kMaxHeaderBytes) {
    exchange.exceeded_ = Bound::kHeaders;
    return 0;
  }
  exchange.read_header(std::string_view(data, size));
  return size;
}

void CurlHttpClient::Exchange::read_header(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (headers_done_) return;
  if (line.empty()) {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    headers_done_ = status >= 200;
    return;
  }
  const size_t colon = line.find(':');
  if (line.starts_with("HTTP/") || colon == line.npos) {
    reply_.headers.clear();  // those of an interim reply
    return;
  }
  std::string_view value = line.substr(colon + 1);
  const size_t first = value.find_first_not_of(" \t");
  value = first == value.npos ? std::string_view() : value.substr(first);
  value = value.substr(0, value.find_last_not_of(" \t") + 1);
  reply_.headers.emplace_back(lower(line.substr(0, colon)), value);
}

size_t CurlHttpClient::Exchange::on_body(char* data, size_t, size_t size, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  std::string& body = exchange.reply_.body;
  const size_t room = exchange.request_.max_body - body.size();
  body.append(data, std::min(size, room));
  if (size <= room) return size;
  exchange.exceeded_ = Bound::kBody;
  return 0;
}

Result<HttpReply> CurlHttpClient::Exchange::outcome() {
  const auto failed = [this](Error error) {
    return std::move(error).in(request_.method + " " + target_.shown);
  };
  if (exceeded_ == Bound::kHeaders) {
    return failed(
        {ErrorCode::kProtocol, "headers of over " + std::to_string(kMaxHeaderBytes) + " bytes"});
  }
  const bool cut = exceeded_ == Bound::kBody;
  if (cut && !request_.truncate_body) {
    return failed(
        {ErrorCode::kProtocol, "a body of over " + std::to_string(request_.max_body) + " bytes"});
  }
  if (!cut && code_ != CURLE_OK) return failed(explain(code_, detail_, multi_.options().ca_file));
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  reply_.status = static_cast<int>(status);
  return std::move(reply_);
}

void CurlHttpClient::Exchange::finish() {
  Result<HttpReply> result = outcome();
  // Gives the connection back before anybody goes on who may want it.
  curl_multi_remove_handle(multi_.get(), easy_.get());
  reply.resolve(std::move(result));
}

CurlHttpClient::CurlHttpClient(uv_loop_t& loop, Options options)
    : multi_(std::make_unique<Multi>(loop, std::move(options))) {}

CurlHttpClient::~CurlHttpClient() = default;

Task<HttpReply> CurlHttpClient::send(HttpRequest request) {
  return run(*multi_, std::move(request));
}

Task<HttpReply> CurlHttpClient::run(Multi& multi, HttpRequest request) {
  Result<Target> target = parse_target(request);
  if (!target) co_return std::move(target).error().in(request.method);
  Exchange exchange(multi, std::move(request), *std::move(target));
  const Result<> started = exchange.start();
  if (!started) co_return started.error();
  Result<HttpReply> reply = co_await exchange.reply;
  co_return reply;
}

}  // namespace latchkey

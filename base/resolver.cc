#include "base/resolver.h"

#include <ares.h>
#include <arpa/inet.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "base/check.h"
#include "base/dns_message.h"
#include "base/pending.h"
#include "base/text.h"

namespace latchkey {
namespace {

constexpr size_t kMaxAddresses = 32;     // of one name
constexpr size_t kMaxRecords = 64;       // of one name and type
constexpr int kServerTimeoutMs = 1'500;  // for a server's first answer; doubled at the next try
constexpr int kTries = 2;
constexpr uint16_t kAddresses = 0;  // no record's type: A and AAAA

// How long the whole of it holds, the CNAMEs on the way included. Zero: not from DNS.
Millis good_for(const ares_addrinfo* info) {
  int seconds = -1;
  const auto shorten = [&](int ttl) { seconds = seconds < 0 ? ttl : std::min(seconds, ttl); };
  for (const auto* node = info == nullptr ? nullptr : info->nodes; node != nullptr;
       node = node->ai_next) {
    shorten(node->ai_ttl);
  }
  for (const auto* name = info == nullptr ? nullptr : info->cnames; name != nullptr;
       name = name->next) {
    shorten(name->ttl);
  }
  return std::chrono::seconds(std::max(0, seconds));
}

std::vector<std::string> numeric(const ares_addrinfo* info) {
  std::vector<std::string> addresses;
  for (const auto* node = info == nullptr ? nullptr : info->nodes; node != nullptr;
       node = node->ai_next) {
    char text[INET6_ADDRSTRLEN] = "";
    const void* raw = nullptr;
    if (node->ai_family == AF_INET) {
      raw = &reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr;
    } else if (node->ai_family == AF_INET6) {
      raw = &reinterpret_cast<const sockaddr_in6*>(node->ai_addr)->sin6_addr;
    }
    if (raw == nullptr || inet_ntop(node->ai_family, raw, text, sizeof text) == nullptr) continue;
    if (std::find(addresses.begin(), addresses.end(), text) != addresses.end()) continue;
    if (addresses.size() == kMaxAddresses) break;
    addresses.emplace_back(text);
  }
  return addresses;
}

// `host` in its canonical spelling if it is an address already, else "".
std::string literal(const std::string& host) {
  in6_addr raw{};  // room for either
  char text[INET6_ADDRSTRLEN] = "";
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, host.c_str(), &raw) == 1) inet_ntop(family, &raw, text, sizeof text);
  }
  return text;
}

DnsType wire_type(Resolver::RecordType type) {
  switch (type) {
    case Resolver::RecordType::kCname:
      return DnsType::kCname;
    case Resolver::RecordType::kTxt:
      return DnsType::kTxt;
    case Resolver::RecordType::kNs:
      return DnsType::kNs;
    case Resolver::RecordType::kSoa:
      break;
  }
  return DnsType::kSoa;
}

std::string canonical(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return lower(name);
}

// Those at exactly that name: a server adds what lies behind a CNAME, which counts for services
// only.
std::vector<const DnsRecord*> records_of(const DnsMessage& message, const std::string& name,
                                         DnsType type) {
  std::vector<const DnsRecord*> found;
  for (const DnsRecord& record : message.answers) {
    if (record.type != type || found.size() == kMaxRecords) continue;
    if (type == DnsType::kSrv || record.name == name) found.push_back(&record);
  }
  return found;
}

// "PRIORITY WEIGHT PORT TARGET", as DnsRecord has it.
std::optional<Resolver::Service> service_of(const std::string& text) {
  std::istringstream in(text);
  Resolver::Service service;
  in >> service.priority >> service.weight >> service.port >> service.host;
  // RFC 2782: the root means that there is no such service.
  if (service.host.empty() || service.port == 0) return std::nullopt;
  // A name that needs escapes is no host's.
  if (service.host.size() > 253 || service.host.find('\\') != std::string::npos) {
    return std::nullopt;
  }
  return service;
}

Error explain(const std::string& host, int status) {
  const std::string why = "resolving " + host + ": " + ares_strerror(status);
  switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
      return {ErrorCode::kNotFound, why};
    case ARES_ETIMEOUT:
      return {ErrorCode::kTimeout, why};
    case ARES_EBADNAME:
      return {ErrorCode::kInvalid, why};
    default:
      return {ErrorCode::kIo, why};
  }
}

}  // namespace

// What c-ares holds until it calls back; c-ares cannot forget a single query.
struct Resolver::Query {
  Lookup* waiting;  // null once nobody waits
  DnsType type{};   // of the records, where it is about those
};

// c-ares' channel with the polls and the timer that it needs. Nobody's code runs from its
// callbacks: results are handed over by each look-up's own timer, when c-ares is not on the stack.
class Resolver::Channel {
 public:
  Channel(uv_loop_t& loop, const Options& wanted);
  ~Channel();
  Channel(const Channel&) = delete;

  void ask(Lookup& lookup);
  void ask(Lookup& lookup, DnsType type);

 private:
  bool may_ask(Lookup& lookup) const;
  static void on_socket(void* self, ares_socket_t fd, int readable, int writable);
  static void on_answer(void* query, int status, int timeouts, ares_addrinfo* info);
  static void on_reply(void* query, int status, int timeouts, unsigned char* bytes, int size);
  static void tell(const Query& query, int status, Found found);
  void watch(ares_socket_t fd, int events);
  void process(ares_socket_t readable, ares_socket_t writable);
  void set_timer();

  uv_loop_t& loop_;
  UvPtr<uv_timer_t> timer_{new uv_timer_t};
  std::map<ares_socket_t, UvPtr<uv_poll_t>> polls_;  // a few for each DNS server
  ares_channel channel_ = nullptr;
  int broken_ = ARES_SUCCESS;  // why there is no channel
};

Resolver::Channel::Channel(uv_loop_t& loop, const Options& wanted) : loop_(loop) {
  uv_timer_init(&loop_, timer_.get());
  timer_->data = this;
  static const int initialised = ares_library_init(ARES_LIB_INIT_ALL);
  CHECK(initialised == ARES_SUCCESS);
  ares_options options{};
  options.timeout = kServerTimeoutMs;
  options.tries = kTries;
  options.sock_state_cb = &Channel::on_socket;
  options.sock_state_cb_data = this;
  options.flags = wanted.search ? 0 : ARES_FLAG_NOSEARCH;
  const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  broken_ = ares_init_options(&channel_, &options, mask);
  if (broken_ != ARES_SUCCESS) {
    channel_ = nullptr;
  } else if (!wanted.servers.empty()) {
    broken_ = ares_set_servers_ports_csv(channel_, wanted.servers.c_str());
  }
}

Resolver::Channel::~Channel() {
  if (channel_ != nullptr) ares_destroy(channel_);  // calls on_answer for what is pending
}

bool Resolver::Channel::may_ask(Lookup& lookup) const {
  const bool clean = lookup.host_.find('\0') == std::string::npos;
  if (broken_ == ARES_SUCCESS && clean) return true;
  lookup.answered(clean ? broken_ : ARES_EBADNAME, {});
  return false;
}

void Resolver::Channel::ask(Lookup& lookup) {
  if (!may_ask(lookup)) return;
  if (std::string address = literal(lookup.host_); !address.empty()) {
    lookup.answered(ARES_SUCCESS, {{std::move(address)}, Millis(0)});
    return;
  }
  lookup.query_ = new Query{&lookup};
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  ares_getaddrinfo(channel_, lookup.host_.c_str(), nullptr, &hints, &Channel::on_answer,
                   lookup.query_);
  set_timer();
}

void Resolver::Channel::ask(Lookup& lookup, DnsType type) {
  if (!may_ask(lookup)) return;
  constexpr int kInternet = 1;
  lookup.query_ = new Query{&lookup, type};
  ares_query(channel_, lookup.host_.c_str(), kInternet, static_cast<int>(type), &Channel::on_reply,
             lookup.query_);
  set_timer();
}

void Resolver::Channel::on_answer(void* arg, int status, int, ares_addrinfo* info) {
  const std::unique_ptr<Query> query(static_cast<Query*>(arg));
  Found found{numeric(info), good_for(info)};
  if (info != nullptr) ares_freeaddrinfo(info);
  tell(*query, status, std::move(found));
}

void Resolver::Channel::on_reply(void* arg, int status, int, unsigned char* bytes, int size) {
  const std::unique_ptr<Query> query(static_cast<Query*>(arg));
  Found found;
  if (status == ARES_SUCCESS && query->waiting != nullptr) {
    const auto message = DnsMessage::parse(
        std::string_view(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)));
    if (message) {
      uint32_t seconds = UINT32_MAX;
      for (const DnsRecord* record :
           records_of(*message, canonical(query->waiting->host_), query->type)) {
        found.values.push_back(record->value);
        seconds = std::min(seconds, record->ttl);
      }
      if (!found.values.empty()) found.good_for = std::chrono::seconds(seconds);
    } else {
      status = ARES_EBADRESP;
    }
  }
  tell(*query, status, std::move(found));
}

void Resolver::Channel::tell(const Query& query, int status, Found found) {
  if (query.waiting == nullptr) return;
  query.waiting->query_ = nullptr;
  if (status == ARES_EDESTRUCTION) {
    query.waiting->silence();
  } else {
    query.waiting->answered(status, std::move(found));
  }
}

void Resolver::Channel::on_socket(void* self, ares_socket_t fd, int readable, int writable) {
  static_cast<Channel*>(self)->watch(
      fd, (readable != 0 ? UV_READABLE : 0) | (writable != 0 ? UV_WRITABLE : 0));
}

void Resolver::Channel::watch(ares_socket_t fd, int events) {
  if (events == 0) {
    polls_.erase(fd);
    return;
  }
  UvPtr<uv_poll_t>& poll = polls_[fd];
  if (poll == nullptr) {
    auto fresh = std::make_unique<uv_poll_t>();
    // Should the kernel refuse to watch it, the look-up meets its time limit.
    if (uv_poll_init_socket(&loop_, fresh.get(), fd) != 0) return;
    fresh->data = this;
    poll.reset(fresh.release());
  }
  uv_poll_start(poll.get(), events, [](uv_poll_t* handle, int status, int ready) {
    uv_os_fd_t socket = ARES_SOCKET_BAD;
    uv_fileno(reinterpret_cast<uv_handle_t*>(handle), &socket);
    const bool both = status < 0;
    static_cast<Channel*>(handle->data)
        ->process(both || (ready & UV_READABLE) != 0 ? socket : ARES_SOCKET_BAD,
                  both || (ready & UV_WRITABLE) != 0 ? socket : ARES_SOCKET_BAD);
  });
}

void Resolver::Channel::process(ares_socket_t readable, ares_socket_t writable) {
  ares_process_fd(channel_, readable, writable);
  set_timer();
}

void Resolver::Channel::set_timer() {
  timeval next{};
  if (ares_timeout(channel_, nullptr, &next) == nullptr) {
    uv_timer_stop(timer_.get());
    return;
  }
  const auto on_timer = [](uv_timer_t* timer) {
    static_cast<Channel*>(timer->data)->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  };
  // Rounded up, so that c-ares finds it due.
  const auto millis = static_cast<uint64_t>(next.tv_sec * 1000 + next.tv_usec / 1000 + 1);
  uv_timer_start(timer_.get(), on_timer, millis, 0);
}

Resolver::Lookup::Lookup(uv_loop_t& loop, std::string host, Millis limit, Tell tell)
    : host_(std::move(host)), limit_(limit), tell_(std::move(tell)) {
  uv_timer_init(&loop, timer_.get());
  timer_->data = this;
  const auto millis = static_cast<uint64_t>(std::max<int64_t>(1, limit_.count()));
  uv_timer_start(timer_.get(), &Lookup::on_timer, millis, 0);
}

Resolver::Lookup::~Lookup() {
  if (query_ != nullptr) query_->waiting = nullptr;
}

void Resolver::Lookup::answered(int status, Found found) {
  answered_ = true;
  status_ = status;
  found_ = std::move(found);
  uv_timer_start(timer_.get(), &Lookup::on_timer, 0, 0);
}

void Resolver::Lookup::silence() {
  uv_timer_stop(timer_.get());
}

void Resolver::Lookup::on_timer(uv_timer_t* timer) {
  static_cast<Lookup*>(timer->data)->end();
}

void Resolver::Lookup::end() {
  if (query_ != nullptr) std::exchange(query_, nullptr)->waiting = nullptr;
  const Tell tell = std::move(tell_);
  if (!answered_) {
    tell(Error{ErrorCode::kTimeout, "resolving " + host_ + ": no answer from the DNS servers in " +
                                        std::to_string(limit_.count()) + " ms"});
  } else if (status_ != ARES_SUCCESS || found_.values.empty()) {
    tell(explain(host_, status_ != ARES_SUCCESS ? status_ : ARES_ENODATA));
  } else {
    tell(std::move(found_));
  }
}

Resolver::Resolver(uv_loop_t& loop) : Resolver(loop, Options()) {}

Resolver::Resolver(uv_loop_t& loop, Options options)
    : loop_(loop),
      limit_(options.limit),
      search_(options.search),
      channel_(std::make_unique<Channel>(loop, options)) {}

Resolver::~Resolver() = default;

std::unique_ptr<Resolver::Lookup> Resolver::lookup(const std::string& host, Done done) {
  std::unique_ptr<Lookup> lookup(
      new Lookup(loop_, host, limit_, [done = std::move(done)](Result<Found> found) {
        if (!found) return done(std::move(found).error());
        done(std::move(found->values));
      }));
  channel_->ask(*lookup);
  return lookup;
}

Task<Resolver::Found> Resolver::query(std::string name, uint16_t type) {
  Pending<Found> answer;
  const std::unique_ptr<Lookup> lookup(
      new Lookup(loop_, std::move(name), limit_,
                 [&answer](Result<Found> found) { answer.resolve(std::move(found)); }));
  if (type == kAddresses) {
    channel_->ask(*lookup);
  } else {
    channel_->ask(*lookup, static_cast<DnsType>(type));
  }
  Result<Found> found = co_await answer;
  co_return found;
}

Task<std::vector<std::string>> Resolver::records(std::string name, RecordType type) {
  const auto wire = static_cast<uint16_t>(wire_type(type));
  Result<Found> found = co_await query(std::move(name), wire).result();
  if (found) co_return std::move(found->values);
  if (found.error().code == ErrorCode::kNotFound) co_return std::vector<std::string>();
  co_return std::move(found).error();
}

Task<std::vector<std::string>> Resolver::addresses(std::string host) {
  Result<Found> found = co_await query(std::move(host), kAddresses).result();
  if (!found) co_return std::move(found).error();
  co_return std::move(found->values);
}

Task<Resolver::Located> Resolver::locate(std::string host) {
  Result<Found> found = co_await query(std::move(host), kAddresses).result();
  if (!found) co_return std::move(found).error();
  Located located{std::move(found->values), found->good_for};
  co_return located;
}

Task<Resolver::Services> Resolver::services(std::string name) {
  const std::string shown = name;
  const auto srv = static_cast<uint16_t>(DnsType::kSrv);
  Result<Found> found = co_await query(std::move(name), srv).result();
  if (!found) co_return std::move(found).error();
  Services out;
  out.good_for = found->good_for;
  for (const std::string& text : found->values) {
    if (auto service = service_of(text)) out.services.push_back(*std::move(service));
  }
  if (out.services.empty()) {
    co_return Error{ErrorCode::kNotFound,
                    "resolving " + shown + ": DNS says that there is no such service"};
  }
  co_return out;
}

std::unique_ptr<Resolver> Resolver::of(const std::string& servers) const {
  Options options;
  options.servers = servers;
  options.limit = limit_;
  options.search = search_;
  return std::make_unique<Resolver>(loop_, std::move(options));
}

}  // namespace latchkey

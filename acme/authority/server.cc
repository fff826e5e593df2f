#include "acme/authority/server.h"

#include <utility>

#include "acme/authority/account_requests.h"
#include "acme/authority/authorization_requests.h"
#include "acme/authority/certificate_answers.h"
#include "acme/authority/jws_verify.h"
#include "acme/authority/order_requests.h"
#include "acme/authority/replacements.h"
#include "acme/authority/server_context.h"
#include "acme/authority/server_nonces.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

using Kind = ServerRoute::Kind;

constexpr size_t kMaxInFlight = 4'000;  // requests; with their bodies < 256 MiB

std::string_view header_of(const HttpRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.headers) {
    if (key == name) return value;
  }
  return {};
}

// RFC 8555, 6.2; parameters are not looked at.
bool is_jose(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return same_text(type, "application/jose+json");
}

bool is_plain(Kind kind) {  // read by GET
  return kind == Kind::kDirectory || kind == Kind::kNewNonce || kind == Kind::kRenewalInfo;
}

ServerProblem not_allowed(const std::string& method, bool plain) {
  ServerProblem problem = malformed(printable(method, 20) + " is not allowed here; " +
                                    (plain ? "GET is" : "a signed POST is (RFC 8555, 6.3)"));
  problem.status = 405;
  return problem;
}

class InFlight {
 public:
  explicit InFlight(size_t& count) : count_(count) { ++count_; }
  InFlight(const InFlight&) = delete;
  ~InFlight() { --count_; }

 private:
  size_t& count_;
};

}  // namespace

HttpReply json_reply(int status, std::string body) {
  HttpReply reply;
  reply.status = status;
  reply.body = std::move(body);
  set_header(reply, "content-type", "application/json");
  return reply;
}

void set_header(HttpReply& reply, std::string name, std::string value) {
  reply.headers.emplace_back(std::move(name), std::move(value));
}

void add_link(HttpReply& reply, std::string_view url, std::string_view relation) {
  std::string value = "<";
  value.append(url).append(">;rel=\"").append(relation).append("\"");
  set_header(reply, "link", std::move(value));
}

struct AcmeServer::Impl {
  Impl(AcmeServerOptions options, Authority& authority, AuthorityStore& store, Probes& probes,
       Clock& clock, Log& log)
      : context(std::move(options), authority, store, probes, clock, log) {}

  Task<HttpReply> handle(HttpRequest request, std::string client);
  Task<ServerAnswer> plain(ServerRoute route, HttpRequest request);
  Task<ServerAnswer> signed_request(ServerRoute route, HttpRequest request, std::string client);
  Judged<Jws> read(const HttpRequest& request);
  Task<Judged<ServerCall>> authenticate(ServerRoute route, HttpRequest request, std::string client);
  Task<ServerAnswer> act(ServerCall call);
  HttpReply reply_of(ServerAnswer answer, const ServerRoute& route, bool post);
  ServerProblem failed(const Error& error, const std::string& url);

  ServerContext context;
  ServerNonces nonces;
  Replacements replacements{context};
  AccountRequests accounts{context};
  AuthorizationRequests authorizations{context};
  OrderRequests orders{context, replacements, authorizations};
  CertificateAnswers certificates{context};
  size_t in_flight = 0;
  bool kept = false;  // the authority has its keys
};

Task<HttpReply> AcmeServer::Impl::handle(HttpRequest request, std::string client) {
  const ServerRoute route = parse_route(request.url, context.name());
  const bool post = request.method == "POST";
  if (route.kind == Kind::kNothing)
    co_return reply_of(unknown("there is nothing at this URL"), route, post);
  if (in_flight >= kMaxInFlight) {
    ServerProblem busy = rate_limited("too many requests are under way", std::chrono::seconds(1));
    busy.status = 503;
    co_return reply_of(std::move(busy), route, post);
  }
  const InFlight counted(in_flight);
  const bool plain_kind = is_plain(route.kind);
  const bool right_method = plain_kind ? request.method == "GET" || request.method == "HEAD" : post;
  const std::string url = request.url;
  const std::string method = request.method;
  // RFC 8555, 6.3: the directory, too, may be read by POST-as-GET.
  const bool signed_read = post && plain_kind && route.kind != Kind::kRenewalInfo;
  if (!right_method && !signed_read) {
    HttpReply reply = reply_of(not_allowed(method, plain_kind), route, post);
    set_header(reply, "allow", plain_kind ? "GET, HEAD" : "POST");
    co_return reply;
  }
  if (!kept) {
    const Result<> keys = co_await context.authority.keep().result();
    if (!keys) co_return reply_of(failed(keys.error(), url), route, post);
    kept = true;
  }
  Task<ServerAnswer> task = post ? signed_request(route, std::move(request), std::move(client))
                                 : plain(route, std::move(request));
  Result<ServerAnswer> answer = co_await std::move(task).result();
  if (!answer) co_return reply_of(failed(answer.error(), url), route, post);
  HttpReply reply = reply_of(*std::move(answer), route, post);
  if (method == "HEAD") reply.body.clear();
  co_return reply;
}

ServerProblem AcmeServer::Impl::failed(const Error& error, const std::string& url) {
  context.log.error("acme_request_failed", "a request to the ACME server failed for our reasons",
                    {{"authority", context.name()}, {"url", url}, {"error", error.message}});
  return server_internal("the server could not do it; try again later");
}

HttpReply AcmeServer::Impl::reply_of(ServerAnswer answer, const ServerRoute& route, bool post) {
  HttpReply reply;
  if (answer) {
    reply = *std::move(answer);
  } else {
    const ServerProblem problem = std::move(answer).problem();
    reply.status = problem.status;
    reply.body = problem.document();
    set_header(reply, "content-type", "application/problem+json");
    if (problem.retry_after > std::chrono::seconds(0)) {
      set_header(reply, "retry-after", std::to_string(problem.retry_after.count()));
    }
    if (!problem.location.empty()) set_header(reply, "location", problem.location);
  }
  if (post || route.kind == Kind::kNewNonce) {
    set_header(reply, "replay-nonce", nonces.make(context.clock.wall_now()));
    set_header(reply, "cache-control", "no-store");
  }
  if (!route.base.empty()) add_link(reply, route.base + "/directory", "index");
  set_header(reply, "access-control-allow-origin", "*");  // RFC 8555, 6.1
  return reply;
}

Task<ServerAnswer> AcmeServer::Impl::plain(ServerRoute route, HttpRequest request) {
  if (route.kind == Kind::kRenewalInfo) co_return co_await replacements.renewal_info(route);
  if (route.kind == Kind::kDirectory) {
    co_return json_reply(200, directory_document(route.base, context.options.eab_required));
  }
  HttpReply reply;
  reply.status = request.method == "HEAD" ? 200 : 204;  // RFC 8555, 7.2
  co_return ServerAnswer(std::move(reply));
}

// What can be seen without knowing the account: the nonce is used up here.
Judged<Jws> AcmeServer::Impl::read(const HttpRequest& request) {
  if (!is_jose(header_of(request, "content-type"))) {
    ServerProblem problem =
        malformed("a signed request has the Content-Type application/jose+json (RFC 8555, 6.2)");
    problem.status = 415;
    return problem;
  }
  if (request.body.size() > kMaxBody) {
    ServerProblem problem = malformed("the body is longer than 64 KiB");
    problem.status = 413;
    return problem;
  }
  return parse_jws(request.body, JwsUse::kRequest, [&](const Jws& jws) -> Judged<> {
    if (jws.url != request.url) {
      return unauthenticated("the JWS is signed for " + printable(jws.url, 200) + ", sent to " +
                             printable(request.url, 200) + " (RFC 8555, 6.4)");
    }
    if (nonces.use(jws.nonce, context.clock.wall_now())) return Unit{};
    return ServerProblem{400, std::string(problem_type::kBadNonce),
                         jws.nonce.empty() ? "the JWS has no \"nonce\""
                                           : "the nonce is not ours, too old or used already"};
  });
}

Task<Judged<ServerCall>> AcmeServer::Impl::authenticate(ServerRoute route, HttpRequest request,
                                                        std::string client) {
  Judged<Jws> jws = read(request);
  if (!jws) co_return std::move(jws).problem();
  const bool own_key = jws->jwk.has_value();
  if (route.kind == Kind::kNewAccount && !own_key) {
    co_return malformed("a newAccount introduces its key: \"jwk\" instead of \"kid\"");
  }
  if (own_key && route.kind != Kind::kNewAccount && route.kind != Kind::kRevokeCert) {
    co_return malformed("this request is signed for an account: \"kid\" instead of \"jwk\"");
  }
  ServerAccountPtr account;
  if (!own_key) {
    const std::string id = account_of_url(route.base, jws->kid);
    if (!id.empty()) account = co_await context.accounts.find(id);
    if (account == nullptr) {
      co_return ServerProblem{400, std::string(problem_type::kAccountDoesNotExist),
                              "there is no account " + printable(jws->kid, 200)};
    }
  }
  const JwsKey& key = own_key ? *jws->jwk : account->key;
  if (Judged<> right = verify_jws(*jws, key); !right) co_return std::move(right).problem();
  if (account != nullptr && account->deactivated) {
    co_return unauthenticated("the account was deactivated");
  }
  ServerCall call{std::move(route), std::move(request.url), std::move(client),
                  std::move(jws->payload)};
  call.account = std::move(account);
  call.key = std::move(jws->jwk);
  co_return Judged<ServerCall>(std::move(call));
}

Task<ServerAnswer> AcmeServer::Impl::signed_request(ServerRoute route, HttpRequest request,
                                                    std::string client) {
  Judged<ServerCall> call =
      co_await authenticate(std::move(route), std::move(request), std::move(client));
  if (!call) co_return std::move(call).problem();
  ServerCall right = *std::move(call);
  co_return co_await act(std::move(right));
}

Task<ServerAnswer> AcmeServer::Impl::act(ServerCall call) {
  switch (call.route.kind) {
    case Kind::kNewAccount:
      return accounts.new_account(std::move(call));
    case Kind::kAccount:
      return accounts.account(std::move(call));
    case Kind::kKeyChange:
      return accounts.change_key(std::move(call));
    case Kind::kNewOrder:
      return orders.new_order(std::move(call));
    case Kind::kOrder:
      return orders.order(std::move(call));
    case Kind::kFinalize:
      return orders.finalize(std::move(call));
    case Kind::kOrders:
      return orders.list(std::move(call));
    case Kind::kAuthorization:
      return authorizations.authorization(std::move(call));
    case Kind::kChallenge:
      return authorizations.challenge(std::move(call));
    case Kind::kCertificate:
      return certificates.download(std::move(call));
    case Kind::kRevokeCert:
      return certificates.revoke(std::move(call));
    case Kind::kNothing:
    case Kind::kDirectory:
    case Kind::kNewNonce:
    case Kind::kRenewalInfo:
      break;
  }
  HttpRequest get;
  return plain(std::move(call.route), std::move(get));
}

AcmeServer::AcmeServer(AcmeServerOptions options, Authority& authority, AuthorityStore& store,
                       Probes& probes, Clock& clock, Log& log)
    : impl_(std::make_unique<Impl>(std::move(options), authority, store, probes, clock, log)) {}

AcmeServer::~AcmeServer() = default;

Task<HttpReply> AcmeServer::handle(HttpRequest request, std::string client) {
  return impl_->handle(std::move(request), std::move(client));
}

}  // namespace latchkey::acme

#include "bench/load/proxy_scenario.h"

#include <memory>
#include <utility>

#include "bench/load/http_load.h"
#include "bench/load/run.h"

namespace latchkey::bench {
namespace {

Result<std::unique_ptr<Load>> make_load(Lane& lane) {
  const Options& options = lane.options;
  auto names = names_of(lane);
  if (!names) return std::move(names).error();
  HttpLoad::Plan plan;
  plan.request = request_of(options);
  plan.connections = static_cast<unsigned>(share(options.connections, lane));
  plan.rate = options.rate;
  if (options.count != 0) plan.count = share(options.count, lane);
  return std::unique_ptr<Load>(
      std::make_unique<HttpLoad>(lane, *std::move(names), std::move(plan)));
}

}  // namespace

HttpRequest request_of(const Options& options) {
  HttpRequest request;
  request.version = options.http == 2 ? HttpRequest::Version::kHttp2 : HttpRequest::Version::kHttp1;
  request.path = options.path;
  request.body = options.body;
  request.close = options.close_each;
  request.streams = options.streams;
  request.answer_bytes = options.answer_bytes;
  return request;
}

Result<> settle_requests(Options& options) {
  const auto invalid = [](const char* what) { return Error{ErrorCode::kInvalid, what}; };
  if (options.http == 1 && options.streams > 1) {
    return invalid("--streams: HTTP/1.1 has one request at a time; expected --http 2 beside it");
  }
  if (options.close_each && options.streams > 1) {
    return invalid("--streams: expected 1 with --close, which is one request a connection");
  }
  if (options.tls.plain && options.http == 2) {
    return invalid("--plain: expected HTTP/1.1, got --http 2");
  }
  if (options.tls.alpn.empty()) options.tls.alpn = options.http == 2 ? "h2" : "http/1.1";
  return Unit{};
}

Result<> settle_proxy(Options& options) {
  if (options.connections == 0) options.connections = 32;
  if (auto settled = settle_requests(options); !settled) return settled;
  if (options.connections < options.threads) {
    return Error{ErrorCode::kInvalid, "--threads: expected at most as many as --connections, got " +
                                          std::to_string(options.threads)};
  }
  return enough_for_threads(options);
}

Result<Measurement> run_proxy(const Options& options, const TlsClient& client) {
  Course course;
  course.operation = "request";
  course.timed = options.count == 0;
  course.expected = options.count;
  course.make = make_load;
  return run_course(options, client, course);
}

}  // namespace latchkey::bench

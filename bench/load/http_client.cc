#include "bench/load/http_client.h"

#include "bench/load/http1_client.h"
#include "bench/load/http2_client.h"

namespace latchkey::bench {

std::unique_ptr<HttpClient> HttpClient::make(const HttpRequest& request, Events& events) {
  if (request.version == HttpRequest::Version::kHttp2) {
    return std::make_unique<Http2Client>(request, events);
  }
  return std::make_unique<Http1Client>(request, events);
}

std::string judge(const HttpRequest& request, const HttpClient::Answer& answer) {
  if (!answer.failure.empty()) return std::string(answer.failure);
  if (answer.status < 200 || answer.status > 299) return "status " + std::to_string(answer.status);
  if (request.answer_bytes && *request.answer_bytes != answer.body) {
    return "answer of " + std::to_string(answer.body) + " bytes";
  }
  return {};
}

}  // namespace latchkey::bench

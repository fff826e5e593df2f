#include "bench/load/http_peer.h"

#include <string>

#include "base/check.h"

namespace latchkey::bench {

HttpPeer::HttpPeer(TlsShared& shared, const HttpRequest& request, Owner& owner, uint32_t tag)
    : request_(request),
      owner_(owner),
      target_(shared.client().target()),
      tag_(tag),
      connection_(shared, *this),
      client_(HttpClient::make(request, *this)),
      busy_(request.streams) {}

void HttpPeer::open(std::string_view name, ssl_session_st* session) {
  name_ = name;
  connection_.open(name, session);
}

void HttpPeer::request(uint32_t number) {
  CHECK(!busy_[number]);
  busy_[number] = true;
  ++under_way_;
  client_->request(number);
}

void HttpPeer::finish() {
  if (connection_.closed() || connection_.finish()) owner_.on_down(*this, {});
}

void HttpPeer::fail(std::string_view failure) {
  connection_.reset();
  const bool told = under_way_ > 0;
  lose(failure);
  owner_.on_down(*this, told ? std::string_view() : failure);
}

void HttpPeer::lose(std::string_view failure) {
  for (uint32_t number = 0; number < busy_.size(); ++number) {
    if (!busy_[number]) continue;
    busy_[number] = false;
    --under_way_;
    owner_.on_answer(*this, number, failure);
  }
}

void HttpPeer::on_connected(TlsConnection&) {
  const bool http2 = connection_.alpn() == "h2";
  const bool wanted = request_.version == HttpRequest::Version::kHttp2;
  if (http2 != wanted) return fail(wanted ? "the server does not speak h2" : "the server wants h2");
  client_->begin(name_.empty() ? target_.text : name_);
  owner_.on_up(*this);
  if (connection_.connected()) client_->flush();
}

void HttpPeer::on_data(TlsConnection&, std::string_view bytes) {
  owner_.on_moved(bytes.size(), 0);
  const bool good = client_->take(bytes);
  if (!connection_.connected()) return;  // an answer was the cause to close it
  if (!good) return fail(client_->failure());
  if (under_way_ == 0 && !client_->open()) finish();
}

void HttpPeer::on_closed(TlsConnection&, std::string_view failure) {
  const bool orderly = failure == TlsConnection::kEnded;
  if (orderly) client_->ended();
  const bool told = under_way_ > 0;
  lose(orderly ? std::string_view("closed before the answer") : failure);
  owner_.on_down(*this, orderly || told ? std::string_view() : failure);
}

void HttpPeer::send(std::string_view bytes) {
  if (!connection_.connected()) return;  // closed within the event that this is the end of
  connection_.send(bytes);
  owner_.on_moved(0, bytes.size());
}

void HttpPeer::on_first_byte(uint32_t number) {
  if (busy_[number]) owner_.on_first_byte(*this, number);
}

void HttpPeer::on_answer(uint32_t number, const HttpClient::Answer& answer) {
  if (!busy_[number]) return;
  busy_[number] = false;
  --under_way_;
  owner_.on_answer(*this, number, judge(request_, answer));
}

}  // namespace latchkey::bench

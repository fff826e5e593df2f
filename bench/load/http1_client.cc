#include "bench/load/http1_client.h"

#include <llhttp.h>

#include <utility>

namespace latchkey::bench {

struct Http1Client::Parser {
  llhttp_t raw;

  static Http1Client& of(llhttp_t* raw) { return *static_cast<Http1Client*>(raw->data); }

  static const llhttp_settings_t& settings() {
    static const llhttp_settings_t table = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_message_begin = [](llhttp_t* p) { return of(p).on_message_begin() ? 0 : -1; };
      s.on_body = [](llhttp_t* p, const char*, size_t size) {
        of(p).body_ += size;
        return 0;
      };
      s.on_message_complete = [](llhttp_t* p) {
        of(p).on_message_complete(p->status_code, llhttp_should_keep_alive(p) != 0);
        return 0;
      };
      return s;
    }();
    return table;
  }
};

Http1Client::Http1Client(const HttpRequest& request, Events& events)
    : request_(request), events_(events), parser_(std::make_unique<Parser>()) {}

Http1Client::~Http1Client() = default;

void Http1Client::begin(std::string_view host) {
  llhttp_init(&parser_->raw, HTTP_RESPONSE, &Parser::settings());
  parser_->raw.data = this;
  under_way_ = unsent_ = false;
  open_ = true;
  failure_.clear();
  if (text_.empty() || host != host_) {
    host_ = host;
    write_request();
  }
}

void Http1Client::write_request() {
  text_ = request_.body > 0 ? "POST " : "GET ";
  text_.append(request_.path).append(" HTTP/1.1\r\nHost: ").append(host_).append("\r\n");
  if (request_.close) text_ += "Connection: close\r\n";
  if (request_.body > 0) text_ += "Content-Length: " + std::to_string(request_.body) + "\r\n";
  text_ += "\r\n";
  text_.append(request_.body, 'b');
}

void Http1Client::request(uint32_t number) {
  number_ = number;
  under_way_ = unsent_ = true;
  first_byte_told_ = false;
}

void Http1Client::flush() {
  if (std::exchange(unsent_, false)) events_.send(text_);
}

bool Http1Client::take(std::string_view bytes) {
  if (!under_way_) {
    failure_ = "bytes without a request";
    return false;
  }
  if (!std::exchange(first_byte_told_, true)) events_.on_first_byte(number_);
  const llhttp_errno_t error = llhttp_execute(&parser_->raw, bytes.data(), bytes.size());
  if (error != HPE_OK) {
    if (failure_.empty()) failure_ = std::string("HTTP/1.1 ") + (llhttp_errno_name(error) + 4);
    return false;
  }
  flush();
  return true;
}

void Http1Client::ended() {
  if (under_way_) llhttp_finish(&parser_->raw);
}

bool Http1Client::on_message_begin() {
  body_ = 0;
  // The next request has not left yet, so this cannot be its answer.
  if (under_way_ && !unsent_) return true;
  failure_ = "bytes without a request";
  return false;
}

void Http1Client::on_message_complete(int status, bool keep_alive) {
  if (status >= 100 && status < 200) return;
  under_way_ = false;
  open_ = keep_alive && !request_.close;
  Answer answer;
  answer.status = status;
  answer.body = body_;
  events_.on_answer(number_, answer);
}

}  // namespace latchkey::bench

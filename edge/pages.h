#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "edge/http/stream.h"

namespace latchkey::edge {

// `text` for use inside an HTML element or attribute.
std::string escape_html(std::string_view text);

// The whole small page that says a status to a person.
std::string page_html(int status, std::string_view text);

// Answers with such a page, or what the stream's PageStyle makes of it, and finishes: may destroy
// the Exchange, so call it last. The operator's page goes before ours, whatever the client accepts.
void answer_page(ResponseStream& to, int status, std::string_view text,
                 std::optional<std::chrono::seconds> retry_after = {});
// answer_page() without finish().
void send_page(ResponseStream& to, int status, std::string_view text,
               std::optional<std::chrono::seconds> retry_after = {});

// Sends the client to `location` and finishes, too.
void answer_redirect(ResponseStream& to, std::string_view location, int status);

// What visitors of a name without a certificate are told, by what became of it.
Notice parking_notice(const Error& why);

// Answers with a notice, whatever is asked.
class NoticePage final : public Exchange {
 public:
  // The stream's client has the notice.
  explicit NoticePage(ResponseStream& stream) : stream_(stream) {}

  void start() override;
  void on_body(std::string_view) override {}
  void on_request_end(const HeaderList&) override {}
  void on_writable() override {}

 private:
  ResponseStream& stream_;
};

// Answers with a page, whatever is asked.
class StatusPage final : public Exchange {
 public:
  StatusPage(ResponseStream& stream, int status, const char* text)
      : stream_(stream), status_(status), text_(text) {}

  void start() override { answer_page(stream_, status_, text_); }
  void on_body(std::string_view) override {}
  void on_request_end(const HeaderList&) override {}
  void on_writable() override {}

 private:
  ResponseStream& stream_;
  const int status_;
  const char* const text_;
};

}  // namespace latchkey::edge

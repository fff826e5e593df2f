#include "edge/pages.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "edge/front/error_pages.h"

namespace latchkey::edge {

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string page_html(int status, std::string_view text) {
  const std::string title = std::to_string(status) + " " + std::string(reason_phrase(status));
  return "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width\">\n<title>" +
         escape_html(title) +
         "</title>\n<style>body{font:16px/1.5 sans-serif;margin:20vh auto;max-width:36em;"
         "padding:0 1em;color:#333}h1{font-size:1.4em}</style>\n<h1>" +
         escape_html(title) + "</h1>\n<p>" + escape_html(text) + "</p>\n</html>\n";
}

namespace {

// Its text and its type.
std::pair<std::string, std::string> our_page(PageStyle::Form form, int status,
                                             std::string_view text) {
  switch (form) {
    case PageStyle::Form::kHtml:
      break;
    case PageStyle::Form::kText:
      return {std::to_string(status) + " " + std::string(reason_phrase(status)) + "\n" +
                  std::string(text) + "\n",
              "text/plain; charset=utf-8"};
    case PageStyle::Form::kJson:
      return {JsonObject()
                      .number("status", status)
                      .text("title", reason_phrase(status))
                      .text("detail", text)
                      .str() +
                  "\n",
              "application/problem+json"};
  }
  return {page_html(status, text), "text/html; charset=utf-8"};
}

}  // namespace

void send_page(ResponseStream& to, int status, std::string_view text,
               std::optional<std::chrono::seconds> retry_after) {
  const PageStyle style = to.page_style();
  const auto* own = style.pages == nullptr ? nullptr : style.pages->find(status);
  const auto [page, type] =
      own != nullptr ? std::pair(own->text, own->type) : our_page(style.form, status, text);
  ResponseHead head;
  head.status = status;
  head.headers.add("content-type", type);
  head.headers.add("cache-control", "no-store");
  if (retry_after) head.headers.add("retry-after", std::to_string(retry_after->count()));
  head.body = {Body::Kind::kLength, page.size()};
  to.send_head(head);
  to.send_body(page);
}

void answer_page(ResponseStream& to, int status, std::string_view text,
                 std::optional<std::chrono::seconds> retry_after) {
  send_page(to, status, text, retry_after);
  to.finish();
}

void answer_redirect(ResponseStream& to, std::string_view location, int status) {
  ResponseHead head;
  head.status = status;
  head.headers.add("location", location);
  head.body = {Body::Kind::kLength, 0};
  to.send_head(head);
  to.finish();
}

Notice parking_notice(const Error& why) {
  using std::chrono::seconds;
  switch (why.code) {
    case ErrorCode::kDenied:
      return {404, "This name is not served here.", {}};
    case ErrorCode::kTimeout:
    case ErrorCode::kThrottled: {
      // Rounded up: at that time, and not just before it, there may be news.
      const auto told = std::chrono::ceil<seconds>(why.retry_after);
      return {503, "The certificate of this site is being prepared. Please come back in a moment.",
              std::clamp(told, seconds(10), seconds(86'400))};
    }
    case ErrorCode::kInvalid:
    case ErrorCode::kIo:
    case ErrorCode::kProtocol:
    case ErrorCode::kNotFound:
      break;
  }
  return {503, "No certificate could be obtained for this site so far. Please try again later.",
          seconds(60)};
}

void NoticePage::start() {
  const Notice& notice = *stream_.client().notice;
  answer_page(stream_, notice.status, notice.text, notice.retry_after);
}

}  // namespace latchkey::edge

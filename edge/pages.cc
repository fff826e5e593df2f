#include "edge/pages.h"

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

void send_page(ResponseStream& to, int status, std::string_view text,
               std::optional<std::chrono::seconds> retry_after) {
  const std::string page = page_html(status, text);
  ResponseHead head;
  head.status = status;
  head.headers.add("content-type", "text/html; charset=utf-8");
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

}  // namespace latchkey::edge

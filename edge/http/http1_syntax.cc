#include "edge/http/http1_syntax.h"

#include <array>

namespace latchkey::edge {
namespace {

constexpr std::array<bool, 256> token_table() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<uint8_t>(c)] = true;
  return table;
}
constexpr auto kToken = token_table();

bool token_char(char c) {
  return kToken[static_cast<uint8_t>(c)];
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}

// Visible, space, tab, or the 8-bit bytes that values may have.
bool text_char(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return (byte >= 0x20 && byte != 0x7f) || c == '\t';
}
bool all_text(std::string_view text) {
  for (const char c : text) {
    if (!text_char(c)) return false;
  }
  return true;
}

std::string_view bad_field_line(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') return "a folded or indented header line";
  size_t colon = 0;
  while (colon < line.size() && token_char(line[colon])) ++colon;
  if (colon == line.size()) return "a header line without a colon";
  if (line[colon] == ' ' || line[colon] == '\t') return "white space before a header's colon";
  if (line[colon] != ':') return "a bad character in a header name";
  if (colon == 0) return "a header without a name";
  if (!all_text(line.substr(colon + 1))) return "a control character in a header value";
  return {};
}

// 0, 1: the minor version; -1: HTTP, but another; -2: none.
int minor_version_of(std::string_view text) {
  if (text.size() != 8 || text.substr(0, 5) != "HTTP/" || !digit(text[5]) || text[6] != '.' ||
      !digit(text[7])) {
    return -2;
  }
  if (text[5] != '1' || text[7] > '1') return -1;
  return text[7] - '0';
}

bool target_char(char c) {
  const auto byte = static_cast<uint8_t>(c);
  if (byte <= 0x20 || byte >= 0x7f) return false;
  return c != '#' && c != '"' && c != '<' && c != '>';
}

bool coding_we_know_of(std::string_view name) {
  for (const char* known : {"chunked", "gzip", "x-gzip", "deflate", "compress", "x-compress"}) {
    if (same_text(name, known)) return true;
  }
  return false;
}

}  // namespace

bool is_token(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!token_char(c)) return false;
  }
  return true;
}

LineScanner::Found LineScanner::refuse(int status, std::string_view why) {
  refusal_ = {status, why};
  return Found::kRefused;
}

LineScanner::Found LineScanner::scan(std::string_view bytes, First first,
                                     const Http1Limits& limits) {
  for (;;) {
    const bool start_line = first != First::kField && !started_;
    const size_t lf = bytes.find('\n', seen_);
    const size_t end = lf == std::string_view::npos ? bytes.size() : lf;
    if (start_line && end - line_ > limits.line + 1)
      return refuse(414, "the first line is too long");
    if (end > limits.head) return refuse(431, "the header is too large");
    if (lf == std::string_view::npos) {
      seen_ = bytes.size();
      return Found::kMore;
    }
    if (lf == line_ || bytes[lf - 1] != '\r') return refuse(400, "a line that ends without CR");
    const std::string_view line = bytes.substr(line_, lf - 1 - line_);
    line_ = seen_ = lf + 1;
    if (line.empty()) {
      if (!start_line) return Found::kBlock;
      if (skipped_ > 0) return refuse(400, "more than one empty line before a request");
      skipped_ = line_;
      continue;
    }
    if (start_line) {
      if (!all_text(line)) return refuse(400, "a control character in the first line");
      const auto wrong =
          first == First::kRequestLine ? check_request_line(line) : check_status_line(line);
      if (wrong) return refuse(wrong->status, wrong->why);
      started_ = true;
      continue;
    }
    if (++fields_ > limits.fields) return refuse(431, "too many header fields");
    const std::string_view why = bad_field_line(line);
    if (!why.empty()) return refuse(400, why);
  }
}

std::optional<Refusal> check_request_line(std::string_view line) {
  const size_t first = line.find(' ');
  if (first == std::string_view::npos) return Refusal{400, "a request line without a target"};
  const size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos) return Refusal{400, "a request line without a version"};
  const std::string_view target = line.substr(first + 1, second - first - 1);
  if (!is_token(line.substr(0, first))) return Refusal{400, "a method that is no token"};
  if (target.empty()) return Refusal{400, "an empty request target"};
  for (const char c : target) {
    if (!target_char(c)) return Refusal{400, "a bad character in the request target"};
  }
  const int version = minor_version_of(line.substr(second + 1));
  if (version == -2) return Refusal{400, "a request line that does not end in HTTP/1.1"};
  if (version == -1) return Refusal{505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
  return std::nullopt;
}

std::optional<Refusal> check_status_line(std::string_view line) {
  if (line.size() < 12 || minor_version_of(line.substr(0, 8)) < 0 || line[8] != ' ') {
    return Refusal{502, "a status line that does not begin with HTTP/1.1"};
  }
  if (line[9] < '1' || line[9] > '9' || !digit(line[10]) || !digit(line[11]) ||
      (line.size() > 12 && line[12] != ' ')) {
    return Refusal{502, "a status line without a status"};
  }
  return std::nullopt;
}

std::optional<uint64_t> parse_length(std::string_view text) {
  if (text.empty() || text.size() > 19) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    if (!digit(c)) return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  if (value > INT64_MAX) return std::nullopt;
  return value;
}

std::optional<Refusal> read_framing(const HeaderList& headers, int minor_version, Body& body) {
  const size_t encodings = headers.count("transfer-encoding");
  const size_t lengths = headers.count("content-length");
  if (encodings > 0 && lengths > 0) {
    return Refusal{400, "Content-Length together with Transfer-Encoding"};
  }
  if (encodings > 1) return Refusal{400, "more than one Transfer-Encoding"};
  if (lengths > 1) return Refusal{400, "more than one Content-Length"};
  if (encodings == 1) {
    if (minor_version == 0) return Refusal{400, "Transfer-Encoding in HTTP/1.0"};
    const std::string_view coding = headers.get("transfer-encoding");
    if (!same_text(coding, "chunked")) {
      return Refusal{coding_we_know_of(coding.substr(0, coding.find_first_of(", "))) ? 501 : 400,
                     "a Transfer-Encoding other than chunked"};
    }
    body = {Body::Kind::kChunked, 0};
  } else if (lengths == 1) {
    const auto length = parse_length(headers.get("content-length"));
    if (!length) return Refusal{400, "a Content-Length that is no number"};
    body = {Body::Kind::kLength, *length};
  } else {
    body = {};
  }
  return std::nullopt;
}

std::optional<Refusal> read_target(std::string_view method, std::string_view target,
                                   std::string_view authority, std::string& origin_form) {
  if (method == "CONNECT") return Refusal{501, "CONNECT is not offered here"};
  if (target == "*") {
    if (method != "OPTIONS") return Refusal{400, "the target * is for OPTIONS only"};
    origin_form = "*";
    return std::nullopt;
  }
  if (target.front() != '/') {
    const size_t colon = target.find("://");
    if (colon == std::string_view::npos || !(same_text(target.substr(0, colon), "http") ||
                                             same_text(target.substr(0, colon), "https"))) {
      return Refusal{400, "a request target that is neither a path nor an http URL"};
    }
    const std::string_view rest = target.substr(colon + 3);
    const size_t path = rest.find_first_of("/?");
    if (!same_text(rest.substr(0, path), authority)) {
      return Refusal{400, "a request target for another host than Host says"};
    }
    target = path == std::string_view::npos ? std::string_view() : rest.substr(path);
    if (target.empty() && method == "OPTIONS") {
      origin_form = "*";
      return std::nullopt;
    }
    if (target.empty() || target.front() == '?') origin_form = "/";
  }
  if (target.substr(0, target.find('?')).find('\\') != std::string_view::npos) {
    return Refusal{400, "a backslash in the path"};
  }
  origin_form += target;
  return std::nullopt;
}

}  // namespace latchkey::edge

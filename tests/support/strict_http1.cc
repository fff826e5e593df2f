#include "tests/support/strict_http1.h"

#include <algorithm>

namespace latchkey::test {
namespace {

constexpr std::string_view kSmall = "abcdefghijklmnopqrstuvwxyz0123456789-!#$%&'*+.^`|~_";

bool one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// A number in its shortest form, of so many digits at most.
std::optional<size_t> shortest(std::string_view text, std::string_view digits, size_t at_most) {
  if (text.empty() || text.size() > at_most || (text.size() > 1 && text[0] == '0')) return {};
  size_t value = 0;
  for (const char c : text) {
    const size_t digit = digits.find(c);
    if (digit == std::string_view::npos) return {};
    value = value * digits.size() + digit;
  }
  return value;
}

bool visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::string StrictRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

bool StrictRequest::has(std::string_view name) const {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const auto& field) { return field.first == name; });
}

std::string StrictRequest::told() const {
  std::string out = method + " " + target + " " + host + " " + framing;
  if (!body.empty()) out += " " + body;
  for (const auto& [name, value] : trailers) out.append(" ").append(name).append("=").append(value);
  return out;
}

StrictReader::Step StrictReader::fail(const std::string& why) {
  error_ = why;
  return Step::kError;
}

StrictReader::Step StrictReader::read_line(size_t& at, std::string_view& line) {
  const size_t end = in_.find_first_of(std::string_view("\r\n\0", 3), at);
  if (end == std::string::npos || end + 1 == in_.size()) return Step::kMore;
  if (in_[end] != '\r' || in_[end + 1] != '\n') return fail("a line that does not end in CR LF");
  line = std::string_view(in_).substr(at, end - at);
  at = end + 2;
  return Step::kDone;
}

StrictReader::Step StrictReader::read_fields(
    size_t& at, std::vector<std::pair<std::string, std::string>>& fields) {
  for (;;) {
    std::string_view line;
    if (const Step step = read_line(at, line); step != Step::kDone) return step;
    if (line.empty()) return Step::kDone;
    const std::string text(line);
    const size_t colon = line.find(": ");
    const std::string_view name = line.substr(0, colon);
    if (colon == std::string_view::npos || name.empty() ||
        name.find_first_not_of(kSmall) != std::string_view::npos) {
      return fail("a field whose name is not plain: " + text);
    }
    const std::string_view value = line.substr(colon + 2);
    if (value.starts_with(' ') || value.ends_with(' ') || value.starts_with('\t') ||
        value.ends_with('\t')) {
      return fail("blanks around a value: " + text);
    }
    for (const char c : value) {
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) {
        return fail("a control character in a value: " + text);
      }
    }
    fields.emplace_back(name, value);
  }
}

StrictReader::Step StrictReader::read_head(size_t& at, StrictRequest& request, size_t& length) {
  std::string_view line;
  if (const Step step = read_line(at, line); step != Step::kDone) return step;
  const size_t blank = line.find(' ');
  const size_t last = line.rfind(' ');
  if (blank == std::string_view::npos || blank == last || line.substr(last) != " HTTP/1.1") {
    return fail("no request line: " + std::string(line));
  }
  request.method = line.substr(0, blank);
  request.target = line.substr(blank + 1, last - blank - 1);
  if (request.method.empty() ||
      request.method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != std::string::npos ||
      !visible(request.target) || (request.target[0] != '/' && request.target != "*")) {
    return fail("a request line with a bad method or target: " + std::string(line));
  }
  if (const Step step = read_fields(at, request.headers); step != Step::kDone) return step;

  size_t hosts = 0;
  std::string connection, upgrade, expect;
  request.framing = "none";
  for (const auto& [name, value] : request.headers) {
    if (name == "host" && ++hosts == 1) request.host = value;
    if (name == "content-length" || name == "transfer-encoding") {
      if (request.framing != "none") return fail("two framings");
      request.framing = name == "content-length" ? "length" : "chunked";
      const auto number = shortest(value, "0123456789", 18);
      if (name == "content-length" && !number) return fail("a bad length: " + value);
      if (name == "transfer-encoding" && value != "chunked") return fail("a coding: " + value);
      length = number.value_or(0);
    }
    if (one_of(name, {"connection", "upgrade", "expect"})) {
      std::string& seen = name == "connection" ? connection : name == "upgrade" ? upgrade : expect;
      if (!seen.empty()) return fail(name + " twice");
      seen = value;
    }
    if (one_of(name, {"keep-alive", "proxy-connection", "proxy-authorization", "http2-settings"}) ||
        (name == "te" && value != "trailers")) {
      return fail("a field that is not for the upstream: " + name);
    }
    if (one_of(name, {"content_length", "transfer_encoding", "x_forwarded_for"})) {
      return fail("a field that some read as another: " + name);
    }
  }
  if (hosts != 1 || request.host.empty() || !visible(request.host) ||
      request.host.find_first_of("@/?#\\,;") != std::string::npos) {
    return fail("not exactly one proper Host");
  }
  if (!one_of(connection, {"", "te", "upgrade", "upgrade, te"})) {
    return fail("an odd Connection: " + connection);
  }
  if (upgrade.empty() == connection.starts_with("upgrade")) return fail("half an upgrade");
  if (!upgrade.empty() && request.framing != "none") return fail("an upgrade with a body");
  if (!one_of(expect, {"", "100-continue"})) return fail("an odd Expect: " + expect);
  if (!expect.empty() && request.framing == "none") return fail("Expect without a body");
  std::erase_if(request.headers, [](const auto& field) { return field.first == "host"; });
  return Step::kDone;
}

StrictReader::Step StrictReader::read_chunks(size_t& at, StrictRequest& request) {
  for (;;) {
    std::string_view line;
    if (const Step step = read_line(at, line); step != Step::kDone) return step;
    const auto size = shortest(line, "0123456789abcdef", 8);
    if (!size) return fail("a chunk size that is not plain: " + std::string(line));
    if (*size == 0) break;
    if (in_.size() < at + *size + 2) return Step::kMore;
    request.body.append(in_, at, *size);
    at += *size;
    if (in_.compare(at, 2, "\r\n") != 0) return fail("a chunk that does not end in CR LF");
    at += 2;
  }
  if (const Step step = read_fields(at, request.trailers); step != Step::kDone) return step;
  for (const auto& [name, value] : request.trailers) {
    if (one_of(name, {"content-length", "transfer-encoding", "host", "content_length",
                      "transfer_encoding", "authorization", "cookie", "x-forwarded-for", "te",
                      "connection", "upgrade", "expect", "trailer"})) {
      return fail("a trailer that means something else: " + name);
    }
  }
  return Step::kDone;
}

std::optional<StrictRequest> StrictReader::next() {
  if (!error_.empty() || in_.empty()) return {};
  StrictRequest request;
  size_t at = 0;
  size_t length = 0;
  if (read_head(at, request, length) != Step::kDone) return {};
  if (request.framing == "chunked") {
    if (read_chunks(at, request) != Step::kDone) return {};
  } else {
    if (in_.size() - at < length) return {};
    request.body = in_.substr(at, length);
    at += length;
  }
  in_.erase(0, at);
  return request;
}

}  // namespace latchkey::test

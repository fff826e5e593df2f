#include "edge/front/attended.h"

#include <utility>

namespace latchkey::edge {
namespace {

// The form that a page of ours takes for who says only what he accepts: browsers and tools that
// take anything get HTML.
PageStyle::Form form_for(const HeaderList& headers) {
  const std::string accept = lower(headers.get("accept"));
  const auto names = [&](std::string_view type) { return accept.find(type) != std::string::npos; };
  if (names("text/html") || names("application/xhtml")) return PageStyle::Form::kHtml;
  if (names("application/json") || names("+json")) return PageStyle::Form::kJson;
  return names("text/plain") ? PageStyle::Form::kText : PageStyle::Form::kHtml;
}

std::string list_of(const HeaderList& headers, std::string_view name) {
  std::string out;
  for (const auto [field, value] : headers) {
    if (field == name) out.append(value).append(",");
  }
  return out;
}

}  // namespace

bool Attended::is_of_use(const FrontOptions& options, const RequestHead& head) {
  return options.access_log != nullptr || options.request_id_to_client ||
         options.error_pages != nullptr || options.compression ||
         form_for(head.headers) != PageStyle::Form::kHtml;
}

Attended::Attended(FrontState& front, RequestHead head, ResponseStream& stream, const Serve& inner)
    : front_(front),
      options_(front.options),
      stream_(stream),
      began_(front.clock.now()),
      id_(head.id),
      head_only_(head.method == "HEAD"),
      form_(form_for(head.headers)) {
  if (options_->compression) {
    coding_ =
        best_coding(list_of(head.headers, "accept-encoding"), options_->compression->algorithms);
    no_transform_ = head.headers.has_token("cache-control", "no-transform");
  }
  if (options_->access_log != nullptr) {
    entry_.emplace(head, stream.client(), options_->log_query);
  }
  inner_ = inner(std::move(head), *this);
}

Attended::~Attended() {
  inner_.reset();
  if (compressor_ != nullptr) --front_.compressing;
  if (!entry_) return;
  options_->access_log->write(entry_->line(ended_, front_.clock.now() - began_, notes_));
}

void Attended::on_body(std::string_view bytes) {
  if (entry_) entry_->bytes_in += bytes.size();
  inner_->on_body(bytes);
}

void Attended::send_head(const ResponseHead& head) {
  bodiless_ = head_only_ || head.status == 204 || head.status == 304;
  if (entry_) entry_->status = head.status;
  if (!options_->request_id_to_client && !options_->compression) return stream_.send_head(head);
  ResponseHead changed = head;
  if (options_->compression) compress_if_wanted(changed);
  if (options_->request_id_to_client) changed.headers.set("x-request-id", id_);
  stream_.send_head(changed);
}

void Attended::compress_if_wanted(ResponseHead& head) {
  if (!is_compressible(head, *options_->compression)) return;
  vary_by_coding(head);
  if (head_only_ || no_transform_ || coding_ == Coding::kIdentity) return;
  if (front_.compressing >= static_cast<size_t>(options_->compression->max_at_once)) {
    return front_.counts.compression_busy.add();
  }
  compressor_ = coding_ == Coding::kBrotli ? make_brotli() : make_gzip();
  if (compressor_ == nullptr) return;
  ++front_.compressing;
  front_.counts.compressed.add();
  become_coded(head, coding_);
}

void Attended::pass_on(std::string_view bytes) {
  if (entry_ && !bodiless_) entry_->bytes_out += bytes.size();
  stream_.send_body(bytes);
}

void Attended::send_body(std::string_view bytes) {
  if (compressor_ == nullptr) return pass_on(bytes);
  std::string coded;
  compressor_->add(bytes, Compressor::Then::kMore, coded);
  unflushed_ = true;
  if (!coded.empty()) pass_on(coded);
}

// Who answers has no more for now: the client is to see what there is, however little.
void Attended::flush() {
  if (unflushed_) {
    unflushed_ = false;
    std::string coded;
    compressor_->add({}, Compressor::Then::kFlush, coded);
    if (!coded.empty()) pass_on(coded);
  }
  stream_.flush();
}

void Attended::finish(const HeaderList& trailers) {
  ended_ = "complete";
  if (compressor_ != nullptr) {
    std::string coded;
    compressor_->add({}, Compressor::Then::kFinish, coded);
    pass_on(coded);
  }
  stream_.finish(trailers);
}

void Attended::reset() {
  ended_ = "cut";
  stream_.reset();
}

}  // namespace latchkey::edge

#include <zlib.h>

#include <array>
#include <limits>

#include "base/check.h"
#include "edge/front/compressor.h"

namespace latchkey::edge {
namespace {

constexpr int kLevel = 5, kWindow = 15, kMemory = 8;
constexpr int kGzipFraming = 16;  // added to the window

class Gzip final : public Compressor {
 public:
  Gzip() {
    ready_ = ::deflateInit2(&stream_, kLevel, Z_DEFLATED, kWindow + kGzipFraming, kMemory,
                            Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Gzip() override {
    if (ready_) ::deflateEnd(&stream_);
  }
  bool ready() const { return ready_; }

  void add(std::string_view bytes, Then then, std::string& out) override {
    CHECK(bytes.size() <= std::numeric_limits<uInt>::max());
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    const int how = then == Then::kFinish  ? Z_FINISH
                    : then == Then::kFlush ? Z_SYNC_FLUSH
                                           : Z_NO_FLUSH;
    std::array<char, 16 << 10> piece;
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(piece.data());
      stream_.avail_out = static_cast<uInt>(piece.size());
      ::deflate(&stream_, how);
      out.append(piece.data(), piece.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

}  // namespace

std::unique_ptr<Compressor> make_gzip() {
  auto made = std::make_unique<Gzip>();
  return made->ready() ? std::unique_ptr<Compressor>(std::move(made)) : nullptr;
}

}  // namespace latchkey::edge

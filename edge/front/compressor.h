#pragma once
#include <memory>
#include <string>
#include <string_view>

namespace latchkey::edge {

enum class Coding { kIdentity, kGzip, kBrotli };

// The content coding of one body. zlib and brotli's encoder stay behind gzip.cc and brotli.cc.
class Compressor {
 public:
  enum class Then { kMore, kFlush, kFinish };

  virtual ~Compressor() = default;

  // What there is to send by now is appended to `out`: with kFlush all that was given, with
  // kFinish the end, too.
  virtual void add(std::string_view bytes, Then then, std::string& out) = 0;
};

// Null: there is no memory for it. Level 5, a window of 32 KiB: 300 KiB while it lives.
std::unique_ptr<Compressor> make_gzip();
// Quality 3, a window of 64 KiB: up to 1 MiB while it lives, 0.2 MiB for a short page.
std::unique_ptr<Compressor> make_brotli();

}  // namespace latchkey::edge

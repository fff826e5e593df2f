#include <brotli/encode.h>

#include <cstdint>

#include "edge/front/compressor.h"

namespace latchkey::edge {
namespace {

constexpr uint32_t kQuality = 3, kWindow = 16;

struct Destroy {
  void operator()(BrotliEncoderState* state) const { ::BrotliEncoderDestroyInstance(state); }
};

class Brotli final : public Compressor {
 public:
  Brotli() : state_(::BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (state_ == nullptr) return;
    ::BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_QUALITY, kQuality);
    ::BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_LGWIN, kWindow);
  }
  bool ready() const { return state_ != nullptr; }

  void add(std::string_view bytes, Then then, std::string& out) override {
    const auto how = then == Then::kFinish  ? BROTLI_OPERATION_FINISH
                     : then == Then::kFlush ? BROTLI_OPERATION_FLUSH
                                            : BROTLI_OPERATION_PROCESS;
    const auto* in = reinterpret_cast<const uint8_t*>(bytes.data());
    size_t left = bytes.size();
    do {
      size_t room = 0;  // it keeps its output until it is taken
      if (::BrotliEncoderCompressStream(state_.get(), how, &left, &in, &room, nullptr, nullptr) ==
          BROTLI_FALSE) {
        return;  // out of memory: the body stays without its end, which the client notices
      }
      size_t size = 0;
      const uint8_t* taken = ::BrotliEncoderTakeOutput(state_.get(), &size);
      out.append(reinterpret_cast<const char*>(taken), size);
    } while (left > 0 || ::BrotliEncoderHasMoreOutput(state_.get()) == BROTLI_TRUE);
  }

 private:
  std::unique_ptr<BrotliEncoderState, Destroy> state_;
};

}  // namespace

std::unique_ptr<Compressor> make_brotli() {
  auto made = std::make_unique<Brotli>();
  return made->ready() ? std::unique_ptr<Compressor>(std::move(made)) : nullptr;
}

}  // namespace latchkey::edge

#pragma once
// libuv handles with C++ lifetimes.

#include <uv.h>

#include <memory>

namespace latchkey {

// libuv keeps using a handle until it calls the close callback, at some later turn of the loop.
// A UvPtr may be dropped at any moment: no callback comes after that, and the memory follows.
// REQUIRES: the handle was initialised by its uv_*_init.
struct UvClose {
  template <typename H>
  void operator()(H* handle) const {
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* h) { delete reinterpret_cast<H*>(h); });
  }
};
template <typename H>
using UvPtr = std::unique_ptr<H, UvClose>;

}  // namespace latchkey

// A ClientHello, whatever it is, is read as far as BoringSSL lets it come; the name that it asks
// for is a valid one or none. The input is the handshake message without its header, and behind it,
// if its first byte is odd, whatever else comes.

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "edge/hello.h"

namespace {

using namespace latchkey;

void expect(bool holds) {
  if (!holds) std::abort();
}

ssl_select_cert_result_t look(const SSL_CLIENT_HELLO* hello) {
  const edge::Hello read = edge::read_hello(*hello, ServerNameRules{.underscore = true});
  if (read.server_name) {
    expect(read.has_server_name);
    const auto again = ServerName::parse(read.server_name->text(), {.underscore = true});
    expect(again && *again == *read.server_name);
    edge::bind_session_to(hello->ssl, *read.server_name);
  } else {
    edge::bind_session_to_nobody(hello->ssl);
  }
  expect(read.wants_challenge || !read.only_challenge);
  const Slot slot = read.slot();
  expect(slot == Slot::kMain || read.can_rsa);
  return ssl_select_cert_error;
}

SSL_CTX* context() {
  static SSL_CTX* const made = [] {
    SSL_CTX* const ctx = SSL_CTX_new(TLS_method());
    SSL_CTX_set_select_certificate_cb(ctx, look);
    return ctx;
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 16'000) return 0;
  const bool raw = (data[0] & 1) != 0;
  std::string bytes;
  if (!raw) {  // a record of a ClientHello
    const size_t body = size - 1;
    for (const size_t n : {size_t{22}, size_t{3}, size_t{1}, (body + 4) >> 8, (body + 4) & 255,
                           size_t{1}, size_t{0}, body >> 8, body & 255}) {
      bytes += static_cast<char>(n);
    }
  }
  bytes.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bssl::UniquePtr<SSL> ssl(SSL_new(context()));
  BIO* const in = BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()));
  SSL_set_bio(ssl.get(), in, BIO_new(BIO_s_mem()));
  SSL_set_accept_state(ssl.get());
  SSL_do_handshake(ssl.get());
  ERR_clear_error();
  return 0;
}

#include <string>

#include "bench/comparison/peer.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {

PeerProgram haproxy_program(const PeerSetup& setup) {
  std::string bind = "  bind 127.0.0.1:" + std::to_string(setup.port) + " ssl ";
  if (setup.certificates.empty()) {
    test::write_text(setup.folder / "certificate.pem",
                     test::read_text(setup.chain) + test::read_text(setup.key));
    bind += "crt " + (setup.folder / "certificate.pem").string();
  } else {
    bind += "crt-list " + setup.certificates.string();
  }
  bind += " alpn h2,http/1.1 curves X25519\n";
  // Half of its descriptors are for the upstream's side.
  const std::string conf = R"(global
  nbthread 1
  maxconn 9500
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
  option forwardfor
frontend edge
)" + bind + R"(  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend origin
backend origin
  server origin 127.0.0.1:)" +
                           std::to_string(setup.upstream) +
                           " pool-purge-delay 1h pool-max-conn -1\n";
  test::write_text(setup.folder / "haproxy.cfg", conf);
  return {{"haproxy", "-db", "-f", (setup.folder / "haproxy.cfg").string()}};
}

}  // namespace latchkey::bench

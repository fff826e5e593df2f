#include <unistd.h>

#include "bench/comparison/peer.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {

// As somebody who knows nginx would set it for this: connections to the upstream are kept, nothing
// goes to a file on its way, and buffers hold a whole answer of 64 KiB.
PeerProgram nginx_program(const PeerSetup& setup) {
  const std::string own = setup.folder.string() + "/";
  const std::string port = std::to_string(setup.port);
  std::string conf = "daemon off;\nworker_processes 1;\nworker_rlimit_nofile 20000;\n";
  // Else its worker is somebody who cannot read our folders.
  if (geteuid() == 0) conf += "user root;\n";
  conf += "pid " + own + "nginx.pid;\nerror_log stderr crit;\n";
  conf += "events { worker_connections 19000; multi_accept on; }\nhttp {\n  access_log off;\n";
  for (const char* use : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    conf.append("  ").append(use).append("_temp_path ").append(own).append(use).append(";\n");
  }
  conf += "  keepalive_timeout 3600s;\n  keepalive_requests 1000000000;\n";
  conf += "  upstream origin {\n    server 127.0.0.1:" + std::to_string(setup.upstream) + ";\n";
  conf +=
      "    keepalive 256;\n    keepalive_requests 1000000000;\n    keepalive_timeout 3600s;\n  }\n";
  conf += "  server {\n    listen 127.0.0.1:" + port + " ssl http2 backlog=4096;\n";
  conf += "    ssl_certificate " + setup.chain.string() + ";\n";
  conf += "    ssl_certificate_key " + setup.key.string() + ";\n";
  conf += R"(    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_ecdh_curve X25519;
    ssl_session_tickets on;
    ssl_session_cache off;
    ssl_buffer_size 16k;
    http2_max_concurrent_streams 128;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
      proxy_buffer_size 16k;
      proxy_buffers 16 16k;
      proxy_busy_buffers_size 128k;
      proxy_max_temp_file_size 0;
    }
  }
}
)";
  test::write_text(setup.folder / "nginx.conf", conf);
  return {{"nginx", "-p", own, "-e", "stderr", "-c", (setup.folder / "nginx.conf").string()}};
}

}  // namespace latchkey::bench

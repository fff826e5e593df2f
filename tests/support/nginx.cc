#include "tests/support/nginx.h"

#include <signal.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {

Nginx::Nginx(std::filesystem::path folder, const std::string& servers)
    : folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_);
  const std::string own = folder_.string() + "/";
  std::string http = "  access_log off;\n";
  for (const char* use : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    http.append("  ").append(use).append("_temp_path ").append(own).append(use).append(";\n");
  }
  // Else its worker is somebody who cannot read our folders.
  const std::string user = geteuid() == 0 ? "user root;\n" : "";
  write_text(folder_ / "nginx.conf",
             "daemon off;\nworker_processes 1;\n" + user + "pid " + pid_file().string() +
                 ";\nerror_log stderr notice;\nevents {}\nhttp {\n" + http + servers + "}\n");
  Process::Options options;
  options.args = {"nginx", "-p", own, "-e", "stderr", "-c", (folder_ / "nginx.conf").string()};
  options.output = folder_ / "nginx.log";
  options.directory = folder_;
  process_.emplace(std::move(options));
  if (!eventually([&] { return !read_text(pid_file()).empty() || !process_->running(); },
                  Millis(20'000)) ||
      !process_->running()) {
    fprintf(stderr, "%s", log().c_str());
    CHECK(!"nginx does not start");
  }
}

// Its worker would outlive a killed master.
Nginx::~Nginx() {
  process_->signal(SIGTERM);
  process_->wait(Millis(10'000));
}

}  // namespace latchkey::test

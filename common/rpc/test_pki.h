// TestPki: certificate authorities and certificates in a temporary directory, made by openssl(1).
//
// Thread: one.  Lifetime: removes its files.  For tests only.
#pragma once

#include <fmt/format.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/rpc/credentials.h"
#include "common/status.h"

namespace common {

class TestPki {
 public:
  TestPki() {
    std::string pattern = std::filesystem::temp_directory_path() / "pki_XXXXXX";
    CHECK(mkdtemp(pattern.data()) != nullptr);
    dir_ = pattern;
  }
  ~TestPki() { std::filesystem::remove_all(dir_); }
  TestPki(const TestPki&) = delete;
  TestPki& operator=(const TestPki&) = delete;

  std::string Path(const std::string& file) const { return dir_ + "/" + file; }

  // <name>.crt, <name>.key
  void MakeCa(const std::string& name) {
    Run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN={0} -keyout {0}.key -out {0}.crt",
        name);
  }
  // As above, signed by `ca`. `names`: "URI:spiffe://…,DNS:localhost,IP:127.0.0.1". A file that
  // exists is replaced by rename, as certificate tools do.
  void MakeCertificate(const std::string& name, const std::string& ca, const std::string& names) {
    Run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x "
        "-keyout {0}.key.new -out {0}.csr && printf 'subjectAltName={2}' > {0}.ext && "
        "openssl x509 -req -in {0}.csr -CA {1}.crt -CAkey {1}.key -CAcreateserial -days 2 "
        "-extfile {0}.ext -out {0}.crt.new && mv {0}.key.new {0}.key && mv {0}.crt.new {0}.crt",
        name, ca, names);
  }
  TlsFiles Files(const std::string& ca, const std::string& name) const {
    TlsFiles files{.ca = Path(ca + ".crt"), .refresh = std::chrono::seconds(1)};
    if (!name.empty()) {
      files.cert = Path(name + ".crt");
      files.key = Path(name + ".key");
    }
    return files;
  }

 private:
  template <class... Args>
  void Run(fmt::format_string<Args...> format, Args&&... args) {
    const std::string command =
        fmt::format("cd {} && ( {} ) >log 2>&1", dir_, fmt::format(format, args...));
    CHECK(std::system(command.c_str()) == 0);  // NOLINT
  }

  std::string dir_;
};

}  // namespace common

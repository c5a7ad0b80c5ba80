#include "record_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "bytes.hpp"

namespace kv {

std::unique_ptr<record_file> record_file::create(const server_options& options, std::uint64_t seed, std::string& why) {
  constexpr int most = 10'000;
  for (int n = 0; n < most; ++n) {
    const std::string name = n == 0 ? options.record : options.record + "." + std::to_string(n);
    const int file = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0 && errno == EEXIST) continue;
    if (file < 0) {
      why = name + ": " + std::strerror(errno);
      return nullptr;
    }
    std::unique_ptr<record_file> made{new record_file(name, file)};
    made->write(as_payload(first_line({seed, options})));
    return made;
  }
  why = options.record + ": there are " + std::to_string(most) + " recordings already";
  return nullptr;
}

record_file::~record_file() {
  if (file_ >= 0) ::close(file_);
}

void record_file::write(raft::payload bytes) {
  while (file_ >= 0 && !bytes.empty()) {
    const ssize_t n = ::write(file_, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      std::fprintf(stderr, "raft-kv: %s: %s; the recording ends here\n", name_.c_str(), std::strerror(errno));
      ::close(std::exchange(file_, -1));
    }
  }
}

}  // namespace kv

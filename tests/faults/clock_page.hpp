#pragma once

// The clocks of one server, in a page of memory that the run and clock_shim.cpp in the server both see.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

namespace faults {

struct clock_page {
  std::atomic<std::int64_t> wall_offset{0};  ///< Nanoseconds that the wall clock is ahead.
  std::atomic<std::uint64_t> wall_reads{0}, steady_reads{0};

  // The steady clock shows `shown + (real - since) * rate / 1000`. Written under an odd version.
  std::atomic<std::uint32_t> version{0};
  std::atomic<std::int64_t> since{0}, shown{0}, rate{1000};
  std::atomic<std::int64_t> latest{0};  ///< It never goes back, whatever it is set to.

  static std::int64_t real_now() {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  /// What the steady clock shows when the real one shows `real`.
  std::int64_t steady(std::int64_t real) {
    std::int64_t now = 0;
    for (std::uint32_t before = 1; before % 2 != 0 || before != version.load();) {
      before = version.load();
      now = shown.load() + (real - since.load()) * rate.load() / 1000;
    }
    std::int64_t last = latest.load();
    while (last < now && !latest.compare_exchange_weak(last, now)) {
    }
    return std::max(last, now);
  }

  /// From now on the steady clock runs at `per_thousand` of the real one, `ahead` nanoseconds later than it was.
  void set_steady(std::int64_t per_thousand, std::int64_t ahead) {
    const std::int64_t real = real_now();
    const std::int64_t now = shown.load() + (real - since.load()) * rate.load() / 1000 + ahead;
    version.fetch_add(1);
    since = real;
    shown = now;
    rate = per_thousand;
    version.fetch_add(1);
  }
};

/// The run's side of it: a file that the server maps as well.
class clock_of_server {
 public:
  explicit clock_of_server(const std::string& file) : file_(file) {
    const int f = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool made = f >= 0 && ::ftruncate(f, sizeof(clock_page)) == 0;
    void* at = made ? ::mmap(nullptr, sizeof(clock_page), PROT_READ | PROT_WRITE, MAP_SHARED, f, 0) : MAP_FAILED;
    if (f >= 0) ::close(f);
    if (at == MAP_FAILED) throw std::runtime_error("no page for a clock: " + file);
    page_ = new (at) clock_page;
    const std::int64_t now = clock_page::real_now();
    page_->since = now;
    page_->shown = now;
  }
  ~clock_of_server() { ::munmap(page_, sizeof(clock_page)); }
  clock_of_server(const clock_of_server&) = delete;
  clock_of_server& operator=(const clock_of_server&) = delete;

  [[nodiscard]] const std::string& file() const { return file_; }
  clock_page* operator->() const { return page_; }

 private:
  std::string file_;
  clock_page* page_ = nullptr;
};

}  // namespace faults

#pragma once

// The network of a run: each node is in a network namespace of its own, whose only way out is a TUN device, and this
// program is the wire between them. It reads every packet that the kernel's TCP sends, and says what becomes of it: it
// arrives, late, twice, damaged, or never, which may differ for each pair and direction. That needs a kernel with TUN
// and nothing else, and no packet leaves the namespaces.
//
// The namespaces have no names: they go with the processes that are in them, however those end.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <queue>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace faults {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// What happens to packets of one direction between two nodes. Chances are per thousand.
struct weather {
  bool cut = false;
  unsigned loss = 0;
  unsigned twice = 0;
  unsigned overtaken = 0;  ///< Held back, so that later ones come first.
  unsigned damaged = 0;    ///< A byte is changed, and TCP's checksum with it, so that TCP does not see it.
  milliseconds delay{};
  milliseconds jitter{};
};

/// What the wire did to packets.
struct wire_counts {
  std::atomic<std::uint64_t> passed{0}, cut{0}, lost{0}, twice{0}, overtaken{0}, damaged{0}, delayed{0};
};

namespace detail {

/// A packet of IPv4, as far as the wire has to know it.
class packet {
 public:
  explicit packet(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] bool is_ours() const { return bytes_.size() >= 20 && bytes_[0] >> 4 == 4 && bytes_[16] == 10; }
  [[nodiscard]] int from() const { return bytes_[15]; }
  [[nodiscard]] int to() const { return bytes_[19]; }
  [[nodiscard]] const std::vector<std::uint8_t>& bytes() const { return bytes_; }

  /// Changes 16 bits that TCP carries, and its checksum [RFC 1624]; false where it carries none.
  bool damage(std::mt19937& random) {
    constexpr std::uint8_t tcp = 6;
    const std::size_t head = std::size_t{4} * (bytes_[0] & 15U);
    if (bytes_[9] != tcp || bytes_.size() < head + 20) return false;
    const std::size_t data = head + std::size_t{4} * (bytes_[head + 12] >> 4U);
    if (data + 2 > bytes_.size()) return false;
    const std::size_t words = (bytes_.size() - data) / 2;
    const std::size_t at = data + 2 * (random() % words);
    const std::uint32_t before = word(at);
    const std::uint32_t after = before ^ (1U << random() % 16);
    put(at, after);
    std::uint32_t sum = (~word(head + 16) & 0xffffU) + (~before & 0xffffU) + after;
    while (sum >> 16 != 0) sum = (sum & 0xffffU) + (sum >> 16);
    put(head + 16, ~sum & 0xffffU);
    return true;
  }

 private:
  [[nodiscard]] std::uint32_t word(std::size_t at) const {
    return static_cast<std::uint32_t>(bytes_[at]) << 8 | bytes_[at + 1];
  }
  void put(std::size_t at, std::uint32_t word) {
    bytes_[at] = static_cast<std::uint8_t>(word >> 8);
    bytes_[at + 1] = static_cast<std::uint8_t>(word & 0xffU);
  }

  std::vector<std::uint8_t> bytes_;
};

inline void must(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

/// Sets a device's flags, as ifconfig does.
inline void set_device(const char* name, bool up) {
  const int s = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  must(s >= 0, "socket");
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  const bool known = ::ioctl(s, SIOCGIFFLAGS, &request) == 0;
  const auto flags = static_cast<unsigned short>(request.ifr_flags);
  request.ifr_flags = static_cast<short>(up ? flags | IFF_UP : flags & ~static_cast<unsigned>(IFF_UP));
  const bool done = known && ::ioctl(s, SIOCSIFFLAGS, &request) == 0;
  ::close(s);
  must(done, up ? "a device cannot be turned on" : "a device cannot be turned off");
}

/// Gives a device an address in a network of 256.
inline void give_address(const char* name, const std::string& text) {
  const int s = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  must(s >= 0, "socket");
  const auto set = [s, name](unsigned long what, const std::string& value) {
    ifreq request{};
    std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    ::inet_pton(AF_INET, value.c_str(), &at.sin_addr);
    std::memcpy(&request.ifr_addr, &at, sizeof at);
    return ::ioctl(s, what, &request) == 0;
  };
  const bool done = set(SIOCSIFADDR, text) && set(SIOCSIFNETMASK, "255.255.255.0");
  ::close(s);
  must(done, "an address cannot be given");
}

}  // namespace detail

class wire {
 public:
  static constexpr const char* device = "wire0";

  explicit wire(unsigned seed) : random_(seed) {
    detail::must(::pipe2(wake_.data(), O_CLOEXEC | O_NONBLOCK) == 0, "pipe");
    carrier_ = std::thread([this] { carry(); });
  }
  ~wire() {
    stopping_ = true;
    wake();
    carrier_.join();
    for (const auto& [node, e] : ends_) {
      ::close(e.tun);
      ::close(e.space);
    }
    ::close(wake_[0]);
    ::close(wake_[1]);
  }
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;

  /// The address of a node, 1 to 254. It exists in the run's own namespaces alone.
  static std::string address_of(int node) { return "10.77.0." + std::to_string(node); }

  /// Makes the namespace of a node. Throws with the reason if this machine forbids it.
  void plug(int node) {
    end made;
    std::string why;
    std::thread{[&] {
      try {
        made = make_end(address_of(node));
      } catch (const std::exception& e) {
        why = e.what();
      }
    }}.join();
    if (!why.empty()) throw std::runtime_error(why);
    const std::lock_guard lock{mutex_};
    ends_[node] = made;
    wake();
  }

  /// Moves the calling thread, or the only thread of a child process, into the namespace of a node.
  void enter(int node) {
    int space = -1;
    {
      const std::lock_guard lock{mutex_};
      space = ends_.at(node).space;
    }
    detail::must(::setns(space, CLONE_NEWNET) == 0, "setns");
  }
  /// Does something there.
  void in(int node, const std::function<void()>& what) {
    std::thread{[&] {
      enter(node);
      what();
    }}.join();
  }

  void set(int from, int to, const weather& w) {
    const std::lock_guard lock{mutex_};
    weather_[{from, to}] = w;
  }
  [[nodiscard]] weather get(int from, int to) {
    const std::lock_guard lock{mutex_};
    const auto at = weather_.find({from, to});
    return at == weather_.end() ? weather{} : at->second;
  }
  /// Fair everywhere.
  void clear() {
    const std::lock_guard lock{mutex_};
    weather_.clear();
  }

  [[nodiscard]] const wire_counts& counts() const { return counts_; }

 private:
  struct end {
    int space = -1;
    int tun = -1;
  };
  struct late {
    steady::time_point due;
    std::uint64_t number;  ///< Packets that are due at the same time keep their order.
    int to;
    std::vector<std::uint8_t> bytes;
    bool operator<(const late& other) const { return std::tie(other.due, other.number) < std::tie(due, number); }
  };

  /// In a thread of its own, which is left behind in the new namespace.
  static end make_end(const std::string& address) {
    detail::must(::unshare(CLONE_NEWNET) == 0, "a network namespace cannot be made");
    end e;
    e.space = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    detail::must(e.space >= 0, "a namespace cannot be held");
    e.tun = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    detail::must(e.tun >= 0, "/dev/net/tun cannot be opened");
    ifreq request{};
    std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    detail::must(::ioctl(e.tun, TUNSETIFF, &request) == 0, "a TUN device cannot be made");
    detail::set_device("lo", true);
    detail::give_address(device, address);
    detail::set_device(device, true);
    return e;
  }

  void wake() { static_cast<void>(::write(wake_[1], "w", 1) == 1); }

  void carry() {
    while (!stopping_) {
      std::vector<pollfd> all{{wake_[0], POLLIN, 0}};
      {
        const std::lock_guard lock{mutex_};
        for (const auto& [node, e] : ends_) all.push_back({e.tun, POLLIN, 0});
      }
      timespec limit{1, 0};
      if (!late_.empty()) {
        const auto left = std::max(steady::duration{}, late_.top().due - steady::now());
        limit = {0, std::min<long>(999'999'999, std::chrono::nanoseconds(left).count())};
      }
      ::ppoll(all.data(), all.size(), &limit, nullptr);
      std::array<char, 64> some;
      while (::read(wake_[0], some.data(), some.size()) > 0) {
      }
      for (std::size_t i = 1; i < all.size(); ++i) {
        if (all[i].revents != 0) take_in(all[i].fd);
      }
      deliver_late();
    }
  }

  void take_in(int tun) {
    std::array<std::uint8_t, 65536> some;
    for (int n = 0; n < 64; ++n) {
      const ssize_t size = ::read(tun, some.data(), some.size());
      if (size <= 0) return;
      detail::packet p{{some.begin(), some.begin() + size}};
      if (p.is_ours()) forward(std::move(p));
    }
  }

  [[nodiscard]] bool happens(unsigned chance) { return chance > 0 && random_() % 1000 < chance; }

  void forward(detail::packet p) {
    const weather w = get(p.from(), p.to());
    if (w.cut) return count(counts_.cut);
    if (happens(w.loss)) return count(counts_.lost);
    if (happens(w.damaged) && p.damage(random_)) count(counts_.damaged);
    milliseconds wait = w.delay;
    if (w.jitter.count() > 0) wait += milliseconds(random_() % static_cast<unsigned>(w.jitter.count() + 1));
    if (happens(w.overtaken)) {
      wait += milliseconds(1 + random_() % 20);
      count(counts_.overtaken);
    }
    if (wait.count() > 0) count(counts_.delayed);
    send(p, wait);
    if (!happens(w.twice)) return;
    count(counts_.twice);
    send(p, wait + milliseconds(random_() % 10));
  }

  void send(const detail::packet& p, milliseconds wait) {
    if (wait.count() == 0) return deliver(p.to(), p.bytes());
    late_.push({steady::now() + wait, ++number_, p.to(), p.bytes()});
  }

  void deliver_late() {
    while (!late_.empty() && late_.top().due <= steady::now()) {
      deliver(late_.top().to, late_.top().bytes);
      late_.pop();
    }
  }

  void deliver(int to, const std::vector<std::uint8_t>& bytes) {
    int tun = -1;
    {
      const std::lock_guard lock{mutex_};
      const auto at = ends_.find(to);
      if (at == ends_.end()) return;
      tun = at->second.tun;
    }
    if (::write(tun, bytes.data(), bytes.size()) > 0) count(counts_.passed);
  }

  static void count(std::atomic<std::uint64_t>& what) { what.fetch_add(1, std::memory_order_relaxed); }

  std::mutex mutex_{};
  std::map<int, end> ends_{};
  std::map<std::pair<int, int>, weather> weather_{};
  wire_counts counts_{};
  std::atomic<bool> stopping_{false};
  std::array<int, 2> wake_{};

  // Of the carrier alone.
  std::mt19937 random_;
  std::priority_queue<late> late_{};
  std::uint64_t number_ = 0;
  std::thread carrier_{};
};

}  // namespace faults

#pragma once

// A blocking client for tests and tools: one connection, and one that finds the leader of a cluster by itself.

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "../src/options.hpp"

namespace kv::tools {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// One reply of RESP2. `type` is '+', '-', ':', '$', '*', or 'n' for nil.
struct reply {
  char type = 'n';
  std::string text{};  ///< Of '+', '-', '$'; the digits of ':'.
  std::vector<reply> items{};

  [[nodiscard]] bool is_error(std::string_view code) const { return type == '-' && text.starts_with(code); }
  [[nodiscard]] long long number() const { return std::atoll(text.c_str()); }
};

inline std::string request(const std::vector<std::string>& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& w : words) bytes += "$" + std::to_string(w.size()) + "\r\n" + w + "\r\n";
  return bytes;
}

/// One connection. Every operation ends by its deadline; after a failure the connection is closed.
class connection {
 public:
  connection() = default;
  connection(connection&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)), at_(other.at_) {}
  connection& operator=(connection&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    in_ = std::move(other.in_);
    at_ = other.at_;
    return *this;
  }
  ~connection() { close(); }

  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    in_.clear();
    at_ = 0;
  }

  bool open(const address& to, steady::time_point until) {
    close();
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(to.host.c_str(), std::to_string(to.port).c_str(), &wanted, &found) != 0) return false;
    fd_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int made = ::connect(fd_, found->ai_addr, found->ai_addrlen);
    const bool started = made == 0 || errno == EINPROGRESS;
    freeaddrinfo(found);
    int wrong = 0;
    socklen_t size = sizeof wrong;
    if (!started || !wait(POLLOUT, until) || getsockopt(fd_, SOL_SOCKET, SO_ERROR, &wrong, &size) != 0 || wrong != 0) {
      close();
      return false;
    }
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return true;
  }

  bool send(std::string_view bytes, steady::time_point until) {
    while (is_open() && !bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno != EAGAIN || !wait(POLLOUT, until)) {
        close();
      }
    }
    return is_open();
  }

  std::optional<reply> receive(steady::time_point until) {
    while (is_open()) {
      std::size_t end = at_;
      reply r;
      if (parse(end, r)) {
        at_ = end;
        if (at_ == in_.size()) {
          in_.clear();
          at_ = 0;
        }
        return r;
      }
      char some[65536];
      const ssize_t n = ::recv(fd_, some, sizeof some, 0);
      if (n > 0) {
        in_.append(some, static_cast<std::size_t>(n));
      } else if (n == 0 || errno != EAGAIN || !wait(POLLIN, until)) {
        close();
      }
    }
    return std::nullopt;
  }

  std::optional<reply> call(const std::vector<std::string>& words, steady::time_point until) {
    if (!send(request(words), until)) return std::nullopt;
    return receive(until);
  }
  std::optional<reply> call(const std::vector<std::string>& words, milliseconds within = milliseconds(2000)) {
    return call(words, steady::now() + within);
  }

 private:
  bool wait(short events, steady::time_point until) const {
    const auto left = std::chrono::ceil<milliseconds>(until - steady::now()).count();
    pollfd p{fd_, events, 0};
    return left > 0 && ::poll(&p, 1, static_cast<int>(left)) > 0;
  }

  bool parse(std::size_t& at, reply& out) const {
    const std::size_t end = in_.find("\r\n", at);
    if (end == std::string::npos) return false;
    out.type = in_[at];
    out.text = in_.substr(at + 1, end - at - 1);
    at = end + 2;
    if (out.type != '$' && out.type != '*') return true;
    const long long n = out.number();
    if (n < 0) {
      out = reply{};
      return true;
    }
    const auto size = static_cast<std::size_t>(n);
    if (out.type == '$') {
      if (in_.size() < at + size + 2) return false;
      out.text = in_.substr(at, size);
      at += size + 2;
      return true;
    }
    out.items.resize(size);
    for (reply& item : out.items) {
      if (!parse(at, item)) return false;
    }
    return true;
  }

  int fd_ = -1;
  std::string in_{};
  std::size_t at_ = 0;
};

/// What became of a command.
struct outcome {
  enum class kind : std::uint8_t {
    done,         ///< answer holds; it may be an error of the command itself.
    not_applied,  ///< Certainly not, and it never will be.
    unknown,      ///< It may be applied, now or later.
  };
  kind what = kind::not_applied;
  reply answer{};
};

/// The cluster as one client sees it. Goes where the servers point; one command at a time.
class cluster_client {
 public:
  explicit cluster_client(std::vector<address> servers) : servers_(std::move(servers)) {}

  /// Sends a command once to the server that it takes for the leader. If that is not applied, it knows better
  /// afterwards.
  outcome once(const std::vector<std::string>& words, steady::time_point until) {
    if (!link_.is_open() && !link_.open(servers_[at_], until)) {
      next();
      return {};
    }
    const auto got = link_.call(words, until);
    if (!got) {
      next();
      return {outcome::kind::unknown, {}};
    }
    if (got->is_error("MOVED")) {
      follow(got->text);
      return {};
    }
    if (got->is_error("CLUSTERDOWN") || got->is_error("TRYAGAIN")) {
      next();
      return {};
    }
    if (got->is_error("UNKNOWN")) return {outcome::kind::unknown, *got};
    return {outcome::kind::done, *got};
  }

  /// Sends it until it is done: for commands that may be done twice, or in a session.
  std::optional<reply> until_done(const std::vector<std::string>& words, milliseconds within,
                                  milliseconds each = milliseconds(1000)) {
    const auto until = steady::now() + within;
    while (steady::now() < until) {
      outcome o = once(words, std::min(until, steady::now() + each));
      if (o.what == outcome::kind::done) return std::move(o.answer);
      std::this_thread::sleep_for(milliseconds(2));
    }
    return std::nullopt;
  }

  [[nodiscard]] const address& server() const { return servers_[at_]; }

 private:
  void next() {
    link_.close();
    at_ = (at_ + 1) % servers_.size();
  }
  void follow(const std::string& moved) {  // MOVED 0 host:port
    link_.close();
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (moved.ends_with(" " + to_string(servers_[i]))) at_ = i;
    }
  }

  std::vector<address> servers_;
  std::size_t at_ = 0;
  connection link_{};
};

/// The value of a field of RAFT.STATUS; empty if the server does not answer.
inline std::string status_field(const address& server, std::string_view field,
                                milliseconds within = milliseconds(500)) {
  connection c;
  const auto until = steady::now() + within;
  if (!c.open(server, until)) return {};
  const auto all = c.call({"RAFT.STATUS"}, until);
  if (!all) return {};
  for (std::size_t i = 0; i + 1 < all->items.size(); i += 2) {
    if (all->items[i].text == field) return all->items[i + 1].text;
  }
  return {};
}

/// Which of the servers says that it leads in the highest term; -1 if none does.
inline int leader_of(const std::vector<address>& servers, milliseconds each = milliseconds(200)) {
  int found = -1;
  long long highest = -1;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    connection c;
    const auto until = steady::now() + each;
    if (!c.open(servers[i], until)) continue;
    const auto all = c.call({"RAFT.STATUS"}, until);
    if (!all) continue;
    bool leads = false;
    long long term = -1;
    for (std::size_t k = 0; k + 1 < all->items.size(); k += 2) {
      if (all->items[k].text == "role") leads = all->items[k + 1].text == "leader";
      if (all->items[k].text == "term") term = all->items[k + 1].number();
    }
    if (leads && term > highest) {
      highest = term;
      found = static_cast<int>(i);
    }
  }
  return found;
}

}  // namespace kv::tools

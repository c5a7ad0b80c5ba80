#pragma once

// The sockets between servers: one connection for each pair, on which both send frames (raft/codec.hpp). The server
// with the higher id dials, and dials again whenever the connection is gone; its first 32 bytes say who it is. If it
// does not dial for a second, perhaps because it does not know yet where the other one is, that one dials: a server
// that joins knows the servers that began the cluster, and the present ones may be others.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <asio.hpp>

#include "listener.hpp"
#include "service.hpp"

namespace kv {

class link_sockets {
 public:
  link_sockets(asio::io_context& io, service& to) : io_(io), service_(to), listener_(io) {}

  bool open(std::string& why);

  /// Hands to the service what has arrived on the connections that are said to have something.
  void take_in();
  /// The same for all connections, asked directly.
  void look_again();
  /// One write for each server that has something to get.
  void flush();

 private:
  struct connection {
    connection(asio::ip::tcp::socket s, link& l) : socket(std::move(s)), to(&l) {}

    asio::ip::tcp::socket socket;
    link* to;
    std::vector<std::byte> in{};  ///< Bytes [begin, end) are there and not taken.
    std::size_t begin = 0;
    std::size_t end = 0;
    bool readable = false;
    bool watched = false;  ///< It waits until there is something to read.
    bool writing = false;  ///< It waits until it may be written to.
    bool open = true;
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
  };
  using handle = std::shared_ptr<connection>;

  /// A server to reach.
  struct line {
    line(asio::io_context& io, link& l) : to(&l), timer(io) {}

    link* to;
    address place{};  ///< Where it is, by name; port 0: nobody knows, or it is no member.
    asio::steady_timer timer;
    bool dialling = false;               ///< An attempt is under way, or the timer runs for the next one.
    std::chrono::milliseconds pause{0};  ///< Before the next attempt.
    handle now{};                        ///< Null while there is no connection.
  };
  /// Somebody who connected and has not said yet who he is.
  struct stranger {
    explicit stranger(asio::ip::tcp::socket s) : socket(std::move(s)) {}
    asio::ip::tcp::socket socket;
    std::vector<std::byte> hello{};
  };

  static constexpr std::size_t hello_bytes = 32;
  static constexpr std::size_t read_bytes = std::size_t{64} << 10;
  static constexpr std::size_t most_strangers = 64;
  /// Servers that are no members and connected all the same: each has a buffer.
  static constexpr std::size_t most_lines = 64;
  /// For so long the one who should dial has the right to.
  static constexpr std::chrono::milliseconds courtesy{1000};

  void look_for_members();
  line& line_to(link& l);
  [[nodiscard]] bool should_dial(const line& l) const { return l.to->peer.value < service_.options().id; }
  [[nodiscard]] std::vector<std::byte> hello_to(const link& l) const;
  void dial(line& l);
  void dial_later(line& l);
  void meet(asio::ip::tcp::socket s);
  void listen_to(const std::shared_ptr<stranger>& s);
  line* recognise(const std::vector<std::byte>& hello);
  void connect(line& l, asio::ip::tcp::socket s);
  void give_up_soon(asio::ip::tcp::socket& s);
  void watch(const handle& c);
  void read(const handle& c);
  void flush(const handle& c);
  void close(const handle& c, const char* why);

  asio::io_context& io_;
  service& service_;
  listener listener_;
  std::deque<line> lines_{};
  std::uint64_t membership_version_ = 0;  ///< Of the members that lines_ were made for.
  std::deque<std::shared_ptr<stranger>> strangers_{};
};

}  // namespace kv

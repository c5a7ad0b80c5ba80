#pragma once

// The sockets between servers: one connection for each pair, on which both send frames (raft/codec.hpp). The server
// with the higher id dials, and dials again whenever the connection is gone; its first 32 bytes say who it is.

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
  };
  using handle = std::shared_ptr<connection>;

  /// A server to reach.
  struct line {
    line(asio::io_context& io, link& l, asio::ip::tcp::endpoint p) : to(&l), place(p), timer(io) {}

    link* to;
    asio::ip::tcp::endpoint place;
    asio::steady_timer timer;
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

  [[nodiscard]] std::vector<std::byte> hello_to(const link& l) const;
  void dial(line& l);
  void dial_later(line& l);
  void meet(asio::ip::tcp::socket s);
  void listen_to(const std::shared_ptr<stranger>& s);
  line* recognise(const std::vector<std::byte>& hello);
  void connect(line& l, asio::ip::tcp::socket s);
  void watch(const handle& c);
  void read(const handle& c);
  void flush(const handle& c);
  void close(const handle& c, const char* why);

  asio::io_context& io_;
  service& service_;
  listener listener_;
  std::deque<line> lines_{};
  std::deque<std::shared_ptr<stranger>> strangers_{};
};

}  // namespace kv

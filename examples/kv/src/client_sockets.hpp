#pragma once

// The clients' sockets: bytes in to the service, replies out. Handlers only note what has arrived; the work is done
// when the loop turn asks for it, so that one turn serves all who are ready.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <asio.hpp>

#include "listener.hpp"
#include "service.hpp"

namespace kv {

class client_sockets {
 public:
  client_sockets(asio::io_context& io, service& to) : service_(to), listener_(io) {}

  bool open(std::string& why);

  /// Hands what has arrived to the service.
  void take_in();
  /// One write for each client that has something to get.
  void flush();
  /// Whether a client's requests were left for the next turn, which must not wait then.
  [[nodiscard]] bool more_at_hand() const;

 private:
  struct connection {
    connection(asio::ip::tcp::socket s, client& c) : socket(std::move(s)), who(&c), number(c.number) {}

    asio::ip::tcp::socket socket;
    client* who;
    client_number number;
    std::vector<char> in{};  ///< Bytes [begin, end) are there and not taken.
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t sent = 0;  ///< Of who->replies.ready().
    bool reading = false;  ///< A read is under way, into `in` behind `end`.
    bool writing = false;  ///< It waits until it may be written to.
    bool more = false;     ///< Whole requests may be left in `in`.
    bool ended = false;    ///< It will send nothing more.
    bool open = true;
  };
  using handle = std::shared_ptr<connection>;

  /// A slow client's replies are kept up to this size; then it is cut off.
  static constexpr std::size_t most_unsent = std::size_t{256} << 20;
  static constexpr std::size_t read_bytes = std::size_t{16} << 10;

  void add(asio::ip::tcp::socket s);
  void read(const handle& c);
  void take_in(const handle& c);
  void flush(const handle& c);
  void close_if_done(const handle& c);
  void close(connection& c);
  [[nodiscard]] handle find(client_number n) const;

  service& service_;
  listener listener_;
  std::vector<handle> connections_{};  ///< By the place of the client's number.
  std::vector<handle> ready_{};        ///< Those whose bytes are to be taken in.
  std::vector<handle> taken_{};
  std::vector<client_number> dirty_{};
};

}  // namespace kv

#pragma once

// Accepts connections at an address, one after the other, for as long as it lives.

#include <chrono>
#include <functional>
#include <string>
#include <system_error>
#include <utility>

#include <asio.hpp>

#include "options.hpp"

namespace kv {

/// The address as Asio has it; a name is looked up, which may block.
inline asio::ip::tcp::endpoint resolve(asio::io_context& io, const address& a, std::error_code& wrong) {
  const auto numeric = asio::ip::make_address(a.host, wrong);
  if (!wrong) return {numeric, a.port};
  asio::ip::tcp::resolver resolver{io};
  const auto found = resolver.resolve(a.host, std::to_string(a.port), wrong);
  if (wrong || found.empty()) return {};
  return found.begin()->endpoint();
}

class listener {
 public:
  using handler = std::function<void(asio::ip::tcp::socket)>;

  explicit listener(asio::io_context& io) : io_(io), acceptor_(io), again_(io) {}

  /// Calls on_connection for each. False: the address cannot be listened at, and `why` says so.
  bool open(const address& at, handler on_connection, std::string& why) {
    std::error_code wrong;
    const auto place = resolve(io_, at, wrong);
    if (!wrong) acceptor_.open(place.protocol(), wrong);
    if (!wrong) acceptor_.set_option(asio::socket_base::reuse_address(true), wrong);
    if (!wrong) acceptor_.bind(place, wrong);
    if (!wrong) acceptor_.listen(asio::socket_base::max_listen_connections, wrong);
    if (wrong) {
      why = "cannot listen at " + to_string(at) + ": " + wrong.message();
      return false;
    }
    on_connection_ = std::move(on_connection);
    accept();
    return true;
  }

 private:
  void accept() {
    acceptor_.async_accept([this](std::error_code wrong, asio::ip::tcp::socket s) {
      if (wrong == asio::error::operation_aborted) return;
      if (wrong) return pause();
      std::error_code ignored;
      s.set_option(asio::ip::tcp::no_delay(true), ignored);
      s.set_option(asio::socket_base::keep_alive(true), ignored);
      s.non_blocking(true, wrong);
      if (!wrong) on_connection_(std::move(s));
      accept();
    });
  }

  /// Out of descriptors, most likely: trying again at once would do nothing else for ever.
  void pause() {
    again_.expires_after(std::chrono::milliseconds(100));
    again_.async_wait([this](std::error_code wrong) {
      if (!wrong) accept();
    });
  }

  asio::io_context& io_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer again_;
  handler on_connection_{};
};

}  // namespace kv

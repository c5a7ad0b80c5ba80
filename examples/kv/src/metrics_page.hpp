#pragma once

// The page of numbers: HTTP/1.0, one request a connection, the same answer to every GET. It is for a scraper in the
// same network, so it is small and strict: a request of more than 4 KiB or 5 s is cut off, and so is the 17th at a
// time.

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <asio.hpp>

#include "listener.hpp"
#include "service.hpp"

namespace kv {

class metrics_page {
 public:
  metrics_page(asio::io_context& io, service& of) : io_(io), service_(of), listener_(io) {}

  /// Nothing if no place is asked for. False: `why` says why it cannot listen there.
  bool open(std::string& why) {
    const auto& at = service_.options().metrics;
    return !at || listener_.open(
                      *at, [this](asio::ip::tcp::socket s) { serve(std::move(s)); }, why);
  }

 private:
  struct visit {
    visit(asio::io_context& io, asio::ip::tcp::socket s, int& c) : socket(std::move(s)), limit(io), count(&c) {
      ++*count;
    }
    ~visit() { --*count; }
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;

    asio::ip::tcp::socket socket;
    asio::steady_timer limit;
    int* count;
    std::array<char, 4096> in{};
    std::size_t size = 0;
    std::string out{};
  };
  using handle = std::shared_ptr<visit>;

  static constexpr int most_visits = 16;

  void serve(asio::ip::tcp::socket s) {
    if (visits_ == most_visits) return;
    const auto v = std::make_shared<visit>(io_, std::move(s), visits_);
    v->limit.expires_after(std::chrono::seconds(5));
    v->limit.async_wait([seen = std::weak_ptr(v)](std::error_code wrong) {
      std::error_code ignored;
      if (const handle late = wrong ? nullptr : seen.lock()) late->socket.close(ignored);
    });
    read(v);
  }

  void read(const handle& v) {
    v->socket.async_read_some(asio::buffer(v->in.data() + v->size, v->in.size() - v->size),
                              [this, v](std::error_code wrong, std::size_t n) {
                                v->size += n;
                                const std::string_view got{v->in.data(), v->size};
                                if (got.find("\r\n\r\n") != std::string_view::npos) return answer(v, got);
                                if (!wrong && v->size < v->in.size()) read(v);
                              });
  }

  void answer(const handle& v, std::string_view request) {
    const bool get = request.starts_with("GET ");
    const bool here = request.starts_with("GET /metrics ") || request.starts_with("GET / ");
    const std::string page = here ? service_.metrics() : get ? "look at /metrics\n" : "only GET\n";
    v->out = here  ? "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
             : get ? "HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n"
                   : "HTTP/1.0 405 Method Not Allowed\r\nContent-Type: text/plain\r\n";
    v->out.append("Content-Length: ").append(std::to_string(page.size())).append("\r\n\r\n").append(page);
    asio::async_write(v->socket, asio::buffer(v->out), [v](std::error_code, std::size_t) {
      std::error_code ignored;
      v->socket.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    });
  }

  asio::io_context& io_;
  service& service_;
  listener listener_;
  int visits_ = 0;
};

}  // namespace kv

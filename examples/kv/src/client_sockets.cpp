#include "client_sockets.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace kv {

bool client_sockets::open(std::string& why) {
  const address& at = service_.options().find(service_.options().id)->clients;
  return listener_.open(
      at, [this](asio::ip::tcp::socket s) { add(std::move(s)); }, why);
}

void client_sockets::add(asio::ip::tcp::socket s) {
  client& who = service_.desk().open();
  const auto c = std::make_shared<connection>(std::move(s), who);
  const auto place = static_cast<std::size_t>(c->number & 0xffffffff);
  if (connections_.size() <= place) connections_.resize(place + 1);
  connections_[place] = c;
  read(c);
}

client_sockets::handle client_sockets::find(client_number n) const {
  const auto place = static_cast<std::size_t>(n & 0xffffffff);
  if (place >= connections_.size() || connections_[place] == nullptr || connections_[place]->number != n)
    return nullptr;
  return connections_[place];
}

void client_sockets::read(const handle& c) {
  if (c->begin == c->end) c->begin = c->end = 0;
  if (c->in.size() - c->end < read_bytes) {
    if (c->begin != 0) std::memmove(c->in.data(), c->in.data() + c->begin, c->end - c->begin);
    c->end -= c->begin;
    c->begin = 0;
    // A request larger than the buffer doubles it; the parser's limits bound that.
    if (c->in.size() - c->end < read_bytes) c->in.resize(std::max(read_bytes, 2 * c->in.size()));
  }
  c->reading = true;
  c->socket.async_read_some(asio::buffer(c->in.data() + c->end, c->in.size() - c->end),
                            [this, c](std::error_code wrong, std::size_t n) {
                              c->reading = false;
                              if (!c->open) return;
                              if (wrong && wrong != asio::error::eof) return close(*c);
                              c->ended = wrong == asio::error::eof;
                              c->end += n;
                              ready_.push_back(c);
                            });
}

void client_sockets::take_in() {
  std::swap(ready_, taken_);
  for (const handle& c : taken_) {
    if (c->open) take_in(c);
  }
  taken_.clear();
}

void client_sockets::take_in(const handle& c) {
  const std::string_view bytes{c->in.data() + c->begin, c->end - c->begin};
  c->begin += service_.take_requests(*c->who, bytes, c->more);
  if (c->more) return ready_.push_back(c);  // for a later turn, when there is room
  if (c->ended) c->who->closing = true;
  if (c->who->closing) return close_if_done(c);
  if (!c->reading) read(c);
}

bool client_sockets::more_at_hand() const {
  return !service_.desk().dirty().empty() || std::any_of(ready_.begin(), ready_.end(), [this](const handle& c) {
    return c->open && (!c->more || service_.has_room(*c->who));
  });
}

void client_sockets::flush() {
  // Who gets more to send while this goes on has its turn in the next one.
  std::swap(service_.desk().dirty(), dirty_);
  for (const client_number n : dirty_) {
    if (const handle c = find(n); c != nullptr) {
      c->who->dirty = false;
      flush(c);
    }
  }
  dirty_.clear();
}

void client_sockets::flush(const handle& c) {
  std::string& out = c->who->replies.ready();
  if (c->writing) {
    if (out.size() - c->sent > most_unsent) {
      service_.log("a client does not take its answers and is cut off");
      close(*c);
    }
    return;
  }
  std::error_code wrong;
  while (c->sent < out.size() && !wrong) {
    c->sent += c->socket.write_some(asio::buffer(out.data() + c->sent, out.size() - c->sent), wrong);
  }
  if (c->sent == out.size()) {
    constexpr std::size_t kept = std::size_t{1} << 20;
    out.capacity() > kept ? void(out = std::string{}) : out.clear();
    c->sent = 0;
    if (c->who->replies.waiting() != 0) service_.desk().resume(*c->who);
    return close_if_done(c);
  }
  if (wrong != asio::error::would_block) return close(*c);
  c->writing = true;
  c->socket.async_wait(asio::ip::tcp::socket::wait_write, [this, c](std::error_code failed) {
    c->writing = false;
    if (!c->open) return;
    failed ? close(*c) : flush(c);
  });
}

void client_sockets::close_if_done(const handle& c) {
  if (c->who->closing && c->who->replies.waiting() == 0 && c->who->replies.ready().empty()) close(*c);
}

void client_sockets::close(connection& c) {
  if (!c.open) return;
  c.open = false;
  std::error_code ignored;
  c.socket.close(ignored);
  service_.desk().close(*c.who);
  connections_[static_cast<std::size_t>(c.number & 0xffffffff)].reset();
}

}  // namespace kv

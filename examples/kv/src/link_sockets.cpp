#include "link_sockets.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace kv {

namespace {

constexpr std::string_view greeting = "raft-kv1";

void put(std::vector<std::byte>& to, std::uint64_t n) {
  for (unsigned shift = 0; shift < 64; shift += 8) to.push_back(static_cast<std::byte>(n >> shift));
}

std::uint64_t number_at(const std::vector<std::byte>& from, std::size_t at) {
  std::uint64_t n = 0;
  for (std::size_t i = 8; i > 0; --i) n = n << 8 | std::to_integer<std::uint64_t>(from[at + i - 1]);
  return n;
}

}  // namespace

bool link_sockets::open(std::string& why) {
  if (!listener_.open(
          service_.self().raft, [this](asio::ip::tcp::socket s) { meet(std::move(s)); }, why)) {
    return false;
  }
  look_for_members();
  return true;
}

/// Takes note of where the members are now, and begins to dial those that are new or somewhere else.
void link_sockets::look_for_members() {
  if (membership_version_ == service_.membership_version()) return;
  membership_version_ = service_.membership_version();
  for (link& to : service_.links()) {
    line& l = line_to(to);
    const member* m = service_.find(to.peer.value);
    const address place = m != nullptr ? m->raft : address{};
    if (l.place == place) continue;
    l.place = place;
    if (l.place.port == 0 || l.now != nullptr || l.dialling) continue;
    should_dial(l) ? dial(l) : dial_later(l);
  }
}

link_sockets::line& link_sockets::line_to(link& l) {
  const auto at = std::ranges::find(lines_, &l, &line::to);
  return at != lines_.end() ? *at : lines_.emplace_back(io_, l);
}

// ---------------------------------------------------------------------------------------------------- dialling

/// What the one who dials says first: a word, the cluster, who speaks, to whom.
std::vector<std::byte> link_sockets::hello_to(const link& l) const {
  std::vector<std::byte> hello;
  for (const char c : greeting) hello.push_back(static_cast<std::byte>(c));
  put(hello, service_.cluster().value);
  put(hello, service_.options().id);
  put(hello, l.peer.value);
  return hello;
}

void link_sockets::dial(line& l) {
  l.dialling = false;
  if (l.place.port == 0 || l.now != nullptr) return;
  std::error_code unknown;
  const auto place = resolve(io_, l.place, unknown);
  if (unknown) return dial_later(l);
  l.dialling = true;
  const auto s = std::make_shared<asio::ip::tcp::socket>(io_);
  // An attempt that hangs is given up; the handler below is told so.
  l.timer.expires_after(std::chrono::seconds(1));
  l.timer.async_wait([s](std::error_code wrong) {
    std::error_code ignored;
    if (!wrong) s->close(ignored);
  });
  s->async_connect(place, [this, s, &l](std::error_code wrong) {
    l.timer.cancel();
    l.dialling = false;
    if (l.now != nullptr) return;  // the other one was quicker
    if (!wrong) s->set_option(asio::ip::tcp::no_delay(true), wrong);
    if (!wrong) s->non_blocking(true, wrong);
    const auto hello = hello_to(*l.to);
    // A new connection has room for 32 bytes.
    if (!wrong && s->write_some(asio::buffer(hello.data(), hello.size()), wrong) != hello.size()) {
      wrong = asio::error::no_buffer_space;
    }
    wrong ? dial_later(l) : connect(l, std::move(*s));
  });
}

void link_sockets::dial_later(line& l) {
  using namespace std::chrono_literals;
  l.pause = std::clamp(2 * l.pause, 20ms, 500ms);
  l.dialling = true;
  l.timer.expires_after(should_dial(l) ? l.pause : courtesy);
  l.timer.async_wait([this, &l](std::error_code wrong) {
    if (!wrong) dial(l);
  });
}

// ---------------------------------------------------------------------------------------------------- being dialled

void link_sockets::meet(asio::ip::tcp::socket s) {
  const auto who = std::make_shared<stranger>(std::move(s));
  strangers_.push_back(who);
  if (strangers_.size() > most_strangers) {
    std::error_code ignored;
    strangers_.front()->socket.close(ignored);
    strangers_.pop_front();
  }
  listen_to(who);
}

void link_sockets::listen_to(const std::shared_ptr<stranger>& s) {
  s->socket.async_wait(asio::ip::tcp::socket::wait_read, [this, s](std::error_code wrong) {
    std::array<std::byte, hello_bytes> some;
    std::size_t n = 0;
    if (!wrong) n = s->socket.read_some(asio::buffer(some.data(), hello_bytes - s->hello.size()), wrong);
    s->hello.insert(s->hello.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(n));
    if ((!wrong || wrong == asio::error::would_block) && s->hello.size() < hello_bytes) return listen_to(s);
    std::erase(strangers_, s);
    line* l = wrong ? nullptr : recognise(s->hello);
    if (l != nullptr) {
      connect(*l, std::move(s->socket));
    } else {
      std::error_code ignored;
      s->socket.close(ignored);
    }
  });
}

link_sockets::line* link_sockets::recognise(const std::vector<std::byte>& hello) {
  const std::uint64_t from = number_at(hello, 16);
  const char* wrong = nullptr;
  if (std::memcmp(hello.data(), greeting.data(), greeting.size()) != 0) {
    wrong = "it is no raft-kv";
  } else if (number_at(hello, 8) != service_.cluster().value) {
    wrong = "its --cluster is another one";
  } else if (number_at(hello, 24) != service_.options().id) {
    wrong = "it looks for another server";
  }
  if (wrong == nullptr && (from == 0 || from == service_.options().id)) wrong = "it has the id of nobody, or of this";
  // A server that is no member may become one, or this one may not know yet that it is.
  if (wrong == nullptr && service_.find(from) == nullptr && lines_.size() >= most_lines) wrong = "there are too many";
  if (wrong == nullptr) {
    line& l = line_to(service_.link_to(raft::node_id{from}));
    const bool crossing = l.now != nullptr && std::chrono::steady_clock::now() - l.now->since < courtesy;
    if (!should_dial(l) || !crossing) return &l;
    wrong = "there is one already";
  }
  service_.log(std::string("refused a connection to the servers' port: ") + wrong);
  return nullptr;
}

// ---------------------------------------------------------------------------------------------------- connected

void link_sockets::connect(line& l, asio::ip::tcp::socket s) {
  if (l.now != nullptr) {
    l.now->open = false;
    std::error_code ignored;
    l.now->socket.close(ignored);
  }
  give_up_soon(s);
  l.now = std::make_shared<connection>(std::move(s), *l.to);
  l.to->reset(true);
  watch(l.now);
}

/// TCP waits twice as long before each new attempt, so that a link which was cut for a minute would stay silent for
/// another one. A connection on which nothing is acknowledged ends instead, and the next one is tried every second.
void link_sockets::give_up_soon(asio::ip::tcp::socket& s) {
#ifdef TCP_USER_TIMEOUT  // Linux; elsewhere TCP's own patience has to do
  const auto patience =
      static_cast<unsigned>(std::max<std::int64_t>(1000, 4 * service_.options().election_max.count()));
  static_cast<void>(::setsockopt(s.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience));
#endif
}

void link_sockets::close(const handle& c, const char* why) {
  if (!c->open) return;
  c->open = false;
  std::error_code ignored;
  c->socket.close(ignored);
  c->to->reset(false);
  for (line& l : lines_) {
    if (l.now != c) continue;
    l.now.reset();
    service_.log("connection to server " + std::to_string(l.to->peer.value) + " lost: " + why);
    dial_later(l);
  }
}

void link_sockets::watch(const handle& c) {
  if (c->watched || !c->open) return;
  c->watched = true;
  c->socket.async_wait(asio::ip::tcp::socket::wait_read, [this, c](std::error_code wrong) {
    c->watched = false;
    if (!c->open) return;
    if (wrong) return close(c, wrong.message().c_str());
    c->readable = true;
  });
}

void link_sockets::take_in() {
  look_for_members();
  for (line& l : lines_) {
    const handle c = l.now;
    if (c == nullptr || !c->readable) continue;
    c->readable = false;
    read(c);
    watch(c);
  }
}

void link_sockets::look_again() {
  for (line& l : lines_) {
    if (const handle c = l.now; c != nullptr) read(c);
  }
}

/// Reads once, and takes every whole frame.
void link_sockets::read(const handle& c) {
  if (c->in.size() - c->end < read_bytes) {
    if (c->begin != 0) std::memmove(c->in.data(), c->in.data() + c->begin, c->end - c->begin);
    c->end -= c->begin;
    c->begin = 0;
    // A frame larger than the buffer doubles it; the codec's limit bounds that.
    if (c->in.size() - c->end < read_bytes) c->in.resize(std::max(4 * read_bytes, 2 * c->in.size()));
  }
  std::error_code wrong;
  c->end += c->socket.read_some(asio::buffer(c->in.data() + c->end, c->in.size() - c->end), wrong);
  if (wrong == asio::error::would_block) return;
  if (wrong) return close(c, wrong.message().c_str());
  const auto taken = service_.take_frames({c->in.data() + c->begin, c->end - c->begin});
  if (!taken) return close(c, taken.error().what);
  if (*taken > 0) {
    for (line& l : lines_) {
      if (l.now == c) l.pause = {};
    }
  }
  c->begin += *taken;
  if (c->begin == c->end) c->begin = c->end = 0;
}

void link_sockets::flush() {
  for (line& l : lines_) {
    if (const handle c = l.now; c != nullptr && c->to->pending() && !c->writing) flush(c);
  }
}

void link_sockets::flush(const handle& c) {
  link& to = *c->to;
  std::error_code wrong;
  while (to.pending() && !wrong) {
    to.sent += c->socket.write_some(asio::buffer(to.out.data() + to.sent, to.out.size() - to.sent), wrong);
  }
  if (!to.pending()) {
    to.out.clear();
    to.sent = 0;
    return;
  }
  if (wrong != asio::error::would_block) return close(c, wrong.message().c_str());
  // What is gone makes room for what comes.
  to.out.erase(to.out.begin(), to.out.begin() + static_cast<std::ptrdiff_t>(to.sent));
  to.sent = 0;
  c->writing = true;
  c->socket.async_wait(asio::ip::tcp::socket::wait_write, [this, c](std::error_code failed) {
    c->writing = false;
    if (!c->open) return;
    failed ? close(c, failed.message().c_str()) : flush(c);
  });
}

}  // namespace kv

// sessions.hpp: once each, within a window; forgotten by every server alike; the byte form, and bytes that are none.

#include <raft/sessions.hpp>

#include <doctest/doctest.h>
#include <malloc.h>

#include <cstdlib>
#include <list>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <vector>

using raft::session_limits;
using raft::session_outcome;
using raft::sessions;

namespace {

std::size_t memory_in_use = 0;
std::size_t allocations = 0;

}  // namespace

void* operator new(std::size_t bytes) {
  void* p = std::malloc(bytes);
  if (p == nullptr) std::abort();
  memory_in_use += malloc_usable_size(p);
  ++allocations;
  return p;
}
void operator delete(void* p) noexcept {
  if (p == nullptr) return;
  memory_in_use -= malloc_usable_size(p);
  std::free(p);
}
void operator delete(void* p, std::size_t) noexcept { operator delete(p); }

namespace {

using number = std::uint64_t;

raft::payload bytes_of(std::string_view text) { return std::as_bytes(std::span<const char>(text)); }
std::string text_of(raft::payload p) { return {reinterpret_cast<const char*>(p.data()), p.size()}; }

struct answer {
  session_outcome what{};
  std::string text{};
  bool executed = false;
  friend bool operator==(const answer&, const answer&) = default;
};

/// What a command whose answer is `text` gets.
answer ask(sessions& s, number id, number serial, const std::string& text = "done") {
  answer a;
  const auto reply = s.once(id, serial, [&] {
    a.executed = true;
    return bytes_of(text);
  });
  a.what = reply.what;
  a.text = text_of(reply.answer);
  return a;
}

answer fresh(const std::string& text = "done") { return {session_outcome::fresh, text, true}; }
answer again(const std::string& text = "done") { return {session_outcome::answered, text, false}; }
const answer too_old{session_outcome::too_old, "", false};
const answer expired{session_outcome::expired, "", false};
const answer unknown{session_outcome::unknown, "", false};

std::string image_of(const sessions& s) {
  std::string image;
  REQUIRE(s.write([&image](raft::payload piece) -> raft::result<void> {
    CHECK(!piece.empty());  // that would be the end, to whoever reads it
    image += text_of(piece);
    return {};
  }));
  return image;
}

/// By a source whose pieces have `piece` bytes.
raft::result<void> restore(sessions& s, const std::string& image, std::size_t piece = 7) {
  std::size_t at = 0;
  bool ended = false;
  auto source = [&]() -> raft::result<raft::payload> {
    REQUIRE_FALSE(ended);
    ended = at == image.size();
    const std::string_view next = std::string_view{image}.substr(at, piece);
    at += next.size();
    return bytes_of(next);
  };
  raft::exact_reader reader{source};
  std::size_t reads = 0;
  return s.restore([&](std::span<std::byte> to) {
    REQUIRE(++reads <= image.size() + 1);  // each asks for a byte at least
    return reader(to);
  });
}

std::string form(std::initializer_list<number> numbers) {
  std::string out;
  for (number n : numbers) {
    for (int i = 0; i < 8; ++i, n >>= 8) out.push_back(static_cast<char>(n & 0xff));
  }
  return out;
}

}  // namespace

TEST_CASE("sessions: a retry gets the first answer and is not done again") {
  sessions s;
  REQUIRE(s.open() == 1);
  REQUIRE(s.open() == 2);
  CHECK(ask(s, 1, 1, "one") == fresh("one"));
  CHECK(ask(s, 1, 1, "other") == again("one"));
  CHECK(ask(s, 2, 1, "two") == fresh("two"));
  CHECK(ask(s, 1, 2, "") == fresh(""));
  CHECK(ask(s, 1, 2, "x") == again(""));
  CHECK(ask(s, 1, 1) == again("one"));
  CHECK(s.bytes() == 6);
}

TEST_CASE("sessions: serials count from one") {
  sessions s;
  s.open();
  CHECK(ask(s, 1, 0) == too_old);
  CHECK(ask(s, 1, UINT64_MAX) == fresh());
  CHECK(ask(s, 1, UINT64_MAX) == again());
  CHECK(ask(s, 1, UINT64_MAX - 64) == too_old);
  CHECK(ask(s, 1, UINT64_MAX - 63) == fresh());
}

TEST_CASE("sessions: within the window serials come in any order, each once") {
  sessions s{{.window = 4}};
  s.open();
  for (const number serial : {4U, 2U, 3U, 1U})
    CHECK(ask(s, 1, serial, std::to_string(serial)) == fresh(std::to_string(serial)));
  for (const number serial : {1U, 2U, 3U, 4U}) CHECK(ask(s, 1, serial) == again(std::to_string(serial)));
}

TEST_CASE("sessions: the window moves by the serial that does not fit, and no further") {
  sessions s{{.window = 4}};
  s.open();
  ask(s, 1, 1, "1");
  ask(s, 1, 2, "2");
  CHECK(ask(s, 1, 4) == fresh());  // 1 to 4: 1 is still there.
  CHECK(ask(s, 1, 1) == again("1"));
  CHECK(ask(s, 1, 5) == fresh());  // 2 to 5.
  CHECK(ask(s, 1, 1) == too_old);
  CHECK(ask(s, 1, 2) == again("2"));
  CHECK(ask(s, 1, 3) == fresh());  // Never done, and above the floor.
  CHECK(ask(s, 1, 7) == fresh());  // 4 to 7.
  CHECK(ask(s, 1, 3) == too_old);
  CHECK(ask(s, 1, 4) == again());
  CHECK(ask(s, 1, 6) == fresh());
}

TEST_CASE("sessions: what was passed over is refused, and never done") {
  sessions s{{.window = 4}};
  s.open();
  ask(s, 1, 100);
  for (number serial = 0; serial <= 96; ++serial) REQUIRE(ask(s, 1, serial) == too_old);
  CHECK(ask(s, 1, 97) == fresh());
}

TEST_CASE("acknowledge: lets go of the answers up to it, and of no other") {
  sessions s;
  s.open();
  for (number serial = 1; serial <= 5; ++serial) ask(s, 1, serial, "12345");
  CHECK(s.acknowledge(1, 3));
  CHECK(s.bytes() == 10);
  CHECK(ask(s, 1, 3) == too_old);
  CHECK(ask(s, 1, 4) == again("12345"));
  CHECK(s.acknowledge(1, 2));  // Late: nothing comes back.
  CHECK(ask(s, 1, 3) == too_old);
  CHECK(s.acknowledge(1, 9));
  CHECK(s.bytes() == 0);
  CHECK(ask(s, 1, 8) == too_old);
  CHECK(ask(s, 1, 10) == fresh());
  CHECK_FALSE(s.acknowledge(2, 1));
  CHECK_FALSE(s.acknowledge(0, 1));
}

TEST_CASE("sessions: one that was forgotten says so; one that never was says that") {
  sessions s{{.sessions = 2}};
  CHECK(ask(s, 1, 1) == unknown);
  CHECK(ask(s, 0, 1) == unknown);
  s.open();
  s.open();
  CHECK(ask(s, 1, 1, "x") == fresh("x"));  // 2 is the least recently used now.
  CHECK(s.open() == 3);
  CHECK(s.size() == 2);
  CHECK(ask(s, 2, 1) == expired);
  CHECK(ask(s, 1, 1) == again("x"));
  CHECK(ask(s, 4, 1) == unknown);
  CHECK(s.close(1));
  CHECK(s.bytes() == 0);
  CHECK_FALSE(s.close(1));
  CHECK(ask(s, 1, 1) == expired);  // An old duplicate is not taken for new [bug B176].
  CHECK(s.open() == 4);
  CHECK(ask(s, 1, 1) == expired);
  CHECK(ask(s, 4, 1) == fresh());
}

TEST_CASE("sessions: a duplicate, a refusal and an acknowledgement are uses") {
  for (int use = 0; use < 4; ++use) {
    CAPTURE(use);
    sessions s{{.sessions = 3}};
    for (int i = 0; i < 3; ++i) s.open();
    ask(s, 1, 5);
    ask(s, 2, 1);
    ask(s, 3, 1);
    if (use == 0) ask(s, 1, 5);
    if (use == 1) ask(s, 1, 0);
    if (use == 2) s.acknowledge(1, 1);
    s.open();
    CHECK(ask(s, 1, 6) == (use == 3 ? expired : fresh()));
    CHECK(ask(s, 2, 2) == (use == 3 ? fresh() : expired));
  }
}

TEST_CASE("look_up: tells what once would say, and changes nothing") {
  sessions s{{.sessions = 2, .window = 4}};
  s.open();
  s.open();
  ask(s, 1, 5, "five");
  ask(s, 2, 1);
  const sessions before = s;
  CHECK(s.look_up(1, 5).what == session_outcome::answered);
  CHECK(text_of(s.look_up(1, 5).answer) == "five");
  CHECK(s.look_up(1, 1).what == session_outcome::too_old);
  CHECK(s.look_up(1, 2).what == session_outcome::fresh);
  CHECK(s.look_up(3, 1).what == session_outcome::unknown);
  CHECK(s == before);
  s.open();
  CHECK(s.look_up(1, 5).what == session_outcome::expired);
}

TEST_CASE("advance: a session is forgotten after more than `idle` without use, of the log's time") {
  sessions s{{.idle = 10}};
  s.advance(100);
  s.open();
  s.advance(105);
  s.open();
  s.advance(110);
  CHECK(ask(s, 1, 1) == fresh());  // 10 is not more than 10.
  s.advance(115);
  CHECK(s.size() == 2);
  s.advance(116);
  CHECK(ask(s, 2, 1) == expired);
  CHECK(ask(s, 1, 1) == again());
  s.advance(50);  // Time never falls: an entry that was proposed by a slow clock.
  CHECK(s.now() == 116);
  s.advance(126);
  CHECK(ask(s, 1, 1) == again());
  s.advance(UINT64_MAX);
  CHECK(ask(s, 1, 1) == expired);
  CHECK(s.size() == 0);
  CHECK(s.open() == 3);
}

TEST_CASE("advance: without a limit no session expires by time") {
  sessions s;
  s.open();
  s.advance(UINT64_MAX);
  CHECK(ask(s, 1, 1) == fresh());
}

TEST_CASE("sessions: bytes are limited; first go the least recently used sessions, then the session's own answers") {
  sessions s{{.window = 8, .bytes = 100}};
  for (int i = 0; i < 3; ++i) s.open();
  ask(s, 2, 1, std::string(40, 'b'));
  ask(s, 1, 1, std::string(40, 'a'));
  CHECK(ask(s, 3, 1, std::string(20, 'c')).executed);
  CHECK(s.size() == 3);  // 100 is within 100.
  CHECK(ask(s, 3, 2, "d").executed);
  CHECK(ask(s, 2, 1) == expired);
  CHECK(s.bytes() == 61);
  CHECK(ask(s, 3, 3, std::string(90, 'e')).executed);
  CHECK(s.size() == 1);
  CHECK(s.bytes() == 91);
  CHECK(ask(s, 3, 1) == too_old);
  CHECK(ask(s, 3, 2) == again("d"));
  CHECK(ask(s, 3, 4, std::string(1000, 'f')) == fresh(std::string(1000, 'f')));
  CHECK(ask(s, 3, 3) == too_old);
  CHECK(ask(s, 3, 4) == again(std::string(1000, 'f')));  // One answer is kept whatever its size.
  s.open();
  CHECK(ask(s, 4, 1, "g").executed);
  CHECK(ask(s, 3, 4) == expired);
  CHECK(s.bytes() == 1);
}

TEST_CASE("sessions: answers of one session that are as many bytes as allowed are all kept") {
  sessions s{{.bytes = 100}};
  s.open();
  CHECK(ask(s, 1, 1, std::string(60, 'a')).executed);
  CHECK(ask(s, 1, 2, std::string(40, 'b')).executed);
  CHECK(ask(s, 1, 1) == again(std::string(60, 'a')));
  CHECK(ask(s, 1, 3, "c").executed);
  CHECK(ask(s, 1, 1) == too_old);
  CHECK(s.bytes() == 41);
}

TEST_CASE("sessions: answers that are moved together stay what they are") {
  sessions s{{.window = 8}};
  s.open();
  const auto text = [](number serial) { return std::string(300, static_cast<char>('a' + serial)); };
  for (number serial = 1; serial <= 8; ++serial) ask(s, 1, serial, text(serial));
  s.acknowledge(1, 5);
  for (number serial = 6; serial <= 8; ++serial) REQUIRE(ask(s, 1, serial) == again(text(serial)));
  CHECK(s.bytes() == 900);
  for (number serial = 9; serial <= 13; ++serial) CHECK(ask(s, 1, serial, text(serial)).executed);
  for (number serial = 6; serial <= 13; ++serial) REQUIRE(ask(s, 1, serial) == again(text(serial)));
  for (number upto = 6; upto <= 12; ++upto) {
    s.acknowledge(1, upto);
    for (number serial = upto + 1; serial <= 13; ++serial) REQUIRE(ask(s, 1, serial) == again(text(serial)));
  }
}

TEST_CASE("sessions: the room of those that are gone is used again, each by one") {
  sessions s;
  for (int i = 0; i < 4; ++i) s.open();
  s.close(2);
  s.close(3);
  for (number id = 5; id <= 7; ++id) {
    CHECK(s.open() == id);
    ask(s, id, 1, std::to_string(id));
  }
  CHECK(s.size() == 5);
  for (number id = 5; id <= 7; ++id) CHECK(ask(s, id, 1) == again(std::to_string(id)));
  CHECK(ask(s, 1, 1) == fresh());
  CHECK(ask(s, 4, 1) == fresh());
}

TEST_CASE("sessions: one that stays is found when all around it come and go") {
  sessions s;
  s.open();
  ask(s, 1, 1, "mine");
  for (number id = 2; id <= 60; ++id) {
    s.open();
    s.close(id);
    REQUIRE(ask(s, 1, 1) == again("mine"));
    REQUIRE(ask(s, id, 1) == expired);
  }
}

TEST_CASE("set_limits: what they no longer allow is forgotten") {
  sessions s{{.sessions = 4, .window = 8, .bytes = 1000}};
  for (int i = 0; i < 4; ++i) s.open();
  for (number id = 1; id <= 4; ++id) {
    for (number serial = 1; serial <= 8; ++serial) ask(s, id, serial, std::string(10, 'x'));
  }
  s.set_limits({.sessions = 3, .window = 4, .bytes = 1000});
  CHECK(s.size() == 3);
  CHECK(ask(s, 1, 8) == expired);
  CHECK(ask(s, 2, 4) == too_old);
  CHECK(ask(s, 2, 5) == again(std::string(10, 'x')));
  CHECK(s.bytes() == 120);
  s.set_limits({.sessions = 3, .window = 4, .bytes = 25});
  CHECK(s.size() == 1);
  CHECK(s.bytes() == 20);
  CHECK(ask(s, 2, 6) == too_old);
  CHECK(ask(s, 2, 7) == again(std::string(10, 'x')));
  s.advance(5);
  s.set_limits({.sessions = 3, .window = 4, .bytes = 25, .idle = 4});
  CHECK(ask(s, 2, 7) == expired);
  sessions one{{.window = 8}};
  one.open();
  ask(one, 1, 3);
  one.set_limits({.window = 8});
  CHECK(ask(one, 1, 1) == fresh());  // Nothing moves without need.
}

TEST_CASE("validate: limits that make no sense are named") {
  CHECK(validate(session_limits{}));
  CHECK_FALSE(validate(session_limits{.sessions = 0}));
  CHECK_FALSE(validate(session_limits{.window = 0}));
  CHECK(validate(session_limits{.window = 4096}));
  CHECK_FALSE(validate(session_limits{.window = 4097}));
  CHECK(validate(session_limits{.sessions = 1ULL << 31U}));
  CHECK_FALSE(validate(session_limits{.sessions = (1ULL << 31U) + 1}));
}

TEST_CASE("sessions: a copy that went on differs") {
  sessions a{{.sessions = 3, .window = 4, .idle = 100}};
  a.open();
  a.open();
  ask(a, 1, 1, "x");
  const auto differs = [&a](auto&& change) {
    sessions b = a;
    CHECK(a == b);
    change(b);
    return !(a == b);
  };
  CHECK(differs([](sessions& b) { b.open(); }));
  CHECK(differs([](sessions& b) { b.close(2); }));
  CHECK(differs([](sessions& b) { b.advance(1); }));
  CHECK(differs([](sessions& b) { ask(b, 2, 1); }));
  CHECK(differs([](sessions& b) { b.acknowledge(2, 1); }));
  CHECK(differs([](sessions& b) { ask(b, 2, 0); }));  // The order of use.
  CHECK(differs([](sessions& b) { ask(b, 1, 2); }));
  CHECK(differs([](sessions& b) { b.acknowledge(1, 1); }));
  CHECK(differs([](sessions& b) { b.set_limits({.sessions = 3, .window = 5, .idle = 100}); }));
  sessions c{{.sessions = 3, .window = 4, .idle = 100}};
  c.open();
  c.open();
  ask(c, 1, 1, "y");
  CHECK_FALSE(a == c);
}

TEST_CASE("sessions: those that differ in one thing alone differ") {
  const auto with = [](auto&&... steps) {
    sessions s{{.sessions = 3, .window = 4, .idle = 100}};
    s.open();
    s.open();
    s.advance(1);
    (steps(s), ...);
    return s;
  };
  const auto asks = [](number id, number serial, const std::string& text = "done") {
    return [=](sessions& s) { ask(s, id, serial, text); };
  };
  const auto closes = [](number id) { return [id](sessions& s) { s.close(id); }; };
  const auto acknowledges = [](number floor) { return [floor](sessions& s) { s.acknowledge(2, floor); }; };
  CHECK(with(asks(2, 1)) == with(asks(2, 1)));
  CHECK_FALSE(with(closes(1)) == with(closes(2)));                            // which sessions there are
  CHECK_FALSE(with(asks(2, 0)) == with());                                    // when one was used
  CHECK_FALSE(with(acknowledges(1)) == with(acknowledges(2)));                // what was acknowledged
  CHECK_FALSE(with(asks(2, 1)) == with(asks(2, 2)));                          // which serials have answers
  CHECK_FALSE(with(asks(2, 1, "x")) == with(asks(2, 1, "y")));                // what the answers are
  CHECK_FALSE(with(asks(2, 1, "xy")) == with(asks(2, 1, "x")));               // and how long
  CHECK_FALSE(with(asks(1, 1), asks(2, 1)) == with(asks(2, 1), asks(1, 1)));  // in which order they were used
}

TEST_CASE("snapshot: all of it comes back, in pieces of any size, and goes on alike") {
  sessions s{{.sessions = 5, .window = 4, .bytes = 100'000, .idle = 50}};
  s.advance(7);
  for (int i = 0; i < 6; ++i) s.open();
  ask(s, 3, 9, "nine");
  ask(s, 3, 7, std::string(20'000, 'z'));
  ask(s, 2, 1, "");
  s.advance(9);
  ask(s, 5, 2, "two");
  s.acknowledge(5, 2);
  s.close(4);
  const std::string image = image_of(s);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{13}, std::size_t{4096}, image.size()}) {
    sessions t;
    t.open();
    ask(t, 1, 1, "gone");
    REQUIRE(restore(t, image, piece));
    CHECK(t == s);
    CHECK(image_of(t) == image);
    CHECK(t.bytes() == 20'004);
    CHECK(ask(t, 3, 7) == again(std::string(20'000, 'z')));
    CHECK(ask(t, 3, 9) == again("nine"));
    CHECK(ask(t, 3, 5) == too_old);
    CHECK(ask(t, 5, 2) == too_old);
    CHECK(ask(t, 4, 1) == expired);
    CHECK(ask(t, 1, 1) == expired);
    CHECK(ask(t, 7, 1) == unknown);
    CHECK(t.open() == 7);
  }
}

TEST_CASE("snapshot: bytes that came back are let go as others are") {
  sessions s;
  s.open();
  s.open();
  ask(s, 1, 1, "abc");
  ask(s, 2, 1, "defg");
  sessions t;
  REQUIRE(restore(t, image_of(s)));
  t.close(1);
  CHECK(t.bytes() == 4);
  t.acknowledge(2, 1);
  CHECK(t.bytes() == 0);
}

namespace {

/// The sizes of the pieces that a sink gets.
std::vector<std::size_t> pieces_of(const sessions& s) {
  std::vector<std::size_t> sizes;
  REQUIRE(s.write([&sizes](raft::payload piece) -> raft::result<void> {
    sizes.push_back(piece.size());
    return {};
  }));
  return sizes;
}

}  // namespace

TEST_CASE("snapshot: small things are gathered into pieces of 4 KiB, and what is as large goes as it is") {
  using sizes = std::vector<std::size_t>;
  sessions many;
  for (int i = 0; i < 2 * 128 - 2; ++i) many.open();  // a head as large as two sessions
  CHECK(pieces_of(many) == sizes{4096, 4096});
  many.open();
  CHECK(pieces_of(many) == sizes{4096, 4096, 32});
  for (const std::size_t size : {4095U, 4096U, 9000U}) {
    sessions s;
    s.open();
    ask(s, 1, 1, std::string(size, 'x'));
    CHECK(pieces_of(s) == (size < 4096 ? sizes{64 + 32 + 16 + size} : sizes{64 + 32 + 16, size}));
  }
}

TEST_CASE("snapshot: the byte form is the one that is documented") {
  sessions s{{.sessions = 5, .window = 4, .bytes = 100, .idle = 50}};
  s.open();
  s.open();
  s.advance(3);
  ask(s, 1, 6, "abc");
  CHECK(image_of(s) ==
        form({1, 5, 4, 100, 50, 3, 2, 2}) + form({2, 0, 0, 0}) + form({1, 2, 3, 1}) + form({6, 3}) + "abc");
}

TEST_CASE("snapshot: nothing after the form is read") {
  sessions s;
  s.open();
  ask(s, 1, 1, "abc");
  const std::string image = image_of(s) + "tail";
  std::size_t at = 0;
  const auto read = [&](std::span<std::byte> to) -> raft::result<void> {
    if (image.size() - at < to.size()) return {raft::errc::corrupt, "the end"};
    std::ranges::copy(bytes_of(std::string_view{image}.substr(at, to.size())), to.begin());
    at += to.size();
    return {};
  };
  sessions t;
  REQUIRE(t.restore(read));
  CHECK(image.substr(at) == "tail");
}

TEST_CASE("snapshot: one that is cut short is refused and changes nothing") {
  sessions s{{.window = 4}};
  s.open();
  s.open();
  ask(s, 1, 1, "abc");
  ask(s, 1, 2, "defgh");
  const std::string image = image_of(s);
  sessions t;
  t.open();
  ask(t, 1, 1, "mine");
  const sessions mine = t;
  for (std::size_t n = 0; n < image.size(); ++n) {
    const auto outcome = restore(t, image.substr(0, n));
    REQUIRE_FALSE(outcome);
    REQUIRE(outcome.error().code == raft::errc::corrupt);
    REQUIRE(t == mine);
  }
  CHECK(restore(t, image));
}

TEST_CASE("snapshot: what no sessions can be is refused, field by field") {
  const auto taken = [](const std::string& image) {
    sessions t;
    const auto outcome = restore(t, image);
    if (!outcome) CHECK(outcome.error().code == raft::errc::corrupt);
    return outcome.has_value();
  };
  const std::string a = form({6, 3}) + "abc";
  const std::string head = form({1, 5, 4, 100, 50, 60, 9, 2});
  const std::string good = head + form({2, 0, 20, 0}) + form({1, 2, 60, 1}) + a;
  REQUIRE(taken(good));
  CHECK_FALSE(taken(form({2, 5, 4, 100, 50, 60, 9, 2}) + good.substr(64)));     // version
  CHECK_FALSE(taken(form({1, 0, 4, 100, 50, 60, 9, 2}) + good.substr(64)));     // limits
  CHECK_FALSE(taken(form({1, 5, 9999, 100, 50, 60, 9, 2}) + good.substr(64)));  // limits
  CHECK_FALSE(taken(form({1, 1, 4, 100, 50, 60, 9, 2}) + good.substr(64)));     // more sessions than allowed
  CHECK_FALSE(taken(form({1, 5, 4, 100, 39, 60, 9, 2}) + good.substr(64)));     // 2 should have expired
  CHECK(taken(form({1, 5, 4, 100, 40, 60, 9, 2}) + good.substr(64)));           // 40 is not more than 40
  CHECK_FALSE(taken(form({1, 5, 4, 100, 50, 59, 9, 2}) + good.substr(64)));     // 1 was used in the future
  CHECK_FALSE(taken(form({1, 5, 4, 100, 50, 60, 1, 2}) + good.substr(64)));     // 2 was never given out
  CHECK_FALSE(taken(form({1, 5, 4, 100, 50, 60, 9, UINT64_MAX}) + good.substr(64)));
  CHECK_FALSE(taken(head + form({0, 0, 20, 0}) + form({1, 2, 60, 1}) + a));  // number zero
  CHECK_FALSE(taken(head + form({1, 0, 20, 0}) + form({1, 2, 60, 1}) + a));  // twice
  CHECK_FALSE(taken(head + form({2, 0, 20, 0}) + form({1, 2, 19, 1}) + a));  // not in the order of use
  CHECK_FALSE(taken(head + form({2, 0, 20, 0}) + form({1, 6, 60, 1}) + a));  // at the floor
  CHECK(taken(head + form({2, 0, 20, 0}) + form({1, 5, 60, 1}) + a));
  CHECK_FALSE(taken(head + form({2, 0, 20, 0}) + form({1, 1, 60, 1}) + a));      // beyond the window
  CHECK_FALSE(taken(head + form({2, 0, 20, 0}) + form({1, 2, 60, 2}) + a + a));  // a serial twice
  CHECK_FALSE(taken(head + form({2, 0, 20, 0}) + form({1, 2, 60, 2}) + a + form({5, 0})));
  CHECK(taken(head + form({2, 0, 20, 0}) + form({1, 2, 60, 2}) + form({5, 0}) + a));
  CHECK_FALSE(taken(head + form({2, 0, 20, 0}) + form({1, 2, 60, 5}) + a + a + a + a + a));  // more than the window
  CHECK_FALSE(taken(head + form({2, 0, 20, 0}) + form({1, 2, 60, 1}) + form({6, UINT64_MAX}) + "abc"));
  std::string window = form({1, 2, 60, 4});
  for (number serial = 3; serial <= 6; ++serial) window += form({serial, 3}) + "abc";
  CHECK(taken(head + form({2, 0, 20, 0}) + window));
  // Bytes: one answer may be larger than the limit, two may not.
  const std::string large = form({6, 101}) + std::string(101, 'x');
  CHECK(taken(head + form({2, 0, 20, 0}) + form({1, 2, 60, 1}) + large));
  CHECK_FALSE(taken(head + form({2, 0, 20, 1}) + form({1, 0}) + form({1, 2, 60, 1}) + large));
  CHECK_FALSE(taken(head + form({2, 0, 20, 1}) + form({1, 1}) + "y" + form({1, 2, 60, 1}) + form({6, 100}) +
                    std::string(100, 'x')));
  CHECK(taken(head + form({2, 0, 20, 1}) + form({1, 1}) + "y" + form({1, 2, 60, 1}) + form({6, 99}) +
              std::string(99, 'x')));
}

TEST_CASE("snapshot: damaged anywhere, it is refused or is a state that can be") {
  sessions s{{.sessions = 3, .window = 4, .bytes = 50, .idle = 5}};
  for (int i = 0; i < 4; ++i) s.open();
  ask(s, 2, 3, "abc");
  s.advance(2);
  ask(s, 3, 1, "de");
  const std::string image = image_of(s);
  for (std::size_t i = 0; i < image.size(); ++i) {
    for (const char bad : {'\x00', '\x01', '\x7f', '\xff'}) {
      std::string damaged = image;
      damaged[i] = bad;
      sessions t;
      if (!restore(t, damaged)) continue;
      REQUIRE(damaged.starts_with(image_of(t)));
      t.open();
      ask(t, t.last_id(), 1);
    }
  }
}

TEST_CASE("snapshot: errors of the sink and of the source are passed on") {
  sessions s;
  s.open();
  ask(s, 1, 1, std::string(10'000, 'x'));
  int calls = 0;
  const auto written = s.write([&calls](raft::payload) -> raft::result<void> {
    ++calls;
    return {raft::errc::no_space, "full"};
  });
  REQUIRE_FALSE(written);
  CHECK(written.error().code == raft::errc::no_space);
  CHECK(calls == 1);
  for (int i = 0; i < 3; ++i) ask(s, s.open(), 1, std::string(10'000, 'y'));
  CHECK(image_of(s).size() > 40'000);  // its last piece is an answer: no empty one comes behind it
  s.set_limits({.sessions = 1000});
  for (int i = 0; i < 300; ++i) s.open();
  int pieces = 0;
  REQUIRE(s.write([&pieces](raft::payload) -> raft::result<void> { return ++pieces, raft::result<void>{}; }));
  CHECK(pieces > 6);
  for (int room = 0; room < pieces; ++room) {
    calls = 0;
    CHECK_FALSE(s.write([&](raft::payload) -> raft::result<void> {
      return ++calls <= room ? raft::result<void>{} : raft::result<void>{raft::errc::no_space, "full"};
    }));
    CHECK(calls == room + 1);  // not asked again
  }
  auto broken = []() -> raft::result<raft::payload> { return {raft::errc::io, "broken"}; };
  raft::exact_reader reader{broken};
  const auto read = s.restore(reader);
  REQUIRE_FALSE(read);
  CHECK(read.error().code == raft::errc::io);
  CHECK(ask(s, 1, 1) == again(std::string(10'000, 'x')));
}

TEST_CASE("snapshot: an error of the source is passed on as it is, wherever it comes") {
  sessions s;
  s.open();
  ask(s, 1, 1, "abc");
  ask(s, 1, 2, "de");
  const std::string image = image_of(s);
  for (std::size_t broken_at = 0; broken_at < image.size(); ++broken_at) {
    std::size_t at = 0;
    const auto read = [&](std::span<std::byte> to) -> raft::result<void> {
      if (at + to.size() > broken_at) return {raft::errc::io, "broken"};
      std::ranges::copy(bytes_of(std::string_view{image}.substr(at, to.size())), to.begin());
      at += to.size();
      return {};
    };
    sessions t;
    const auto outcome = t.restore(read);
    REQUIRE_FALSE(outcome);
    REQUIRE(outcome.error().code == raft::errc::io);
  }
}

namespace {

/// The rules, as simply as they can be said.
struct model {
  struct one {
    number id, floor, used_at;
    std::map<number, std::string> answers;
  };
  session_limits limits;
  std::list<one> by_use;
  number now = 0, last = 0;

  std::list<one>::iterator find(number id) {
    auto at = by_use.begin();
    while (at != by_use.end() && at->id != id) ++at;
    return at;
  }
  number bytes() const {
    number n = 0;
    for (const one& s : by_use) {
      for (const auto& [serial, text] : s.answers) n += text.size();
    }
    return n;
  }
  void raise(one& s, number floor) {
    if (floor <= s.floor) return;
    s.floor = floor;
    s.answers.erase(s.answers.begin(), s.answers.upper_bound(floor));
  }
  number open() {
    if (by_use.size() == limits.sessions) by_use.pop_front();
    by_use.push_back({++last, 0, now, {}});
    return last;
  }
  void advance(number to) {
    now = std::max(now, to);
    while (limits.idle != 0 && !by_use.empty() && by_use.front().used_at + limits.idle < now) by_use.pop_front();
  }
  answer ask(number id, number serial, const std::string& text) {
    const auto at = find(id);
    if (at == by_use.end()) return id != 0 && id <= last ? expired : unknown;
    by_use.splice(by_use.end(), by_use, at);
    one& s = by_use.back();
    s.used_at = now;
    if (serial <= s.floor) return too_old;
    if (const auto a = s.answers.find(serial); a != s.answers.end()) return again(a->second);
    if (serial > limits.window) raise(s, serial - limits.window);
    s.answers[serial] = text;
    while (bytes() > limits.bytes && by_use.size() > 1) by_use.pop_front();
    while (bytes() > limits.bytes && s.answers.size() > 1) raise(s, s.answers.begin()->first);
    return fresh(text);
  }
};

}  // namespace

TEST_CASE("sessions: the same as their model, through snapshots") {
  const session_limits limits{.sessions = 6, .window = 5, .bytes = 3000, .idle = 40};
  sessions s{limits};
  model m{limits, {}};
  std::uint32_t random = 11;
  const auto draw = [&random](std::uint32_t n) {
    random = random * 1664525 + 1013904223;
    return (random >> 8) % n;
  };
  std::map<number, number> highest;
  std::map<session_outcome, int> met;
  for (int i = 0; i < 60'000; ++i) {
    const number id = m.last > 8 && draw(50) != 0 ? m.last - draw(8) : draw(10);
    number& top = highest[id];
    switch (draw(12)) {
      case 0:
        if (draw(8) == 0) REQUIRE(s.open() == m.open());
        break;
      case 1: {
        const number to = m.now + draw(4) - std::min<number>(m.now, 2);
        s.advance(to);
        m.advance(to);
        break;
      }
      case 2: {
        const number upto = top > 3 ? top - draw(4) : 0;
        const auto at = m.find(id);
        REQUIRE(s.acknowledge(id, upto) == (at != m.by_use.end()));
        if (at == m.by_use.end()) break;
        m.by_use.splice(m.by_use.end(), m.by_use, at);
        at->used_at = m.now;
        m.raise(*at, upto);
        break;
      }
      case 3:
        if (draw(20) == 0) {
          const auto at = m.find(id);
          REQUIRE(s.close(id) == (at != m.by_use.end()));
          if (at != m.by_use.end()) m.by_use.erase(at);
        } else if (draw(20) == 0) {
          sessions t;
          REQUIRE(restore(t, image_of(s), 100));
          REQUIRE(t == s);
          s = t;
        }
        break;
      default: {
        const number serial = top + 3 - std::min<number>(top + 3, draw(10));
        const std::string text(draw(30) == 0 ? draw(2000) : draw(60), static_cast<char>('a' + draw(26)));
        const auto before = s.look_up(id, serial).what;
        const answer expected = m.ask(id, serial, text);
        REQUIRE(ask(s, id, serial, text) == expected);
        REQUIRE(before == expected.what);
        ++met[expected.what];
        if (expected.executed) top = std::max(top, serial);
      }
    }
    REQUIRE(s.bytes() == m.bytes());
    REQUIRE(s.size() == m.by_use.size());
  }
  for (const auto what : {session_outcome::fresh, session_outcome::answered, session_outcome::too_old,
                          session_outcome::expired, session_outcome::unknown}) {
    CHECK(met[what] > 100);
  }
}

TEST_CASE("sessions: memory follows what is kept, not what once was") {
  const std::string large(1 << 20, 'x');
  const std::size_t before = memory_in_use;
  {
    sessions s{{.bytes = 4 << 20}};
    for (number id = 1; id <= 100; ++id) {
      s.open();
      ask(s, id, 1, large);
      s.acknowledge(id, 1);
      ask(s, id, 2, "small");
    }
    CHECK(s.size() == 100);
    CHECK(s.bytes() == 500);
    // The memory of the largest session, once, for moving answers together; and a few KiB for each.
    CHECK(memory_in_use - before < (2U << 20) + 100 * 4096);
  }
  CHECK(memory_in_use == before);
}

TEST_CASE("sessions: memory does not follow how many there were") {
  sessions s;
  const auto come_and_go = [&s](int rounds) {
    for (int round = 0; round < rounds; ++round) {
      const number first = s.last_id() + 1;
      for (int i = 0; i < 10; ++i) s.open();
      for (number id = first; id < first + 10; ++id) s.close(id);
    }
    return memory_in_use;
  };
  const std::size_t early = come_and_go(10);
  CHECK(come_and_go(300) == early);
}

TEST_CASE("sessions: memory of answers that were let go is given back, that of others kept") {
  sessions s{{.window = 8}};
  const std::size_t before = memory_in_use;
  s.open();
  for (number serial = 1; serial <= 5; ++serial) ask(s, 1, serial, std::string(10'000, 'x'));
  CHECK(memory_in_use - before > 50'000);
  s.acknowledge(1, 4);
  const std::size_t held = memory_in_use - before;
  CHECK(held < 25'000);  // one answer, and room as much to move it
  s.acknowledge(1, 5);
  CHECK(memory_in_use - before < held - 9'000);
}

TEST_CASE("sessions: in the steady state nothing is allocated") {
  sessions s{{.sessions = 10, .window = 16}};
  for (int i = 0; i < 10; ++i) s.open();
  const std::string text(100, 'x');
  const auto run = [&](number from, number to) {
    for (number serial = from; serial < to; ++serial) {
      for (number id = 1; id <= 10; ++id) {
        s.once(id, serial ^ 1U, [&] { return bytes_of(text); });
        if (serial > 8) s.acknowledge(id, serial - 8);
      }
    }
  };
  run(2, 500);
  const std::size_t before = allocations;
  run(500, 2000);
  CHECK(allocations == before);
}

namespace {

constexpr bool works_in_constant_evaluation() {
  sessions s{session_limits{.sessions = 2, .window = 2, .bytes = 1 << 20, .idle = 10}};
  const std::byte a[]{std::byte{1}, std::byte{2}};
  int done = 0;
  const auto execute = [&] {
    ++done;
    return raft::payload(a);
  };
  s.open();
  s.open();
  if (s.once(1, 2, execute).what != session_outcome::fresh) return false;
  if (s.once(1, 1, execute).what != session_outcome::fresh) return false;
  if (s.once(1, 2, execute).what != session_outcome::answered || done != 2) return false;
  if (s.once(1, 3, execute).what != session_outcome::fresh) return false;
  if (s.once(1, 1, execute).what != session_outcome::too_old || done != 3) return false;
  s.open();
  if (s.once(2, 1, execute).what != session_outcome::expired) return false;
  s.advance(5);
  s.acknowledge(1, 2);
  std::vector<std::byte> image;
  const auto sink = [&image](raft::payload p) -> raft::result<void> {
    image.insert(image.end(), p.begin(), p.end());
    return {};
  };
  if (!s.write(sink)) return false;
  bool given = false;
  auto source = [&]() -> raft::result<raft::payload> {
    return std::exchange(given, true) ? raft::payload{} : raft::payload(image);
  };
  raft::exact_reader reader{source};
  sessions t;
  if (!t.restore(reader) || !(t == s)) return false;
  t.set_limits({.sessions = 1, .window = 1, .bytes = 0, .idle = 1});
  return t.size() == 1 && t.close(1) && t.size() == 0;
}
static_assert(works_in_constant_evaluation());

}  // namespace

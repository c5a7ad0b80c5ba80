// examples/kv: what commands do to the data and to sessions, and the form of both in a snapshot.

#include "../../examples/kv/src/state.hpp"

#include <doctest/doctest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace kv_state_test {

using namespace kv;

namespace {

/// Words apart by blanks, into the state by way of the form in the log.
std::string run(state& s, const std::string& request) {
  std::vector<std::string> owned;
  std::istringstream in{request};
  for (std::string word; in >> word;) owned.push_back(word == "\"\"" ? "" : word);
  const std::vector<std::string_view> words(owned.begin(), owned.end());
  command c;
  std::string error;
  REQUIRE_MESSAGE(parse(words, c, error), error);
  std::string entry;
  encode(entry, c);
  std::string reply;
  c.effect == effect::reads ? s.read(entry, reply) : s.apply(entry, reply);
  return reply;
}

std::string image_of(const state& s) {
  std::string image;
  auto sink = [&image](raft::payload piece) -> raft::result<void> {
    image.append(as_text(piece));
    return {};
  };
  REQUIRE(s.write_snapshot(sink));
  return image;
}

raft::result<void> restore(state& s, const std::string& image, std::size_t piece) {
  std::size_t at = 0;
  auto source = [&]() -> raft::result<raft::payload> {
    const std::string_view next = std::string_view{image}.substr(at, piece);
    at += next.size();
    return as_payload(next);
  };
  return s.restore(source);
}

}  // namespace

TEST_CASE("store: SET and its conditions") {
  state s;
  CHECK(run(s, "GET k") == "$-1\r\n");
  CHECK(run(s, "SET k 1 XX") == "$-1\r\n");
  CHECK(run(s, "GET k") == "$-1\r\n");
  CHECK(run(s, "SET k 1 NX") == "+OK\r\n");
  CHECK(run(s, "SET k 2 NX") == "$-1\r\n");
  CHECK(run(s, "GET k") == "$1\r\n1\r\n");
  CHECK(run(s, "SET k 3 XX") == "+OK\r\n");
  CHECK(run(s, "SET k 4 GET") == "$1\r\n3\r\n");
  CHECK(run(s, "SET k 5 NX GET") == "$1\r\n4\r\n");
  CHECK(run(s, "GET k") == "$1\r\n4\r\n");
  CHECK(run(s, "SET new 1 NX GET") == "$-1\r\n");
  CHECK(run(s, "GET new") == "$1\r\n1\r\n");
  CHECK(run(s, "SET other 1 XX GET") == "$-1\r\n");
  CHECK(run(s, "EXISTS other") == ":0\r\n");
}

TEST_CASE("store: counting, joining, several keys") {
  state s;
  CHECK(run(s, "INCR n") == ":1\r\n");
  CHECK(run(s, "INCRBY n -5") == ":-4\r\n");
  CHECK(run(s, "SET n 9223372036854775806") == "+OK\r\n");
  CHECK(run(s, "INCR n") == ":9223372036854775807\r\n");
  CHECK(run(s, "INCR n") == "-ERR increment or decrement would overflow\r\n");
  CHECK(run(s, "GET n") == "$19\r\n9223372036854775807\r\n");
  CHECK(run(s, "SET n -9223372036854775808") == "+OK\r\n");
  CHECK(run(s, "INCRBY n -1") == "-ERR increment or decrement would overflow\r\n");
  CHECK(run(s, "INCRBY n 0") == ":-9223372036854775808\r\n");
  CHECK(run(s, "SET n abc") == "+OK\r\n");
  CHECK(run(s, "INCR n") == "-ERR value is not an integer or out of range\r\n");
  CHECK(run(s, "APPEND n def") == ":6\r\n");
  CHECK(run(s, "APPEND fresh x") == ":1\r\n");
  CHECK(run(s, "STRLEN n") == ":6\r\n");
  CHECK(run(s, "STRLEN none") == ":0\r\n");
  CHECK(run(s, "MSET a 1 b 2 a 3") == "+OK\r\n");
  CHECK(run(s, "MGET a none b") == "*3\r\n$1\r\n3\r\n$-1\r\n$1\r\n2\r\n");
  CHECK(run(s, "EXISTS a a none") == ":2\r\n");
  CHECK(run(s, "DBSIZE") == ":4\r\n");
  CHECK(run(s, "DEL a a none") == ":1\r\n");
  CHECK(run(s, "FLUSHALL") == "+OK\r\n");
  CHECK(run(s, "DBSIZE") == ":0\r\n");
}

TEST_CASE("store: CAS") {
  state s;
  CHECK(run(s, "CAS k a b") == "$-1\r\n");
  CHECK(run(s, "SET k a") == "+OK\r\n");
  CHECK(run(s, "CAS k x b") == ":0\r\n");
  CHECK(run(s, "GET k") == "$1\r\na\r\n");
  CHECK(run(s, "CAS k a b") == ":1\r\n");
  CHECK(run(s, "GET k") == "$1\r\nb\r\n");
}

TEST_CASE("state: an entry that is no command changes nothing") {
  state s;
  run(s, "SET k v");
  const std::string before = image_of(s);
  for (const std::string& entry : {std::string{}, std::string{"\x01"}, std::string("\x01\x00\x01\x01k", 5),
                                   std::string("\xee\x00\x00", 3), std::string("\x06\x00\x02\x01k\x01x", 7)}) {
    std::string reply;
    s.apply(entry, reply);
    CHECK(reply == "-ERR malformed command\r\n");
    CHECK(image_of(s) == before);
  }
}

TEST_CASE("session: a retry gets the first answer and is not done again") {
  state s;
  CHECK(run(s, "SESSION.OPEN") == ":1\r\n");
  CHECK(run(s, "SESSION.OPEN") == ":2\r\n");
  CHECK(run(s, "SESSION.DO 1 1 INCR k") == ":1\r\n");
  CHECK(run(s, "SESSION.DO 1 1 INCR k") == ":1\r\n");
  CHECK(run(s, "SESSION.DO 2 1 INCR k") == ":2\r\n");
  CHECK(run(s, "SESSION.DO 1 2 INCR k") == ":3\r\n");
  CHECK(run(s, "SESSION.DO 1 1 INCR k") == ":1\r\n");
  CHECK(run(s, "SESSION.DO 1 3 GET k") == "$1\r\n3\r\n");
  CHECK(run(s, "SET k 9") == "+OK\r\n");
  CHECK(run(s, "SESSION.DO 1 3 GET k") == "$1\r\n3\r\n");
  CHECK(run(s, "GET k") == "$1\r\n9\r\n");
}

TEST_CASE("session: an error is an answer, too") {
  state s;
  run(s, "SESSION.OPEN");
  run(s, "SET k abc");
  CHECK(run(s, "SESSION.DO 1 1 INCR k") == "-ERR value is not an integer or out of range\r\n");
  run(s, "SET k 5");
  CHECK(run(s, "SESSION.DO 1 1 INCR k") == "-ERR value is not an integer or out of range\r\n");
  CHECK(run(s, "GET k") == "$1\r\n5\r\n");
}

TEST_CASE("session: serials may come out of order; what fell out of the window is refused, not done") {
  state s;
  run(s, "SESSION.OPEN");
  CHECK(run(s, "SESSION.DO 1 5 INCR k") == ":1\r\n");
  CHECK(run(s, "SESSION.DO 1 4 INCR k") == ":2\r\n");
  CHECK(run(s, "SESSION.DO 1 5 INCR k") == ":1\r\n");
  const auto limit = static_cast<int>(state::session_limits.window);
  for (int serial = 6; serial < 6 + limit; ++serial) run(s, "SESSION.DO 1 " + std::to_string(serial) + " INCR k");
  const std::string now = run(s, "GET k");
  const std::string stale = "-STALE the answer to this serial is not kept any more\r\n";
  CHECK(run(s, "SESSION.DO 1 5 INCR k") == stale);
  CHECK(run(s, "SESSION.DO 1 3 INCR k") == stale);
  CHECK(run(s, "SESSION.DO 1 6 INCR k") == ":3\r\n");
  CHECK(run(s, "GET k") == now);
}

TEST_CASE("session: one that is not there is refused, and its number never comes back") {
  state s;
  const std::string none = "-NOSESSION no such session: never opened, or forgotten as the least recently used\r\n";
  CHECK(run(s, "SESSION.DO 1 1 INCR k") == none);
  run(s, "SESSION.OPEN");
  run(s, "SESSION.OPEN");
  run(s, "SESSION.DO 2 1 INCR k");
  run(s, "SESSION.DO 1 1 INCR k");  // 2 is now the least recently used.
  for (std::size_t i = 2; i < state::session_limits.sessions; ++i) run(s, "SESSION.OPEN");
  CHECK(run(s, "SESSION.DO 1 1 INCR k") == ":2\r\n");
  run(s, "SESSION.OPEN");
  CHECK(s.session_count() == state::session_limits.sessions);
  CHECK(run(s, "SESSION.DO 2 1 INCR k") == none);
  CHECK(run(s, "SESSION.DO 2 2 INCR k") == none);
  CHECK(run(s, "SESSION.DO 1 1 INCR k") == ":2\r\n");
  CHECK(run(s, "GET k") == "$1\r\n2\r\n");
}

TEST_CASE("session: answers are bounded in bytes, the least recently used session goes first") {
  state s;
  run(s, "SESSION.OPEN");
  run(s, "SESSION.OPEN");
  run(s, "SET k " + std::string(1 << 20, 'x'));
  run(s, "SESSION.DO 2 1 SET n 1");
  run(s, "SESSION.DO 1 1 SET n 1");
  for (int serial = 2; serial < 50; ++serial) run(s, "SESSION.DO 1 " + std::to_string(serial) + " GET k");
  CHECK(s.session_count() == 2);
  run(s, "SESSION.OPEN");
  for (int serial = 1; serial < 30; ++serial) run(s, "SESSION.DO 3 " + std::to_string(serial) + " GET k");
  CHECK(run(s, "SESSION.DO 1 1 SET n 2").starts_with("-NOSESSION"));
  // A session alone with more than the limit lets go of its first answers.
  run(s, "SET k " + std::string(20 << 20, 'x'));
  for (int serial = 30; serial < 40; ++serial) run(s, "SESSION.DO 3 " + std::to_string(serial) + " GET k");
  CHECK(run(s, "SESSION.DO 3 30 GET k").starts_with("-STALE"));
  CHECK(run(s, "SESSION.DO 3 39 GET k").starts_with("$20971520\r\n"));
}

TEST_CASE("snapshot: data and sessions come back, in pieces of any size") {
  state s;
  run(s, "SESSION.OPEN");
  run(s, "SESSION.OPEN");
  run(s, "SESSION.OPEN");
  run(s, "SESSION.DO 1 7 INCR n");
  run(s, "SESSION.DO 3 1 APPEND n x");
  run(s, "SET large " + std::string(200'000, 'y'));
  run(s, "MSET a 1 b 2 c \"\"");
  const std::string image = image_of(s);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, image.size()}) {
    state t;
    run(t, "SET gone 1");
    REQUIRE(restore(t, image, piece));
    CHECK(run(t, "GET gone") == "$-1\r\n");
    CHECK(run(t, "MGET a b c n") == "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$0\r\n\r\n$2\r\n1x\r\n");
    CHECK(run(t, "STRLEN large") == ":200000\r\n");
    CHECK(run(t, "DBSIZE") == ":5\r\n");
    CHECK(run(t, "SESSION.DO 1 7 INCR n") == ":1\r\n");
    CHECK(run(t, "SESSION.DO 3 1 APPEND n x") == ":2\r\n");
    CHECK(run(t, "SESSION.OPEN") == ":4\r\n");
  }
}

TEST_CASE("snapshot: the order in which sessions are forgotten survives it") {
  state s;
  for (std::size_t i = 0; i < state::session_limits.sessions; ++i) run(s, "SESSION.OPEN");
  run(s, "SESSION.DO 1 1 INCR k");
  state t;
  REQUIRE(restore(t, image_of(s), 1000));
  CHECK(run(s, "SESSION.OPEN") == run(t, "SESSION.OPEN"));
  CHECK(run(t, "SESSION.DO 1 1 INCR k") == ":1\r\n");
  CHECK(run(t, "SESSION.DO 2 1 INCR k").starts_with("-NOSESSION"));
  CHECK(run(s, "SESSION.DO 2 1 INCR k").starts_with("-NOSESSION"));
}

TEST_CASE("snapshot: the floor of a session survives it") {
  state s;
  run(s, "SESSION.OPEN");
  for (int serial = 1; serial < 100; ++serial) run(s, "SESSION.DO 1 " + std::to_string(serial) + " INCR k");
  state t;
  REQUIRE(restore(t, image_of(s), 1000));
  CHECK(run(t, "SESSION.DO 1 1 INCR k").starts_with("-STALE"));
  CHECK(run(t, "SESSION.DO 1 99 INCR k") == ":99\r\n");
}

TEST_CASE("snapshot: one that is cut, longer, or damaged is refused and changes nothing") {
  state s;
  run(s, "SESSION.OPEN");
  run(s, "SESSION.DO 1 1 INCR n");
  run(s, "MSET a 1 b 2");
  const std::string image = image_of(s);
  state t;
  run(t, "SET mine 1");
  const std::string mine = image_of(t);
  for (std::size_t n = 0; n < image.size(); ++n) {
    CHECK_FALSE(restore(t, image.substr(0, n), 5));
    CHECK(image_of(t) == mine);
  }
  CHECK_FALSE(restore(t, image + "x", 5));
  // A damaged length must neither crash nor reserve what it claims.
  for (std::size_t i = 0; i < image.size(); ++i) {
    std::string damaged = image;
    damaged[i] = '\xff';
    state u;
    const auto outcome = restore(u, damaged, 5);
    CHECK((outcome || outcome.error().code == raft::errc::corrupt));
  }
}

TEST_CASE("snapshot: sessions that cannot be are refused") {
  const auto image = [](std::uint64_t last, std::uint64_t first, std::uint64_t second) {
    std::string bytes;
    const auto words = [&bytes](std::initializer_list<std::uint64_t> numbers) {
      for (std::uint64_t n : numbers) {
        for (int i = 0; i < 8; ++i, n >>= 8) bytes.push_back(static_cast<char>(n & 0xff));
      }
    };
    put_string(bytes, "raft-kv");
    put_number(bytes, 2);  // version
    put_number(bytes, 0);  // pairs
    words({1, 10'000, 64, 64 << 20, 0, 0, last, 2});
    for (const std::uint64_t id : {first, second}) words({id, 0, 0, 0});
    put_string(bytes, "end");
    return bytes;
  };
  state s;
  CHECK(restore(s, image(2, 1, 2), 5));
  CHECK_FALSE(restore(s, image(2, 1, 1), 5));
  CHECK_FALSE(restore(s, image(2, 0, 1), 5));
  CHECK_FALSE(restore(s, image(2, 3, 1), 5));
}

TEST_CASE("snapshot: errors of the sink and of the source are passed on") {
  state s;
  run(s, "SET k " + std::string(1'000'000, 'x'));
  int calls = 0;
  auto full = [&calls](raft::payload) -> raft::result<void> {
    ++calls;
    return {raft::errc::no_space, "full"};
  };
  const auto written = s.write_snapshot(full);
  REQUIRE_FALSE(written);
  CHECK(written.error().code == raft::errc::no_space);
  CHECK(calls == 1);
  auto broken = []() -> raft::result<raft::payload> { return {raft::errc::io, "broken"}; };
  const auto read = s.restore(broken);
  REQUIRE_FALSE(read);
  CHECK(read.error().code == raft::errc::io);
  CHECK(run(s, "STRLEN k") == ":1000000\r\n");
}

TEST_CASE("state: the same entries give the same answers and sessions everywhere") {
  // Two states, one of which goes through a snapshot in the middle.
  state a;
  state b;
  std::uint32_t random = 7;
  const auto draw = [&random](std::uint32_t n) {
    random = random * 1664525 + 1013904223;
    return (random >> 8) % n;
  };
  for (int i = 0; i < 4000; ++i) {
    std::string request;
    const std::string key = "k" + std::to_string(draw(5));
    switch (draw(7)) {
      case 0:
        request = "SESSION.OPEN";
        break;
      case 1:
        request = "SET " + key + " " + std::to_string(draw(10));
        break;
      case 2:
        request = "CAS " + key + " " + std::to_string(draw(10)) + " 3";
        break;
      case 3:
        request = "DEL " + key;
        break;
      default:
        request = "SESSION.DO " + std::to_string(1 + draw(40)) + " " + std::to_string(1 + draw(90)) + " INCR " + key;
    }
    REQUIRE(run(a, request) == run(b, request));
    if (i % 1000 == 500) {
      state c;
      REQUIRE(restore(c, image_of(b), 100));
      b = std::move(c);
    }
  }
  CHECK(a.keys() == b.keys());
  CHECK(a.session_count() == b.session_count());
}

}  // namespace kv_state_test

// examples/kv: replies leave in the order of the requests, and a connection's commands see each other in that order.

#include "../../examples/kv/src/reply_queue.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "../../examples/kv/src/state.hpp"

namespace kv_reply_queue_test {

using namespace kv;

namespace {

/// A connection and the state that its commands meet.
struct world {
  reply_queue queue{};
  state data{};
  std::uint64_t confirmed = 0;
  std::vector<std::vector<std::string_view>> requests{};

  command parsed(std::vector<std::string_view> words) {
    requests.push_back(std::move(words));
    command c;
    std::string error;
    REQUIRE(parse(requests.back(), c, error));
    return c;
  }
  auto reader() {
    return [this](std::string_view entry, std::string& out) { data.read(entry, out); };
  }
  void apply(reply_queue::number n, const std::string& key, const std::string& value) {
    queue.complete(n, confirmed, reader(), [&](std::string& out) {
      std::string entry;
      encode(entry, parsed({"SET", key, value}));
      data.apply(entry, out);
    });
  }
  void get(std::uint64_t turn) { queue.expect_read(turn, parsed({"GET", "k"})); }
  void confirm(std::uint64_t turn) {
    confirmed = turn;
    queue.serve(turn, reader());
  }
  std::string taken() { return std::exchange(queue.ready(), {}); }
};

const auto pong = [](std::string& out) { out += "+PONG\r\n"; };

}  // namespace

TEST_CASE("say: at once if nothing waits, else behind what waits") {
  world w;
  w.queue.say(pong);
  CHECK(w.taken() == "+PONG\r\n");
  const auto set = w.queue.expect_write(1);
  w.queue.say(pong);
  CHECK(w.taken().empty());
  CHECK(w.queue.waiting() == 2);
  w.apply(set, "k", "1");
  CHECK(w.taken() == "+OK\r\n+PONG\r\n");
  CHECK(w.queue.waiting() == 0);
}

TEST_CASE("complete: a read sees the writes before it and none behind it, confirmed by those of its own turn") {
  world w;
  w.get(1);
  const auto one = w.queue.expect_write(1);
  w.get(1);
  const auto two = w.queue.expect_write(1);
  w.get(1);
  w.apply(one, "k", "1");
  CHECK(w.taken() == "$-1\r\n+OK\r\n$1\r\n1\r\n");
  w.apply(two, "k", "2");
  CHECK(w.taken() == "+OK\r\n$1\r\n2\r\n");
}

TEST_CASE("complete: a read of a later turn than the write before it waits for its own confirmation") {
  world w;
  const auto one = w.queue.expect_write(1);
  w.get(2);
  w.apply(one, "k", "1");
  CHECK(w.taken() == "+OK\r\n");
  w.confirm(1);
  CHECK(w.taken().empty());
  w.confirm(2);
  CHECK(w.taken() == "$1\r\n1\r\n");
}

TEST_CASE("serve: a confirmed read waits for the write before it") {
  world w;
  const auto one = w.queue.expect_write(1);
  w.get(2);
  w.confirm(2);
  CHECK(w.taken().empty());
  w.apply(one, "k", "1");
  CHECK(w.taken() == "+OK\r\n$1\r\n1\r\n");
}

TEST_CASE("fail: in order, whatever the order of the news") {
  world w;
  const auto one = w.queue.expect_write(1);
  const auto two = w.queue.expect_write(1);
  const auto three = w.queue.expect_write(2);
  w.apply(three, "k", "3");
  w.queue.fail(two, "-B\r\n", w.confirmed, w.reader());
  CHECK(w.taken().empty());
  w.queue.fail(one, "-A\r\n", w.confirmed, w.reader());
  CHECK(w.taken() == "-A\r\n-B\r\n+OK\r\n");
  CHECK(w.queue.waiting() == 0);
}

TEST_CASE("fail: a read behind a write that failed still needs its confirmation") {
  world w;
  const auto one = w.queue.expect_write(1);
  w.get(1);
  w.queue.fail(one, "-A\r\n", w.confirmed, w.reader());
  CHECK(w.taken() == "-A\r\n");
  w.queue.drop_reads(1, w.confirmed, "-MOVED\r\n", w.reader());
  CHECK(w.taken() == "-MOVED\r\n");
}

TEST_CASE("drop_reads: only those up to the turn, in their places") {
  world w;
  w.get(1);
  const auto one = w.queue.expect_write(1);
  w.get(2);
  w.get(3);
  w.queue.drop_reads(2, 0, "-MOVED\r\n", w.reader());
  CHECK(w.taken() == "-MOVED\r\n");
  w.queue.fail(one, "-A\r\n", 0, w.reader());
  CHECK(w.taken() == "-A\r\n-MOVED\r\n");
  w.confirm(3);
  CHECK(w.taken() == "$-1\r\n");
}

TEST_CASE("drop_reads: what is confirmed and only waits for a write before it is not dropped") {
  world w;
  const auto one = w.queue.expect_write(1);
  w.get(2);
  w.confirm(2);
  w.queue.drop_reads(5, w.confirmed, "-MOVED\r\n", w.reader());
  w.apply(one, "k", "1");
  CHECK(w.taken() == "+OK\r\n$1\r\n1\r\n");
}

TEST_CASE("reply_queue: many requests under way keep little memory, and none when answered") {
  world w;
  std::vector<reply_queue::number> writes;
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    writes.push_back(w.queue.expect_write(1));
    w.queue.say(pong);
    w.get(1);
  }
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const std::string value = std::to_string(10000 + i);
    w.apply(writes[i], "k", value);
    expected += "+OK\r\n+PONG\r\n$5\r\n" + value + "\r\n";
  }
  CHECK(w.taken() == expected);
  CHECK(w.queue.waiting() == 0);
  CHECK(w.queue.held_bytes() == 0);
}

TEST_CASE("serve: large replies are made a few at a time, as they are sent") {
  world w;
  const std::string large(300'000, 'x');
  const auto set = w.queue.expect_write(1);
  w.apply(set, "k", large);
  w.taken();
  for (int i = 0; i < 100; ++i) w.get(2);
  CHECK(w.queue.waiting_reads() == 100);
  w.confirm(2);
  std::size_t most = 0;
  std::size_t all = 0;
  for (int i = 0; i < 100 && w.queue.waiting_reads() != 0; ++i) {
    most = std::max(most, w.queue.ready().size());
    all += w.taken().size();
    w.queue.serve(w.confirmed, w.reader());
  }
  all += w.taken().size();
  CHECK(most < 1'500'000);
  CHECK(all == 100 * (large.size() + std::string("$300000\r\n\r\n").size()));
}

TEST_CASE("complete: reads in front of the write are served before it, however large") {
  world w;
  const auto first = w.queue.expect_write(1);
  w.apply(first, "k", std::string(300'000, 'x'));
  w.taken();
  for (int i = 0; i < 10; ++i) w.get(2);
  const auto second = w.queue.expect_write(2);
  w.get(2);
  w.apply(second, "k", "new");
  CHECK(w.queue.waiting_reads() == 1);  // the one behind it waits until there is room
  const std::string sent = w.taken();
  CHECK(sent.size() > 3'000'000);
  CHECK(sent.ends_with("+OK\r\n"));
  w.confirm(2);
  CHECK(w.taken() == "$3\r\nnew\r\n");
}

}  // namespace kv_reply_queue_test

// Elections where not everybody reaches everybody, impl/election.hpp with impl/leadership.hpp: who reaches whom differs
// by pair and by direction, and the messages that get lost are always the same ones [B22, B24, B114, B115, B186].
//
// The rule: where servers that all reach each other are a quorum (a core), or where one server reaches a quorum both
// ways and its log is not behind, somebody leads and commits within ten election timeouts, and goes on leading.

#include <doctest/doctest.h>

#include <functional>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_connectivity_test {

using namespace raft;
using namespace story;

namespace {

constexpr ms timeout = 300;

using links = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

/// Cuts everything but these, in both directions.
void leave_only(cluster& c, const links& pairs) {
  for (const std::uint64_t a : c.ids()) c.isolate(a);
  for (const auto& [a, b] : pairs) c.mend(a, b);
}

enum class half { to_it, from_it };

/// Nothing gets from `other` to the server any more, or nothing the other way.
void cut_one_way(cluster& c, std::uint64_t server, std::uint64_t other, half which) {
  which == half::to_it ? c.cut_one_way(other, server) : c.cut_one_way(server, other);
}

void cut_all_one_way(cluster& c, std::uint64_t server, half which) {
  for (const std::uint64_t id : c.ids()) {
    if (id != server) cut_one_way(c, server, id, which);
  }
}

/// The server that leads and has just committed something there, if there is one.
server* serving(cluster& c) {
  for (const std::uint64_t id : c.ids()) {
    if (!c[id].leads()) continue;
    const auto asked = c[id].propose("probe");
    if (!asked) continue;
    c.deliver();
    if (c[id].leads() && c[id].applied() >= asked->index) return &c[id];
  }
  return nullptr;
}

/// Within ten election timeouts somebody leads and commits; and leads the same term thirty timeouts later.
void require_a_leader_that_stays(cluster& c) {
  const ms began = c.now();
  server* leader = nullptr;
  while (c.now() - began < 10 * timeout && leader == nullptr) {
    c.pass(10);
    leader = serving(c);
  }
  REQUIRE_MESSAGE(leader != nullptr, "nobody leads and commits");
  c.pass(3 * timeout);  // those who have fallen behind find that out
  leader = serving(c);
  REQUIRE_MESSAGE(leader != nullptr, "who led does not lead any more");
  const term_t term = leader->term();
  c.pass(30 * timeout);
  CHECK(leader->leads());
  CHECK(leader->term() == term);
  CHECK(serving(c) == leader);
}

/// Servers 1 to n, led by `first`; then the network is what `then` makes it.
void from_every_leader(std::uint64_t n, const std::function<void(cluster&, std::uint64_t)>& then) {
  for (std::uint64_t first = 1; first <= n; ++first) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      CAPTURE(first);
      CAPTURE(seed);
      setup how;
      how.seed = 1000 * seed;
      cluster c{n, how};
      c.elect(first);
      CHECK(c[first].propose("a"));
      c.spread();
      then(c, first);
      require_a_leader_that_stays(c);
    }
  }
}

}  // namespace

TEST_CASE("connectivity: a ring of five") {
  from_every_leader(5, [](cluster& c, std::uint64_t) { leave_only(c, {{1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 1}}); });
}

TEST_CASE("connectivity: a chain of five") {
  from_every_leader(5, [](cluster& c, std::uint64_t) { leave_only(c, {{1, 2}, {2, 3}, {3, 4}, {4, 5}}); });
}

TEST_CASE("connectivity: two halves and a bridge between them") {
  from_every_leader(5, [](cluster& c, std::uint64_t) {
    leave_only(c, {{1, 2}, {1, 3}, {2, 3}, {3, 4}, {3, 5}, {4, 5}});
  });
}

TEST_CASE("connectivity: a star, whose hub is the only one that reaches a quorum") {
  from_every_leader(5, [](cluster& c, std::uint64_t) { leave_only(c, {{1, 3}, {2, 3}, {3, 4}, {3, 5}}); });
  from_every_leader(3, [](cluster& c, std::uint64_t) { leave_only(c, {{1, 2}, {2, 3}}); });
}

TEST_CASE("connectivity: a leader that sends and does not receive is replaced [B186]") {
  from_every_leader(3, [](cluster& c, std::uint64_t first) { cut_all_one_way(c, first, half::to_it); });
}

TEST_CASE("connectivity: a leader that receives and does not send is replaced") {
  from_every_leader(3, [](cluster& c, std::uint64_t first) { cut_all_one_way(c, first, half::from_it); });
}

TEST_CASE("connectivity: a server that hears the leader and is not heard by it, or the other way, disturbs nobody") {
  for (const half which : {half::to_it, half::from_it}) {
    from_every_leader(3, [which](cluster& c, std::uint64_t first) {
      const term_t term = c[first].term();
      cut_one_way(c, first, first % 3 + 1, which);
      c.pass(20 * timeout);
      CHECK(c[first].leads());
      CHECK(c[first].term() == term);
    });
  }
}

TEST_CASE("connectivity: the link between the leader and one follower is cut, the third server hears both") {
  from_every_leader(3, [](cluster& c, std::uint64_t first) { c.cut(first, first % 3 + 1); });
}

TEST_CASE("connectivity: three servers, each of which hears one other only, are led again when they are a pair") {
  from_every_leader(3, [](cluster& c, std::uint64_t first) {
    const std::uint64_t next = first % 3 + 1;
    const std::uint64_t last = next % 3 + 1;
    c.cut_one_way(first, next);
    c.cut_one_way(next, last);
    c.cut_one_way(last, first);  // nobody can win, or hear for long
    c.pass(20 * timeout);
    c.heal();
    c.crash(first);
  });
}

TEST_CASE("connectivity: a server that lost elections at higher terms, its log behind, is let in again [B22]") {
  from_every_leader(3, [](cluster& c, std::uint64_t first) {
    const std::uint64_t stranded = first % 3 + 1;
    const std::uint64_t third = stranded % 3 + 1;
    for (int lost = 0; lost < 3; ++lost) {
      leave_only(c, {{stranded, third}});
      c.jump(2 * timeout);
      c[stranded].campaign();
      c.deliver(kind<request_pre_vote>());
      c.deliver(kind<request_pre_vote_reply>());
      c.isolate(stranded);  // its requests for votes get nowhere
      c.deliver();
    }
    c.mend(first, third);
    c.elect(first);
    CHECK(c[first].propose("b"));
    c.deliver();
    REQUIRE(c[stranded].term() > c[first].term());
    REQUIRE(c[stranded].last() < c[first].commit());  // it cannot win, and the leader does not need it
    c.heal();
    c.pass(10 * timeout);
    CHECK(c[stranded].state() == "a;b;");
    c.crash(third);
  });
}

TEST_CASE("connectivity: a leader that stepped down without a reason leads again at once, one server down [B24]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    setup how;
    how.seed = 100 * seed;
    cluster c{3, how};
    c.elect(1);
    c.crash(3);
    c.spread();
    CHECK(c[1].step_down());
    c[1].campaign();
    c.deliver();
    CHECK(c[1].leads());  // the other has just heard a leader, and that is the one who asks
    require_a_leader_that_stays(c);
  }
}

TEST_CASE("connectivity: a removed server that hears the others and does not know of its removal [B114]") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    setup how;
    how.seed = 100 * seed;
    cluster c{4, how};
    c.elect(1);
    c.isolate(4);
    CHECK(c[1].change({.voters = {1_n, 2_n, 3_n}}));
    c.pass(5 * timeout);
    REQUIRE(c[1].leads());
    const term_t term = c[1].term();
    c.heal();
    c.pass(30 * timeout);
    CHECK(c[1].leads());
    CHECK(c[1].term() == term);
    // And when it can be heard, but hears nothing.
    for (const std::uint64_t id : {1U, 2U, 3U}) c.cut_one_way(id, 4);
    require_a_leader_that_stays(c);
  }
}

TEST_CASE("connectivity: a core of three of five, the others linked to it and to each other in any way") {
  std::uint64_t random = 1;
  const auto chance = [&random] {
    random = random * 6364136223846793005U + 1442695040888963407U;
    return random >> 33;
  };
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    setup how;
    how.seed = 1 + chance();
    cluster c{5, how};
    const std::uint64_t first = 1 + chance() % 5;
    c.elect(first);
    CHECK(c[first].propose("a"));
    if (chance() % 2 == 0) c.spread();
    for (std::uint64_t a = 1; a <= 5; ++a) {
      for (std::uint64_t b = 1; b <= 5; ++b) {
        const bool in_core = a <= 3 && b <= 3;
        if (a != b && !in_core && chance() % 2 == 0) c.cut_one_way(a, b);
      }
    }
    if (chance() % 2 == 0) (void)c[first].propose("b");
    require_a_leader_that_stays(c);
  }
}

}  // namespace impl_connectivity_test

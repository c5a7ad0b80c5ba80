// The explorer: it sees every state once, whatever the number of threads; renamings add up; what is broken is told.

#include <doctest/doctest.h>
#include <raft/testing/explorer.hpp>

#include <string>

#include "explore/scopes.hpp"

namespace explorer_test {

using namespace raft;
using namespace raft::testing;

namespace {

/// Three voters, one election, one entry.
exploration_scope small() {
  exploration_scope s = scopes::three("small", "", 1);
  s.limit = {.crashes = 1, .proposals = 1};
  return s;
}

/// Forgets, when it is restored, what it was restored from.
struct forgetful_machine : hashing_machine {
  result<void> restore(auto& source) {
    state = 1;
    const auto image = source();
    return image ? result<void>{} : image.error();
  }
};

}  // namespace

TEST_CASE("explore: the renamings of the states add up to the states that there are without renaming") {
  exploration_scope s = small();
  const exploration reduced = explore(s);
  s.symmetric = false;
  const exploration whole = explore(s);
  CHECK(reduced.complete);
  CHECK(whole.complete);
  CHECK(reduced.unreduced == whole.states);
  CHECK(whole.unreduced == whole.states);
  CHECK(reduced.states < whole.states);
}

TEST_CASE("explore: two threads see what one sees") {
  const exploration one = explore<hashing_machine, true>(small(), 1);
  const exploration two = explore<hashing_machine, true>(small(), 2);
  CHECK(one.complete);
  CHECK(two.complete);
  CHECK(one.states == two.states);
  CHECK(one.unreduced == two.unreduced);
  CHECK(one.depth == two.depth);
}

TEST_CASE(
    "explore: a server alone, by hand: it is down, or stands, leads and commits at once; and has an entry or not") {
  exploration_scope s;
  s.servers = scopes::ids({1});
  s.initial = voters_of(s.servers);
  s.max_term = 1;
  CHECK(explore(s).states == 2);  // before and after it is elected
  s.limit.proposals = 1;
  CHECK(explore(s).states == 3);
  s.limit.crashes = 1;
  // Whether it crashed or not: as a follower of term 0 nothing is lost by a crash, so that is no state of its own.
  // Elected and crashed, with its entry or without: two more. After the crash it is of term 1 and stands no more.
  CHECK(explore(s).states == 5);
}

TEST_CASE("explore: a state machine that forgets is found, by the shortest story") {
  exploration_scope s;
  s.servers = scopes::ids({1});
  s.initial = voters_of(s.servers);
  s.max_term = 1;
  s.limit = {.crashes = 1, .proposals = 1, .snapshots = 1};
  CHECK(explore(s).complete);
  const exploration found = explore<forgetful_machine, true>(s);
  CHECK_FALSE(found.complete);
  REQUIRE(found.broken);
  CHECK(std::string{found.broken.name} == "states follow the log");
  REQUIRE(found.story.size() == 5);
  CHECK(found.story[0].starts_with("1 stands for election"));
  CHECK(found.story[1].starts_with("1 is asked to append 'a'"));
  CHECK(found.story[2].starts_with("1 takes a snapshot"));
  CHECK(found.story[3].starts_with("1 crashes"));
  CHECK(found.story[4].starts_with("broken: states follow the log"));
}

TEST_CASE("explore: a scope that cannot be explored says why") {
  exploration_scope s = small();
  CHECK(explore<hashing_machine, true>(s, 1, 10).refused != nullptr);
  CHECK(std::string{explore<hashing_machine, false>(s).refused} == "durable on return, or deferred: not both");
  s.deferred = true;
  CHECK(std::string{explore(s).refused} == "durable on return, or deferred: not both");
  s.deferred = false;
  s.options.max_entries_per_append = 0;
  const exploration e = explore(s);
  CHECK_FALSE(e.complete);
  REQUIRE(e.refused != nullptr);
  CHECK(std::string{e.refused} == "max_entries_per_append >= 1");
  s.servers = scopes::ids({1, 2, 3, 4, 5, 6});
  CHECK(explore(s).refused != nullptr);
}

TEST_CASE("renamings: those that keep the members and the targets") {
  exploration_scope s = scopes::three("", "", 1);
  CHECK(s.renamings().size() == 6);
  s.initial = voters_of(scopes::ids({1, 2}));
  CHECK(s.renamings().size() == 2);
  s.targets = {{.voters = scopes::ids({1, 3})}};
  CHECK(s.renamings().size() == 1);
  s.targets.push_back({.voters = scopes::ids({2, 3})});
  CHECK(s.renamings().size() == 2);
  s.symmetric = false;
  CHECK(s.renamings().size() == 1);
}

}  // namespace explorer_test

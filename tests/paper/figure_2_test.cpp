// Figure 2 of the paper, a test for each of its sentences. The names are the sentences, in our words.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace figure_2_test {

using namespace raft;
using namespace story;

namespace {

setup plain() {
  setup how;
  how.options.pre_vote = false;
  return how;
}

std::unique_ptr<server> with_log(std::uint64_t term, const std::vector<written>& log) {
  return start(2_n, {.term = term, .members = voters(3), .log = log}, plain());
}

bool granted(server& s, node_id candidate, term_t term, after last) {
  s.take_mail();
  CHECK(s.step(say(candidate, s.status().id, term, request_vote{last.index, last.term})));
  return s.only<request_vote_reply>().granted;
}

append_entries_reply answer(server& s, const letter& l) {
  s.take_mail();
  CHECK(s.step(l));
  return s.only<append_entries_reply>();
}

}  // namespace

// ---------------------------------------------------------------------------------------------------- State

TEST_CASE("Figure 2, persistent state: currentTerm, votedFor and the log are stored before an RPC is answered") {
  setup how = plain();
  how.deferred = true;
  auto b = start(2_n, {.members = voters(3)}, how);
  CHECK(b->step(say(1_n, 2_n, 3_t, request_vote{})));
  CHECK(b->take_mail().empty());
  CHECK(b->persisted());
  CHECK(b->only<request_vote_reply>().granted);
  CHECK(b->log().disk().hard_state() == hard_state{3_t, 1_n, 0_i});
  CHECK(b->step(append(1_n, 2_n, 3_t, {}, 0_i, {no_op(3)})));
  CHECK(b->take_mail().empty());
  CHECK(b->persisted());
  CHECK(b->only<append_entries_reply>().success);
  CHECK(shape(b->log().disk()) == "[1:3]");
}

TEST_CASE("Figure 2, persistent state: currentTerm is 0 at first boot, votedFor is nobody, the first index is 1") {
  auto b = start(2_n, {.members = voters(3)});
  CHECK(b->term() == 0_t);
  CHECK(b->vote() == nobody);
  CHECK(b->status().first_index == 1_i);
  CHECK(b->last() == 0_i);
}

TEST_CASE("Figure 2, persistent state: currentTerm increases monotonically") {
  cluster c{3};
  std::map<std::uint64_t, term_t> highest;
  for (int step = 0; step < 200; ++step) {
    c.pass(20);
    if (step % 10 == 5) c[1 + static_cast<std::uint64_t>(step) % 3].campaign();
    if (step % 40 == 30) c.restart(1 + static_cast<std::uint64_t>(step) % 3);
    for (const std::uint64_t id : c.ids()) {
      CHECK(c[id].term() >= highest[id]);
      highest[id] = c[id].term();
    }
  }
}

TEST_CASE("Figure 2, volatile state: commitIndex and lastApplied are 0 at first and increase monotonically") {
  auto b = start(2_n, {.members = voters(3)});
  CHECK(b->commit() == 0_i);
  CHECK(b->applied() == 0_i);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 2_i, {no_op(1), {1, "x"}})));
  CHECK(b->commit() == 2_i);
  CHECK(b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 1_i, {})));
  CHECK(b->commit() == 2_i);
  CHECK(b->applied() == 2_i);
}

TEST_CASE("Figure 2, volatile state on leaders: after election nextIndex is the last index + 1 and matchIndex 0") {
  auto a = start(1_n, {.term = 3, .members = voters(3), .log = {{1, "a"}, {3, "b"}}});
  CHECK(a->status().peers.empty());
  win(*a);
  REQUIRE(a->status().peers.size() == 2);
  for (const auto& p : a->status().peers) {
    CHECK(p.next == 3_i);
    CHECK(p.match == 0_i);
  }
}

// ---------------------------------------------------------------------------------------------------- AppendEntries

TEST_CASE("Figure 2, AppendEntries results: the term is currentTerm, for the leader to update itself") {
  auto b = with_log(5, {});
  CHECK(b->step(append(1_n, 2_n, 3_t, {}, 0_i, {})));
  CHECK(b->take_mail().at(0).what.term == 5_t);
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 5_t, append_entries_reply{})));
  CHECK(a->term() == 5_t);
  CHECK_FALSE(a->leads());
}

TEST_CASE("Figure 2, AppendEntries receiver 1: replies false if the term is below currentTerm") {
  auto b = with_log(5, {{1, "a"}});
  CHECK_FALSE(answer(*b, append(1_n, 2_n, 4_t, {1_i, 1_t}, 1_i, {{4, "x"}})).success);
  CHECK(b->shape() == "[1:1]");
  CHECK(b->commit() == 0_i);
  CHECK(b->leader() == nobody);
}

TEST_CASE("Figure 2, AppendEntries receiver 2: replies false if it has no entry at prevLogIndex with prevLogTerm") {
  auto b = with_log(5, {{1, "a"}, {2, "b"}});
  CHECK_FALSE(answer(*b, append(1_n, 2_n, 5_t, {3_i, 2_t}, 0_i, {{5, "x"}})).success);
  CHECK_FALSE(answer(*b, append(1_n, 2_n, 5_t, {2_i, 1_t}, 0_i, {{5, "x"}})).success);
  CHECK_FALSE(answer(*b, append(1_n, 2_n, 5_t, {2_i, 3_t}, 0_i, {{5, "x"}})).success);
  CHECK(b->shape() == "[1:1][2:2]");
  CHECK(answer(*b, append(1_n, 2_n, 5_t, {2_i, 2_t}, 0_i, {{5, "x"}})).success);
}

TEST_CASE("Figure 2, AppendEntries receiver 3: an entry that conflicts goes, and all that follow it") {
  auto b = with_log(5, {{1, "a"}, {2, "b"}, {2, "c"}, {3, "d"}});
  CHECK(answer(*b, append(1_n, 2_n, 5_t, {1_i, 1_t}, 0_i, {{2, "b"}, {4, "x"}})).success);
  CHECK(read(b->log().image()) == std::vector<written>{{1, "a"}, {2, "b"}, {4, "x"}});
}

TEST_CASE("Figure 2, AppendEntries receiver 3: without a conflict nothing goes") {
  auto b = with_log(5, {{1, "a"}, {2, "b"}, {2, "c"}, {3, "d"}});
  CHECK(answer(*b, append(1_n, 2_n, 5_t, {1_i, 1_t}, 0_i, {{2, "b"}})).success);
  CHECK(answer(*b, append(1_n, 2_n, 5_t, {1_i, 1_t}, 0_i, {})).success);
  CHECK(b->shape() == "[1:1][2:2][3:2][4:3]");
}

TEST_CASE("Figure 2, AppendEntries receiver 4: entries that are not in the log yet are appended") {
  auto b = with_log(5, {{1, "a"}});
  CHECK(answer(*b, append(1_n, 2_n, 5_t, {}, 0_i, {{1, "a"}, {2, "b"}, {5, "c"}})).success);
  CHECK(read(b->log().image()) == std::vector<written>{{1, "a"}, {2, "b"}, {5, "c"}});
}

TEST_CASE("Figure 2, AppendEntries receiver 5: commitIndex becomes the lesser of leaderCommit and the last new entry") {
  auto b = with_log(5, {{1, "a"}, {2, "b"}, {2, "c"}});
  answer(*b, append(1_n, 2_n, 5_t, {1_i, 1_t}, 9_i, {{2, "b"}}));
  CHECK(b->commit() == 2_i);
  answer(*b, append(1_n, 2_n, 5_t, {2_i, 2_t}, 3_i, {{2, "c"}, {5, "d"}}));
  CHECK(b->commit() == 3_i);
}

// ---------------------------------------------------------------------------------------------------- RequestVote

TEST_CASE("Figure 2, RequestVote arguments: the candidate's term and id, and the index and term of its last entry") {
  auto a = start(1_n, {.term = 4, .members = voters(3), .log = {{1, "a"}, {3, "b"}}}, plain());
  a->campaign();
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 2);
  CHECK(mail[0] == say(1_n, 2_n, 5_t, request_vote{2_i, 3_t}));
  CHECK(mail[1] == say(1_n, 3_n, 5_t, request_vote{2_i, 3_t}));
}

TEST_CASE("Figure 2, RequestVote receiver 1: replies false if the term is below currentTerm") {
  auto b = with_log(5, {});
  CHECK_FALSE(granted(*b, 1_n, 4_t, {9_i, 4_t}));
  CHECK(b->vote() == nobody);
  CHECK(b->term() == 5_t);
}

TEST_CASE("Figure 2, RequestVote receiver 2: grants if votedFor is nobody or that candidate") {
  auto b = with_log(5, {});
  CHECK(granted(*b, 1_n, 5_t, {}));
  CHECK(granted(*b, 1_n, 5_t, {}));
  CHECK_FALSE(granted(*b, 3_n, 5_t, {9_i, 4_t}));
}

TEST_CASE("Figure 2, RequestVote receiver 2: grants only if the candidate's log is at least as up to date") {
  auto b = with_log(5, {{2, "a"}, {4, "b"}});
  CHECK_FALSE(granted(*b, 1_n, 6_t, {1_i, 4_t}));
  CHECK_FALSE(granted(*b, 1_n, 6_t, {9_i, 3_t}));
  CHECK(granted(*b, 1_n, 6_t, {2_i, 4_t}));
  CHECK(granted(*b, 3_n, 7_t, {1_i, 5_t}));
}

// ---------------------------------------------------------------------------------------------------- All Servers

TEST_CASE("Figure 2, All Servers 1: what is committed and not applied is applied, in the order of the log") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {{1, "a"}, {1, "b"}, {1, "c"}})));
  CHECK(b->state().empty());
  CHECK(b->step(append(1_n, 2_n, 1_t, {3_i, 1_t}, 2_i, {})));
  CHECK(b->machine().commands == std::vector<recorder::command>{{1_i, 1_t, "a"}, {2_i, 1_t, "b"}});
  CHECK(b->applied() == 2_i);
  CHECK(b->step(append(1_n, 2_n, 1_t, {3_i, 1_t}, 3_i, {})));
  CHECK(b->state() == "a;b;c;");
}

TEST_CASE("Figure 2, All Servers 2: a higher term in any request or response makes a follower of that term") {
  const std::vector<message_body> all{request_vote{},           request_vote_reply{true},
                                      append_entries{},         append_entries_reply{},
                                      install_snapshot_reply{}, request_pre_vote_reply{7_t, false}};
  for (const message_body& body : all) {
    for (int role = 0; role < 3; ++role) {
      setup how = plain();
      how.options.check_quorum = false;  // a leader is sticky else
      auto a = start(1_n, {.term = 3, .members = voters(3)}, how);
      if (role == 1) a->campaign();
      if (role == 2) win(*a);
      CHECK(a->step(keep({2_n, 1_n, 7_t, body})));
      CHECK(a->role() == role_kind::follower);
      CHECK(a->term() == 7_t);
      CHECK(a->log().hard_state().current_term == 7_t);
    }
  }
}

// ---------------------------------------------------------------------------------------------------- Followers

TEST_CASE("Figure 2, Followers 1: they respond to RPCs from candidates and leaders") {
  auto b = with_log(1, {});
  CHECK(granted(*b, 1_n, 2_t, {}));
  CHECK(answer(*b, append(1_n, 2_n, 2_t, {}, 0_i, {no_op(2)})).success);
}

TEST_CASE("Figure 2, Followers 2: without AppendEntries or a granted vote within the timeout they become candidates") {
  auto b = with_log(1, {});
  b->now() = b->deadline() - 1;
  b->tick();
  CHECK(b->role() == role_kind::follower);
  b->pass(1);
  CHECK(b->role() == role_kind::candidate);
  CHECK(b->term() == 2_t);
}

TEST_CASE("Figure 2, Followers 2: AppendEntries of the current leader or a granted vote starts the timeout again") {
  auto b = with_log(1, {});
  for (int beat = 0; beat < 20; ++beat) {
    b->pass(140);
    answer(*b, append(1_n, 2_n, 1_t, {}, 0_i, {}));
  }
  CHECK(b->role() == role_kind::follower);
  CHECK(b->term() == 1_t);

  auto d = with_log(1, {});
  d->now() = d->deadline() - 1;
  CHECK(granted(*d, 1_n, 2_t, {}));
  d->pass(140);
  CHECK(d->role() == role_kind::follower);
}

// ---------------------------------------------------------------------------------------------------- Candidates

TEST_CASE(
    "Figure 2, Candidates 1: the term is raised, a vote given to itself, the timer reset, RequestVote sent to all") {
  auto b = with_log(1, {});
  b->now() = b->deadline();
  b->tick();
  CHECK(b->term() == 2_t);
  CHECK(b->vote() == 2_n);
  CHECK(b->deadline() >= b->now() + 150);
  CHECK(b->all<request_vote>().size() == 2);
}

TEST_CASE("Figure 2, Candidates 2: votes from a majority make a leader") {
  auto a = start(1_n, {.members = voters(5)}, plain());
  a->campaign();
  CHECK(a->step(say(3_n, 1_n, 1_t, request_vote_reply{true})));
  CHECK(a->role() == role_kind::candidate);
  CHECK(a->step(say(5_n, 1_n, 1_t, request_vote_reply{true})));
  CHECK(a->leads());
}

TEST_CASE("Figure 2, Candidates 3: AppendEntries from a new leader makes a follower") {
  for (const term_t term : {1_t, 2_t}) {
    auto a = start(1_n, {.members = voters(3)}, plain());
    a->campaign();
    CHECK(a->step(append(2_n, 1_n, term, {}, 0_i, {})));
    CHECK(a->role() == role_kind::follower);
    CHECK(a->leader() == 2_n);
  }
}

TEST_CASE("Figure 2, Candidates 4: when the timeout elapses a new election begins") {
  auto a = start(1_n, {.members = voters(3)}, plain());
  a->campaign();
  for (std::uint64_t term = 2; term < 10; ++term) {
    a->take_mail();
    a->now() = a->deadline();
    a->tick();
    CHECK(a->role() == role_kind::candidate);
    CHECK(a->term() == term_t{term});
    CHECK(a->all<request_vote>().size() == 2);
  }
}

// ---------------------------------------------------------------------------------------------------- Leaders

TEST_CASE("Figure 2, Leaders 1: upon election AppendEntries goes to every server, and again during idle periods") {
  auto a = start(1_n, {.members = voters(3)}, plain());
  a->campaign();
  a->take_mail();
  CHECK(a->step(say(2_n, 1_n, 1_t, request_vote_reply{true})));
  CHECK(a->all<append_entries>().size() == 2);
  for (int beat = 0; beat < 5; ++beat) {
    a->pass(50);
    const auto beats = a->take_mail();
    REQUIRE(beats.size() == 2);
    for (const letter& l : beats) CHECK(l.as<append_entries>().entries.empty());
  }
}

TEST_CASE("Figure 2, Leaders 2: a command is appended, and its client answered when it is applied") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->propose("x"));
  CHECK(a->shape() == "[1:1][2:1]");
  CHECK(a->machine().fates.empty());
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->state() == "x;");
  CHECK(a->machine().fates == std::vector<recorder::fated>{{2_i, 2_i, 1_t, fate::applied}});
}

TEST_CASE("Figure 2, Leaders 3: a follower is sent the entries from nextIndex on if the log reaches so far") {
  auto a = start(1_n, {.term = 2, .members = voters(2), .log = {{1, "a"}, {2, "b"}}});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 3_t, refused(2_i, {1_i, 1_t}, 1_i))));
  const auto sent = a->only<append_entries>();
  CHECK(sent.prev_log_index == 1_i);
  CHECK(read(sent.entries) == std::vector<written>{{2, "b"}, no_op(3)});
}

TEST_CASE("Figure 2, Leaders 3: on success nextIndex and matchIndex are updated") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->propose("x"));
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->peer(2).match == 2_i);
  CHECK(a->peer(2).next == 3_i);
}

TEST_CASE("Figure 2, Leaders 3: on an inconsistency nextIndex is decreased and the append tried again") {
  auto a = start(1_n, {.term = 2, .members = voters(2), .log = {{1, "a"}, {2, "b"}, {2, "c"}}});
  win(*a);
  CHECK(a->peer(2).next == 4_i);
  CHECK(a->step(say(2_n, 1_n, 3_t, refused(3_i, {2_i, 1_t}, 2_i))));
  CHECK(a->peer(2).next == 2_i);
  CHECK(a->only<append_entries>().prev_log_index == 1_i);
}

TEST_CASE("Figure 2, Leaders 4: commitIndex is the largest N that a majority matches and that is of the current term") {
  auto a = start(1_n, {.term = 1, .members = voters(5), .log = {{1, "a"}, {1, "b"}}});
  win(*a);
  CHECK(a->propose({"c", "d"}));  // the log is 1 1 2 2 2
  const auto match = [&](node_id id, index_t index) { CHECK(a->step(say(id, 1_n, 2_t, matched(index)))); };
  match(2_n, 2_i);
  match(3_n, 2_i);
  CHECK(a->commit() == 0_i);  // a majority, but of an earlier term
  match(2_n, 5_i);
  CHECK(a->commit() == 0_i);  // of this term, but no majority
  match(4_n, 4_i);
  CHECK(a->commit() == 4_i);
  match(5_n, 5_i);
  CHECK(a->commit() == 5_i);
}

}  // namespace figure_2_test

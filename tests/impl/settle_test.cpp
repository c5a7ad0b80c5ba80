// The order of effects and deferred durability, impl/settle.hpp: rule 1, nothing leaves before what it speaks for is
// durable; rule 7, a failed write stops the node. "[B152]" and the like name the bug, seen in other engines, that a
// test guards against.

#include <doctest/doctest.h>

#include <algorithm>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_settle_test {

using namespace raft;
using namespace story;

namespace {

setup deferred(bool pre_vote = true) {
  setup how;
  how.deferred = true;
  how.options.pre_vote = pre_vote;
  return how;
}

std::unique_ptr<server> follower(const std::vector<written>& log = {}, std::uint64_t term = 1) {
  return start(2_n, {.term = term, .members = voters(3), .log = log}, deferred());
}

std::unique_ptr<server> leader_of(std::uint64_t n) {
  auto a = start(1_n, {.members = voters(n)}, deferred());
  win(*a);
  for (std::uint64_t id = 2; id <= n; ++id) CHECK(a->step(say(node_id{id}, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  return a;
}

/// Every order of the marks.
std::vector<std::vector<mark_t>> orders_of(std::vector<mark_t> marks) {
  std::vector<std::vector<mark_t>> all;
  std::sort(marks.begin(), marks.end());
  do {
    all.push_back(marks);
  } while (std::next_permutation(marks.begin(), marks.end()));
  return all;
}

}  // namespace

TEST_CASE("queue: a vote leaves when it is durable, not before [B152] [B157]") {
  auto b = follower();
  CHECK(b->step(say(1_n, 2_n, 5_t, request_vote{9_i, 4_t})));
  CHECK(b->take_mail().empty());
  CHECK(b->log().disk().hard_state().voted_for == nobody);
  CHECK(b->persisted());
  CHECK(b->only<request_vote_reply>().granted);
  CHECK(b->log().disk().hard_state() == hard_state{5_t, 1_n, 0_i});
}

TEST_CASE("queue: what others send while the disk stalls does not fill the memory") {
  auto b = follower();
  CHECK(b->step(say(1_n, 2_n, 5_t, request_vote{9_i, 4_t})));  // a vote that is not stored
  for (std::size_t n = 0; n < waiting::most_outgoing + 10; ++n)
    CHECK(b->step(say(3_n, 2_n, 5_t, request_pre_vote{9_i, 4_t})));
  CHECK(b->take_mail().empty());
  CHECK(b->persisted());
  const std::vector<letter> left = b->take_mail();
  CHECK(left.size() == waiting::most_outgoing);
  CHECK(among(left, kind<request_vote_reply>()).size() == 1);  // what waited first has its place
  CHECK(b->step(say(3_n, 2_n, 5_t, request_pre_vote{9_i, 4_t})));
  CHECK(b->take_mail().size() == 1);
}

TEST_CASE("queue: a vote in a term that is stored already is stored, too, and waits for that [B157]") {
  auto b = follower({}, 5);
  CHECK(b->step(say(1_n, 2_n, 5_t, request_vote{9_i, 4_t})));
  CHECK(b->take_mail().empty());
  CHECK(b->log().writes == std::vector<std::string>{"store"});
  CHECK(b->persisted());
  CHECK(b->only<request_vote_reply>().granted);
  CHECK(b->log().disk().hard_state() == hard_state{5_t, 1_n, 0_i});
}

TEST_CASE("queue: a vote that was given again waits for the write of the first one") {
  auto b = follower();
  for (int i = 0; i < 2; ++i) CHECK(b->step(say(1_n, 2_n, 5_t, request_vote{9_i, 4_t})));
  CHECK(b->take_mail().empty());
  CHECK(b->persisted());
  CHECK(b->take_mail().size() == 2);
}

TEST_CASE("queue: a refusal in a new term waits until that term is durable") {
  auto b = follower({{1, "x"}});
  CHECK(b->step(say(1_n, 2_n, 5_t, request_vote{})));
  CHECK(b->take_mail().empty());
  CHECK(b->persisted());
  const auto mail = b->take_mail();
  REQUIRE(mail.size() == 1);
  CHECK(mail[0] == say(2_n, 1_n, 5_t, request_vote_reply{false}));
}

TEST_CASE("count_own_vote: a candidate's own vote counts when it is durable [B152]") {
  SUBCASE("a single voter") {
    auto a = start(1_n, {.members = voters(1)}, deferred());
    a->campaign();
    CHECK(a->role() == role_kind::candidate);
    CHECK(a->log().disk().hard_state().voted_for == nobody);
    CHECK(a->persisted());
    CHECK(a->leads());
  }
  SUBCASE("of three: the requests leave with it, and a single grant does not do before") {
    auto a = start(1_n, {.members = voters(3)}, deferred(false));
    a->campaign();
    CHECK(a->take_mail().empty());
    CHECK(a->step(say(2_n, 1_n, 1_t, request_vote_reply{true})));
    CHECK(a->role() == role_kind::candidate);
    CHECK(a->persisted());
    CHECK(a->leads());
    const auto mail = a->take_mail();
    CHECK(among(mail, kind<request_vote>()).size() == 2);
  }
}

TEST_CASE("create: after a crash before the vote was durable the vote is free, and nobody has heard of it [B152]") {
  auto a = start(1_n, {.members = voters(1)}, deferred());
  a->campaign();
  auto again = try_start(1_n, a->log().disk(), deferred());
  REQUIRE(again);
  CHECK((*again)->term() == 0_t);
  CHECK((*again)->vote() == nobody);
  CHECK((*again)->role() == role_kind::follower);
}

TEST_CASE("store: the first vote and the first term are stored like any other [B158]") {
  auto a = start(1_n, {.members = voters(3)}, deferred(false));
  a->campaign();
  CHECK(a->persisted());
  CHECK(a->log().disk().hard_state().current_term == 1_t);
  CHECK(a->log().disk().hard_state().voted_for == 1_n);
}

TEST_CASE("queue: an acknowledgement leaves when its entries are durable, and all that was written before") {
  auto b = follower();
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "x"}})));
  CHECK(b->take_mail().empty());
  const auto marks = b->log().under_way();
  REQUIRE(marks.size() == 2);
  CHECK(b->persisted(marks[1], marks[1]));
  CHECK(b->take_mail().empty());  // the second write alone is no log
  CHECK(b->persisted(marks[0], marks[0]));
  CHECK(b->all<append_entries_reply>().back() == matched(2_i));
}

TEST_CASE("queue: an acknowledgement does not wait for what was written after its entries") {
  auto b = follower();
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "x"}})));
  const mark_t first = b->log().under_way().front();
  CHECK(b->persisted(first, first));
  CHECK(b->only<append_entries_reply>() == matched(1_i));
}

TEST_CASE("superseded: one sync of many appends is answered once, by the last of them") {
  auto b = follower();
  for (std::uint64_t k = 0; k < 5; ++k) {
    CHECK(b->step(append(1_n, 2_n, 1_t, {index_t{k}, term_t{k == 0 ? 0U : 1U}}, 0_i, {{1, "x"}}, k)));
  }
  CHECK(b->persisted());
  CHECK(b->only<append_entries_reply>() == matched(5_i, 4));
}

TEST_CASE("superseded: of one round, too, and of entries that came twice, the last answer is enough") {
  auto b = follower();
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {{1, "x"}}, 7)));
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "y"}}, 7)));
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "y"}}, 7)));
  CHECK(b->persisted());
  CHECK(b->only<append_entries_reply>() == matched(2_i, 7));
}

TEST_CASE("superseded: answers that say less than what is unsaid are not swallowed") {
  auto b = follower({{1, "x"}});
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "y"}}, 3)));
  CHECK(b->step(append(1_n, 2_n, 1_t, {9_i, 1_t}, 0_i, {}, 4)));  // refused at once: it speaks for no entry
  CHECK(b->only<append_entries_reply>().success == false);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {{1, "x"}}, 2)));  // old, with an earlier round and index
  CHECK(b->persisted());
  const auto answers = b->all<append_entries_reply>();
  REQUIRE(answers.size() == 2);
  CHECK(answers[0] == matched(2_i, 3));
  CHECK(answers[1].index == 1_i);
}

TEST_CASE("on_append_entries: a heartbeat's answer waits for no entry, and claims only what is durable") {
  auto b = follower();
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1), {1, "x"}})));
  CHECK(b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 0_i, {}, 6)));
  CHECK(b->only<append_entries_reply>() == append_entries_reply{true, 0_i, {}, {}, 2_i, 6});
  CHECK(b->persisted());
  b->take_mail();
  CHECK(b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 0_i, {}, 7)));
  CHECK(b->only<append_entries_reply>() == matched(2_i, 7));
}

TEST_CASE("queue: rule 1 holds in whatever order the writes complete") {
  // A vote, an append, a conflict that truncates it, another append: five writes, each order of their completions.
  const auto begin = [] {
    auto b = follower();
    CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1), {1, "old"}})));
    CHECK(b->step(append(3_n, 2_n, 2_t, {1_i, 1_t}, 0_i, {no_op(2)})));
    CHECK(b->step(append(3_n, 2_n, 2_t, {2_i, 2_t}, 0_i, {{2, "new"}})));
    CHECK(b->take_mail().empty());
    return b;
  };
  const auto marks = begin()->log().under_way();
  REQUIRE(marks.size() == 5);  // append, store, truncate, append, append
  for (const auto& order : orders_of(marks)) {
    auto b = begin();
    for (const mark_t mark : order) {
      CHECK(b->persisted(mark, mark));
      for (const letter& l : b->take_mail()) {
        REQUIRE(l.is<append_entries_reply>());
        const auto& reply = l.as<append_entries_reply>();
        const memory_log& disk = b->log().disk();
        CHECK(disk.hard_state().current_term >= l.what.term);
        REQUIRE(disk.last_index() >= reply.index);
        CHECK(disk.term_at(reply.index) == b->log().image().term_at(reply.index));
      }
      CHECK(b->status().durable_index <= b->log().disk().last_index());
    }
    CHECK(b->status().durable_index == 3_i);
  }
}

TEST_CASE("queue: no order lets a vote or a request for votes out early") {
  const auto begin = [](std::vector<mark_t>& marks) {
    auto b = start(2_n, {.term = 1, .members = voters(3)}, deferred(false));
    CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
    b->now() += 1000;
    b->campaign();                                               // term 2, for itself
    CHECK(b->step(say(3_n, 2_n, 3_t, request_vote{9_i, 2_t})));  // term 3, and then for 3
    marks = b->log().under_way();
    return b;
  };
  std::vector<mark_t> marks;
  (void)begin(marks);
  REQUIRE(marks.size() == 3);
  for (const auto& order : orders_of(marks)) {
    auto b = begin(marks);
    CHECK(among(b->take_mail(), !kind<append_entries_reply>()).empty());
    for (const mark_t mark : order) {
      CHECK(b->persisted(mark, mark));
      const hard_state on_disk = b->log().disk().hard_state();
      for (const letter& l : b->take_mail()) {
        CHECK(on_disk.current_term >= l.what.term);
        if (l.is<request_vote_reply>()) {
          CHECK(on_disk == hard_state{3_t, 3_n, on_disk.commit_hint});
        }
      }
    }
  }
}

TEST_CASE("durability: an entry that was truncated and appended again is not acknowledged by its old write [B154]") {
  auto b = follower();
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  const mark_t first = b->log().newest();
  CHECK(b->step(append(3_n, 2_n, 2_t, {}, 0_i, {no_op(2)})));            // overwrites it
  CHECK(b->step(append(1_n, 2_n, 3_t, {}, 0_i, {no_op(1), no_op(3)})));  // and here it is again
  CHECK(b->shape() == "[1:1][2:3]");
  const auto marks = b->log().under_way();
  CHECK(b->persisted(first, first));
  CHECK(b->status().durable_index == 0_i);
  CHECK(among(b->take_mail(), kind<append_entries_reply>()).empty());
  for (std::size_t k = 1; k < marks.size(); ++k) {
    CHECK(b->status().durable_index == 0_i);
    CHECK(b->persisted(marks[k], marks[k]));
  }
  CHECK(b->status().durable_index == 2_i);
  const auto answers = b->all<append_entries_reply>();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0] == matched(2_i));
}

TEST_CASE("durability: a change of the term forgets nothing of what is under way [B155]") {
  auto b = follower();
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1), {1, "x"}})));
  CHECK(b->step(append(3_n, 2_n, 2_t, {2_i, 1_t}, 0_i, {})));
  CHECK(b->persisted());
  CHECK(b->status().durable_index == 2_i);
  b->take_mail();
  CHECK(b->step(append(3_n, 2_n, 2_t, {2_i, 1_t}, 2_i, {})));
  CHECK(b->only<append_entries_reply>() == matched(2_i));
  CHECK(b->state() == "x;");
}

TEST_CASE("durability: completions in reverse order lose no progress [B156]") {
  auto a = start(1_n, {.members = voters(1)}, deferred());
  win(*a);
  CHECK(a->propose("x"));
  CHECK(a->propose("y"));
  const auto marks = a->log().under_way();
  REQUIRE(marks.size() == 2);
  CHECK(a->persisted(marks[1], marks[1]));
  CHECK(a->commit() == 1_i);
  CHECK(a->persisted(marks[0], marks[0]));
  CHECK(a->commit() == 3_i);
  CHECK(a->state() == "x;y;");
}

TEST_CASE("step(persisted): marks that were never given are refused, and those told twice do no harm") {
  auto b = follower();
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  const std::string before = b->picture();
  for (const persisted& wrong : {persisted{1_m, 2_m}, persisted{0_m, 1_m}, persisted{2_m, 1_m}, persisted{0_m, 0_m},
                                 persisted{mark_t{UINT64_MAX}, mark_t{UINT64_MAX}}}) {
    const auto refused = b->report(wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::impossible);
    CHECK(b->picture() == before);
    CHECK(b->take_mail().empty());
  }
  CHECK(b->persisted());
  b->take_mail();
  CHECK(b->report({1_m, 1_m}));
  CHECK(b->take_mail().empty());
}

TEST_CASE("send: a leader's appends leave while its own write is under way") {
  auto a = leader_of(3);
  CHECK(a->propose("x"));
  CHECK_FALSE(a->log().under_way().empty());
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 2);
  CHECK(mail[0] == append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "x"}}));
  CHECK(mail[1] == append(1_n, 3_n, 1_t, {1_i, 1_t}, 1_i, {{1, "x"}}));
}

TEST_CASE("send_now: a transport that takes envelopes and bodies is sent what any other is") {
  const auto story_of = [](bool bodies) {
    setup how = small_chunks();
    how.bodies = bodies;
    cluster c{3, how};
    c.isolate(3);
    c.elect(1);
    CHECK(c[1].propose({"a", "b"}));
    c.spread();
    CHECK(c[1].take_snapshot());
    c.heal();
    std::vector<letter> sent;
    for (int turn = 0; turn < 40; ++turn) {
      c.jump(10);
      c[1].tick();
      sent.insert(sent.end(), c.mail().begin(), c.mail().end());
      c.deliver(any);
    }
    CHECK(c[3].state() == "a;b;");
    return sent;
  };
  const auto by_bodies = story_of(true);
  CHECK_FALSE(among(by_bodies, kind<append_entries>()).empty());
  CHECK_FALSE(among(by_bodies, kind<append_entries_reply>()).empty());
  CHECK_FALSE(among(by_bodies, kind<install_snapshot>()).empty());
  CHECK(by_bodies == story_of(false));
}

TEST_CASE("send: a leader whose write lags commits with the others, and a crash of it loses nothing [B69]") {
  cluster c{3, deferred()};
  c.elect(1);
  CHECK(c[1].propose("x"));
  c.deliver();
  CHECK(c[2].persisted());
  c.deliver();
  CHECK(c[1].commit() == 1_i);  // one durable copy
  CHECK(c[3].persisted());
  c.deliver();
  CHECK(c[1].commit() == 2_i);  // two
  CHECK(c[1].machine().fates.empty());
  c.crash(1);
  c.drop();
  c.elect(2);
  c.finish();
  CHECK(c[2].state() == "x;");
}

TEST_CASE("send: what was acknowledged survives the crash of everybody") {
  cluster c{3, deferred()};
  c.elect(1);
  CHECK(c[1].propose("kept"));
  c.finish();
  CHECK(c[1].machine().fates.size() == 1);
  CHECK(c[1].propose("lost"));
  c.deliver();
  for (const std::uint64_t id : {1U, 2U, 3U}) c.restart(id);
  c.drop();
  c.elect(2);
  c.finish();
  CHECK(c[2].state() == "kept;");
}

TEST_CASE("out_of_date: an answer that waited for the disk until its term had passed is not sent") {
  auto b = follower();
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  CHECK(b->step(append(3_n, 2_n, 2_t, {1_i, 1_t}, 0_i, {no_op(2)})));
  CHECK(b->persisted());
  const auto mail = b->take_mail();
  REQUIRE(mail.size() == 1);
  CHECK(mail[0].what.to == 3_n);
  CHECK(mail[0].what.term == 2_t);
}

TEST_CASE("write: the term is stored before the entries of that term") {
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}}});
  CHECK(b->step(append(3_n, 2_n, 2_t, {1_i, 1_t}, 0_i, {no_op(2)})));
  CHECK(b->log().writes == std::vector<std::string>{"store", "truncate", "append"});
}

TEST_CASE("write: whatever prefix of the writes a crash leaves, a server starts from it") {
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}}}, deferred());
  CHECK(b->step(append(3_n, 2_n, 2_t, {1_i, 1_t}, 0_i, {no_op(2), members(2, voters(4))})));
  CHECK(b->step(append(3_n, 2_n, 2_t, {3_i, 2_t}, 3_i, {{2, "c"}})));
  CHECK(b->step(append(1_n, 2_n, 5_t, {3_i, 2_t}, 3_i, {no_op(5)})));
  CHECK(b->step(chunk(1_n, 2_n, 5_t, {9_i, 5_t}, voters(4), "image", 0, 5)));
  for (const mark_t mark : b->log().under_way()) {
    const auto crashed = try_start(2_n, b->log().disk());
    REQUIRE_MESSAGE(crashed.has_value(), crashed.error().what);
    CHECK(b->persisted(mark, mark));
  }
  CHECK(try_start(2_n, b->log().disk()));
}

TEST_CASE("fail: a failed write stops the node, and it says nothing any more [B165]") {
  for (const char* step : {"store", "append", "truncate", "begin", "write", "finish"}) {
    CAPTURE(step);
    auto b = start(2_n, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}}});
    b->log().failing = step;
    CHECK(b->step(append(1_n, 2_n, 2_t, {1_i, 1_t}, 0_i, {no_op(2)})).has_value());
    if (!b->failed()) CHECK(b->step(chunk(1_n, 2_n, 2_t, {9_i, 2_t}, voters(3), "image", 0, 5)));
    CHECK(b->failed());
    const bool before_any_answer =
        std::string(step) == "store" || std::string(step) == "append" || std::string(step) == "truncate";
    CHECK(b->take_mail().size() == (before_any_answer ? 0U : 1U));
    CHECK(b->status().waiting_messages == 0);
    CHECK(b->log().writes.back() == step);  // nothing is written behind it
    if (before_any_answer) CHECK(b->told<events::log_truncated>().size() == (std::string(step) == "append" ? 1 : 0));
    REQUIRE(b->told<events::node_failed>().size() == 1);
    CHECK(b->told<events::node_failed>()[0].why.code == errc::io);
    CHECK(b->status().failure.code == errc::failed);
    CHECK(b->status().failure.detail == 5);
    CHECK(b->status().failure.what == std::string("the disk is gone"));

    b->log().failing.clear();  // even if the disk seems well again
    const std::string before = b->picture();
    CHECK(b->step(append(1_n, 2_n, 3_t, {1_i, 1_t}, 0_i, {no_op(3)})).error().code == errc::failed);
    CHECK(b->step(say(3_n, 2_n, 9_t, request_vote{9_i, 8_t})).error().code == errc::failed);
    CHECK(b->propose("x").error().code == errc::failed);
    CHECK(b->read(1).error().code == errc::failed);
    CHECK(b->take_snapshot().error().code == errc::failed);
    CHECK(b->request_snapshot().error().code == errc::failed);
    CHECK(b->report({1_m, 1_m}).error().code == errc::failed);
    CHECK(b->executed(1_i).error().code == errc::failed);
    b->campaign();
    b->pass(10000);
    CHECK(b->deadline() == std::numeric_limits<ms>::max());
    CHECK(b->take_mail().empty());
    CHECK(b->picture().substr(0, 20) == before.substr(0, 20));
  }
}

TEST_CASE("fail: whatever a failed node is asked or told, it refuses with what made it fail, and changes nothing") {
  setup how;
  how.elsewhere = true;
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}}}, how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 1_i, {})));
  CHECK(b->executed(1_i));
  b->log().failing = "all";
  CHECK(b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 1_i, {{1, "c"}})));
  REQUIRE(b->failed());
  b->log().failing.clear();
  b->take_mail();
  b->now() += 1000;
  const std::string before = b->picture();
  const auto refused = [&](const char* what, const auto& outcome) {
    CAPTURE(what);
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code == errc::failed);
    CHECK(outcome.error().what == std::string("the disk is gone"));
    CHECK(b->picture() == before);
    CHECK(b->take_mail().empty());
  };
  refused("a message", b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 1_i, {})));
  refused("a written mark", b->report({1_m, 1_m}));
  refused("an executed entry", b->executed(1_i));
  refused("fetched entries", b->fetched(1_i, 2_i));
  refused("a command", b->propose("x"));
  refused("commands", b->propose({"x", "y"}));
  for (const term_t any : {1_t, 2_t}) refused("a command of a term", b->propose("x", any));
  refused("a command for the leader", b->propose_anywhere("x", 7));
  refused("a read", b->read(7));
  refused("a read by the leader", b->read_anywhere(7));
  refused("a read that may be old", b->read_stale(1000000));
  refused("a snapshot", b->take_snapshot());
  refused("the beginning of a snapshot", b->begin_snapshot());
  refused("a piece of a snapshot", b->write_snapshot("x"));
  refused("a snapshot that is written", b->snapshot_written(1_i));
  refused("a snapshot that is not", b->snapshot_abandoned(1_i));
  refused("a wish for a snapshot", b->request_snapshot());
  refused("a snapshot that was carried", b->carried({1_n, 7, true}));
  refused("a snapshot that was restored", b->restored(9_i));
  refused("a transfer", b->transfer_to(1_n));
  refused("a transfer to the best", b->transfer_to_best());
  refused("to step down", b->step_down());
  refused("to forget the leader", b->forget_leader());
  refused("other members", b->change({.voters = {1_n, 2_n}}));
  refused("the end of a joint membership", b->leave_joint());
  refused("another server", b->add({.id = 4_n}));
  b->evacuate();
  b->campaign();
  b->tick();
  CHECK_FALSE(b->status().evacuating);
  CHECK(b->picture() == before);
  CHECK(b->take_mail().empty());
}

TEST_CASE("fail: a leader whose append fails sends none of it, and never uses the place again [B165]") {
  auto a = leader_of(3);
  a->log().failing = "append";
  (void)a->propose("x");
  CHECK(a->failed());
  CHECK(a->role() == role_kind::follower);
  CHECK(a->take_mail().empty());
  CHECK(a->shape() == "[1:1]");
  CHECK(a->machine().roles.back().what == role_kind::follower);
}

TEST_CASE("fail: what waited for a write that failed later is not sent") {
  auto b = follower();
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  b->log().failing = "all";
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "x"}})));
  CHECK(b->failed());
  b->log().complete(1_m, 1_m);
  CHECK_FALSE(b->report({1_m, 1_m}));
  CHECK(b->take_mail().empty());
}

TEST_CASE("report: the role is told after its effects, once for each change") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->machine().roles == std::vector<recorder::role>{{role_kind::pre_candidate, 0_t, nobody},
                                                          {role_kind::candidate, 1_t, nobody},
                                                          {role_kind::leader, 1_t, 1_n}});
  CHECK(a->step(append(2_n, 1_n, 2_t, {}, 0_i, {no_op(2)})));
  CHECK(a->machine().roles.back() == recorder::role{role_kind::follower, 2_t, 2_n});
  const auto told = a->machine().roles.size();
  CHECK(a->step(append(2_n, 1_n, 2_t, {1_i, 2_t}, 0_i, {})));
  CHECK(a->machine().roles.size() == told);
}

TEST_CASE("superseded: an answer to more, of an earlier round, does not swallow the echo of the later one") {
  auto b = follower({{1, "x"}});
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "y"}}, 3)));
  CHECK(b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 0_i, {{1, "z"}}, 2)));
  CHECK(b->persisted());
  const auto answers = b->all<append_entries_reply>();
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].round == 3);
  CHECK(answers[1] == matched(3_i, 2));
}

TEST_CASE("superseded: answers to two servers are two, and a refusal swallows nothing") {
  auto b = follower();
  CHECK(b->step(append(3_n, 2_n, 2_t, {}, 0_i, {no_op(2)})));  // a new term: nothing is said before it is stored
  CHECK(b->step(append(1_n, 2_n, 1_t, {5_i, 1_t}, 0_i, {})));  // the former leader is told of it
  CHECK(b->step(append(3_n, 2_n, 2_t, {1_i, 2_t}, 0_i, {{2, "x"}})));
  CHECK(b->step(append(3_n, 2_n, 2_t, {9_i, 2_t}, 0_i, {})));  // refused: it has no entry 9
  CHECK(b->take_mail().empty());
  CHECK(b->persisted());
  const auto mail = b->take_mail();
  REQUIRE(mail.size() == 4);
  CHECK(mail[0].what.to == 3_n);
  CHECK(mail[1].what.to == 1_n);
  CHECK_FALSE(mail[1].as<append_entries_reply>().success);
  CHECK(mail[2].as<append_entries_reply>() == matched(2_i));
  CHECK_FALSE(mail[3].as<append_entries_reply>().success);
}

}  // namespace impl_settle_test

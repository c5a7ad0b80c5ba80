// Log replication, the leader's side, impl/replication.hpp. "[B44]" and the like name the bug, seen in other engines,
// that a test guards against.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_replication_test {

using namespace raft;
using namespace story;

namespace {

/// A leader of term 1 of `n`, whose no-op at 1 every other one has acknowledged.
std::unique_ptr<server> leader_of(std::uint64_t n, const setup& how = {}) {
  auto a = start(1_n, {.members = voters(n)}, how);
  win(*a);
  for (std::uint64_t id = 2; id <= n; ++id) CHECK(a->step(say(node_id{id}, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  return a;
}

void ack(server& a, node_id who, index_t index, std::uint64_t round = 0) {
  CHECK(a.step(say(who, 1_n, a.term(), matched(index, round))));
}

std::vector<append_entries> sent_to(server& a, std::uint64_t id) {
  std::vector<append_entries> some;
  for (const letter& l : among(a.mail(), to(id) && kind<append_entries>())) some.push_back(l.as<append_entries>());
  return some;
}

std::string batch_of(const letter& l) {
  std::string all;
  for (const written& e : read(l.as<append_entries>().entries)) all += e.text + ';';
  return all;
}

/// What `id` would have in its log if all that is in the mail arrived: index:text.
std::string carried(server& a, std::uint64_t id) {
  std::string all;
  for (const letter& l : among(a.mail(), to(id) && kind<append_entries>())) {
    index_t at = l.as<append_entries>().prev_log_index;
    for (const written& e : read(l.as<append_entries>().entries)) {
      at = at.next();
      all += std::to_string(at.value) + ":" + e.text.substr(0, 8) + ' ';
    }
  }
  return all;
}

}  // namespace

TEST_CASE("become_leader: every follower is asked at the end of the leader's log, one append at a time") {
  auto a = start(1_n, {.term = 2, .members = voters(3), .log = {{1, "x"}, {2, "y"}}});
  a->campaign();
  CHECK(a->step(say(2_n, 1_n, 2_t, request_pre_vote_reply{2_t, true})));
  a->take_mail();
  CHECK(a->step(say(2_n, 1_n, 3_t, request_vote_reply{true})));
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 2);
  for (const node_id id : {2_n, 3_n}) {
    CHECK(mail[id.value - 2] == append(1_n, id, 3_t, {2_i, 2_t}, 0_i, {no_op(3)}));
    CHECK(a->peer(id.value).state == progress_state::probe);
    CHECK(a->peer(id.value).paused);
    CHECK(a->peer(id.value).match == 0_i);
    CHECK(a->peer(id.value).next == 3_i);
  }
  CHECK(a->propose("z"));
  CHECK(a->take_mail().empty());
}

TEST_CASE("on_append_success: a follower that is found is sent to ahead of its answers") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->propose("x"));
  ack(*a, 2_n, 1_i);
  CHECK(a->peer(2).state == progress_state::replicate);
  CHECK(a->peer(2).match == 1_i);
  CHECK(a->peer(2).next == 3_i);
  CHECK(a->peer(2).inflight_messages == 1);
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 1);
  CHECK(mail[0] == append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "x"}}));
}

TEST_CASE("on_append_refusal: a refusal moves neither match nor the commit index [B45]") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}, {1, "c"}, {1, "d"}}});
  win(*a);
  REQUIRE(a->last() == 5_i);
  CHECK(a->step(say(2_n, 1_n, 2_t, refused(4_i, {4_i, 1_t}, 5_i))));
  CHECK(a->step(say(2_n, 1_n, 2_t, refused(5_i, {5_i, 2_t}, 9_i))));
  CHECK(a->peer(2).match == 0_i);
  CHECK(a->commit() == 0_i);
}

TEST_CASE("on_append_entries_reply: an acknowledgement of an earlier leadership counts for nothing [B46]") {
  auto a = start(1_n, {.term = 1, .members = voters(5), .log = {{1, "a"}, {1, "b"}, {1, "c"}}});
  win(*a);  // term 2
  CHECK(a->step(say(3_n, 1_n, 3_t, append_entries_reply{})));
  win(*a);  // term 4
  REQUIRE(a->term() == 4_t);
  const index_t last = a->last();
  ack(*a, 2_n, last);
  CHECK(a->step(say(4_n, 1_n, 2_t, matched(last))));
  CHECK(a->step(say(5_n, 1_n, 2_t, matched(last))));
  CHECK(a->peer(4).match == 0_i);
  CHECK(a->commit() == 0_i);
  CHECK(a->told<events::message_ignored>().back().why == ignored_reason::stale_term);
  ack(*a, 4_n, last);
  CHECK(a->commit() == last);
}

TEST_CASE("on_append_refusal: refusals that come late or twice move nothing back [B47]") {
  auto a = leader_of(2);
  CHECK(a->propose("x"));
  CHECK(a->propose("y"));
  ack(*a, 2_n, 3_i);
  const auto before = a->peer(2);
  CHECK(before.next == 4_i);
  for (const index_t stale : {0_i, 1_i, 2_i}) CHECK(a->step(say(2_n, 1_n, 1_t, refused(stale, {}, 3_i))));
  CHECK(a->peer(2).match == 3_i);
  CHECK(a->peer(2).next == 4_i);
  CHECK(a->peer(2).state == progress_state::replicate);
}

TEST_CASE("on_append_refusal: of several probes' refusals the first repositions, the others are over [B47]") {
  auto a = start(1_n, {.term = 3, .members = voters(2), .log = {{1, "a"}, {1, "b"}, {2, "c"}, {3, "d"}, {3, "e"}}});
  win(*a);
  const auto answer = say(2_n, 1_n, 4_t, refused(5_i, {2_i, 1_t}, 2_i));
  CHECK(a->step(answer));
  CHECK(a->peer(2).next == 3_i);
  CHECK(a->take_mail().size() == 1);
  CHECK(a->step(answer));
  CHECK(a->step(say(2_n, 1_n, 4_t, refused(9_i, {2_i, 1_t}, 2_i))));
  CHECK(a->peer(2).next == 3_i);
  CHECK(a->take_mail().empty());  // the question that is under way is not asked twice
  CHECK(a->peer(2).state == progress_state::probe);
  ack(*a, 2_n, 6_i);
  CHECK(a->step(answer));
  CHECK(a->peer(2).match == 6_i);
  CHECK(a->peer(2).state == progress_state::replicate);
}

TEST_CASE("on_append_refusal: a refusal of what nextIndex has not come to yet is of another time [B47]") {
  setup how;
  how.options.max_entries_per_append = 1;
  how.options.max_inflight_messages = 1;
  auto a = leader_of(3, how);
  for (const char* x : {"x", "y", "z"}) CHECK(a->propose(x));
  REQUIRE(a->peer(2).next == 3_i);
  a->events.clear();
  CHECK(a->step(say(2_n, 1_n, 1_t, refused(3_i, {2_i, 1_t}, 2_i))));
  CHECK(a->peer(2).state == progress_state::replicate);
  CHECK(a->peer(2).next == 3_i);
  REQUIRE(a->told<events::message_ignored>().size() == 1);
  CHECK(a->told<events::message_ignored>()[0].why == ignored_reason::stale_answer);
}

TEST_CASE("on_append_refusal: whatever a follower hints, the next question is about an earlier entry") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}, {1, "c"}, {1, "d"}}});
  win(*a);
  REQUIRE(a->peer(2).next == 5_i);
  for (const index_t refused_at : {4_i, 3_i, 2_i, 1_i}) {
    CHECK(a->step(say(2_n, 1_n, 2_t, refused(refused_at, {9_i, 1_t}, 9_i))));
    CHECK(a->peer(2).next == refused_at);
  }
}

TEST_CASE("on_append_success: match only rises, whatever the order of the answers [B48]") {
  auto a = leader_of(3);
  for (const char* x : {"a", "b", "c", "d", "e", "f"}) CHECK(a->propose(x));
  ack(*a, 2_n, 7_i);
  ack(*a, 2_n, 5_i);
  ack(*a, 2_n, 0_i);
  CHECK(a->peer(2).match == 7_i);
  CHECK(a->commit() == 7_i);
  CHECK(a->peer(2).next == 8_i);
}

TEST_CASE("on_append_success: the search goes on until what is asked about is answered") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}, {1, "c"}, {1, "d"}}});
  win(*a);
  a->take_mail();
  REQUIRE(a->peer(2).next == 5_i);
  ack(*a, 2_n, 2_i);  // to a heartbeat, by a follower whose disk has come so far
  CHECK(a->peer(2).match == 2_i);
  CHECK(a->peer(2).state == progress_state::probe);
  CHECK(a->take_mail().empty());
  ack(*a, 2_n, 5_i);
  CHECK(a->peer(2).state == progress_state::replicate);
}

TEST_CASE("send_append: entries that do not fit wait for their turn, none is skipped [B49]") {
  setup how;
  how.options.max_bytes_per_append = 1000;
  how.options.eager_messages = 8;
  auto a = leader_of(2, how);
  const std::string big(900, 'a');
  const std::string middle(200, 'b');
  const std::string small(50, 'c');
  CHECK(a->propose({big, middle, small}));
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 2);
  CHECK(batch_of(mail[0]) == big + ';');
  CHECK(batch_of(mail[1]) == middle + ';' + small + ';');
  CHECK(mail[0].as<append_entries>().prev_log_index == 1_i);
  CHECK(mail[1].as<append_entries>().prev_log_index == 2_i);
  CHECK(mail[1].as<append_entries>().prev_log_term == 1_t);
}

TEST_CASE("send_append: an entry larger than the limit of a message is sent alone [B169]") {
  setup how;
  how.options.max_bytes_per_append = 100;
  how.options.max_inflight_bytes = 100;
  auto a = leader_of(2, how);
  const std::string big(5000, 'x');
  CHECK(a->propose(big));
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 1);
  CHECK(batch_of(mail[0]) == big + ';');
  CHECK(a->propose("y"));
  CHECK(a->take_mail().empty());
  ack(*a, 2_n, 2_i);
  CHECK(carried(*a, 2) == "3:y ");
}

TEST_CASE("send_append: no message has more entries than the limit") {
  setup how;
  how.options.max_entries_per_append = 2;
  how.options.eager_messages = 8;
  auto a = leader_of(2, how);
  CHECK(a->propose({"a", "b", "c", "d", "e"}));
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 3);
  CHECK(batch_of(mail[0]) == "a;b;");
  CHECK(batch_of(mail[1]) == "c;d;");
  CHECK(batch_of(mail[2]) == "e;");
}

TEST_CASE("send_ready_appends: sends at once while fewer than eager_messages are under way, then gathers") {
  for (const std::uint32_t eager : {1U, 2U, 3U}) {
    setup how;
    how.options.eager_messages = eager;
    auto a = leader_of(2, how);
    for (const char* x : {"a", "b", "c", "d", "e"}) CHECK(a->propose(x));
    CHECK(sent_to(*a, 2).size() == eager);
    a->take_mail();
    ack(*a, 2_n, 2_i);  // an acknowledgement lets go of what gathered, in one message
    CHECK(sent_to(*a, 2).size() == 1);
    CHECK(sent_to(*a, 2)[0].entries.count() == 5 - eager);
  }
}

TEST_CASE("send_ready_appends: an acknowledgement lets go of what gathered behind messages that are under way still") {
  auto a = leader_of(2);
  for (const char* x : {"a", "b"}) CHECK(a->propose(x));
  a->pass(1);  // both are under way, in a message each
  CHECK(a->propose("c"));
  CHECK(a->take_mail().size() == 2);
  ack(*a, 2_n, 2_i);
  CHECK(carried(*a, 2) == "4:c ");
}

TEST_CASE("send_ready_appends: what lets go of nothing, since nothing gathered, lets go of nothing later") {
  for (const bool by_tick : {false, true}) {
    CAPTURE(by_tick);
    auto a = leader_of(2);
    for (const char* x : {"a", "b"}) CHECK(a->propose(x));
    a->pass(1);
    by_tick ? a->pass(1) : ack(*a, 2_n, 2_i);
    CHECK(a->take_mail().size() == 2);
    CHECK(a->propose("c"));
    CHECK(a->take_mail().empty());
    ack(*a, 2_n, 3_i);
    CHECK(carried(*a, 2) == "4:c ");
  }
}

TEST_CASE("send_ready_appends: a tick lets go of what gathered") {
  auto a = leader_of(2);
  for (const char* x : {"a", "b", "c"}) CHECK(a->propose(x));
  CHECK(carried(*a, 2) == "2:a ");
  a->take_mail();
  a->pass(1);
  CHECK(carried(*a, 2) == "3:b 4:c ");
  CHECK(a->take_mail().size() == 1);
}

TEST_CASE("send_ready_appends: a full message does not wait") {
  setup how;
  how.options.max_entries_per_append = 3;
  auto a = leader_of(2, how);
  CHECK(a->propose("a"));
  a->take_mail();
  CHECK(a->propose("b"));
  CHECK(a->propose("c"));
  CHECK(a->take_mail().empty());
  CHECK(a->propose("d"));
  CHECK(carried(*a, 2) == "3:b 4:c 5:d ");

  setup by_bytes;
  by_bytes.options.max_bytes_per_append = 1000;
  auto b = leader_of(2, by_bytes);
  CHECK(b->propose("a"));
  b->take_mail();
  CHECK(b->propose(std::string(400, 'b')));
  CHECK(b->take_mail().empty());
  CHECK(b->propose(std::string(600, 'c')));
  CHECK(sent_to(*b, 2).at(0).entries.count() == 1);
  for (const std::uint32_t limit : {1000U, 1001U}) {
    by_bytes.options.max_bytes_per_append = limit;
    auto to_the_byte = leader_of(2, by_bytes);
    CHECK(to_the_byte->propose("a"));
    to_the_byte->take_mail();
    for (const std::size_t size : {400U, 568U}) CHECK(to_the_byte->propose(std::string(size, 'b')));
    CHECK(to_the_byte->take_mail().size() == (limit == 1000 ? 1U : 0U));  // entries of 1000 bytes gathered
  }
}

TEST_CASE("send_ready_appends: what the last message had no room for counts towards the next full one") {
  setup how;
  how.options.max_entries_per_append = 3;
  how.options.max_bytes_per_append = 1000;
  auto a = leader_of(2, how);
  const std::string big(600, 'd');
  CHECK(a->propose({"a", "b", "c", big}));
  CHECK(carried(*a, 2) == "2:a 3:b 4:c ");
  a->take_mail();
  CHECK(a->propose(big));
  REQUIRE_FALSE(sent_to(*a, 2).empty());
  CHECK(sent_to(*a, 2)[0].prev_log_index == 4_i);
}

TEST_CASE("send_ready_appends: no more messages are under way than the limit") {
  setup how;
  how.options.max_inflight_messages = 3;
  how.options.eager_messages = 3;
  auto a = leader_of(2, how);
  for (const char* x : {"a", "b", "c", "d", "e"}) CHECK(a->propose(x));
  CHECK(carried(*a, 2) == "2:a 3:b 4:c ");
  CHECK(a->peer(2).paused);
  CHECK(a->peer(2).inflight_messages == 3);
  a->take_mail();
  a->pass(1);
  CHECK(a->take_mail().empty());  // not even a tick goes over it
  ack(*a, 2_n, 2_i);
  CHECK(carried(*a, 2) == "5:d 6:e ");
  CHECK(a->peer(2).inflight_messages == 3);
  ack(*a, 2_n, 6_i);
  CHECK(a->peer(2).inflight_messages == 0);
  CHECK(a->peer(2).inflight_bytes == 0);
  CHECK_FALSE(a->peer(2).paused);
}

TEST_CASE("send_ready_appends: nothing more is sent while as many bytes as the limit are under way") {
  setup how;
  how.options.max_bytes_per_append = 1000;
  how.options.max_inflight_bytes = 2000;
  how.options.eager_messages = 64;
  auto a = leader_of(2, how);
  for (int i = 0; i < 6; ++i) CHECK(a->propose(std::string(984, 'x')));  // 1000 bytes each, in its wire form
  CHECK(sent_to(*a, 2).size() == 2);
  CHECK(a->peer(2).inflight_bytes == 2000);
  CHECK(a->peer(2).paused);
  a->take_mail();
  ack(*a, 2_n, 2_i);
  CHECK(sent_to(*a, 2).size() == 1);
  CHECK(a->peer(2).inflight_bytes == 2000);
}

TEST_CASE("become_probe: what was under way counts for nothing when the search begins again [B168]") {
  setup how;
  how.options.max_bytes_per_append = 1000;
  how.options.max_inflight_bytes = 1000;
  auto a = leader_of(2, how);
  CHECK(a->propose(std::string(984, 'x')));
  CHECK(a->peer(2).inflight_bytes == 1000);
  a->take_mail();
  a->pass(50);  // the heartbeat asks behind what was sent, and shows that it was lost
  CHECK(a->step(say(2_n, 1_n, 1_t, refused(2_i, {1_i, 1_t}, 1_i))));
  CHECK(a->peer(2).state == progress_state::probe);
  CHECK(a->peer(2).inflight_bytes == 0);
  CHECK(a->peer(2).inflight_messages == 0);
  CHECK(sent_to(*a, 2).back().prev_log_index == 1_i);
  CHECK(sent_to(*a, 2).back().entries.count() == 1);
  ack(*a, 2_n, 2_i);
  CHECK(a->peer(2).state == progress_state::replicate);
  a->take_mail();
  CHECK(a->propose("y"));
  CHECK(a->take_mail().size() == 1);
}

TEST_CASE("send_heartbeat: a follower that was lost from sight and has everything is in step after one answer [B53]") {
  cluster c{3};
  c.elect(1);
  c.spread();
  c.isolate(2);
  CHECK(c[1].propose("x"));  // lost on the way to 2
  c.pass(100);
  c.heal();
  c.pass(100);
  CHECK(c[2].shape() == "[1:1][2:1]");
  CHECK(c[1].peer(2).state == progress_state::replicate);
  CHECK(c[1].propose("y"));
  CHECK(sent_to(c[1], 2).size() == 1);  // at once, without a heartbeat
}

TEST_CASE("on_append_success: an answer that raises nothing ends the search all the same [B53]") {
  auto a = leader_of(3);
  ack(*a, 2_n, a->last());
  REQUIRE(a->peer(2).match == a->last());
  // A refusal of long ago has the leader look again where the logs meet; the follower has everything.
  CHECK(a->step(say(2_n, 1_n, 1_t, append_entries_reply{false, a->last(), {}, {}, {}, 0})));
  REQUIRE(a->peer(2).state == progress_state::probe);
  ack(*a, 2_n, a->last());
  CHECK(a->peer(2).state == progress_state::replicate);
  a->take_mail();
  CHECK(a->propose("x"));
  CHECK(sent_to(*a, 2).size() == 1);  // at once, without a heartbeat
}

TEST_CASE("send_heartbeat: a probe that was lost is made up for by the next heartbeat") {
  cluster c{3};
  c.elect(1);
  c.crash(2);
  c.start(1, c[1].log().image());
  c.elect(1);  // term 2: the probe of 2 goes nowhere
  REQUIRE(c[1].peer(2).paused);
  c.restart(2);
  c.pass(50);
  CHECK(c[2].shape() == c[1].shape());
}

TEST_CASE("begin_round: a heartbeat goes to every follower, whatever became of the one before it [B55]") {
  cluster c{4};
  c.elect(1);
  c.crash(2);
  c.isolate(3);
  for (int beat = 0; beat < 3; ++beat) {
    c.drop();
    c[1].pass(50);
    for (const std::uint64_t id : {2U, 3U, 4U}) {
      CHECK(among(c.mail(), from(1) && to(id) && kind<append_entries>()).size() == 1);
    }
  }
}

TEST_CASE("tick: heartbeats leave each heartbeat_interval and not in between") {
  auto a = leader_of(3);
  a->pass(49);
  CHECK(a->take_mail().empty());
  a->pass(1);
  CHECK(a->all<append_entries>().size() == 2);
  CHECK(a->deadline() == a->now() + 50);
  a->pass(49);
  CHECK(a->take_mail().empty());
  a->pass(1);
  CHECK(a->all<append_entries>().size() == 2);
}

TEST_CASE("send_heartbeat: asks at nextIndex, so that what was lost on the way shows") {
  auto a = leader_of(2);
  CHECK(a->propose("x"));
  a->take_mail();
  a->pass(50);
  const auto beat = a->only<append_entries>();
  CHECK(beat.prev_log_index == 2_i);
  CHECK(beat.prev_log_term == 1_t);
  CHECK(beat.entries.empty());
  CHECK(beat.leader_commit == 1_i);
}

TEST_CASE("send_heartbeat: tells the commit index to whom no append follows [B75]") {
  cluster c{3};
  c.elect(1);
  c.spread();
  CHECK(c[1].propose("x"));
  c.deliver();
  CHECK(c[1].commit() == 2_i);
  CHECK(c[2].commit() == 1_i);
  c[1].pass(50);
  c.drop(to(2));  // told, and lost
  c.deliver();
  CHECK(c[3].commit() == 2_i);
  CHECK(c[2].commit() == 1_i);
  c.pass(50);
  CHECK(c[2].commit() == 2_i);
  CHECK(c[2].state() == "x;");
}

TEST_CASE("send_append: the commit index rides on the next append") {
  auto a = leader_of(3);
  CHECK(a->propose("x"));
  a->take_mail();
  ack(*a, 2_n, 2_i);
  CHECK(a->commit() == 2_i);
  CHECK(a->take_mail().empty());
  CHECK(a->propose("y"));
  const auto sent = sent_to(*a, 2);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].leader_commit == 2_i);
}

TEST_CASE("replicate_to: commit_at_once tells every follower what it has without delay, once") {
  setup how;
  how.options.commit_at_once = true;
  auto a = leader_of(3, how);
  CHECK(a->propose("x"));
  a->take_mail();
  ack(*a, 2_n, 2_i);
  CHECK(a->commit() == 2_i);
  REQUIRE(sent_to(*a, 2).size() == 1);
  CHECK(sent_to(*a, 2)[0].leader_commit == 2_i);
  CHECK(sent_to(*a, 2)[0].entries.empty());
  CHECK(sent_to(*a, 3).size() == 1);  // behind what is on its way there
  CHECK(sent_to(*a, 3)[0].prev_log_index == 2_i);
  a->take_mail();
  ack(*a, 3_n, 2_i);
  ack(*a, 2_n, 2_i);
  CHECK(a->take_mail().empty());
}

TEST_CASE("replicate_to: commit_at_once tells nobody of entries that were not sent there") {
  setup how;
  how.options.commit_at_once = true;
  how.options.max_inflight_messages = 1;
  auto a = leader_of(3, how);
  CHECK(a->propose("x"));
  CHECK(a->propose("y"));
  ack(*a, 3_n, 2_i);
  a->take_mail();
  ack(*a, 3_n, 3_i);
  CHECK(a->commit() == 3_i);
  CHECK(a->peer(2).next == 3_i);
  CHECK(sent_to(*a, 2).empty());
}

TEST_CASE(
    "send_append: what rides on an append is not sent again: the round, and with commit_at_once the commit index") {
  setup how;
  how.options.commit_at_once = true;
  auto a = leader_of(3, how);
  for (const char* x : {"x", "y", "z"}) CHECK(a->propose(x));
  a->take_mail();
  ack(*a, 2_n, 2_i);
  REQUIRE(sent_to(*a, 2).size() == 1);
  CHECK(sent_to(*a, 2)[0].entries.count() == 2);
  CHECK(sent_to(*a, 2)[0].leader_commit == 2_i);
  a->take_mail();
  CHECK(a->propose("gathers"));
  a->pass(50);
  REQUIRE(sent_to(*a, 2).size() == 1);
  CHECK(sent_to(*a, 2)[0].entries.count() == 1);
  CHECK(sent_to(*a, 2)[0].round == 1);
}

TEST_CASE("on_append_success: a late answer for the very next entry is not followed by that entry") {
  setup how;
  how.options.max_entries_per_append = 1;
  how.options.max_inflight_messages = 1;
  auto a = leader_of(3, how);
  for (const char* x : {"x", "y", "z"}) CHECK(a->propose(x));
  CHECK(a->peer(2).next == 3_i);
  a->take_mail();
  ack(*a, 2_n, 3_i);  // of a message from before nextIndex was moved back
  CHECK(carried(*a, 2) == "4:z ");
}

TEST_CASE("replicate_to: commit_at_once in a cluster, without any time passing") {
  setup how;
  how.options.commit_at_once = true;
  cluster c{5, how};
  c.elect(3);
  CHECK(c[3].propose("x"));
  c.deliver();
  for (const std::uint64_t id : c.ids()) CHECK(c[id].state() == "x;");
}

// ---------------------------------------------------------------------------------------------------- conflict repair

namespace {

/// Has server 1 with `leading` meet server 2 with `following`; answers the round trips until the logs are equal.
int repair(std::uint64_t term, const std::vector<written>& leading, const std::vector<written>& following,
           const setup& how = {}) {
  cluster c{3, how};
  c.start(1, {.term = term, .members = voters(3), .log = leading});
  c.start(2, {.term = term, .members = voters(3), .log = following});
  c.start(3, {.term = term, .members = voters(3)});
  c[1].campaign();
  while (c.deliver(!to(2)) != 0) {
  }
  REQUIRE(c[1].leads());
  c.drop(!kind<append_entries>());
  int trips = 0;
  while (c[2].shape() != c[1].shape()) {
    c.deliver(to(2));
    c.deliver(to(1));
    c.drop(to(3));
    ++trips;
    if (trips == 50) {
      FAIL(c[1].status(), " ", leading, " against ", following, " became ", c[2].shape());
    }
  }
  CHECK(c[1].peer(2).match == c[1].last());
  return trips;
}

std::vector<written> log_with_terms(std::initializer_list<std::uint64_t> terms) {
  std::vector<written> log;
  for (const std::uint64_t t : terms) log.push_back({t, std::to_string(log.size() + 1)});
  return log;
}

}  // namespace

TEST_CASE("on_append_refusal: each conflicting term costs one round trip at most [paper 5.3]") {
  // Round trips: one refusal for each conflicting term, then the append that fits.
  CHECK(repair(9, log_with_terms({1, 1, 1}), log_with_terms({1, 1, 1})) == 1);
  CHECK(repair(9, log_with_terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6}), log_with_terms({1, 1, 1, 4, 4, 5, 5, 6, 6})) <= 2);
  CHECK(repair(9, log_with_terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6}), log_with_terms({1, 1, 1, 4})) <= 2);
  CHECK(repair(9, log_with_terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6}), {}) <= 2);
  // Figure 7 (e): terms 1 1 1 4 4 4 4 against 1 1 1 4 4 5 5 6 6 6.
  CHECK(repair(9, log_with_terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6}), log_with_terms({1, 1, 1, 4, 4, 4, 4})) <= 2);
  // Figure 7 (f): terms 2 and 3 conflict.
  CHECK(repair(9, log_with_terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6}), log_with_terms({1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3})) <=
        3);
  // A long conflict of one term is one conflict.
  CHECK(repair(9, std::vector<written>(90, {2, "l"}), std::vector<written>(70, {1, "f"})) <= 2);
  CHECK(repair(9, std::vector<written>(70, {1, "l"}), std::vector<written>(50, {2, "f"})) <= 2);
}

TEST_CASE("on_append_refusal: alternating terms cost no more round trips than there are of them") {
  std::vector<written> leading = log_with_terms({1});
  std::vector<written> following = log_with_terms({1});
  const std::uint64_t pairs = 6;
  for (std::uint64_t k = 1; k <= pairs; ++k) {
    for (int i = 0; i < 5; ++i) leading.push_back({2 * k, "l"});
    for (int i = 0; i < 5; ++i) following.push_back({2 * k + 1, "f"});
  }
  CHECK(repair(20, leading, following) <= static_cast<int>(pairs) + 1);
}

TEST_CASE("on_append_refusal: repair goes on over a follower that is longer, shorter, or of later terms") {
  // Each term begins at one place only, as in any cluster.
  const std::vector<std::vector<written>> logs{log_with_terms({}),
                                               log_with_terms({1}),
                                               log_with_terms({1, 1, 1, 1, 1, 1, 1, 1}),
                                               log_with_terms({1, 1, 2}),
                                               log_with_terms({1, 1, 2, 2, 2, 6}),
                                               log_with_terms({1, 3, 3, 3, 3}),
                                               log_with_terms({1, 1, 4, 4, 4, 4, 7}),
                                               log_with_terms({5, 5, 5})};
  for (const auto& leading : logs) {
    for (const auto& following : logs) repair(9, leading, following);
  }
}

TEST_CASE("become_replicate: after the repair the rest follows without waiting") {
  setup how;
  how.options.max_entries_per_append = 2;
  how.options.max_inflight_messages = 4;
  cluster c{2, how};
  c.start(1, {.term = 3, .members = voters(2), .log = log_with_terms({1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3})});
  c.start(2, {.term = 3, .members = voters(2), .log = log_with_terms({1, 1, 2})});
  c[1].campaign();
  c.deliver();
  CHECK(c[1].shape() == c[2].shape());
  CHECK(c[1].commit() == 14_i);
}

// ---------------------------------------------------------------------------------------------------- a lost log

TEST_CASE("suspect_lost_log: a member that came back empty is reported, not counted and not written to") {
  cluster c{3};
  c.elect(1);
  CHECK(c[1].propose("x"));
  c.spread();
  c.crash(3);
  c.start(2, memory_log{voters(3), 4096});  // server 2 lost its disk
  c[1].events.clear();
  c.pass(100);
  REQUIRE(c[1].told<events::peer_lost_log>().size() == 1);
  CHECK(c[1].told<events::peer_lost_log>()[0].peer == 2_n);
  CHECK(c[1].told<events::peer_lost_log>()[0].acknowledged == 2_i);
  CHECK(c[1].told<events::peer_lost_log>()[0].last_log_index == 0_i);
  CHECK(c[1].peer(2).state == progress_state::lost);
  CHECK(c[1].peer(2).paused);

  CHECK(c[1].propose("y"));
  c.pass(200);
  CHECK(c[1].leads());          // it is heard
  CHECK(c[1].commit() == 2_i);  // and it does not count
  CHECK(c[2].shape().empty());
  c.restart(3);
  c.pass(100);
  CHECK(c[1].commit() == 3_i);
}

TEST_CASE("suspect_lost_log: a member that lost the end of its log is found out by the next entries, too") {
  cluster c{3};
  c.elect(1);
  CHECK(c[1].propose({"x", "y"}));
  c.spread();
  c.start(2, {.term = 1, .members = voters(3), .log = {no_op(1)}});
  c[1].events.clear();
  CHECK(c[1].propose("z"));
  c.pass(100);
  REQUIRE(c[1].told<events::peer_lost_log>().size() == 1);
  CHECK(c[1].told<events::peer_lost_log>()[0].acknowledged == 3_i);
  CHECK(c[1].told<events::peer_lost_log>()[0].last_log_index == 1_i);
  CHECK(c[2].shape() == "[1:1]");
}

TEST_CASE("suspect_lost_log: what the member had acknowledged before it lost it counts no more") {
  auto a = leader_of(5);
  CHECK(a->propose("x"));
  ack(*a, 2_n, 2_i);
  CHECK(a->commit() == 1_i);
  for (int answer = 0; answer < 2; ++answer) {  // it refuses what it had, and again when it is asked once more
    const auto round = sent_to(*a, 2).back().round;
    a->take_mail();
    CHECK(a->step(say(2_n, 1_n, 1_t, refused(2_i, {}, 0_i, round))));
  }
  REQUIRE(a->peer(2).state == progress_state::lost);
  CHECK(a->propose("y"));
  ack(*a, 2_n, 3_i);  // what it says from now on counts no more either
  CHECK(a->peer(2).state == progress_state::lost);
  CHECK(a->peer(2).match == 2_i);
  ack(*a, 3_n, 2_i);
  CHECK(a->commit() == 1_i);  // of five, 1 and 3 have it
  ack(*a, 4_n, 2_i);
  CHECK(a->commit() == 2_i);
}

TEST_CASE("suspect_lost_log: a log that ends below what was acknowledged is asked about at once, in a new round") {
  auto a = leader_of(3);
  CHECK(a->propose("x"));
  ack(*a, 2_n, 2_i);
  CHECK(a->propose("y"));
  a->take_mail();
  CHECK(a->step(say(2_n, 1_n, 1_t, refused(3_i, {1_i, 1_t}, 1_i))));
  REQUIRE_FALSE(sent_to(*a, 2).empty());
  CHECK(sent_to(*a, 2).back().prev_log_index == 2_i);
  CHECK(sent_to(*a, 2).back().round == 1);
}

TEST_CASE("suspect_lost_log: who holds something else where it had agreed has lost it, however long its log is") {
  auto a = leader_of(3);
  CHECK(a->propose("x"));
  ack(*a, 2_n, 2_i);
  for (int answer = 0; answer < 2; ++answer) {
    const auto round = sent_to(*a, 2).back().round;
    a->take_mail();
    CHECK(a->step(say(2_n, 1_n, 1_t, refused(2_i, {1_i, 1_t}, 9_i, round))));
  }
  CHECK(a->peer(2).state == progress_state::lost);
}

TEST_CASE("suspect_lost_log: a late refusal is no proof") {
  auto a = leader_of(3);
  CHECK(a->propose("x"));
  ack(*a, 2_n, 2_i);
  CHECK(a->propose("y"));
  a->take_mail();
  // Sent before server 2 had anything: it says that the log ends at 0, below what was acknowledged since.
  const letter late = say(2_n, 1_n, 1_t, refused(2_i, {}, 0_i));
  CHECK(a->step(late));
  CHECK(a->step(late));
  CHECK(a->step(late));
  CHECK(a->peer(2).state != progress_state::lost);
  CHECK(a->told<events::peer_lost_log>().empty());
  // Asked again, it shows that nothing is missing.
  const auto asked = sent_to(*a, 2);
  REQUIRE_FALSE(asked.empty());
  CHECK(asked.back().prev_log_index == 2_i);
  ack(*a, 2_n, 3_i, asked.back().round);
  CHECK(a->peer(2).state == progress_state::replicate);
  CHECK(a->peer(2).match == 3_i);
}

TEST_CASE("on_append_entries_reply: answers to what was never sent are refused") {
  auto a = leader_of(3);
  const std::string before = a->picture();
  const auto impossible = [&](const append_entries_reply& reply) {
    const auto taken = a->step(say(2_n, 1_n, 1_t, reply));
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == errc::impossible);
    CHECK(a->picture() == before);
  };
  impossible(matched(2_i));
  impossible(matched(index_t{UINT64_MAX}));
  impossible(matched(1_i, 1));
  impossible(matched(1_i, UINT64_MAX));
  impossible(refused(1_i, {}, 0_i, 5));
}

TEST_CASE("on_append_entries_reply: who is no member is not listened to") {
  auto a = leader_of(3);
  const std::string before = a->picture();
  a->events.clear();
  CHECK(a->step(say(9_n, 1_n, 1_t, matched(1_i))));
  CHECK(a->step(say(9_n, 1_n, 1_t, install_snapshot_reply{1_i, 1, 0, true, 0})));
  CHECK(a->picture() == before);
  const auto ignored = a->told<events::message_ignored>();
  REQUIRE(ignored.size() == 2);
  for (const auto& each : ignored) CHECK(each.why == ignored_reason::not_a_member);
}

TEST_CASE("send_append: entries that are not at hand are tried again with the next heartbeat") {
  auto a = leader_of(2);
  a->log().cold = true;
  CHECK(a->propose("x"));
  CHECK(a->take_mail().empty());
  a->log().cold = false;
  a->pass(50);
  CHECK(carried(*a, 2) == "2:x ");
}

TEST_CASE("send_append: entries that are not at hand are sent as soon as they are reported") {
  for (const bool probing : {false, true}) {
    CAPTURE(probing);
    auto a = start(1_n, {.term = 1, .members = voters(2), .log = {{1, "a"}, {1, "b"}}});
    win(*a);  // Its no-op is entry 3.
    a->log().cold = true;
    const auto answer = probing ? refused(2_i, {}, 0_i) : matched(2_i);
    CHECK(a->step(say(2_n, 1_n, 2_t, answer)));
    CHECK(a->peer(2).state == (probing ? progress_state::probe : progress_state::replicate));
    CHECK(a->take_mail().empty());
    a->pass(50);
    CHECK(a->take_mail().size() == 1);  // A heartbeat needs no entries.
    REQUIRE_FALSE(a->log().asked.empty());
    CHECK(a->log().asked.back() == (probing ? 1_i : 3_i));
    a->log().cold = false;
    CHECK(a->fetched(1_i, 3_i));
    CHECK(carried(*a, 2) == (probing ? "1:a 2:b 3: " : "3: "));
    a->take_mail();
    CHECK(a->fetched(1_i, 3_i));  // Told twice, it is not sent twice.
    CHECK(a->take_mail().empty());
  }
}

TEST_CASE("send_append: what an acknowledgement let go, and was not at hand, leaves when it is reported") {
  auto a = leader_of(2);
  CHECK(a->propose("x"));
  CHECK(a->propose("y"));  // gathers, since a message is under way
  a->pass(50);
  REQUIRE(carried(*a, 2) == "2:x 3:y ");
  a->take_mail();
  CHECK(a->propose("z"));
  a->log().cold = true;
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(2_i))));
  CHECK(carried(*a, 2).empty());
  a->log().cold = false;
  CHECK(a->fetched(4_i, 4_i));  // another message is still under way
  CHECK(carried(*a, 2) == "4:z ");
}

TEST_CASE("status: a peer's match stays below next, and next does not pass the log's end") {
  cluster c{3};
  c.elect(1);
  for (int i = 0; i < 20; ++i) {
    CHECK(c[1].propose(std::to_string(i)));
    if (i % 3 == 0) c.drop(to(2));
    if (i % 5 == 0) c.pass(30);
    for (const auto& p : c[1].status().peers) {
      CHECK(p.match < p.next);
      CHECK(p.next <= c[1].last().next());
    }
  }
}

TEST_CASE("on_append_success: nextIndex stays above matchIndex while a snapshot is being sent") {
  auto a = start(1_n, {.term = 1,
                       .commit_hint = 9,
                       .members = voters(3),
                       .base = {9_i, 1_t},
                       .snapshot = {9_i, 1_t},
                       .image = "image"});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, a->term(), refused(9_i, {}, 0_i))));
  REQUIRE(a->peer(2).state == progress_state::snapshot);
  for (const index_t match : {3_i, 2_i, 6_i}) {
    CHECK(a->step(say(2_n, 1_n, a->term(), matched(match))));
    CHECK(a->peer(2).state == progress_state::snapshot);  // what follows is compacted: the snapshot it has to be
    CHECK(a->peer(2).match < a->peer(2).next);
  }
  CHECK(a->peer(2).match == 6_i);
}

TEST_CASE("suspect_lost_log: nor is it sent a snapshot when the entries that it lost are compacted") {
  setup how;
  how.options.trailing_entries = 0;
  cluster c{3, how};
  c.elect(1);
  CHECK(c[1].propose({"x", "y"}));
  c.spread();
  c.start(2, memory_log{voters(3), 4096});  // server 2 lost its disk
  c.pass(100);
  REQUIRE(c[1].peer(2).state == progress_state::lost);
  CHECK(c[1].propose("z"));
  c.pass(100);
  CHECK(c[1].take_snapshot());
  REQUIRE(c[1].status().first_index > c[1].peer(2).next);
  c.pass(500);
  CHECK(c[1].leads());
  CHECK(c[1].peer(2).state == progress_state::lost);
  CHECK(c[2].log().writes == std::vector<std::string>{"store"});  // its term, and nothing that it would vouch for
  CHECK(c[3].state() == "x;y;z;");
}

TEST_CASE("send_append: a leader that has lost entries which a follower needs makes way, and says why") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}}});
  win(*a);
  CHECK(a->step(say(3_n, 1_n, 2_t, matched(3_i))));
  a->log().unreadable = {errc::corrupt, nobody, 17, "the segment is damaged"};
  a->pass(50);
  CHECK_FALSE(a->failed());  // nobody needs them
  CHECK(a->step(say(2_n, 1_n, 2_t, refused(2_i, {}, 0_i))));
  CHECK(a->failed());
  REQUIRE(a->told<events::node_failed>().size() == 1);
  CHECK(a->told<events::node_failed>()[0].why.code == errc::corrupt);
  CHECK_FALSE(a->leads());
}

}  // namespace impl_replication_test

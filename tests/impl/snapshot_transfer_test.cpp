// How snapshots get to followers other than a chunk at a time: within a limit of bytes a second, by the transport's own
// way, at a follower's wish; and how many entries stay behind them. impl/snapshot.hpp, pace.hpp.

#include <doctest/doctest.h>

#include <algorithm>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_snapshot_transfer_test {

using namespace raft;
using namespace story;

namespace {

setup chunks_of(std::uint32_t bytes) {
  setup how;
  how.options.snapshot_chunk_bytes = bytes;
  how.options.trailing_entries = 0;
  return how;
}

/// A leader of n servers with a snapshot of 40 bytes; whoever lags gets it.
std::unique_ptr<server> with_snapshot(std::uint64_t n, const setup& how) {
  const std::string image(40, 's');
  auto a =
      start(1_n, {.term = 1, .members = voters(n), .base = {9_i, 1_t}, .snapshot = {9_i, 1_t}, .image = image}, how);
  win(*a);
  a->now() += 60;  // More than may be made up for.
  return a;
}

/// The follower has nothing: its refusal sends the leader back behind its log's beginning.
void lags(server& a, node_id who) { CHECK(a.step(say(who, 1_n, a.term(), refused(9_i, {}, 0_i)))); }

install_snapshot_reply has(std::uint64_t offset, const install_snapshot& chunk) {
  return {chunk.last_included_index, chunk.id, offset, false, chunk.round};
}

struct sent_chunk {
  ms at = 0;
  node_id to{};
};

/// Lets time pass, ticking at deadlines only; whoever gets a chunk asks for the next one at once.
std::vector<sent_chunk> run(server& a, ms until) {
  std::vector<sent_chunk> sent;
  std::size_t idle = 0;
  while (a.now() <= until) {
    const std::size_t before = sent.size();
    for (const letter& l : a.take_mail()) {
      if (!l.is<install_snapshot>()) continue;
      const auto& c = l.as<install_snapshot>();
      sent.push_back({a.now(), l.what.to});
      const auto got = c.offset + c.data.size();
      const bool all = got == c.size;
      CHECK(a.step(say(l.what.to, 1_n, a.term(),
                       all ? install_snapshot_reply{c.last_included_index, c.id, got, true, c.round} : has(got, c))));
    }
    if (sent.size() != before) continue;
    if (a.deadline() > a.now()) {
      a.now() = a.deadline();
      idle = 0;
    }
    REQUIRE(++idle < 100);  // A deadline that has passed has something to do.
    a.tick();
  }
  return sent;
}

}  // namespace

// ------------------------------------------------------------------------------------------------ bytes a second

TEST_CASE("snapshot_bytes_per_second: chunks leave no faster, and no slower") {
  setup how = chunks_of(4);
  how.options.snapshot_bytes_per_second = 100;  // A chunk costs 40 ms.
  auto a = with_snapshot(3, how);
  const ms begin = a->now();
  lags(*a, 2_n);
  const auto sent = run(*a, begin + 1000);
  REQUIRE(sent.size() == 10);
  for (std::size_t k = 0; k < sent.size(); ++k) CHECK(sent[k].at - begin == static_cast<ms>(40 * k));
}

TEST_CASE("snapshot_bytes_per_second: without a limit nothing waits") {
  auto a = with_snapshot(3, chunks_of(4));
  lags(*a, 2_n);
  const ms begin = a->now();
  const auto sent = run(*a, begin + 10);
  CHECK(sent.size() == 10);
  CHECK(std::all_of(sent.begin(), sent.end(), [&](const sent_chunk& c) { return c.at == begin; }));
}

TEST_CASE("snapshot_bytes_per_second: several followers share it, and take turns") {
  setup how = chunks_of(4);
  how.options.snapshot_bytes_per_second = 100;
  auto a = with_snapshot(5, how);
  const ms begin = a->now();
  for (const node_id id : {2_n, 3_n, 4_n}) lags(*a, id);
  const auto sent = run(*a, begin + 2000);
  REQUIRE(sent.size() == 30);
  CHECK(sent.back().at - begin == 29 * 40);
  for (std::size_t k = 3; k < sent.size(); ++k) CHECK(sent[k].to == sent[k - 3].to);
  CHECK(sent[0].to != sent[1].to);
  CHECK(sent[1].to != sent[2].to);
  CHECK(sent[0].to != sent[2].to);
}

TEST_CASE("snapshot_bytes_per_second: heartbeats go on while chunks wait") {
  setup how = chunks_of(4);
  how.options.snapshot_bytes_per_second = 4;  // A chunk a second.
  auto a = with_snapshot(3, how);
  lags(*a, 2_n);
  REQUIRE(among(a->mail(), to(2) && kind<install_snapshot>()).size() == 1);
  const auto first = among(a->take_mail(), to(2) && kind<install_snapshot>())[0].as<install_snapshot>();
  CHECK(a->step(say(2_n, 1_n, a->term(), has(4, first))));
  CHECK(a->take_mail().empty());
  CHECK(a->why_paused(2).why == peer_pause::cause::chunk_limit);
  for (int beat = 0; beat < 4; ++beat) {
    a->pass(50);
    CHECK(among(a->mail(), to(2) && kind<append_entries>()).size() == 1);
    CHECK(among(a->take_mail(), kind<install_snapshot>()).empty());
  }
}

TEST_CASE("read_snapshot: bytes that cannot be read are tried again later, and no tick is due for them") {
  for (const std::uint64_t limit : {0U, 1000U}) {
    setup how = chunks_of(4);
    how.options.snapshot_bytes_per_second = limit;
    auto a = with_snapshot(3, how);
    a->log().cold = true;
    lags(*a, 2_n);
    a->tick();
    CHECK(among(a->take_mail(), kind<install_snapshot>()).empty());
    CHECK(a->deadline() > a->now());
    a->log().cold = false;
    for (int beat = 0; beat < 4; ++beat) a->pass(50);
    CHECK(among(a->take_mail(), kind<install_snapshot>()).size() == 1);
  }
}

// ------------------------------------------------------------------------------------------------ out of band

namespace {

setup carried() {
  setup how = chunks_of(16);
  how.carrier = true;
  how.options.check_quorum = false;  // The others say nothing for long.
  how.options.snapshot_carry_timeout = 1000;
  return how;
}

std::size_t chunks_in(server& a) { return among(a.take_mail(), kind<install_snapshot>()).size(); }

}  // namespace

TEST_CASE("send_snapshot: the transport is offered the whole, once, and no chunk is sent") {
  auto a = with_snapshot(3, carried());
  lags(*a, 2_n);
  REQUIRE(a->offered().size() == 1);
  const auto head = a->offered()[0].as<install_snapshot>();
  CHECK(a->offered()[0].what.to == 2_n);
  CHECK(a->offered()[0].what.term == a->term());
  CHECK(head.last_included_index == 9_i);
  CHECK(head.last_included_term == 1_t);
  CHECK(head.size == 40);
  CHECK(head.offset == 0);
  CHECK(head.data.empty());
  CHECK(head.id == a->log().snapshot().id);
  CHECK(decode_configuration(head.configuration).value() == voters(3));
  for (int beat = 0; beat < 10; ++beat) a->pass(50);
  CHECK(a->offered().size() == 1);
  CHECK(among(a->mail(), to(2) && kind<append_entries>()).size() >= 9);  // Heartbeats go on.
  CHECK(chunks_in(*a) == 0);
  CHECK(a->step(say(2_n, 1_n, a->term(), has(10, head))));
  CHECK(a->why_paused(2).why == peer_pause::cause::carried);
  CHECK(a->why_paused(2).snapshot_offset == 10);
}

TEST_CASE("send_snapshot: what arrived is installed there by the same chunks, and replication goes on") {
  auto a = with_snapshot(3, carried());
  lags(*a, 2_n);
  REQUIRE(a->offered().size() == 1);
  const letter offer = a->offered()[0];
  auto b = start(2_n, {.members = voters(3)});
  install_snapshot part = offer.as<install_snapshot>();
  const std::string image(40, 's');
  for (std::size_t at = 0; at < image.size(); at += 10) {
    part.offset = at;
    part.data = payload_of(std::string_view{image}.substr(at, 10));
    CHECK(b->step(say(1_n, 2_n, offer.what.term, part)));
    for (const letter& l : b->take_mail()) CHECK(a->step(l));
    if (at != 30) CHECK(a->peer(2).state == progress_state::snapshot);
    CHECK(chunks_in(*a) == 0);
  }
  CHECK(b->state() == image);
  CHECK(a->peer(2).state == progress_state::replicate);
  CHECK(a->peer(2).match == 9_i);
  CHECK(a->carried({2_n, part.id, true}));  // Late words.
  CHECK(a->peer(2).state == progress_state::replicate);
  CHECK(a->offered().size() == 1);
}

TEST_CASE("send_snapshot: nobody waits for ever, whichever side is silent") {
  auto a = with_snapshot(3, carried());
  lags(*a, 2_n);
  const std::uint64_t id = a->offered().at(0).as<install_snapshot>().id;
  const auto until_offered = [&](std::size_t n) {
    const ms begin = a->now();
    while (a->offered().size() < n && a->now() < begin + 5000) a->pass(10);
    return a->now() - begin;
  };
  const ms silent = until_offered(2);  // The transport says nothing.
  CHECK(silent >= 1000);
  CHECK(silent <= 1050);
  a->pass(900);
  CHECK(a->carried({2_n, id, true}));  // It has arrived, and the follower says nothing.
  const ms arrived = until_offered(3);
  CHECK(arrived >= 1000);
  CHECK(arrived <= 1050);
  CHECK(a->carried({2_n, id, false}));  // It gave up: soon again.
  const ms failed = until_offered(4);
  CHECK(failed >= 150);
  CHECK(failed <= 200);
}

TEST_CASE("send_snapshot: each answer of the follower is a sign of life, and where to go on") {
  auto a = with_snapshot(3, carried());
  lags(*a, 2_n);
  const auto head = a->offered().at(0).as<install_snapshot>();
  for (std::uint64_t k = 1; k < 5; ++k) {
    a->pass(900);
    CHECK(a->step(say(2_n, 1_n, a->term(), has(4 * k, head))));
    CHECK(a->offered().size() == 1);
  }
  a->pass(500);
  a->pass(600);
  REQUIRE(a->offered().size() == 2);
  CHECK(a->offered()[1].as<install_snapshot>().offset == 16);
  CHECK(std::ranges::equal(a->offered()[1].as<install_snapshot>().configuration, head.configuration));
}

TEST_CASE("send_snapshot: words about others, or of another snapshot, do nothing") {
  auto a = with_snapshot(3, carried());
  lags(*a, 2_n);
  install_snapshot other = a->offered().at(0).as<install_snapshot>();
  const std::uint64_t id = other.id++;
  a->pass(500);
  CHECK(a->carried({2_n, id + 1, false}));
  CHECK(a->carried({3_n, id, false}));
  CHECK(a->carried({9_n, id, false}));
  CHECK(a->step(say(2_n, 1_n, a->term(), has(10, other))));
  for (int beat = 0; beat < 8; ++beat) a->pass(50);
  CHECK(a->offered().size() == 1);
  for (int beat = 0; beat < 4; ++beat) a->pass(50);
  CHECK(a->offered().size() == 2);  // None of them was a sign of life.
  auto b = start(2_n, {.members = voters(3)}, carried());
  CHECK(b->carried({1_n, 1, true}));
}

TEST_CASE("step: that a snapshot was carried counts from when it is said, whenever the last tick was") {
  auto a = with_snapshot(3, carried());
  lags(*a, 2_n);
  const std::uint64_t id = a->offered().at(0).as<install_snapshot>().id;
  a->now() += 900;
  CHECK(a->carried({2_n, id, true}));
  a->pass(999);
  CHECK(a->offered().size() == 1);
  a->pass(1);
  CHECK(a->offered().size() == 2);
}

TEST_CASE("send_chunk: one that nobody answers is sent again after the shortest election timeout") {
  auto a = with_snapshot(3, chunks_of(16));
  lags(*a, 2_n);
  CHECK(chunks_in(*a) == 1);
  a->pass(149);
  CHECK(chunks_in(*a) == 0);
  a->pass(1);
  CHECK(chunks_in(*a) == 1);
}

TEST_CASE("send_chunk: a chunk tells the round, so no heartbeat goes beside it") {
  auto a = with_snapshot(3, chunks_of(16));
  lags(*a, 2_n);
  const auto first = among(a->take_mail(), to(2) && kind<install_snapshot>());
  REQUIRE(first.size() == 1);
  a->pass(150);  // both are due
  const auto sent = among(a->take_mail(), to(2));
  REQUIRE(sent.size() == 1);
  REQUIRE(sent[0].is<install_snapshot>());
  CHECK(sent[0].as<install_snapshot>().round == first[0].as<install_snapshot>().round + 1);
}

TEST_CASE("on_install_snapshot_reply: echoes a round like any answer, and so confirms reads") {
  auto a = with_snapshot(3, chunks_of(16));
  lags(*a, 2_n);
  const auto head = among(a->take_mail(), kind<install_snapshot>()).at(0).as<install_snapshot>();
  CHECK(a->step(say(3_n, 1_n, a->term(), matched(a->last()))));
  CHECK(a->read(7));
  CHECK(a->machine().reads.empty());
  install_snapshot_reply reply = has(16, head);
  reply.round = head.round + 1;
  CHECK(a->step(say(2_n, 1_n, a->term(), reply)));
  REQUIRE(a->machine().reads.size() == 1);
  CHECK(a->machine().reads[0].what == read_fate::ready);
}

TEST_CASE("check_present_snapshot: is replaced when who gets it was not heard for two of the longest timeouts") {
  setup how = chunks_of(16);
  how.options.check_quorum = false;
  for (const ms silent : {599, 600}) {
    auto a = with_snapshot(3, how);
    CHECK(a->step(say(3_n, 1_n, a->term(), matched(a->last()))));
    lags(*a, 2_n);
    a->pass(silent);
    CHECK(a->take_snapshot().has_value() == (silent == 600));
  }
}

TEST_CASE(
    "check_present_snapshot: is replaced when who gets it answers, but takes nothing in for snapshot_carry_timeout") {
  setup how = chunks_of(16);
  how.options.check_quorum = false;
  how.options.snapshot_carry_timeout = 400;
  for (const ms idle : {399, 400}) {
    auto a = with_snapshot(3, how);
    CHECK(a->step(say(3_n, 1_n, a->term(), matched(a->last()))));
    lags(*a, 2_n);
    a->pass(idle);
    CHECK(a->step(say(2_n, 1_n, a->term(), refused(9_i, {}, 0_i))));  // heard, and no further
    CHECK(a->take_snapshot().has_value() == (idle == 400));
  }
}

TEST_CASE("send_snapshot: where the transport declines, chunks are sent") {
  auto a = with_snapshot(3, carried());
  a->carries() = false;
  lags(*a, 2_n);
  CHECK(a->offered().size() == 1);
  CHECK(chunks_in(*a) == 1);
}

// ------------------------------------------------------------------------------------------------ at a follower's wish

namespace {

/// Three servers with six commands everywhere, led by 1, without a snapshot.
cluster settled(const setup& how = chunks_of(4)) {
  cluster c{3, how};
  c.elect(1);
  for (const char* x : {"a", "b", "c", "d", "e", "f"}) CHECK(c[1].propose(x));
  c.spread();
  c.drop();
  return c;
}

}  // namespace

TEST_CASE("request_snapshot: the follower is filled anew, keeps its log, and applies nothing before") {
  for (const bool deferred : {false, true}) {
    CAPTURE(deferred);
    setup how = chunks_of(4);
    how.deferred = deferred;
    cluster c{3, how};
    c.elect(1);
    for (const char* x : {"a", "b", "c"}) CHECK(c[1].propose(x));
    c.finish();
    c.spread();
    CHECK(c[3].request_snapshot().value() == 4_i);
    c[3].machine().state = "damaged;";
    CHECK(c[1].propose("d"));
    c.finish();
    c.spread();
    CHECK(c[3].last() == 5_i);
    CHECK(c[3].applied() == 4_i);
    CHECK(c[3].deadline() > c[3].now());
    REQUIRE(c[1].told<events::snapshot_wanted>().size() >= 1);  // It has none.
    CHECK(c[1].told<events::snapshot_wanted>()[0].peer == 3_n);
    CHECK(c[1].told<events::snapshot_wanted>()[0].index == 4_i);
    CHECK(c[1].take_snapshot());
    CHECK(c[1].propose("e"));
    for (int beat = 0; beat < 20; ++beat) {
      c.pass(50);
      c.finish();
    }
    CHECK(c[3].machine().restored == std::vector{5_i});
    CHECK(c[3].state() == "a;b;c;d;e;");
    CHECK(c[3].applied() == 6_i);
    CHECK(c[3].shape() == "[1:1][2:1][3:1][4:1][5:1][6:1]");
    CHECK(c[1].peer(3).state == progress_state::replicate);
    CHECK(c[1].peer(3).match == 6_i);
    CHECK(c[3].log().snapshot() == c[1].log().snapshot());
    const std::size_t asked = c[1].told<events::snapshot_wanted>().size();
    c.pass(500);
    CHECK(c[1].told<events::snapshot_wanted>().size() == asked);  // It asks no more.
  }
}

TEST_CASE("request_snapshot: it is asked once a round, of whoever leads") {
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = {no_op(1), {1, "a"}}});
  REQUIRE(b->request_snapshot());
  const auto asks = [&](std::uint64_t from, std::uint64_t term, std::uint64_t round) {
    auto heartbeat = append(node_id{from}, 2_n, term_t{term}, {2_i, 1_t}, 0_i, {});
    std::get<append_entries>(heartbeat.what.body).round = round;
    CHECK(b->step(heartbeat));
    return among(b->take_mail(), to(from) && kind<install_snapshot_reply>()).size();
  };
  CHECK(asks(1, 1, 4) == 1);
  CHECK(asks(1, 1, 4) == 0);
  CHECK(asks(1, 1, 5) == 1);
  CHECK(asks(3, 2, 1) == 1);
}

TEST_CASE("request_snapshot: asked for anew, it is asked again in the same round; the leader says that it sends it") {
  auto b = start(3_n, {.term = 1, .members = voters(3), .log = {no_op(1)}});
  const auto round_five = [&b] {
    CHECK(b->step(append(1_n, 3_n, 1_t, {1_i, 1_t}, 1_i, {}, 5)));
    return among(b->take_mail(), kind<install_snapshot_reply>()).size();
  };
  REQUIRE(b->request_snapshot());
  CHECK(round_five() == 1);
  CHECK(round_five() == 0);
  REQUIRE(b->request_snapshot());
  CHECK(round_five() == 1);

  auto a = with_snapshot(3, chunks_of(16));
  CHECK(a->step(say(2_n, 1_n, a->term(), matched(a->last()))));
  a->events.clear();
  CHECK(a->step(say(2_n, 1_n, a->term(), install_snapshot_reply{9_i, 0, 0, false, 0})));
  const auto told = a->told<events::peer_changed>();
  REQUIRE(told.size() == 1);
  CHECK(told[0].peer == 2_n);
  CHECK(told[0].state == progress_state::snapshot);
  CHECK(told[0].match == a->last());
}

TEST_CASE("request_snapshot: who leads, or is being filled, cannot ask") {
  cluster c = settled();
  CHECK(c[1].request_snapshot().error().code == errc::not_ready);
  setup how = chunks_of(100);
  how.deferred = true;
  auto b = start(3_n, {.term = 1, .members = voters(3)}, how);
  CHECK(b->step(chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "s;", 0, 100)));
  CHECK(b->request_snapshot().error().code == errc::not_ready);
}

TEST_CASE("request_snapshot: a snapshot that does not reach far enough is not taken for it") {
  auto b = start(3_n, {.term = 1, .members = voters(3)});
  CHECK(b->step(append(1_n, 3_n, 1_t, {}, 4_i, {no_op(1), {1, "a"}, {1, "b"}, {1, "c"}})));
  REQUIRE(b->request_snapshot().value() == 4_i);
  b->take_mail();
  CHECK(b->step(chunk(1_n, 3_n, 1_t, {3_i, 1_t}, voters(3), "a;b;", 0, 100)));
  CHECK(b->only<install_snapshot_reply>().installed);  // As if it had not asked: everything is there.
  CHECK(b->machine().restored.empty());
  CHECK(b->log().snapshot().index == 0_i);
}

TEST_CASE("request_snapshot: an own snapshot that is being written is given up") {
  auto b = start(3_n, {.term = 1, .members = voters(3)});
  CHECK(b->step(append(1_n, 3_n, 1_t, {}, 2_i, {no_op(1), {1, "a"}})));
  REQUIRE(b->begin_snapshot());
  REQUIRE(b->request_snapshot());
  CHECK(b->write_snapshot("x").error().code == errc::compacted);
}

TEST_CASE(
    "request_snapshot: no own snapshot is written meanwhile, or the damage would last, and take the other's place") {
  cluster c = settled();
  REQUIRE(c[3].request_snapshot());
  CHECK(c[3].take_snapshot().error().code == errc::not_ready);
  CHECK(c[3].begin_snapshot().error().code == errc::not_ready);
  REQUIRE(c[1].take_snapshot());
  CHECK(c[1].propose("g"));
  c.pass(1000);
  CHECK(c[3].machine().restored.size() == 1);
  CHECK(c[3].state() == c[1].state());
  CHECK(c[3].propose("h").error().code == errc::not_leader);
  CHECK(c[1].propose("h"));
  c.spread();
  CHECK(c[3].take_snapshot());
}

TEST_CASE("request_snapshot: who waits for it hands leadership over, or what is proposed there would have no fate") {
  cluster c = settled();
  REQUIRE(c[3].request_snapshot());
  c.elect(3);  // nobody else could, say
  CHECK(c[3].propose("g"));
  c.pass(1000);
  CHECK_FALSE(c[3].leads());
  server& next = c.await_leader();
  REQUIRE(next.take_snapshot());
  CHECK(next.propose("h"));
  c.pass(1000);
  CHECK(c[3].state() == "a;b;c;d;e;f;g;h;");
  REQUIRE(c[3].machine().fates.size() == 1);
}

TEST_CASE("request_snapshot: who waits for it lets others stand first, and does not take leadership handed to it") {
  cluster c = settled();
  REQUIRE(c[3].request_snapshot());
  REQUIRE(c[1].transfer_to(3_n));
  c.pass(400);
  CHECK_FALSE(c[3].leads());
  CHECK(c[1].machine().transfers == std::vector<recorder::transfer>{{3_n, transfer_fate::timed_out}});
}

TEST_CASE("on_snapshot_request: a snapshot at no place is none that a follower asks for") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  const std::string before = a->picture();
  CHECK(a->step(say(2_n, 1_n, 1_t, install_snapshot_reply{})).error().code == errc::impossible);
  CHECK(a->picture() == before);
  CHECK(a->take_mail().empty());
}

TEST_CASE("on_snapshot_request: late, doubled and hostile ones cost a chunk at most, and harm nobody") {
  cluster c = settled();
  CHECK(c[1].take_snapshot());
  const auto before = c[1].peer(3);
  const auto request = say(3_n, 1_n, 1_t, install_snapshot_reply{1_i, 0, 0, false, 0});
  for (int k = 0; k < 3; ++k) CHECK(c[1].step(request));
  CHECK(among(c.mail(), to(3) && kind<install_snapshot>()).size() == 1);
  CHECK(c[1].peer(3).match == before.match);
  c.pass(100);
  CHECK(c[3].machine().restored.empty());  // It had not asked, and says that it has everything.
  CHECK(c[1].peer(3).state == progress_state::replicate);
  CHECK(c[1].propose("g"));
  c.spread();
  CHECK(c[3].state() == "a;b;c;d;e;f;g;");
  const std::string picture = c[1].picture();
  CHECK(c[1].step(say(3_n, 1_n, 1_t, install_snapshot_reply{10_i, 0, 0, false, 0})).error().code == errc::impossible);
  CHECK(c[1].step(say(9_n, 1_n, 1_t, install_snapshot_reply{1_i, 0, 0, false, 0})));
  CHECK(c[1].picture() == picture);
}

TEST_CASE("on_snapshot_request: who has a snapshot of all that the leader has may ask for the next one, not for more") {
  cluster c = settled();
  const index_t end = c[1].last().next();
  c[1].events.clear();
  CHECK(c[1].step(say(3_n, 1_n, 1_t, install_snapshot_reply{end, 0, 0, false, 0})));
  REQUIRE(c[1].told<events::snapshot_wanted>().size() == 1);
  CHECK(c[1].told<events::snapshot_wanted>()[0].index == end);
  const auto more = c[1].step(say(3_n, 1_n, 1_t, install_snapshot_reply{end.next(), 0, 0, false, 0}));
  CHECK(more.error().code == errc::impossible);
}

TEST_CASE("on_snapshot_request: a server that lost its log is sent nothing") {
  cluster c = settled();
  CHECK(c[1].take_snapshot());
  auto& a = c[1];
  const auto heartbeat_refusal = [&] {
    c.drop();
    c.jump(50);
    a.tick();
    const auto sent = among(c.mail(), to(3) && kind<append_entries>());
    REQUIRE_FALSE(sent.empty());
    const auto& asked = sent.back().as<append_entries>();
    CHECK(a.step(say(3_n, 1_n, 1_t, append_entries_reply{false, asked.prev_log_index, {}, {}, {}, asked.round})));
  };
  for (int k = 0; k < 4 && a.peer(3).state != progress_state::lost; ++k) heartbeat_refusal();
  REQUIRE(a.peer(3).state == progress_state::lost);
  c.drop();
  CHECK(a.step(say(3_n, 1_n, 1_t, install_snapshot_reply{1_i, 0, 0, false, 0})));
  CHECK(a.peer(3).state == progress_state::lost);
  CHECK(among(c.mail(), kind<install_snapshot>()).empty());
}

// ------------------------------------------------------------------------------------------------ what stays behind it

TEST_CASE("compact_log: entries stay by count and by bytes, whichever are fewer") {
  const auto left = [](std::uint64_t entries, std::uint64_t bytes) {
    setup how;
    how.options.trailing_entries = entries;
    how.options.trailing_bytes = bytes;
    auto a = start(1_n, {.members = voters(1)}, how);
    win(*a);
    for (int k = 0; k < 9; ++k) CHECK(a->propose("0123456789"));
    CHECK(a->take_snapshot());
    return a->last() - a->log().first_index().previous();
  };
  const std::uint64_t each = entry_bytes(10);
  CHECK(left(100, 1'000'000) == 10);
  CHECK(left(4, 1'000'000) == 4);
  CHECK(left(100, 4 * each) == 4);
  CHECK(left(100, 4 * each - 1) == 3);
  CHECK(left(100, 4 * each + 1) == 4);
  CHECK(left(3, 4 * each) == 3);
  CHECK(left(5, 4 * each) == 4);
  CHECK(left(100, each - 1) == 0);
  CHECK(left(100, 0) == 0);
  CHECK(left(0, 1'000'000) == 0);
}

TEST_CASE("compact_log: entries of different sizes; the newest stay") {
  setup how;
  how.options.trailing_entries = 100;
  how.options.trailing_bytes = 2 * entry_bytes(1) + entry_bytes(100);
  auto a = start(1_n, {.members = voters(1)}, how);
  win(*a);
  for (const std::size_t size : {1U, 100U, 300U, 1U, 100U, 1U}) CHECK(a->propose(std::string(size, 'x')));
  CHECK(a->take_snapshot());
  CHECK(a->shape() == "[5:1][6:1][7:1]");
}

TEST_CASE("compact_log: the bytes that stay are counted in every piece of the log") {
  const std::string large(1000, 'x');
  const std::vector<written> log(12, written{1, large});  // more than two of the log's pieces
  setup how;
  how.options.trailing_entries = 100;
  how.options.trailing_bytes = 5 * entry_bytes(large.size());
  auto a = start(1_n, {.term = 1, .members = voters(1), .log = log}, how);
  REQUIRE(a->log().view(1_i, 12_i, UINT32_MAX)->count() < 6);
  win(*a);
  CHECK(a->take_snapshot());
  CHECK(a->shape() == "[9:1][10:1][11:1][12:1][13:2]");
}

TEST_CASE("compact_log: entries that turn cold while they are weighed stay") {
  setup how;
  how.options.trailing_entries = 3;
  how.options.trailing_bytes = 1;
  auto a = start(1_n, {.members = voters(1)}, how);
  win(*a);
  for (int k = 0; k < 9; ++k) CHECK(a->propose("x"));
  a->log().views_left = 1;
  CHECK(a->take_snapshot());
  CHECK(a->shape() == "[8:1][9:1][10:1]");
}

TEST_CASE("compact_log: entries that are not at hand are counted, not weighed") {
  setup how;
  how.options.trailing_entries = 3;
  how.options.trailing_bytes = 1;
  auto a = start(1_n, {.members = voters(1)}, how);
  win(*a);
  for (int k = 0; k < 9; ++k) CHECK(a->propose("x"));
  a->log().cold = true;
  CHECK(a->take_snapshot());
  CHECK(a->shape() == "[8:1][9:1][10:1]");
}

TEST_CASE("check_present_snapshot: a follower that is heard and takes nothing in does not keep the log growing") {
  auto a = with_snapshot(3, chunks_of(16));
  lags(*a, 2_n);
  CHECK(a->step(say(3_n, 1_n, a->term(), matched(10_i))));
  const ms begun = a->now();
  const ms patience = tunables{}.snapshot_carry_timeout;
  // It answers every heartbeat, and says of every chunk the same.
  const auto live_until = [&](ms end, std::uint64_t bytes) {
    for (; a->now() < end; a->pass(50)) {
      for (const letter& l : a->take_mail()) {
        if (const auto* beat = std::get_if<append_entries>(&l.what.body)) {
          CHECK(a->step(say(l.what.to, 1_n, a->term(), matched(beat->prev_log_index, beat->round))));
        } else if (l.is<install_snapshot>()) {
          CHECK(a->step(say(2_n, 1_n, a->term(), has(bytes, l.as<install_snapshot>()))));
        }
      }
    }
  };
  live_until(begun + patience - 50, 0);
  CHECK(a->take_snapshot().error().code == errc::not_ready);
  // One that takes a little in has as long again.
  live_until(begun + patience, 16);
  live_until(begun + 2 * patience - 100, 16);
  CHECK(a->take_snapshot().error().code == errc::not_ready);
  live_until(begun + 2 * patience + 100, 16);
  const auto taken = a->take_snapshot();
  REQUIRE(taken);
  CHECK(a->log().first_index() > 10_i);
  CHECK(a->peer(2).state == progress_state::snapshot);
}

TEST_CASE("check_present_snapshot: a follower whose turn for a chunk has not come is not one that takes nothing in") {
  setup how = chunks_of(16);
  how.options.snapshot_bytes_per_second = 1;
  how.options.snapshot_carry_timeout = 300;
  auto a = with_snapshot(3, how);
  lags(*a, 2_n);
  CHECK(a->step(say(3_n, 1_n, a->term(), matched(10_i))));
  const auto first = a->all<install_snapshot>();
  REQUIRE(first.size() == 1);
  CHECK(a->step(say(2_n, 1_n, a->term(), has(16, first[0]))));
  for (int beat = 0; beat < 100; ++beat) {  // the next chunk costs 16 s
    a->pass(50);
    CHECK(a->step(say(2_n, 1_n, a->term(), matched(0_i))));
    CHECK(a->step(say(3_n, 1_n, a->term(), matched(10_i))));
  }
  CHECK(a->all<install_snapshot>().empty());
  CHECK(a->take_snapshot().error().code == errc::not_ready);
}

}  // namespace impl_snapshot_transfer_test

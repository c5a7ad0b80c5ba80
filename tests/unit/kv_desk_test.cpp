// examples/kv: every command that clients send is answered exactly once, to the right client, with the right words,
// whatever becomes of it in the log.

#include "../../examples/kv/src/desk.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace kv_desk_test {

using namespace kv;
using raft::fate;
using raft::index_t;
using raft::node_id;
using raft::read_fate;
using raft::role_kind;
using raft::term_t;

namespace {

/// A desk, and a log that is what the test says.
struct world {
  desk here{{{1, {"a", 1}, {"a", 6}}, {2, {"b", 1}, {"b", 6}}, {3, {"c", 1}, {"c", 6}}}};
  std::map<std::uint64_t, std::pair<term_t, std::string>> log{};
  std::uint64_t last = 0;
  term_t term{5};

  world() { lead(); }
  void lead() { here.on_role(role_kind::leader, node_id{1}); }
  void follow(std::uint64_t leader) { here.on_role(role_kind::follower, node_id{leader}); }

  void send(client& c, std::vector<std::string_view> words) {
    command what;
    std::string error;
    REQUIRE(parse(words, what, error));
    what.effect == effect::reads ? here.read(c, what) : here.write(c, what);
  }
  /// Proposes what was taken in, as the service does.
  void propose() {
    const auto batch = here.batch();
    if (batch.empty()) return;
    const raft::proposal first{index_t{last + 1}, term};
    for (const raft::payload p : batch) log[++last] = {term, std::string(as_text(p))};
    here.proposed(first);
  }
  void apply(std::uint64_t index) {
    const auto& [of, bytes] = log.at(index);
    here.apply({index_t{index}, of, raft::entry_kind::command, as_payload(bytes)});
  }
  /// Another leader's entry in that place.
  void replace(std::uint64_t index, term_t of, std::vector<std::string_view> words) {
    command what;
    std::string error;
    REQUIRE(parse(words, what, error));
    std::string bytes;
    encode(bytes, what);
    log[index] = {of, bytes};
  }
};

std::string taken(client& c) { return std::exchange(c.replies.ready(), {}); }

const std::string try_again = "-" + std::string(texts::try_again) + "\r\n";
const std::string unknown = "-" + std::string(texts::unknown) + "\r\n";

}  // namespace

TEST_CASE("write: answered when applied, to the client that asked") {
  world w;
  client& a = w.here.open();
  client& b = w.here.open();
  w.here.begin_turn();
  w.send(a, {"INCR", "n"});
  w.send(b, {"INCR", "n"});
  w.send(a, {"INCR", "n"});
  w.propose();
  CHECK(w.here.waiting_writes() == 3);
  CHECK(taken(a).empty());
  w.apply(1);
  CHECK(taken(a) == ":1\r\n");
  CHECK(taken(b).empty());
  w.apply(2);
  w.apply(3);
  CHECK(taken(a) == ":3\r\n");
  CHECK(taken(b) == ":2\r\n");
  CHECK(w.here.waiting_writes() == 0);
}

TEST_CASE("write: a server that does not lead points to the leader, or says that there is none") {
  world w;
  client& a = w.here.open();
  w.follow(2);
  w.here.begin_turn();
  w.send(a, {"SET", "k", "v"});
  w.send(a, {"GET", "k"});
  CHECK(taken(a) == "-MOVED 0 b:6\r\n-MOVED 0 b:6\r\n");
  w.here.on_role(role_kind::candidate, raft::nobody);
  w.send(a, {"SET", "k", "v"});
  CHECK(taken(a) == "-CLUSTERDOWN no leader\r\n");
  CHECK(w.here.batch().empty());
  CHECK_FALSE(w.here.reads_taken());
}

TEST_CASE("refused: the whole batch gets the reason, in the places of its commands") {
  world w;
  client& a = w.here.open();
  w.here.begin_turn();
  w.here.say(a, [](std::string& out) { out += "+PONG\r\n"; });
  w.send(a, {"SET", "k", "v"});
  w.here.say(a, [](std::string& out) { out += "+PONG\r\n"; });
  CHECK(taken(a) == "+PONG\r\n");
  w.here.refused(texts::try_again);
  CHECK(taken(a) == try_again + "+PONG\r\n");
  CHECK(w.here.batch().empty());
}

TEST_CASE("apply: an entry of another term in the place of a waiter's is not its answer") {
  world w;
  client& a = w.here.open();
  w.here.begin_turn();
  w.send(a, {"SET", "k", "mine"});
  w.propose();
  w.follow(2);
  w.replace(1, term_t{6}, {"SET", "k", "other"});
  w.apply(1);
  CHECK(taken(a).empty());
  w.here.on_fate(index_t{1}, index_t{1}, term_t{5}, fate::dropped);
  CHECK(taken(a) == try_again);
  CHECK(w.here.waiting_writes() == 0);
}

TEST_CASE("on_fate: dropped, unknown, and applied by way of a snapshot") {
  world w;
  client& a = w.here.open();
  w.here.begin_turn();
  for (const char* v : {"1", "2", "3", "4"}) w.send(a, {"SET", "k", v});
  w.propose();
  w.apply(1);
  CHECK(taken(a) == "+OK\r\n");
  w.follow(2);
  w.here.on_fate(index_t{2}, index_t{2}, term_t{5}, fate::applied);
  w.here.on_fate(index_t{3}, index_t{3}, term_t{5}, fate::unknown);
  w.here.on_fate(index_t{4}, index_t{4}, term_t{5}, fate::dropped);
  CHECK(taken(a) == unknown + unknown + try_again);
  CHECK(w.here.waiting_writes() == 0);
  w.here.on_fate(index_t{1}, index_t{4}, term_t{5}, fate::dropped);
  CHECK(taken(a).empty());
}

TEST_CASE("on_fate: news about an earlier leadership comes after a later one's entries are applied") {
  world w;
  client& a = w.here.open();
  w.here.begin_turn();
  w.send(a, {"SET", "k", "1"});
  w.send(a, {"SET", "k", "2"});
  w.propose();  // 1 and 2 in term 5, which will be replaced
  w.follow(2);
  w.lead();
  w.term = term_t{7};
  w.last = 1;  // a no-op of term 7 took place 1
  w.here.begin_turn();
  w.send(a, {"INCR", "n"});
  w.propose();  // place 2 in term 7
  w.apply(2);
  CHECK(taken(a).empty());  // what was sent first is answered first
  w.here.on_fate(index_t{1}, index_t{2}, term_t{5}, fate::dropped);
  CHECK(taken(a) == try_again + try_again + ":1\r\n");
}

TEST_CASE("read: confirmed by on_read, for all turns up to it") {
  world w;
  client& a = w.here.open();
  client& b = w.here.open();
  w.here.begin_turn();
  w.send(a, {"GET", "k"});
  w.here.begin_turn();
  w.send(b, {"GET", "k"});
  w.send(b, {"GET", "k"});
  CHECK(w.here.waiting_reads());
  w.here.on_read(1, read_fate::ready);
  CHECK(taken(a) == "$-1\r\n");
  CHECK(taken(b).empty());
  w.here.on_read(2, read_fate::ready);
  CHECK(taken(b) == "$-1\r\n$-1\r\n");
  CHECK_FALSE(w.here.waiting_reads());
}

TEST_CASE("read: confirmed by any write that was proposed in its turn and is applied, not by an earlier one") {
  world w;
  client& a = w.here.open();
  client& b = w.here.open();
  w.here.begin_turn();
  w.send(a, {"SET", "k", "1"});
  w.propose();
  w.here.begin_turn();
  w.send(a, {"SET", "k", "2"});
  w.send(b, {"GET", "k"});
  w.propose();
  w.apply(1);
  CHECK(taken(b).empty());
  w.apply(2);
  CHECK(taken(b) == "$1\r\n2\r\n");
}

TEST_CASE("read: rides on a write that is dropped: its client is told who to ask") {
  world w;
  client& a = w.here.open();
  client& b = w.here.open();
  w.here.begin_turn();
  w.send(a, {"SET", "k", "1"});
  w.send(b, {"GET", "k"});
  w.propose();
  w.follow(3);
  w.here.on_fate(index_t{1}, index_t{1}, term_t{5}, fate::unknown);
  CHECK(taken(a) == unknown);
  CHECK(taken(b) == "-MOVED 0 c:6\r\n");
  CHECK_FALSE(w.here.waiting_reads());
}

TEST_CASE("read: dropped by the engine") {
  world w;
  client& a = w.here.open();
  w.here.begin_turn();
  w.send(a, {"GET", "k"});
  w.here.on_role(role_kind::follower, raft::nobody);
  w.here.on_read(1, read_fate::dropped);
  CHECK(taken(a) == "-CLUSTERDOWN no leader\r\n");
}

TEST_CASE("read: after READONLY a follower takes reads in, and answers them when it has caught up") {
  world w;
  w.follow(2);
  client& a = w.here.open();
  w.here.begin_turn();
  w.send(a, {"GET", "k"});
  CHECK(taken(a) == "-MOVED 0 b:6\r\n");
  a.reads_here = true;
  w.send(a, {"GET", "k"});
  CHECK(w.here.reads_taken());
  CHECK(taken(a).empty());
  w.here.on_read(1, read_fate::ready);
  CHECK(taken(a) == "$-1\r\n");
  w.here.begin_turn();
  w.send(a, {"GET", "k"});
  w.here.on_read(2, read_fate::dropped);
  CHECK(taken(a) == "-MOVED 0 b:6\r\n");
}

TEST_CASE("read_now: served at once, leader or not, behind what waits") {
  world w;
  client& a = w.here.open();
  w.here.begin_turn();
  w.send(a, {"SET", "k", "1"});
  w.propose();
  const auto get = [&] {
    command what;
    std::string error;
    const std::vector<std::string_view> words{"GET", "k"};
    REQUIRE(parse(words, what, error));
    w.here.read_now(a, what);
  };
  get();
  CHECK(taken(a).empty());
  w.apply(1);
  CHECK(taken(a) == "+OK\r\n$1\r\n1\r\n");
  w.follow(2);
  get();
  CHECK(taken(a) == "$1\r\n1\r\n");
}

TEST_CASE("close: a command of a client that is gone is done and answered to nobody, not to who has its place") {
  world w;
  client* a = &w.here.open();
  const client_number gone = a->number;
  w.here.begin_turn();
  w.send(*a, {"SET", "k", "1"});
  w.send(*a, {"GET", "k"});
  w.propose();
  w.here.close(*a);
  client& b = w.here.open();
  CHECK((b.number & 0xffffffff) == (gone & 0xffffffff));
  CHECK(b.number != gone);
  CHECK(w.here.find(gone) == nullptr);
  w.apply(1);
  CHECK(taken(b).empty());
  w.here.begin_turn();
  w.send(b, {"GET", "k"});
  w.here.on_read(2, read_fate::ready);
  CHECK(taken(b) == "$1\r\n1\r\n");
  CHECK(w.here.connections() == 1);
}

TEST_CASE("dirty: each client with something to send is listed once") {
  world w;
  client& a = w.here.open();
  w.here.begin_turn();
  w.send(a, {"SET", "k", "1"});
  w.send(a, {"SET", "k", "2"});
  CHECK(w.here.dirty().empty());
  w.propose();
  w.apply(1);
  w.apply(2);
  CHECK(w.here.dirty() == std::vector<client_number>{a.number});
}

namespace {

/// A change of the membership that got the next place in the log: into a joint one, or at once.
client& changing(world& w, bool joint) {
  client& c = w.here.open();
  w.here.begin_turn();
  ++w.last;
  w.here.on_configuration(joint, index_t{w.last});
  w.here.expect_change(c, {index_t{w.last}, w.term});
  return c;
}

void tell(world& w, std::uint64_t index, fate what) { w.here.on_fate(index_t{index}, index_t{index}, w.term, what); }

}  // namespace

TEST_CASE("expect_change: answered when its entry is applied, and if that is joint when the last one is") {
  world w;
  client& at_once = changing(w, false);
  CHECK(taken(at_once).empty());
  tell(w, 1, fate::applied);
  CHECK(taken(at_once) == "+OK\r\n");

  client& in_two = changing(w, true);
  tell(w, 2, fate::applied);
  CHECK(taken(in_two).empty());
  w.here.on_configuration(false, index_t{3});  // in the log, and not applied yet
  w.here.begin_turn();
  CHECK(taken(in_two).empty());
  tell(w, 3, fate::applied);
  CHECK(taken(in_two) == "+OK\r\n");
  tell(w, 3, fate::applied);
  CHECK(taken(in_two).empty());
}

TEST_CASE("expect_change: a change that is not done for certain, or perhaps, is told so") {
  world w;
  client& gone = changing(w, false);
  tell(w, 1, fate::dropped);
  CHECK(taken(gone) == try_again);
  client& open = changing(w, false);
  tell(w, 2, fate::unknown);
  CHECK(taken(open) == unknown);
}

TEST_CASE("expect_change: with leadership lost between the two steps, the end is under another leader") {
  world w;
  client& c = changing(w, true);
  tell(w, 1, fate::applied);
  w.follow(2);
  CHECK(taken(c).empty());
  w.here.begin_turn();
  CHECK(taken(c) == "-" + std::string(texts::change_goes_on) + "\r\n");
}

TEST_CASE("expect_change: a leader that removes itself leads no longer when it is told that it is done") {
  world w;
  client& c = changing(w, false);
  w.follow(0);
  tell(w, 1, fate::applied);
  w.here.begin_turn();
  CHECK(taken(c) == "+OK\r\n");
}

TEST_CASE("expect_transfer: answered once, with how it ended") {
  world w;
  for (const auto& [fate, words] : {std::pair{raft::transfer_fate::done, "+OK\r\n"},
                                    std::pair{raft::transfer_fate::timed_out, "-ERR the transfer took too long\r\n"},
                                    std::pair{raft::transfer_fate::aborted, "-ERR the transfer was broken off\r\n"}}) {
    client& c = w.here.open();
    w.here.begin_turn();
    w.here.expect_transfer(c);
    CHECK(taken(c).empty());
    w.here.on_transfer(fate);
    CHECK(taken(c) == words);
    w.here.on_transfer(fate);
    CHECK(taken(c).empty());
  }
}

TEST_CASE("expect_promotion: answered once, with how it ended") {
  world w;
  for (const auto& [fate, words] :
       {std::pair{raft::promotion_fate::promoted, "+OK\r\n"},
        std::pair{raft::promotion_fate::too_slow, "-ERR it does not catch up, and stays a learner\r\n"},
        std::pair{raft::promotion_fate::aborted, "-UNKNOWN leadership was lost: see RAFT.STATUS, and ask again\r\n"}}) {
    client& c = w.here.open();
    w.here.begin_turn();
    w.here.expect_promotion(c);
    CHECK(taken(c).empty());
    w.here.on_promotion(fate);
    CHECK(taken(c) == words);
    w.here.on_promotion(fate);
    CHECK(taken(c).empty());
  }
}

TEST_CASE("batch: a batch that is not proposed in its turn is proposed with the next one") {
  world w;
  client& a = w.here.open();
  w.here.begin_turn();
  w.send(a, {"INCR", "n"});
  CHECK(w.here.batch().size() == 1);  // refused while leadership is handed over: kept
  w.here.begin_turn();
  w.send(a, {"INCR", "n"});
  w.propose();
  w.apply(1);
  w.apply(2);
  CHECK(taken(a) == ":1\r\n:2\r\n");
}

TEST_CASE("set_members: clients are sent to where the leader is now") {
  world w;
  w.follow(9);
  CHECK(w.here.elsewhere() == texts::no_leader);
  w.here.set_members({{9, {"z", 1}, {"z", 6}}});
  CHECK(w.here.elsewhere() == "MOVED 0 z:6");
}

// ---------------------------------------------------------------------------------------------------- sent on

namespace {

/// A desk that follows server 2, and takes commands in for it.
struct forwarding_world : world {
  std::vector<std::pair<std::uint64_t, std::string>> sent{};  ///< Context and command.
  std::string refusal{};

  forwarding_world() {
    here.take_in_everywhere();
    follow(2);
  }
  /// As the service does at the end of a turn.
  void submit() {
    REQUIRE(here.batch_is_sent_on());
    here.forward([this](raft::payload command, std::uint64_t context) {
      if (refusal.empty()) sent.emplace_back(context, as_text(command));
      return refusal;
    });
  }
  /// The i-th one that was sent on gets the next place in the log.
  raft::proposal place(std::size_t i) {
    log[++last] = {term, sent[i].second};
    return {index_t{last}, term};
  }
};

const std::string answer_lost = "-" + std::string(texts::answer_lost) + "\r\n";

}  // namespace

TEST_CASE("forward: a command is sent on, and its client gets the answer of its execution here") {
  forwarding_world w;
  client& a = w.here.open();
  client& b = w.here.open();
  CHECK(a.reads_here);
  w.here.begin_turn();
  w.send(a, {"INCR", "n"});
  w.send(b, {"INCR", "n"});
  w.send(a, {"INCR", "n"});
  w.submit();
  REQUIRE(w.sent.size() == 3);
  CHECK(w.here.batch().empty());
  CHECK(w.here.forwards() == 3);
  CHECK(w.here.waiting_writes() == 0);
  const auto second = w.place(1);
  const auto first = w.place(0);
  const auto third = w.place(2);
  for (std::uint64_t i = 1; i <= 3; ++i) w.apply(i);
  CHECK(taken(a).empty());  // it is not known yet whose they are
  w.here.on_forwarded(w.sent[0].first, fate::applied, first);
  CHECK(taken(a) == ":2\r\n");
  w.here.on_forwarded(w.sent[1].first, fate::applied, second);
  CHECK(taken(b) == ":1\r\n");
  w.here.on_forwarded(w.sent[2].first, fate::applied, third);
  CHECK(taken(a) == ":3\r\n");
  CHECK(w.here.forwards() == 0);
}

TEST_CASE("forward: dropped and unknown are told apart, and so is an answer that is lost") {
  forwarding_world w;
  client& a = w.here.open();
  w.here.begin_turn();
  for (int i = 0; i < 4; ++i) w.send(a, {"INCR", "n"});
  w.submit();
  w.here.on_forwarded(w.sent[0].first, fate::dropped, {});
  CHECK(taken(a) == try_again);
  w.here.on_forwarded(w.sent[2].first, fate::unknown, {});
  CHECK(taken(a).empty());                                                    // in the order of the requests
  w.here.on_forwarded(w.sent[1].first, fate::applied, {index_t{9}, w.term});  // by way of a snapshot
  CHECK(taken(a) == answer_lost + unknown);
  const auto place = w.place(3);
  w.apply(place.index.value);
  w.here.on_forwarded(w.sent[3].first, fate::applied, {place.index, term_t{4}});
  CHECK(taken(a) == answer_lost);  // never that of another entry in its place
}

TEST_CASE("forward: what cannot be sent is refused at once, each command for itself") {
  forwarding_world w;
  client& a = w.here.open();
  w.here.begin_turn();
  w.send(a, {"SET", "k", "v"});
  w.submit();
  w.send(a, {"SET", "k", "w"});
  w.refusal = "TRYAGAIN later";
  w.submit();
  CHECK(taken(a).empty());
  CHECK(w.here.forwards() == 1);
  const auto place = w.place(0);
  w.apply(1);
  w.here.on_forwarded(w.sent[0].first, fate::applied, place);
  CHECK(taken(a) == "+OK\r\n-TRYAGAIN later\r\n");
  w.here.on_role(role_kind::candidate, raft::nobody);
  w.send(a, {"SET", "k", "v"});
  CHECK(taken(a) == "-CLUSTERDOWN no leader\r\n");
}

TEST_CASE("forward: reads behind a command see it, and wait for their own confirmation if it fails") {
  forwarding_world w;
  client& a = w.here.open();
  w.here.begin_turn();
  w.send(a, {"SET", "k", "v"});
  w.send(a, {"GET", "k"});
  w.submit();
  CHECK(w.here.reads_taken());
  const auto place = w.place(0);
  w.apply(1);
  w.here.on_forwarded(w.sent[0].first, fate::applied, place);
  CHECK(taken(a) == "+OK\r\n$1\r\nv\r\n");
  w.here.begin_turn();
  w.send(a, {"SET", "k", "w"});
  w.send(a, {"GET", "k"});
  w.submit();
  w.here.on_forwarded(w.sent[1].first, fate::dropped, {});
  CHECK(taken(a) == try_again);
  w.here.on_read(w.here.turn(), read_fate::ready);
  CHECK(taken(a) == "$1\r\nv\r\n");
}

TEST_CASE("forward: a batch that was begun as a leader is not sent on, nor one that is taken in as a leader") {
  forwarding_world w;
  client& a = w.here.open();
  w.lead();
  w.here.begin_turn();
  w.send(a, {"SET", "k", "v"});
  w.follow(2);
  CHECK(w.here.sends_on());
  CHECK_FALSE(w.here.batch_is_sent_on());
  w.send(a, {"SET", "k", "w"});
  CHECK_FALSE(w.here.batch_is_sent_on());
  w.here.refused(w.here.elsewhere());
  CHECK(taken(a) == "-MOVED 0 b:6\r\n-MOVED 0 b:6\r\n");
  w.send(a, {"SET", "k", "v"});
  CHECK(w.here.batch_is_sent_on());
}

TEST_CASE("forward: a client that is gone is answered by nobody, and the others' answers go on") {
  forwarding_world w;
  client& a = w.here.open();
  client& b = w.here.open();
  w.here.begin_turn();
  w.send(a, {"INCR", "n"});
  w.send(b, {"INCR", "n"});
  w.submit();
  w.here.close(a);
  const auto first = w.place(0);
  const auto second = w.place(1);
  w.apply(1);
  w.apply(2);
  w.here.on_forwarded(w.sent[0].first, fate::applied, first);
  w.here.on_forwarded(w.sent[1].first, fate::applied, second);
  CHECK(taken(b) == ":2\r\n");
  CHECK(w.here.forwards() == 0);
}

}  // namespace kv_desk_test

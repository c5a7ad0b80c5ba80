// Clients in constant evaluation [paper §8, thesis 6]: reads by a round, by lease and at a follower, commands that are
// forwarded, and sessions, which do a command once that is sent twice, over a change of leaders and a snapshot. Nothing
// here runs: compiling is the test.

#include <raft/sessions.hpp>

#include "constexpr/cluster.hpp"

namespace {

using namespace constant;

/// "o" opens a session; "c", its number, a serial and a letter add the letter to the state, once.
struct session_machine {
  sessions clients{};
  bytes state{};
  session_outcome last{};
  std::uint64_t answered = 0;   ///< Contexts of reads,
  std::uint64_t forwarded = 0;  ///< and of forwarded commands that were applied.

  constexpr void apply(const entry& e) {
    if (e.data.size() != 4) {
      (void)clients.open();
      return;
    }
    const auto number = [&](std::size_t at) { return std::to_integer<std::uint64_t>(e.data[at]) - '0'; };
    const auto reply = clients.once(number(1), number(2), [&] {
      state.push_back(e.data[3]);
      return payload{state};
    });
    last = reply.what;
  }
  template <class Sink>
  constexpr result<void> write_snapshot(Sink& sink) const {
    if (auto written = clients.write(sink); !written) return written;
    return sink(payload{state});
  }
  template <class Source>
  constexpr result<void> restore(Source& source) {
    exact_reader read{source};
    if (auto filled = clients.restore(read); !filled) return filled;
    state.assign(read.rest().begin(), read.rest().end());
    for (;;) {
      const auto piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) return {};
      state.insert(state.end(), piece->begin(), piece->end());
    }
  }
  constexpr void on_read(std::uint64_t context, read_fate what, index_t) {
    if (what == read_fate::ready) answered += context;
  }
  constexpr void on_forwarded(std::uint64_t context, fate what, proposal, node_id) {
    if (what == fate::applied) forwarded += context;
  }
};

template <class Wire>
using sessions_cluster = cluster<Wire, memory_log, session_machine>;

template <class Wire>
constexpr bool a_command_that_is_sent_twice_is_done_once() {
  sessions_cluster<Wire> c;
  if (!c.elect(1) || !c.propose(1, "o") || !c.propose(1, "c11x") || !c.propose(1, "c12y")) return false;
  c.cut(1U);  // its client hears nothing, and asks the next leader
  if (!c.elect(2) || !c.propose(2, "c11x")) return false;
  c.heal();
  if (!c.pass(50) || !c.pass(50) || !c.all_have("xy")) return false;
  const session_reply again = c[3].machine().clients.look_up(1, 1);
  return c[3].machine().last == session_outcome::answered && equal(again.answer, "x") &&
         c[1].machine().clients == c[2].machine().clients;
}
static_assert(a_command_that_is_sent_twice_is_done_once<by_value>());
static_assert(a_command_that_is_sent_twice_is_done_once<by_frame>());

constexpr bool sessions_are_in_the_snapshot() {
  sessions_cluster<by_value> c{compacting()};
  c.cut(3U);
  if (!c.elect(1) || !c.propose(1, "o") || !c.propose(1, "c11x") || !c[1].take_snapshot()) return false;
  c.heal();
  if (!c.pass(50) || !c.pass(50) || c[3].log().first_index() != index_t{4}) return false;
  return c.propose(1, "c11x") && c.pass(50) && c.all_have("x") && c[3].machine().last == session_outcome::answered;
}
static_assert(sessions_are_in_the_snapshot());

template <class Wire>
constexpr bool a_follower_reads_and_forwards() {
  sessions_cluster<Wire> c;
  if (!c.elect(1) || !c.propose(1, "o")) return false;
  const bytes command = bytes_of("c11x");
  if (!c[2].propose_anywhere(payload{command}, 7) || !c.deliver() || c[2].machine().forwarded != 0) return false;
  if (!c[3].read_anywhere(5) || c[3].machine().answered != 0 || !c.deliver() || !c.pass(50)) return false;
  return c[3].machine().answered == 5 && equal(c[3].machine().state, "x") && c[2].machine().forwarded == 7 &&
         c[3].read_stale(50).has_value() && !c[2].read(1);
}
static_assert(a_follower_reads_and_forwards<by_value>());

/// Within the lease at once; after it, only with a round.
constexpr bool reads_by_lease() {
  options<std::int64_t> o;
  o.lease_reads = true;
  cluster<by_value> c{o};
  if (!c.elect(1) || !c.pass(50) || !c.pass(10)) return false;
  if (!c[1].read(40) || c[1].machine().answered != 40 || c.under_way() != 0) return false;
  c.cut(1U);
  if (!c.pass(140) || !c[1].read(2)) return false;
  return c[1].machine().answered == 40;
}
static_assert(reads_by_lease());

}  // namespace

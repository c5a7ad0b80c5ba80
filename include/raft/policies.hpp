#pragma once

// The four policies, by which the engine reaches the world [floor 6]: what each must offer, and what it may rely on.
//
// Each concept is split into named parts, so that the compiler's note names the part that is missing. Put
// `static_assert(raft::log_policy<my_log>)` under your class, or `static_assert(raft::explain_log<my_log>())`, which
// says in a sentence each what is missing.
//
// Common to all: policies are held by value inside the node (make one a handle if it must live elsewhere); the node
// calls them only from inside its own functions, on the caller's thread, in the order Log, Transport, StateMachine; a
// policy must never call back into the node; and none of their functions that the node calls may throw.

#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>

#include <raft/entry.hpp>
#include <raft/message.hpp>
#include <raft/options.hpp>
#include <raft/outcome.hpp>
#include <raft/result.hpp>
#include <raft/storage.hpp>

namespace raft {

// ---------------------------------------------------------------------------------------------------- Transport
//
// 1. `send(const message&)` hands a message to the network, or to a buffer on its way there, and returns at once. It
//    may drop, delay, reorder or double it; the protocol tolerates all of that. The views inside the message are valid
//    during the call only: encode them (`codec.hpp`) or copy them.
// 2. Optional, and only faster: `send(const envelope&, const Body&)`, a template for any body of a message, is called
//    instead where there is one, so that no message has to be built to be taken apart again.
// 3. Optional: `send_snapshot(const envelope&, const install_snapshot& head) -> bool` offers to carry a snapshot out of
//    band, by a way of its own. `head` is its first chunk without the data; `offset` bytes of it the receiver has. On
//    true the Transport brings the head and the bytes over; on the other side the caller hands them to its node by
//    `step(envelope, install_snapshot)`, in as many chunks as it likes, the head's fields in each. Either way it ends,
//    this side reports `step(snapshot_carried{..})`; if nobody does, options.snapshot_carry_timeout ends it. On false
//    the node sends chunks as usual.

/// `t.send(m)` takes a `const raft::message&`.
template <class T>
concept sends_messages = requires(T& t, const message& m) {
  t.send(m);
};

template <class T>
concept transport_policy = sends_messages<T>;

/// The optional point 3.
template <class T>
concept carries_snapshots = requires(T& t, const envelope& m, const install_snapshot& head) {
  { t.send_snapshot(m, head) } -> std::same_as<bool>;
};

/// The optional point 2.
template <class T>
concept sends_bodies = requires(T& t, const envelope& m, const append_entries& body) {
  t.send(m, body);
};

// ---------------------------------------------------------------------------------------------------- Log
//
// The persistent state of Figure 2 and the snapshot of §7.
//
// 1. Indexes are consecutive: the entries at hand are [first_index(), last_index()], and last_index() + 1 ==
//    first_index() if there are none. `term_at` answers for [first_index() - 1, last_index()]: a Log remembers the term
//    of the last entry that it compacted away (zero for index zero).
// 2. Every write returns a mark, one more than that of the write before it. `durable_on_return` says whether a write
//    is durable when it returns. If not, the caller of the node reports `step(persisted{first, last})` when the writes
//    with those marks are durable, in any order; entries and states are readable at once in any case. A write speaks
//    for nothing until it AND all writes with smaller marks are durable.
// 3. A write that fails changes nothing that later reads show, and stops the node for good. A Log whose sync failed
//    must fail every write from then on.
// 4. `view(from, to, max_bytes)` shows entries from `from` on, at most to `to`, in one contiguous piece: at least one
//    entry, then as many as fit in max_bytes and lie together. It is valid until the next write. Precondition:
//    first_index() <= from <= to <= last_index().
//    A Log with cold storage may answer errc::not_at_hand. It has noted then what was asked for, fetches it (all of it,
//    or from `from` on as much as it likes), and the caller of the node reports `step(fetched{first, last})` when it is
//    there; until then the node asks now and then, which is to cost nothing. What was fetched stays at hand until it
//    was viewed, or others were asked for. Cold is only what `view` shows: the terms, and the entries of kind
//    configuration, are always at hand. Any other error means that the entry is lost, and stops the node.
// 5. `configurations()` lists, in ascending order, the indexes of the entries of kind configuration. A cold Log keeps
//    these entries at hand: which configuration is in force may be asked at any time.
// 6. `append` puts entries behind last_index(): a batch in its wire form (a follower's), or payloads that a leader
//    proposes, each as an entry of that term and kind. Both copy. `truncate_from(i)` removes i and all behind it.
//    `compact(i)` removes all up to and with i; it is asked only for i <= snapshot().index.
// 7. `snapshot()` is the place of the current snapshot; index zero and the initial configuration before there is one.
//    `read_snapshot(offset, max)` shows bytes of it: at least one unless offset is its size; valid until the next call.
// 8. `begin_snapshot(meta)` starts to write another one beside it (discarding an unfinished one); `write_snapshot`
//    adds bytes to it; `partial()` tells how far it is. `finish_snapshot()` makes it the current one, in one atomic
//    step with the log's new beginning: if the log holds an entry (meta.index, meta.term), all entries stay, else all
//    entries go and the log begins at meta.index + 1. It refuses an index at or below that of the current one. The
//    size and, if it was zero, the id of the meta are set by the Log; an id is never zero. `begin_snapshot` and
//    `write_snapshot` may answer errc::no_space, which ends that snapshot and nothing else: a node whose own it was
//    goes on.

/// `Log::durable_on_return`, `hard_state()` and `store(hard_state)`.
template <class L>
concept stores_hard_state = requires(L& l, const L& c, const hard_state& h) {
  {std::bool_constant<L::durable_on_return>{}};
  { c.hard_state() } -> std::convertible_to<hard_state>;
  { l.store(h) } -> std::same_as<result<mark_t>>;
};

/// `first_index()`, `last_index()`, `term_at(index)`, `view(from, to, max_bytes)` and `configurations()`.
template <class L>
concept reads_entries = requires(const L& c, index_t i, std::uint32_t n) {
  { c.first_index() } -> std::same_as<index_t>;
  { c.last_index() } -> std::same_as<index_t>;
  { c.term_at(i) } -> std::same_as<term_t>;
  { c.view(i, i, n) } -> std::same_as<result<entries>>;
  { c.configurations() } -> std::convertible_to<std::span<const index_t>>;
};

/// `append(entries)`, `append(term, kind, payloads)`, `truncate_from(index)` and `compact(index)`.
template <class L>
concept writes_entries = requires(L& l, const entries& batch, std::span<const payload> payloads, index_t i) {
  { l.append(batch) } -> std::same_as<result<mark_t>>;
  { l.append(term_t{}, entry_kind::command, payloads) } -> std::same_as<result<mark_t>>;
  { l.truncate_from(i) } -> std::same_as<result<mark_t>>;
  { l.compact(i) } -> std::same_as<result<mark_t>>;
};

/// `snapshot()`, `read_snapshot(offset, max)`, `partial()`, `begin_snapshot`, `write_snapshot` and `finish_snapshot`.
template <class L>
concept keeps_snapshots = requires(L& l, const L& c, const snapshot_meta& m, payload bytes) {
  { c.snapshot() } -> std::convertible_to<const snapshot_meta&>;
  { l.read_snapshot(std::uint64_t{}, std::uint32_t{}) } -> std::same_as<result<payload>>;
  { c.partial() } -> std::convertible_to<partial_snapshot>;
  { l.begin_snapshot(m) } -> std::same_as<result<void>>;
  { l.write_snapshot(bytes) } -> std::same_as<result<void>>;
  { l.finish_snapshot() } -> std::same_as<result<mark_t>>;
};

template <class L>
concept log_policy = stores_hard_state<L> && reads_entries<L> && writes_entries<L> && keeps_snapshots<L>;

// ---------------------------------------------------------------------------------------------------- Clock
//
// 1. `now()` never goes back. `std::chrono::steady_clock` is a Clock; where 25 ns a call matter, give one that returns
//    the time that the event loop read last. The node asks once for each message and tick. With options.lease_reads a
//    time that was read before the message came is as bad as a wrong rate: see there.
// 2. `duration` is an integer (milliseconds) or chrono-like (count(), rep, period).

/// `Clock::duration` is an integer of milliseconds, or has `count()`, `rep` and `period`.
template <class C>
concept has_durations = std::integral<typename C::duration> || requires(typename C::duration d) {
  { d.count() } -> std::convertible_to<std::int64_t>;
  typename C::duration::rep;
  typename C::duration::period;
};

/// `c.now()` gives a `Clock::time_point` that can be compared, moved by a duration and subtracted.
template <class C>
concept tells_time = requires(const C& c, typename C::time_point t, typename C::duration d) {
  { c.now() } -> std::same_as<typename C::time_point>;
  { t + d } -> std::convertible_to<typename C::time_point>;
  { t - t } -> std::convertible_to<typename C::duration>;
  { t < t } -> std::convertible_to<bool>;
};

template <class C>
concept clock_policy = has_durations<C> && tells_time<C>;

// ---------------------------------------------------------------------------------------------------- StateMachine
//
// 1. `apply(const entry&)` executes a committed command. Each is applied once, in the order of the log, after it is
//    committed and durable here; the entry's data is valid during the call. No-ops and configurations are not shown.
// 2. `write_snapshot(sink)` writes the machine's state as bytes by calling `sink(payload) -> result<void>` as often as
//    it likes; it stops and returns the error if the sink does.
// 3. `restore(source)` replaces the state by a snapshot: `source() -> result<payload>` gives the next bytes, none at
//    the end. Pieces have other borders than those that were written.
// 4. Optional, free when absent:
//    `applied_index() const -> index_t`: for a machine that is durable itself; the node applies what follows it.
//    `static constexpr bool applies_elsewhere`: if true, `apply` only takes the entry over (it copies), and the caller
//    reports `step(applied{index})` when all entries up to there are executed.
//    `static constexpr bool restores_elsewhere`: if true, the machine needs no `restore`. Instead
//    `begin_restore(const snapshot_meta&)` is called; the caller then fills the machine from the Log's `read_snapshot`,
//    as slowly as it likes, and reports `step(restored{meta.index})`. Until then nothing is applied, and everything
//    else goes on. Another snapshot may take this one's place meanwhile: look at `snapshot().id` before each read.
//    `on_role(role_kind, term_t, node_id leader)`: the role, the term or the known leader changed.
//    `on_fate(index_t first, index_t last, term_t, fate)`: what became of entries proposed here (see `node.hpp`).
//    `on_read(std::uint64_t context, read_fate, index_t)`: what became of a read.
//    `on_forwarded(std::uint64_t context, fate, proposal, node_id leader)`: what became of `propose_anywhere`.
//    `on_transfer(node_id target, transfer_fate)`: how the handing over of leadership to `target` ended.
//    `on_promotion(node_id server, promotion_fate)`: how making `server` a voter ended.
//    `may_lead() const -> bool`: false while this machine lags so that its server had better not lead; asked when an
//    election timeout is over. It is a wish: see `options.campaign_grace`.
//    `on_configuration(const configuration&, index_t)`: another configuration is in force.
//    `on_restore(const snapshot_meta&)`: the state was just replaced by this snapshot.

namespace detail {
struct any_sink {
  constexpr result<void> operator()(payload) const { return {}; }
};
struct any_source {
  constexpr result<payload> operator()() const { return payload{}; }
};
}  // namespace detail

/// `m.apply(e)` takes a `const raft::entry&`.
template <class M>
concept applies_entries = requires(M& m, const entry& e) {
  m.apply(e);
};

/// `m.write_snapshot(sink)` returns `raft::result<void>`.
template <class M>
concept writes_snapshots = requires(M& m, detail::any_sink& sink) {
  { m.write_snapshot(sink) } -> std::same_as<result<void>>;
};

/// `m.restore(source)` returns `raft::result<void>`; or, for one that restores elsewhere, there is
/// `m.begin_restore(meta)`.
template <class M>
concept restores_snapshots = requires(M& m, detail::any_source& source) {
  { m.restore(source) } -> std::same_as<result<void>>;
}
|| requires(M& m, const snapshot_meta& meta) {
  requires bool(M::restores_elsewhere);
  m.begin_restore(meta);
};

/// `m.on_forwarded(context, fate, proposal, leader)`, which `propose_anywhere` needs.
template <class M>
concept hears_of_forwards = requires(M& m) {
  m.on_forwarded(std::uint64_t{}, fate{}, proposal{}, node_id{});
};

template <class M>
concept state_machine_policy = applies_entries<M> && writes_snapshots<M> && restores_snapshots<M>;

// ---------------------------------------------------------------------------------------------------- explanations

/// Instantiate to have every missing part of a Transport named, a sentence each.
template <class T>
consteval bool explain_transport() {
  static_assert(sends_messages<T>, "a Transport needs: void send(const raft::message&)");
  return true;
}

/// Instantiate to have every missing part of a Log named, a sentence each.
template <class L>
consteval bool explain_log() {
  static_assert(stores_hard_state<L>, "a Log needs: static constexpr bool durable_on_return; hard_state(); store()");
  static_assert(reads_entries<L>, "a Log needs: first_index, last_index, term_at, view, configurations (all const)");
  static_assert(writes_entries<L>,
                "a Log needs: append(entries), append(term, kind, payloads), truncate_from, compact");
  static_assert(keeps_snapshots<L>,
                "a Log needs: snapshot, read_snapshot, partial, begin_snapshot, write_snapshot, finish_snapshot");
  return true;
}

/// Instantiate to have every missing part of a Clock named, a sentence each.
template <class C>
consteval bool explain_clock() {
  static_assert(has_durations<C>, "a Clock needs: a duration that is an integer or has count(), rep and period");
  static_assert(tells_time<C>, "a Clock needs: time_point now() const, with time_point arithmetic");
  return true;
}

/// Instantiate to have every missing part of a StateMachine named, a sentence each.
template <class M>
consteval bool explain_state_machine() {
  static_assert(applies_entries<M>, "a StateMachine needs: void apply(const raft::entry&)");
  static_assert(writes_snapshots<M>, "a StateMachine needs: raft::result<void> write_snapshot(sink)");
  static_assert(restores_snapshots<M>, "a StateMachine needs: raft::result<void> restore(source)");
  return true;
}

}  // namespace raft

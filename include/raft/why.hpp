#pragma once

// Why nothing happens [floor 5]: the answers of a node that is asked why an entry is not committed, why there is no
// leader, or why a member is not sent more. Each answer is a value, a cause with the servers and numbers involved, and
// `explain` puts it into a sentence for people.
//
//   node::why_not_committed(index) -> commit_delay   --+
//   node::why_no_leader()          -> leader_absence --+-- explain --> sentence
//   node::why_paused(peer)         -> peer_pause     --+
//
// Invariants: an answer costs O(peers), allocates nothing, owns what it holds, and is about the moment of the latest
// input; of several causes it names the one without which the others would not matter.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <raft/configuration.hpp>
#include <raft/progress.hpp>
#include <raft/quorum.hpp>
#include <raft/some_servers.hpp>
#include <raft/types.hpp>

namespace raft {

/// Which majorities of the configuration are missing: the only one, or those of the halves of a joint one [paper §6].
enum class lacking : std::uint8_t { none, majority, incoming, outgoing, both };

/// What an entry's commit waits for.
struct commit_delay {
  enum class cause : std::uint8_t {
    none,          ///< It is committed.
    compacted,     ///< It was committed and applied long ago; this log begins at `other`.
    beyond_end,    ///< There is no such entry here; the log ends at `other`.
    node_failed,   ///< A write of this node failed: it takes part in nothing any more.
    no_leader,     ///< No leader is known here: see why_no_leader.
    not_leader,    ///< `leader` leads and knows; this node learns of the commit from it.
    own_disk,      ///< Only the leader's own write, which is not durable yet.
    followers,     ///< Acknowledgements: too few of `servers` have sent theirs.
    earlier_term,  ///< It is of an earlier term, and commits with the entry `other` of this one [paper §5.4.2], for
                   ///< which `servers` have not sent theirs (or the own write is not durable).
  };
  cause why{};
  index_t index{};       ///< The entry that was asked about.
  index_t other{};       ///< See the cause.
  node_id leader{};      ///< not_leader: who leads.
  some_servers servers;  ///< Voters that have not acknowledged it; each one's reason is why_paused's.
  std::size_t needed{};  ///< How many more of them are needed at least.
  lacking halves{};      ///< Which majorities are missing.
  bool own_disk{};       ///< Whether the leader's own write is not durable yet, too.
};

/// What an election waits for.
struct leader_absence {
  enum class cause : std::uint8_t {
    none,                 ///< There is a leader: `leader`.
    node_failed,          ///< A write of this node failed: it takes part in nothing any more.
    restoring_snapshot,   ///< A snapshot is on its way into the state machine; nobody stands meanwhile.
    not_a_voter,          ///< This node has no vote and cannot stand: it waits until another one leads.
    election_timer,       ///< This node waits for its election timer, or for another one to lead.
    lets_others_first,    ///< It would rather not lead (evacuated, or its machine lags): see options.campaign_grace.
    pre_votes_refused,    ///< `refused` do not support it (their log is further, or they hear a leader).
    pre_votes_missing,    ///< Too few have answered: `silent` have not.
    own_vote_not_stored,  ///< Its own vote is not durable yet.
    votes_refused,        ///< `refused` voted for somebody else in this term, or their log is further.
    votes_missing,        ///< Too few have answered: `silent` have not.
  };
  cause why{};
  node_id leader{};
  term_t term{};
  some_servers refused;  ///< Voters that said no: in this round, or in the last one and not a word since.
  some_servers silent;   ///< Voters that have not answered.
  std::size_t needed{};  ///< How many more votes are needed at least.
  lacking halves{};      ///< Which majorities are missing.
};

/// What the next message to a member waits for.
struct peer_pause {
  enum class cause : std::uint8_t {
    none,           ///< Nothing: what there is to send is sent.
    node_failed,    ///< A write of this node failed: it sends nothing any more.
    not_leader,     ///< This node does not lead, and sends no entries.
    not_a_member,   ///< This node, or nobody that is a member.
    log_lost,       ///< It came back without entries that it had acknowledged; it has to be removed.
    not_heard,      ///< It has not answered for an election timeout; it may be down.
    probing,        ///< The place where the logs meet is looked for; one append is under way.
    in_snapshot,    ///< It is sent the snapshot: `snapshot_offset` of `snapshot_size` bytes.
    full_messages,  ///< options.max_inflight_messages are under way.
    full_bytes,     ///< options.max_inflight_bytes are under way.
    gathering,      ///< options.eager_messages are under way; more gathers until an answer, a full message or a tick.
    not_at_hand,    ///< Its entries are in cold storage.
    chunk_limit,    ///< options.snapshot_bytes_per_second are used up; the next chunk of the snapshot waits.
    carried,        ///< The Transport brings the snapshot over, out of band; it has told of `snapshot_offset` bytes.
  };
  cause why{};
  node_id peer{};
  progress_state state{};
  index_t match{};
  index_t next{};
  index_t last{};  ///< The end of the leader's log.
  std::size_t inflight_messages{};
  std::uint64_t inflight_bytes{};
  std::uint64_t snapshot_offset{};
  std::uint64_t snapshot_size{};
  std::int64_t silent_ms{};  ///< For how long it has not been heard.
};

/// Text of at most `capacity` characters; what does not fit is cut off.
class sentence {
 public:
  static constexpr std::size_t capacity = 512;

  [[nodiscard]] constexpr std::string_view view() const noexcept { return {text_.data(), size_}; }

  constexpr sentence& operator<<(std::string_view text) noexcept {
    for (const char c : text.substr(0, capacity - size_)) text_[size_++] = c;
    return *this;
  }
  constexpr sentence& operator<<(std::uint64_t number) noexcept {
    std::array<char, 20> digits{};
    std::size_t at = digits.size();
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    return *this << std::string_view{digits.data() + at, digits.size() - at};
  }
  constexpr sentence& operator<<(index_t i) noexcept { return *this << i.value; }
  constexpr sentence& operator<<(term_t t) noexcept { return *this << t.value; }
  constexpr sentence& operator<<(node_id id) noexcept { return *this << id.value; }
  /// "2, 3 and 5", or "nobody".
  constexpr sentence& operator<<(const some_servers& some) noexcept {
    if (some.count == 0) return *this << "nobody";
    const auto first = some.first();
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (i != 0) *this << (i + 1 == some.count ? " and " : ", ");
      *this << first[i];
    }
    if (some.count > first.size()) *this << " and " << some.count - first.size() << " more";
    return *this;
  }

 private:
  std::array<char, capacity> text_{};
  std::size_t size_ = 0;
};

namespace detail {

/// What a configuration's majorities lack, where `yes(voter)` tells who is there: the halves, how many voters are
/// needed at least, and who is not there.
struct shortage {
  some_servers absent{};
  std::size_t needed = 0;
  lacking halves{};
};

/// The voters of both halves, each once, in order, for which `there(voter)` is false.
template <class There>
constexpr some_servers voters_without(const configuration& c, There&& there) noexcept {
  some_servers absent;
  auto in = c.voters.begin();
  auto out = c.outgoing.begin();
  while (in != c.voters.end() || out != c.outgoing.end()) {
    const bool from_in = out == c.outgoing.end() || (in != c.voters.end() && *in <= *out);
    const node_id voter = from_in ? *in : *out;
    if (in != c.voters.end() && *in == voter) ++in;
    if (out != c.outgoing.end() && *out == voter) ++out;
    if (!there(voter)) absent.add(voter);
  }
  return absent;
}

template <class Yes>
constexpr shortage shortage_of(const configuration& c, Yes&& yes) noexcept {
  shortage found;
  const auto lacks = [&](std::span<const node_id> half) {
    std::size_t there = 0;
    for (const node_id voter : half) there += yes(voter) ? 1 : 0;
    const std::size_t most = majority(half.size());
    return there < most ? most - there : 0;
  };
  const std::size_t incoming = lacks(c.voters);
  const std::size_t outgoing = c.joint() ? lacks(c.outgoing) : 0;
  if (incoming != 0) found.halves = c.joint() ? lacking::incoming : lacking::majority;
  if (outgoing != 0) found.halves = incoming != 0 ? lacking::both : lacking::outgoing;
  found.needed = std::max(incoming, outgoing);
  found.absent = voters_without(c, yes);
  return found;
}

/// " (1 more is needed in the old half of the joint configuration)"
constexpr void say_shortage(sentence& s, std::size_t needed, lacking halves) noexcept {
  if (needed == 0) return;
  s << " (" << needed << (needed == 1 ? " more is needed" : " more are needed");
  if (halves == lacking::incoming) s << " in the new half of the joint configuration";
  if (halves == lacking::outgoing) s << " in the old half of the joint configuration";
  if (halves == lacking::both) s << " in each half of the joint configuration";
  s << ")";
}

}  // namespace detail

/// The answer as a sentence, such as "entry 7 waits for the acknowledgements of 2 and 3 (1 more is needed)".
[[nodiscard]] constexpr sentence explain(const commit_delay& d) noexcept {
  sentence s;
  s << "entry " << d.index;
  switch (d.why) {
    case commit_delay::cause::none:
      return s << " is committed";
    case commit_delay::cause::compacted:
      return s << " was committed and compacted long ago; the log begins at " << d.other;
    case commit_delay::cause::beyond_end:
      return s << " is not in this log, which ends at " << d.other;
    case commit_delay::cause::node_failed:
      return s << " will not be committed here: a write of this node failed";
    case commit_delay::cause::no_leader:
      return s << " waits for a leader";
    case commit_delay::cause::not_leader:
      return s << " is not known here to be committed; " << d.leader << " leads and knows";
    case commit_delay::cause::own_disk:
      return s << " waits for the leader's own disk";
    case commit_delay::cause::followers:
      s << " waits for the acknowledgements of " << d.servers;
      break;
    case commit_delay::cause::earlier_term:
      s << " is of an earlier term and commits with entry " << d.other << " of this term";
      if (d.servers.count != 0) s << ", which waits for the acknowledgements of " << d.servers;
      break;
  }
  if (d.own_disk) s << ", and for the leader's own disk";
  detail::say_shortage(s, d.needed, d.halves);
  return s;
}

[[nodiscard]] constexpr sentence explain(const leader_absence& a) noexcept {
  sentence s;
  switch (a.why) {
    case leader_absence::cause::none:
      return s << a.leader << " leads term " << a.term;
    case leader_absence::cause::node_failed:
      return s << "a write of this node failed; it takes part in nothing any more";
    case leader_absence::cause::restoring_snapshot:
      return s << "a snapshot is on its way into the state machine; this node does not stand before that";
    case leader_absence::cause::not_a_voter:
      return s << "this node has no vote and waits for another one to lead";
    case leader_absence::cause::election_timer:
      return s << "no leader is known in term " << a.term << "; this node stands when its election timer fires";
    case leader_absence::cause::lets_others_first:
      return s << "no leader is known in term " << a.term
               << "; this node would rather not lead and lets campaign_grace election timeouts pass before it stands";
    case leader_absence::cause::own_vote_not_stored:
      return s << "this node stands in term " << a.term << "; its own vote is not durable yet";
    case leader_absence::cause::pre_votes_refused:
    case leader_absence::cause::pre_votes_missing:
      s << "this node asks whether it would win term " << a.term.value + 1;
      break;
    case leader_absence::cause::votes_refused:
    case leader_absence::cause::votes_missing:
      s << "this node stands in term " << a.term;
      break;
  }
  if (a.refused.count != 0) s << "; refused by " << a.refused;
  if (a.silent.count != 0) s << "; no answer of " << a.silent;
  detail::say_shortage(s, a.needed, a.halves);
  return s;
}

[[nodiscard]] constexpr sentence explain(const peer_pause& p) noexcept {
  sentence s;
  s << "server " << p.peer;
  switch (p.why) {
    case peer_pause::cause::none:
      if (p.match >= p.last) return s << " is up to date";
      return s << " is being sent entries up to " << p.next.previous() << " of " << p.last;
    case peer_pause::cause::node_failed:
      return s << " is sent nothing: a write of this node failed";
    case peer_pause::cause::not_leader:
      return s << " is sent nothing: this node does not lead";
    case peer_pause::cause::not_a_member:
      return s << " is no other member";
    case peer_pause::cause::log_lost:
      return s << " came back without entries that it had acknowledged, up to " << p.match << "; it has to be removed";
    case peer_pause::cause::not_heard:
      return s << " has not answered for " << static_cast<std::uint64_t>(p.silent_ms) << " ms; it has entries up to "
               << p.match << " of " << p.last;
    case peer_pause::cause::probing:
      return s << " is being asked whether the logs meet at " << p.next.previous();
    case peer_pause::cause::in_snapshot:
      return s << " is being sent the snapshot: " << p.snapshot_offset << " of " << p.snapshot_size << " bytes";
    case peer_pause::cause::full_messages:
      return s << " has " << p.inflight_messages << " appends under way, which is max_inflight_messages";
    case peer_pause::cause::full_bytes:
      return s << " has " << p.inflight_bytes << " bytes under way, which reaches max_inflight_bytes";
    case peer_pause::cause::gathering:
      return s << " has " << p.inflight_messages << " appends under way; what is new gathers until an answer";
    case peer_pause::cause::not_at_hand:
      return s << " needs entries from " << p.next << " on, which are not at hand";
    case peer_pause::cause::chunk_limit:
      return s << " has " << p.snapshot_offset << " of " << p.snapshot_size
               << " bytes of the snapshot; the next ones wait for snapshot_bytes_per_second";
    case peer_pause::cause::carried:
      return s << " is brought the snapshot out of band: it has told of " << p.snapshot_offset << " of "
               << p.snapshot_size << " bytes";
  }
  return s;
}

}  // namespace raft

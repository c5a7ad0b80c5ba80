#pragma once

// What servers say to each other [floor 5]: plain values, trivially copyable, whose views belong to somebody else.
//
// A message that the node hands to a Transport views the Log's memory and is valid during that call. A message that the
// caller hands to `step` may view a receive buffer; the node keeps nothing of it after the call.
//
// Every message carries the sender's current term, and every term is looked at before anything else [paper §5.1].
// `round` numbers a leader's broadcasts: a follower echoes it, and a majority that has echoed round r has confirmed
// that the leader still led when it began r [thesis 6.4].

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <variant>

#include <raft/entry.hpp>
#include <raft/types.hpp>

namespace raft {

/// Whether the receiver would vote for the sender in the next term, `sender's term + 1` [thesis 9.6].
struct request_pre_vote {
  index_t last_log_index{};
  term_t last_log_term{};
  friend constexpr bool operator==(const request_pre_vote&, const request_pre_vote&) = default;
};

struct request_pre_vote_reply {
  term_t asked{};  ///< The sender's term in the request: the reply's own term may be lower, and it still counts.
  bool granted = false;
  friend constexpr bool operator==(const request_pre_vote_reply&, const request_pre_vote_reply&) = default;
};

/// [Fig. 2, RequestVote RPC]; the candidate is the sender.
struct request_vote {
  index_t last_log_index{};
  term_t last_log_term{};
  /// The leader of the term before asked for this election by `timeout_now`, so that hearing that leader is no reason
  /// to refuse [thesis 4.2.3].
  bool handed_over = false;
  friend constexpr bool operator==(const request_vote&, const request_vote&) = default;
};

struct request_vote_reply {
  bool granted = false;
  friend constexpr bool operator==(const request_vote_reply&, const request_vote_reply&) = default;
};

/// [Fig. 2, AppendEntries RPC]; the leader is the sender. A heartbeat has no entries.
struct append_entries {
  index_t prev_log_index{};
  term_t prev_log_term{};
  index_t leader_commit{};
  std::uint64_t round = 0;
  raft::entries entries{};
  friend constexpr bool operator==(const append_entries&, const append_entries&) = default;
};

struct append_entries_reply {
  bool success = false;
  /// success: the log up to here equals the leader's, and is durable. Else: the prev_log_index that was refused.
  index_t index{};
  /// Refused: where the logs may meet: the last index at or below prev_log_index whose term is at most prev_log_term,
  /// and that entry's term, so that a whole conflicting term is skipped in one round trip [paper §5.3].
  index_t hint_index{};
  term_t hint_term{};
  index_t last_log_index{};  ///< The end of the follower's log.
  std::uint64_t round = 0;   ///< That of the request.
  friend constexpr bool operator==(const append_entries_reply&, const append_entries_reply&) = default;
};

/// One chunk of a snapshot [Fig. 13, InstallSnapshot RPC].
struct install_snapshot {
  index_t last_included_index{};
  term_t last_included_term{};
  std::uint64_t id = 0;      ///< Equal ids mean equal bytes, so a transfer may be resumed from another leader.
  std::uint64_t size = 0;    ///< Of the whole snapshot, in bytes.
  std::uint64_t offset = 0;  ///< Of this chunk.
  std::uint64_t round = 0;
  payload configuration{};  ///< The byte form of the configuration at last_included_index.
  payload data{};           ///< The chunk; the last one ends at `size`.
  friend constexpr bool operator==(const install_snapshot& a, const install_snapshot& b) noexcept {
    const auto same = [](payload x, payload y) {
      if (x.size() != y.size()) return false;
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (x[i] != y[i]) return false;
      }
      return true;
    };
    return a.last_included_index == b.last_included_index && a.last_included_term == b.last_included_term &&
           a.id == b.id && a.size == b.size && a.offset == b.offset && a.round == b.round &&
           same(a.configuration, b.configuration) && same(a.data, b.data);
  }
};

struct install_snapshot_reply {
  index_t last_included_index{};  ///< Of the snapshot spoken of.
  std::uint64_t id = 0;
  std::uint64_t offset = 0;  ///< How many of its bytes the follower has: the offset it wants next.
  bool installed = false;    ///< The follower's log is equal to the leader's up to last_included_index, durably.
  std::uint64_t round = 0;
  friend constexpr bool operator==(const install_snapshot_reply&, const install_snapshot_reply&) = default;
};

/// The leader hands its leadership over: the receiver is to stand for election at once [thesis 3.10]. It does so only
/// if its log is at least as up to date as the sender's was, whose end this tells.
struct timeout_now {
  index_t last_log_index{};
  term_t last_log_term{};
  friend constexpr bool operator==(const timeout_now&, const timeout_now&) = default;
};

/// Asks the leader up to where the sender has to apply before it may answer reads that it was asked [thesis 6.4].
struct read_request {
  std::uint64_t ticket = 0;  ///< Never used twice.
  friend constexpr bool operator==(const read_request&, const read_request&) = default;
};

struct read_reply {
  std::uint64_t ticket = 0;  ///< That of the request.
  index_t index{};           ///< Everything that was committed when the request came is at or before it.
  bool confirmed = false;    ///< Else the receiver does not lead, or not the sender; the index is zero then.
  friend constexpr bool operator==(const read_reply&, const read_reply&) = default;
};

/// A command that the leader is to append for the sender. It counts in the envelope's term only.
struct forwarded_proposal {
  std::uint64_t session = 0;  ///< Another one at each start of the sender,
  std::uint64_t serial = 0;   ///< within which nothing has the same.
  payload command{};
  friend constexpr bool operator==(const forwarded_proposal& a, const forwarded_proposal& b) noexcept {
    return a.session == b.session && a.serial == b.serial &&
           std::equal(a.command.begin(), a.command.end(), b.command.begin(), b.command.end());
  }
};

struct forwarded_proposal_reply {
  std::uint64_t session = 0;  ///< Those of the request.
  std::uint64_t serial = 0;
  index_t index{};   ///< Where the command was put, in the envelope's term; zero: it was not, and never will be.
  node_id leader{};  ///< Who leads, as far as the sender knows.
  friend constexpr bool operator==(const forwarded_proposal_reply&, const forwarded_proposal_reply&) = default;
};

/// Everything that one server may say to another. The order is that of the byte form: new kinds go to the end.
using message_body = std::variant<request_pre_vote, request_pre_vote_reply, request_vote, request_vote_reply,
                                  append_entries, append_entries_reply, install_snapshot, install_snapshot_reply,
                                  timeout_now, read_request, read_reply, forwarded_proposal, forwarded_proposal_reply>;

namespace detail {

/// A kind's place in message_body.
template <class Body, std::size_t Kind = 0>
constexpr std::uint8_t kind_of() noexcept {
  if constexpr (std::is_same_v<Body, std::variant_alternative_t<Kind, message_body>>) {
    return std::uint8_t{Kind};
  } else {
    return kind_of<Body, Kind + 1>();
  }
}

/// How many entries a message carries, and how many bytes of entries or of a snapshot.
template <class Body>
constexpr std::uint32_t entries_in(const Body&) noexcept {
  return 0;
}
constexpr std::uint32_t entries_in(const append_entries& m) noexcept { return m.entries.count(); }
template <class Body>
constexpr std::uint64_t bytes_in(const Body&) noexcept {
  return 0;
}
constexpr std::uint64_t bytes_in(const append_entries& m) noexcept { return m.entries.bytes(); }
constexpr std::uint64_t bytes_in(const install_snapshot& m) noexcept { return m.data.size(); }
constexpr std::uint64_t bytes_in(const forwarded_proposal& m) noexcept { return m.command.size(); }

}  // namespace detail

/// Calls f with the body that is there. (A switch: std::visit calls through a table, which nothing sees through.)
template <class F>
constexpr decltype(auto) visit_body(const message_body& body, F&& f) {
  static_assert(std::variant_size_v<message_body> == 13, "a new kind needs its case here");
  switch (body.index()) {
    case 0:
      return f(std::get<0>(body));
    case 1:
      return f(std::get<1>(body));
    case 2:
      return f(std::get<2>(body));
    case 3:
      return f(std::get<3>(body));
    case 4:
      return f(std::get<4>(body));
    case 5:
      return f(std::get<5>(body));
    case 6:
      return f(std::get<6>(body));
    case 7:
      return f(std::get<7>(body));
    case 8:
      return f(std::get<8>(body));
    case 9:
      return f(std::get<9>(body));
    case 10:
      return f(std::get<10>(body));
    case 11:
      return f(std::get<11>(body));
    default:
      return f(std::get<12>(body));
  }
}

/// Who says something to whom in which term.
struct envelope {
  node_id from{};
  node_id to{};
  term_t term{};
  friend constexpr bool operator==(const envelope&, const envelope&) = default;
};

/// A body in its envelope.
struct message {
  node_id from{};
  node_id to{};
  term_t term{};
  message_body body{};
  friend constexpr bool operator==(const message&, const message&) = default;
};

[[nodiscard]] constexpr envelope envelope_of(const message& m) noexcept { return {m.from, m.to, m.term}; }

}  // namespace raft

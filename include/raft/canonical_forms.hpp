#pragma once

// The canonical forms of messages, entries, configurations and Logs [floor 6]; see canonical.hpp. Everything that names
// a server is written by the writer's renaming: the configurations inside entries and snapshots, too.

#include <cstdint>
#include <span>
#include <variant>

#include <raft/canonical.hpp>
#include <raft/configuration.hpp>
#include <raft/entry.hpp>
#include <raft/message.hpp>
#include <raft/storage.hpp>
#include <raft/types.hpp>

namespace raft {

constexpr void canonical(canonical_writer& w, const configuration& c) {
  const auto& [voters, outgoing, learners, learners_next, auto_leave, data] = c;
  for (const auto* list : {&voters, &outgoing, &learners, &learners_next}) w.set(*list);
  w(auto_leave);
  w.in_order(
      std::span<const member_data>(data), [](const member_data& m) { return m.id; },
      [&w](const member_data& m) { w(m.id, payload{m.data}); });
}

/// Of bytes that should be those of a configuration; those that are not are written as they are.
constexpr void canonical_configuration(canonical_writer& w, payload bytes) {
  const auto members = decode_configuration(bytes);
  w(members.has_value());
  if (members) {
    canonical(w, *members);
  } else {
    w(bytes);
  }
}

constexpr void canonical(canonical_writer& w, const entry& e) {
  w(e.term, e.kind);
  if (e.kind == entry_kind::configuration) {
    canonical_configuration(w, e.data);
  } else {
    w(e.data);
  }
}

constexpr void canonical(canonical_writer& w, const entries& batch) {
  w(batch.count());
  batch.for_each(index_t{}, [&w](const entry& e) { canonical(w, e); });
}

constexpr void canonical(canonical_writer& w, const hard_state& h) {
  const auto& [current_term, voted_for, commit_hint] = h;
  w(current_term, voted_for, commit_hint);
}

constexpr void canonical(canonical_writer& w, const snapshot_meta& s) {
  const auto& [index, term, members, size, id] = s;
  w(index, term, size, id);
  canonical(w, members);
}

// Each kind of message; the structured bindings see to it that no field is forgotten.
namespace detail {

constexpr void canonical_body(canonical_writer& w, const request_pre_vote& m) {
  const auto& [last_log_index, last_log_term] = m;
  w(last_log_index, last_log_term);
}
constexpr void canonical_body(canonical_writer& w, const request_pre_vote_reply& m) {
  const auto& [asked, granted] = m;
  w(asked, granted);
}
constexpr void canonical_body(canonical_writer& w, const request_vote& m) {
  const auto& [last_log_index, last_log_term, handed_over] = m;
  w(last_log_index, last_log_term, handed_over);
}
constexpr void canonical_body(canonical_writer& w, const request_vote_reply& m) {
  const auto& [granted] = m;
  w(granted);
}
constexpr void canonical_body(canonical_writer& w, const append_entries& m) {
  const auto& [prev_log_index, prev_log_term, leader_commit, round, batch] = m;
  w(prev_log_index, prev_log_term, leader_commit, round);
  canonical(w, batch);
}
constexpr void canonical_body(canonical_writer& w, const append_entries_reply& m) {
  const auto& [success, index, hint_index, hint_term, last_log_index, round] = m;
  w(success, index, hint_index, hint_term, last_log_index, round);
}
constexpr void canonical_body(canonical_writer& w, const install_snapshot& m) {
  const auto& [last_included_index, last_included_term, id, size, offset, round, members, data] = m;
  w(last_included_index, last_included_term, id, size, offset, round);
  canonical_configuration(w, members);
  w(data);
}
constexpr void canonical_body(canonical_writer& w, const install_snapshot_reply& m) {
  const auto& [last_included_index, id, offset, installed, round] = m;
  w(last_included_index, id, offset, installed, round);
}
constexpr void canonical_body(canonical_writer& w, const timeout_now& m) {
  const auto& [last_log_index, last_log_term] = m;
  w(last_log_index, last_log_term);
}
constexpr void canonical_body(canonical_writer& w, const read_request& m) {
  const auto& [ticket] = m;
  w(ticket);
}
constexpr void canonical_body(canonical_writer& w, const read_reply& m) {
  const auto& [ticket, index, confirmed] = m;
  w(ticket, index, confirmed);
}
constexpr void canonical_body(canonical_writer& w, const forwarded_proposal& m) {
  const auto& [session, serial, command] = m;
  w(session, serial, command);
}
constexpr void canonical_body(canonical_writer& w, const forwarded_proposal_reply& m) {
  const auto& [session, serial, index, leader] = m;
  w(session, serial, index, leader);
}

}  // namespace detail

constexpr void canonical(canonical_writer& w, const message& m) {
  const auto& [from, to, term, body] = m;
  w(from, to, term, body.index());
  visit_body(body, [&w](const auto& b) { detail::canonical_body(w, b); });
}

/// All that a Log shows. Of entries that are not at hand the terms are written, and that they are not; where reading
/// the snapshot changes the Log, as with files, its id, which is made of its bytes, stands for them.
template <class Log>
constexpr void canonical_contents(canonical_writer& w, const Log& log) {
  canonical(w, hard_state{log.hard_state()});
  const index_t base = log.first_index().previous();
  w(base, log.term_at(base), log.last_index());
  for (index_t i = base.next(); i <= log.last_index(); i = i.next()) {
    const auto found = log.view(i, i, 0);
    w(found.has_value());
    if (found) {
      canonical(w, read_entry(found->data(), i));
    } else {
      w(log.term_at(i));
    }
  }
  const snapshot_meta& snapshot = log.snapshot();
  canonical(w, snapshot);
  if constexpr (requires { log.read_snapshot(std::uint64_t{}, std::uint32_t{}); }) {
    for (std::uint64_t offset = 0; offset < snapshot.size;) {
      const auto piece = log.read_snapshot(offset, UINT32_MAX);
      if (!piece || piece->empty()) break;
      w(*piece);
      offset += piece->size();
    }
  }
  const partial_snapshot& partial = log.partial();
  w(partial.meta.index != index_t{});
  if (partial.meta.index == index_t{}) return;
  w(partial.received);
  canonical(w, partial.meta);
}

}  // namespace raft

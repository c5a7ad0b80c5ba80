#pragma once

// Writes to a Log as values, so that one list of them drives two Logs; and all that a Log shows, as one string, so that
// two Logs compare.

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <raft/crc32c.hpp>
#include <raft/memory_log.hpp>
#include <support/faulty_disk.hpp>

namespace test {

inline raft::payload bytes_of(std::string_view text) { return std::as_bytes(std::span{text.data(), text.size()}); }

inline raft::configuration three_voters() {
  return raft::voters_of({raft::node_id{1}, raft::node_id{2}, raft::node_id{3}});
}

/// As many members as there may be, each with as much data as it may have.
inline raft::configuration largest_configuration() {
  raft::configuration large;
  for (std::uint64_t id = 1; id <= raft::configuration_limit; ++id) {
    large.voters.push_back(raft::node_id{id});
    large.data.push_back({raft::node_id{id}, std::vector<std::byte>(raft::member_data_limit, std::byte{7})});
  }
  return large;
}

/// Entries in their wire form, in memory of their own.
struct owned_entries {
  std::vector<std::byte> bytes{};
  std::uint32_t count = 0;
  raft::term_t last{};
  void add(raft::term_t term, raft::entry_kind kind, raft::payload data) {
    const std::size_t at = bytes.size();
    bytes.resize(at + raft::entry_bytes(data.size()));
    raft::write_entry(bytes.data() + at, term, kind, data);
    ++count;
    last = term;
  }
  [[nodiscard]] raft::entries view() const {
    return raft::entries::trusted(bytes.data(), static_cast<std::uint32_t>(bytes.size()), count, last);
  }
};

/// One write.
struct write_op {
  enum class kind { store, append, propose, truncate, compact, snapshot, sync } what = kind::sync;
  raft::hard_state hard{};
  owned_entries batch{};
  std::vector<std::string> payloads{};
  raft::term_t term{};
  raft::index_t index{};
  raft::snapshot_meta meta{};
  std::string image{};
};

/// Does it to a log; the error if any part of it failed. `sync` is left to the caller.
template <class Log>
raft::result<void> apply(Log& log, const write_op& op) {
  using kind = write_op::kind;
  raft::result<raft::mark_t> r = raft::mark_t{};
  switch (op.what) {
    case kind::store:
      r = log.store(op.hard);
      break;
    case kind::append:
      r = log.append(op.batch.view());
      break;
    case kind::propose: {
      std::vector<raft::payload> views;
      for (const auto& p : op.payloads) views.push_back(bytes_of(p));
      r = log.append(op.term, raft::entry_kind::command, views);
      break;
    }
    case kind::truncate:
      r = log.truncate_from(op.index);
      break;
    case kind::compact:
      r = log.compact(op.index);
      break;
    case kind::snapshot: {
      if (auto b = log.begin_snapshot(op.meta); !b) return b;
      for (std::size_t at = 0; at < op.image.size(); at += 7000) {
        if (auto w =
                log.write_snapshot(bytes_of(op.image).subspan(at, std::min<std::size_t>(7000, op.image.size() - at)));
            !w) {
          return w;
        }
      }
      r = log.finish_snapshot();
      break;
    }
    case kind::sync:
      break;
  }
  return r ? raft::result<void>{} : raft::result<void>{r.error()};
}

inline void describe(std::string& out, const char* name, std::uint64_t n) {
  ((out += name) += '=') += std::to_string(n) += ' ';
}

/// The beginning of some bytes, and their checksum.
inline void describe(std::string& out, raft::payload bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 12));
  describe(out, " crc", raft::detail::crc32c(bytes.data(), bytes.size()));
}

/// Everything that a Log shows but an unfinished snapshot.
template <class Log>
std::string describe(Log& log) {
  std::string out;
  const raft::hard_state h = log.hard_state();
  describe(out, "term", h.current_term.value);
  describe(out, "vote", h.voted_for.value);
  describe(out, "commit", h.commit_hint.value);
  describe(out, "first", log.first_index().value);
  describe(out, "last", log.last_index().value);
  describe(out, "base_term", log.term_at(log.first_index().previous()).value);
  const raft::snapshot_meta& m = log.snapshot();
  describe(out, "snapshot", m.index.value);
  describe(out, "of_term", m.term.value);
  describe(out, "size", m.size);
  describe(out, "id", m.id);
  for (const auto* list : {&m.configuration.voters, &m.configuration.outgoing, &m.configuration.learners}) {
    for (const raft::node_id id : *list) describe(out, "member", id.value);
    out += "| ";
  }
  for (const raft::index_t i : log.configurations()) describe(out, "configuration", i.value);
  std::uint32_t image_crc = 0;
  for (std::uint64_t at = 0; at < m.size;) {
    const auto piece = log.read_snapshot(at, 100000);
    if (!piece) return out + "SNAPSHOT UNREADABLE: " + piece.error().what;
    image_crc = raft::detail::crc32c(piece->data(), piece->size(), image_crc);
    at += piece->size();
  }
  describe(out, "image", image_crc);
  for (raft::index_t i = log.first_index(); i <= log.last_index(); i = i.next()) {
    const auto one = log.view(i, i, 1);
    if (!one) return out + "UNREADABLE";
    one->for_each(i, [&out](const raft::entry& e) {
      describe(out, "\n index", e.index.value);
      describe(out, "term", e.term.value);
      describe(out, "kind", static_cast<std::uint64_t>(e.kind));
      describe(out, e.data);
    });
  }
  return out;
}

/// Makes writes that a node might make, given the log so far.
class op_maker {
 public:
  explicit op_maker(std::uint64_t seed, std::size_t largest_payload = 60, std::size_t largest_image = 3000)
      : random_{seed}, largest_payload_(largest_payload), largest_image_(largest_image) {}

  [[nodiscard]] write_op next(const raft::memory_log& log) {
    write_op op;
    if (term_ < log.term_at(log.last_index())) term_ = log.term_at(log.last_index());
    switch (random_.below(16)) {
      case 0:
      case 1:
        return store(log);
      case 2:
        if (log.last_index() > log.snapshot().index) {
          op.what = write_op::kind::truncate;
          op.index = log.snapshot().index + (1 + random_.below(log.last_index() - log.snapshot().index));
          if (op.index < log.first_index()) op.index = log.first_index();
          return op;
        }
        break;
      case 3:
        if (log.snapshot().index >= log.first_index()) {
          op.what = write_op::kind::compact;
          op.index = log.first_index() + random_.below(log.snapshot().index.next() - log.first_index());
          return op;
        }
        break;
      case 4:
      case 5:
        return snapshot(log);
      case 6:
      case 7:
      case 8:
      case 9:
        return propose();
      case 10:
      case 11:
        op.what = write_op::kind::sync;
        return op;
      default:
        break;
    }
    return append();
  }

 private:
  std::string text(std::size_t largest) {
    std::string s(random_.below(largest + 1), ' ');
    for (char& c : s) c = static_cast<char>('a' + random_.below(26));
    return s;
  }

  write_op store(const raft::memory_log& log) {
    write_op op;
    op.what = write_op::kind::store;
    term_ = raft::term_t{term_.value + random_.below(2)};
    op.hard.current_term = term_;
    op.hard.voted_for = raft::node_id{random_.below(4)};
    op.hard.commit_hint = log.snapshot().index;
    return op;
  }

  write_op propose() {
    write_op op;
    op.what = write_op::kind::propose;
    op.term = term_;
    for (std::uint64_t n = random_.below(4); n > 0; --n) op.payloads.push_back(text(largest_payload_));
    return op;
  }

  write_op append() {
    write_op op;
    op.what = write_op::kind::append;
    for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) {
      if (random_.below(8) == 0) {
        std::vector<std::byte> c;
        raft::encode(raft::voters_of({raft::node_id{1}, raft::node_id{2 + random_.below(9)}}), c);
        op.batch.add(term_, raft::entry_kind::configuration, c);
      } else {
        const std::string data = text(largest_payload_);
        const bool no_op = random_.below(5) == 0;
        op.batch.add(term_, no_op ? raft::entry_kind::no_op : raft::entry_kind::command, bytes_of(data));
      }
    }
    return op;
  }

  write_op snapshot(const raft::memory_log& log) {
    write_op op;
    op.what = write_op::kind::snapshot;
    const bool installed = random_.below(3) == 0 || log.last_index() == log.snapshot().index;
    if (installed) {
      op.meta.index = log.last_index() + (1 + random_.below(5));
      op.meta.term = term_ = term_.next();
    } else {
      op.meta.index = log.snapshot().index + (1 + random_.below(log.last_index() - log.snapshot().index));
      if (op.meta.index < log.first_index()) op.meta.index = log.last_index();
      op.meta.term = log.term_at(op.meta.index);
    }
    op.meta.configuration = raft::voters_of({raft::node_id{1}, raft::node_id{7}});
    op.meta.configuration.learners = {raft::node_id{9}};
    op.image = text(largest_image_);
    return op;
  }

  random random_;
  std::size_t largest_payload_;
  std::size_t largest_image_;
  raft::term_t term_{1};
};

}  // namespace test

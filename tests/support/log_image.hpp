#pragma once

// The files of a log as a run leaves them, for tests that damage them; and what an opening makes of the damage.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <raft/file_log.hpp>
#include <support/faulty_disk.hpp>
#include <support/log_model.hpp>
#include <support/log_run.hpp>

namespace test {

inline bool refused(const std::string& shown) { return shown.rfind("refused: ", 0) == 0; }

/// What opening a damaged disk came to.
struct opening {
  bool refused = false;
  const char* wrong = nullptr;  ///< What is wrong with it; null: it refused as it should, or shows what was expected.
};

/// Opens a damaged disk: it is to be refused, with a file and a sentence and nothing changed, or to show `expected`.
inline opening open_damaged(disk& d, const std::string& expected) {
  const std::uint64_t changes = d.changes;
  raft::file_log_failure why;
  const std::string shown = reopened(d, small_options(), &why);
  if (!refused(shown)) return {false, shown == expected ? nullptr : "it shows another state"};
  if (why.why.code != raft::errc::corrupt && why.why.code != raft::errc::unsupported_version) {
    return {true, "it is refused, and not as damaged"};
  }
  if (why.file.rfind("dir/", 0) != 0) return {true, "the refusal names no file"};
  if (std::string{why.why.what}.size() <= 10) return {true, "the refusal has no reason"};
  return {true, d.changes == changes ? nullptr : "it is refused, and files have changed"};
}

/// The same, checked; whether it was refused.
inline bool refused_or(disk& d, const std::string& expected) {
  const opening o = open_damaged(d, expected);
  INFO((o.wrong == nullptr ? "" : o.wrong));
  CHECK(o.wrong == nullptr);
  return o.refused;
}

/// A log of a few segments with a snapshot, an unfinished snapshot and the file `synced`.
struct image {
  script s;
  disk d{};
  std::string shown{};
  std::string before_last_sync{};

  explicit image(std::uint64_t seed, int count = 14, std::size_t payload = 60)
      : s(script::random_one(seed, count, payload)) {
    // End with a synced batch that changes something, so that losing it would show.
    raft::memory_log model{three_voters()};
    for (const auto& op : s.ops) static_cast<void>(apply(model, op));
    write_op op;
    op.what = write_op::kind::propose;
    op.term = raft::term_t{1000};
    op.payloads = {"the last one"};
    s.add(model, op);
    s.add(model, {});
    const progress p = run(d, s, small_options());
    REQUIRE(!p.failed);
    shown = s.shows.back();
    before_last_sync = s.shows[s.shows.size() - 3];
    d.crash({keep::how::everything});
  }
};

/// The batches of a segment, as [offset, size).
inline std::vector<std::pair<std::size_t, std::size_t>> batches_of(const std::vector<std::byte>& segment,
                                                                   std::uint64_t identity) {
  namespace wal = raft::detail::wal;
  const auto header = wal::decode_segment_header({segment.data(), segment.size()});
  REQUIRE(header.has_value());
  std::vector<std::pair<std::size_t, std::size_t>> all;
  std::size_t at = header->data_offset;
  wal::batch_header h;
  while (at + 40 <= segment.size() && wal::read_batch_header(segment.data() + at, wal::seed_of(identity), h) &&
         h.sequence == header->sequence) {
    all.emplace_back(at, 40 + h.length);
    at += 40 + h.length;
  }
  return all;
}

inline std::vector<std::string> names_of(const disk& d, const std::string& prefix) {
  std::vector<std::string> all;
  for (const auto& name : d.names) {
    if (name.first.rfind(prefix, 0) == 0) all.push_back(name.first);
  }
  return all;
}

}  // namespace test

#pragma once

// A Log whose disk the test owns: writes complete when the test says so and in the order that it likes, fail when it
// says so, and a crash leaves exactly what was complete. Reads see every write at once, as the contract asks.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <raft/memory_log.hpp>
#include <raft/storage.hpp>

#include "support/letter.hpp"

namespace story {

/// A durable state as a test writes it down. The entries begin at base + 1.
struct stored {
  std::uint64_t term = 0;
  std::uint64_t vote = 0;
  std::uint64_t commit_hint = 0;
  raft::configuration members{};
  std::vector<written> log{};
  after base{};  ///< The entry before the first one.
  after snapshot{};
  std::string image{};
  /// What the log holds then. The state must be consistent.
  [[nodiscard]] raft::memory_log build() const;
};

/// The voters with ids 1 to n.
raft::configuration voters(std::uint64_t n);

/// "[1:1][2:3]" for an entry of term 1 at index 1 and one of term 3 at index 2.
std::string shape(const raft::memory_log& log);
std::vector<written> read(const raft::memory_log& log);

class test_log {
 public:
  explicit test_log(raft::memory_log image, bool deferred = false)
      : image_(std::move(image)), disk_(image_), deferred_(deferred) {}

  // ---- the policy

  [[nodiscard]] raft::hard_state hard_state() const { return image_.hard_state(); }
  [[nodiscard]] raft::index_t first_index() const { return image_.first_index(); }
  [[nodiscard]] raft::index_t last_index() const { return image_.last_index(); }
  [[nodiscard]] raft::term_t term_at(raft::index_t i) const { return image_.term_at(i); }
  [[nodiscard]] raft::result<raft::entries> view(raft::index_t from, raft::index_t to, std::uint32_t max_bytes) const;
  [[nodiscard]] std::span<const raft::index_t> configurations() const { return image_.configurations(); }
  [[nodiscard]] const raft::snapshot_meta& snapshot() const { return image_.snapshot(); }
  [[nodiscard]] raft::result<raft::payload> read_snapshot(std::uint64_t offset, std::uint32_t max) const;
  [[nodiscard]] raft::partial_snapshot partial() const { return image_.partial(); }

  raft::result<raft::mark_t> store(const raft::hard_state& h);
  raft::result<raft::mark_t> append(const raft::entries& batch);
  raft::result<raft::mark_t> append(raft::term_t term, raft::entry_kind kind, std::span<const raft::payload> payloads);
  raft::result<raft::mark_t> truncate_from(raft::index_t i);
  raft::result<raft::mark_t> compact(raft::index_t i);
  raft::result<void> begin_snapshot(const raft::snapshot_meta& meta);
  raft::result<void> write_snapshot(raft::payload data);
  raft::result<raft::mark_t> finish_snapshot();

  /// All that it holds.
  void canonical(raft::canonical_writer& w) const {
    if (!hidden) raft::canonical_contents(w, *this);
  }

  // ---- the test's side

  /// Everything that was written, durable or not.
  [[nodiscard]] const raft::memory_log& image() const { return image_; }
  /// What a crash would leave: the longest run of complete writes.
  [[nodiscard]] const raft::memory_log& disk() const { return disk_; }
  /// The marks of the writes that are not complete, oldest first.
  [[nodiscard]] std::vector<raft::mark_t> under_way() const;
  [[nodiscard]] raft::mark_t newest() const { return newest_; }
  /// The disk completes the writes with marks in [first, last]; `server::persisted` also tells the node.
  void complete(raft::mark_t first, raft::mark_t last);

  /// The names of the writes so far, in order: "store", "append", "truncate", "compact", "begin", "write", "finish".
  std::vector<std::string> writes{};
  /// Fails every write whose name this is (or every write, if it is "all"), from now on.
  std::string failing{};
  raft::error failure{raft::errc::io, raft::nobody, 5, "the disk is gone"};
  bool cold = false;         ///< Entries are not at hand, but for configurations; nor is the snapshot.
  raft::error unreadable{};  ///< If it has a code: what `view` answers.
  mutable std::vector<raft::index_t> asked{};         ///< While cold: the first of the entries of each `view`.
  bool hidden = false;                                ///< The canonical form is empty.
  mutable std::optional<std::uint32_t> views_left{};  ///< If set: after so many views entries are not at hand.
  bool generous = false;                              ///< `view` shows one entry more than fits.

 private:
  struct pending {
    raft::mark_t mark{};
    bool complete = false;
    std::function<void(raft::memory_log&)> effect{};
  };

  [[nodiscard]] bool fails(const char* name);
  raft::result<raft::mark_t> write(const char* name, std::function<void(raft::memory_log&)> effect);
  void advance();

  raft::memory_log image_;
  raft::memory_log disk_;
  bool deferred_;
  raft::mark_t newest_{};
  std::vector<pending> pending_{};
};

/// The two kinds of a Log, told apart by type.
struct durable_test_log : test_log {
  static constexpr bool durable_on_return = true;
  explicit durable_test_log(raft::memory_log image) : test_log(std::move(image), false) {}
};

struct deferred_test_log : test_log {
  static constexpr bool durable_on_return = false;
  explicit deferred_test_log(raft::memory_log image) : test_log(std::move(image), true) {}
};

static_assert(raft::log_policy<durable_test_log>);
static_assert(raft::log_policy<deferred_test_log>);

}  // namespace story

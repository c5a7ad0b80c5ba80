#pragma once

// The servers that the explorer explores [battery, part of explorer.hpp]: the shipping node on policies that are
// values. A Transport that keeps what was sent, a Log that knows what is durable and what is not, a Clock that stands
// still, and a wrapper around the user's state machine that keeps what it executed and what reads were told.

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <raft/canonical_forms.hpp>
#include <raft/memory_log.hpp>
#include <raft/node.hpp>

namespace raft::testing {

/// A message with the memory that it views.
struct kept_message {
  message what{};
  std::vector<std::byte> first{};   ///< Entries, a command, or a configuration.
  std::vector<std::byte> second{};  ///< A snapshot's bytes.

  explicit kept_message(const message& m) : what(m) { take_over(); }
  kept_message(const kept_message& other) : what(other.what) { take_over(); }
  kept_message(kept_message&&) = default;  // a vector's memory moves along
  kept_message& operator=(const kept_message&) = delete;
  kept_message& operator=(kept_message&&) = default;
  ~kept_message() = default;

 private:
  void take_over() {
    const auto keep = [](std::vector<std::byte>& here, payload& view) {
      here.assign(view.begin(), view.end());
      view = here;
    };
    if (auto* a = std::get_if<append_entries>(&what.body)) {
      first.assign(a->entries.data(), a->entries.data() + a->entries.bytes());
      a->entries = entries::trusted(first.data(), a->entries.bytes(), a->entries.count(), a->entries.last_term());
    } else if (auto* s = std::get_if<install_snapshot>(&what.body)) {
      keep(first, s->configuration);
      keep(second, s->data);
    } else if (auto* f = std::get_if<forwarded_proposal>(&what.body)) {
      keep(first, f->command);
    }
  }
};

/// Keeps what was sent until the explorer takes it.
struct explored_transport {
  std::vector<kept_message> sent{};
  void send(const message& m) { sent.emplace_back(m); }
};

/// Stands still unless the explorer moves it.
struct explored_clock {
  using duration = std::int64_t;
  using time_point = std::int64_t;
  std::int64_t at = 0;
  [[nodiscard]] std::int64_t now() const noexcept { return at; }
};

/// A state machine whose state is a hash of all commands.
struct hashing_machine {
  std::uint64_t state = 1;
  void apply(const entry& e) {
    for (const std::byte b : e.data) state = (state ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3U;
    state *= 3;
  }
  result<void> write_snapshot(auto& sink) const {
    std::vector<std::byte> image(8);
    raft::detail::store_le(image.data(), state);
    return sink(payload{image});
  }
  result<void> restore(auto& source) {
    std::vector<std::byte> image;
    for (auto piece = source();; piece = source()) {
      if (!piece) return piece.error();
      if (piece->empty()) break;
      image.insert(image.end(), piece->begin(), piece->end());
    }
    if (image.size() != 8) return {errc::corrupt, "an image of a hash has eight bytes"};
    state = raft::detail::load_le<std::uint64_t>(image.data());
    return {};
  }
  template <class Writer>
  void canonical(Writer& w) const {
    w(state);
  }
};

/// How a read ended: its context, and what was applied when it was told.
struct read_answer {
  std::uint64_t context = 0;
  read_fate what{};
  index_t index{};
};

template <class Machine>
struct explored_machine {
  Machine inner{};
  std::vector<read_answer> answers{};
  std::vector<index_t> executed{};  ///< Of each command and of each snapshot that replaced the state, in order.

  void apply(const entry& e) {
    inner.apply(e);
    executed.push_back(e.index);
  }
  result<void> write_snapshot(auto& sink) { return inner.write_snapshot(sink); }
  result<void> restore(auto& source) { return inner.restore(source); }
  void on_restore(const snapshot_meta& s) { executed.push_back(s.index); }
  void on_read(std::uint64_t context, read_fate what, index_t index) { answers.push_back({context, what, index}); }
  template <class Writer>
  void canonical(Writer& w) const {
    inner.canonical(w);
  }
};

/// A Log in memory. One that is not durable on return keeps what a crash would leave apart: the writes that were
/// completed, and then any prefix of the others, which are complete in the order in which they were made.
template <bool DurableOnReturn>
class explored_log {
 public:
  static constexpr bool durable_on_return = DurableOnReturn;
  static constexpr std::size_t segment_bytes = 256;

  explicit explored_log(memory_log whole) : image_(std::move(whole)), disk_(image_) {}

  [[nodiscard]] raft::hard_state hard_state() const { return image_.hard_state(); }
  [[nodiscard]] index_t first_index() const { return image_.first_index(); }
  [[nodiscard]] index_t last_index() const { return image_.last_index(); }
  [[nodiscard]] term_t term_at(index_t i) const { return image_.term_at(i); }
  [[nodiscard]] result<entries> view(index_t from, index_t to, std::uint32_t max) const {
    return image_.view(from, to, max);
  }
  [[nodiscard]] std::span<const index_t> configurations() const { return image_.configurations(); }
  [[nodiscard]] const snapshot_meta& snapshot() const { return image_.snapshot(); }
  [[nodiscard]] result<payload> read_snapshot(std::uint64_t offset, std::uint32_t max) const {
    return image_.read_snapshot(offset, max);
  }
  [[nodiscard]] const partial_snapshot& partial() const { return image_.partial(); }

  result<mark_t> store(const raft::hard_state& h) { return written(write{.what = kind::store, .hard = h}); }
  result<mark_t> append(const entries& batch) {
    write w{.what = kind::append, .count = batch.count()};
    w.bytes.assign(batch.data(), batch.data() + batch.bytes());
    return written(std::move(w));
  }
  result<mark_t> append(term_t term, entry_kind what, std::span<const payload> payloads) {
    write w{.what = kind::append, .count = static_cast<std::uint32_t>(payloads.size())};
    for (const payload data : payloads) {
      const std::size_t at = w.bytes.size();
      w.bytes.resize(at + entry_bytes(data.size()));
      write_entry(w.bytes.data() + at, term, what, data);
    }
    return written(std::move(w));
  }
  result<mark_t> truncate_from(index_t i) { return written(write{.what = kind::truncate, .at = i}); }
  result<mark_t> compact(index_t i) { return written(write{.what = kind::compact, .at = i}); }
  result<void> begin_snapshot(const snapshot_meta& m) {
    partial_image_.clear();
    return image_.begin_snapshot(m);
  }
  result<void> write_snapshot(payload data) {
    partial_image_.insert(partial_image_.end(), data.begin(), data.end());
    return image_.write_snapshot(data);
  }
  result<mark_t> finish_snapshot() {
    write w{.what = kind::install, .meta = image_.partial().meta, .bytes = partial_image_};
    const auto mark = image_.finish_snapshot();
    if (!mark) return mark;
    return noted(std::move(w));
  }

  /// Everything that was written.
  [[nodiscard]] const memory_log& image() const noexcept { return image_; }
  /// What is durable.
  [[nodiscard]] const memory_log& disk() const noexcept { return DurableOnReturn ? image_ : disk_; }
  [[nodiscard]] std::size_t under_way() const noexcept { return pending_.size(); }
  /// The oldest write that is under way is complete: its mark. Precondition: there is one.
  mark_t complete() {
    play(pending_.front(), disk_);
    pending_.erase(pending_.begin());
    return mark_t{newest_.value - pending_.size()};
  }
  /// What a crash leaves if `kept` of the writes under way reached the disk.
  [[nodiscard]] memory_log after_crash(std::size_t kept) const {
    memory_log left = disk();
    for (std::size_t i = 0; i < kept && i < pending_.size(); ++i) play(pending_[i], left);
    return left;
  }

  template <class Writer>
  void canonical(Writer& w) const {
    image_.canonical(w);
    if constexpr (!DurableOnReturn) {
      disk_.canonical(w);
      w(pending_.size());
      for (const auto& [what, hard, at, count, meta, bytes] : pending_) {
        w(what, at, count);
        raft::canonical(w, hard);
        raft::canonical(w, meta);
        if (what == kind::append) {
          raft::canonical(w, *entries::parse(bytes.data(), bytes.size(), count));
        } else {
          w(payload{bytes});
        }
      }
    }
  }

 private:
  enum class kind : std::uint8_t { store, append, truncate, compact, install };
  struct write {
    kind what{};
    raft::hard_state hard{};
    index_t at{};
    std::uint32_t count = 0;
    snapshot_meta meta{};
    std::vector<std::byte> bytes{};
  };

  result<mark_t> written(write w) {
    play(w, image_);
    return noted(std::move(w));
  }
  mark_t noted(write w) {
    if constexpr (!DurableOnReturn) pending_.push_back(std::move(w));
    newest_.value += 1;
    return newest_;
  }
  static void play(const write& w, memory_log& to) {
    switch (w.what) {
      case kind::store:
        (void)to.store(w.hard);
        break;
      case kind::append:
        (void)to.append(*entries::parse(w.bytes.data(), w.bytes.size(), w.count));
        break;
      case kind::truncate:
        (void)to.truncate_from(w.at);
        break;
      case kind::compact:
        (void)to.compact(w.at);
        break;
      case kind::install:
        (void)to.begin_snapshot(w.meta);
        (void)to.write_snapshot(w.bytes);
        (void)to.finish_snapshot();
        break;
    }
  }

  memory_log image_;
  memory_log disk_;
  std::vector<write> pending_{};
  std::vector<std::byte> partial_image_{};
  mark_t newest_{};
};

template <class Machine, bool DurableOnReturn>
using explored_node =
    node<explored_transport, explored_log<DurableOnReturn>, explored_clock, explored_machine<Machine>>;

}  // namespace raft::testing

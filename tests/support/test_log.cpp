#include "support/test_log.hpp"

#include <algorithm>
#include <memory>

#include <doctest/doctest.h>

namespace story {

using namespace raft;

memory_log stored::build() const {
  log_contents contents;
  contents.hard = {term_t{term}, node_id{vote}, index_t{commit_hint}};
  contents.snapshot.index = snapshot.index;
  contents.snapshot.term = snapshot.term;
  contents.snapshot.configuration = members;
  contents.image = payload_of(image);
  contents.base_index = base.index;
  contents.base_term = base.term;
  std::vector<entry> entries;
  index_t at = base.index;
  for (const written& e : log) {
    at = at.next();
    entries.push_back({at, term_t{e.term}, e.kind, payload_of(e.text)});
  }
  contents.entries = entries;
  auto built = memory_log::restore(contents, 4096);
  REQUIRE_MESSAGE(built.has_value(), built.error().what);
  return *std::move(built);
}

configuration voters(std::uint64_t n) {
  std::vector<node_id> ids;
  for (std::uint64_t id = 1; id <= n; ++id) ids.push_back(node_id{id});
  return voters_of(ids);
}

std::string shape(const memory_log& log) {
  std::string text;
  for (index_t i = log.first_index(); i <= log.last_index(); i = i.next()) {
    text += "[" + std::to_string(i.value) + ":" + std::to_string(log.term_at(i).value) + "]";
  }
  return text;
}

std::vector<written> read(const memory_log& log) {
  std::vector<written> all;
  if (log.first_index() > log.last_index()) return all;
  log.for_each(log.first_index(), log.last_index(), [&](const entry& e) {
    all.push_back({e.term.value, text_of(e.data), e.kind});
  });
  return all;
}

result<entries> test_log::view(index_t from, index_t to, std::uint32_t max_bytes) const {
  if (unreadable.code != errc{}) return unreadable;
  if (views_left == 0U) return {errc::not_at_hand, "the entries have turned cold"};
  if (views_left) --*views_left;
  const auto at_hand = image_.configurations();
  if (cold && std::find(at_hand.begin(), at_hand.end(), from) == at_hand.end()) {
    asked.push_back(from);
    return {errc::not_at_hand, "the entries are cold"};
  }
  auto shown = image_.view(from, to, max_bytes);
  if (!generous || from + shown->count() > to) return shown;
  return image_.view(from, from + shown->count(), UINT32_MAX);
}

result<payload> test_log::read_snapshot(std::uint64_t offset, std::uint32_t max) const {
  if (cold) return {errc::not_at_hand, "the snapshot is cold"};
  return image_.read_snapshot(offset, max);
}

bool test_log::fails(const char* name) {
  writes.emplace_back(name);
  return failing == "all" || failing == name;
}

result<mark_t> test_log::write(const char* name, std::function<void(memory_log&)> effect) {
  if (fails(name)) return failure;
  effect(image_);
  newest_ = mark_t{newest_.value + 1};
  pending_.push_back({newest_, !deferred_, std::move(effect)});
  advance();
  return newest_;
}

result<mark_t> test_log::store(const raft::hard_state& h) {
  return write("store", [h](memory_log& log) { (void)log.store(h); });
}

result<mark_t> test_log::append(const entries& batch) {
  const auto wire = std::make_shared<bytes>(batch.data(), batch.data() + batch.bytes());
  return write("append", [wire, count = batch.count()](memory_log& log) {
    (void)log.append(*entries::parse(wire->data(), wire->size(), count));
  });
}

result<mark_t> test_log::append(term_t term, entry_kind kind, std::span<const payload> payloads) {
  std::vector<written> own;
  for (const payload& p : payloads) own.push_back({term.value, text_of(p), kind});
  const auto wire = std::make_shared<bytes>(wire_of(own));
  return write("append", [wire, count = static_cast<std::uint32_t>(own.size())](memory_log& log) {
    (void)log.append(*entries::parse(wire->data(), wire->size(), count));
  });
}

result<mark_t> test_log::truncate_from(index_t i) {
  return write("truncate", [i](memory_log& log) { (void)log.truncate_from(i); });
}

result<mark_t> test_log::compact(index_t i) {
  return write("compact", [i](memory_log& log) { (void)log.compact(i); });
}

result<void> test_log::begin_snapshot(const snapshot_meta& meta) {
  if (fails("begin")) return failure;
  pending_.push_back({newest_, true, [meta](memory_log& log) { (void)log.begin_snapshot(meta); }});
  pending_.back().effect(image_);
  advance();
  return {};
}

result<void> test_log::write_snapshot(payload data) {
  if (fails("write")) return failure;
  const auto own = std::make_shared<bytes>(data.begin(), data.end());
  pending_.push_back({newest_, true, [own](memory_log& log) { (void)log.write_snapshot(*own); }});
  pending_.back().effect(image_);
  advance();
  return {};
}

result<mark_t> test_log::finish_snapshot() {
  if (image_.partial().meta.index <= image_.snapshot().index) return image_.finish_snapshot();
  return write("finish", [](memory_log& log) { (void)log.finish_snapshot(); });
}

std::vector<mark_t> test_log::under_way() const {
  std::vector<mark_t> marks;
  for (const pending& p : pending_) {
    if (!p.complete) marks.push_back(p.mark);
  }
  return marks;
}

void test_log::complete(mark_t first, mark_t last) {
  for (pending& p : pending_) {
    if (first <= p.mark && p.mark <= last) p.complete = true;
  }
  advance();
}

void test_log::advance() {
  std::size_t done = 0;
  for (; done < pending_.size() && pending_[done].complete; ++done) pending_[done].effect(disk_);
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace story

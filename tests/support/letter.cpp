#include "support/letter.hpp"

#include <algorithm>
#include <type_traits>

namespace story {

using namespace raft;

bytes bytes_of(std::string_view text) {
  const payload view = payload_of(text);
  return {view.begin(), view.end()};
}

payload payload_of(std::string_view text) { return std::as_bytes(std::span{text.data(), text.size()}); }

std::string text_of(payload data) {
  std::string text(data.size(), '\0');
  for (std::size_t i = 0; i < data.size(); ++i) text[i] = static_cast<char>(data[i]);
  return text;
}

bytes bytes_of(const configuration& c) {
  bytes out;
  encode(c, out);
  return out;
}

written no_op(std::uint64_t term) { return {term, "", entry_kind::no_op}; }

written members(std::uint64_t term, const configuration& c) {
  return {term, text_of(bytes_of(c)), entry_kind::configuration};
}

bytes wire_of(const std::vector<written>& batch) {
  bytes out;
  for (const written& e : batch) {
    const std::size_t at = out.size();
    out.resize(at + entry_bytes(e.text.size()));
    write_entry(out.data() + at, term_t{e.term}, e.kind, payload_of(e.text));
  }
  return out;
}

std::vector<written> read(const entries& batch) {
  std::vector<written> all;
  batch.for_each(1_i, [&](const entry& e) { all.push_back({e.term.value, text_of(e.data), e.kind}); });
  return all;
}

letter keep(const message& m) {
  letter l;
  l.what = m;
  const auto own = [](payload view) { return std::make_shared<const bytes>(view.begin(), view.end()); };
  if (auto* request = std::get_if<append_entries>(&l.what.body)) {
    l.entries = own({request->entries.data(), request->entries.bytes()});
    request->entries = *entries::parse(l.entries->data(), l.entries->size(), request->entries.count());
  } else if (auto* part = std::get_if<install_snapshot>(&l.what.body)) {
    l.configuration = own(part->configuration);
    l.data = own(part->data);
    part->configuration = *l.configuration;
    part->data = *l.data;
  } else if (auto* forwarded = std::get_if<forwarded_proposal>(&l.what.body)) {
    l.data = own(forwarded->command);
    forwarded->command = *l.data;
  }
  return l;
}

letter append(node_id from, node_id to, term_t term, after prev, index_t leader_commit,
              const std::vector<written>& batch, std::uint64_t round) {
  const bytes wire = wire_of(batch);
  const entries view = *entries::parse(wire.data(), wire.size(), static_cast<std::uint32_t>(batch.size()));
  return say(from, to, term, append_entries{prev.index, prev.term, leader_commit, round, view});
}

append_entries_reply matched(index_t index, std::uint64_t round) { return {true, index, {}, {}, index, round}; }

append_entries_reply refused(index_t prev, after hint, index_t last, std::uint64_t round) {
  return {false, prev, hint.index, hint.term, last, round};
}

letter chunk(node_id from, node_id to, term_t term, after at, const configuration& members, std::string_view image,
             std::size_t offset, std::size_t size, std::uint64_t id) {
  const bytes membership = bytes_of(members);
  return say(from, to, term,
             install_snapshot{at.index, at.term, id, image.size(), offset, 0, membership,
                              payload_of(image.substr(offset, size))});
}

filter to(std::uint64_t id) {
  return [id](const letter& l) { return l.what.to == node_id{id}; };
}

filter from(std::uint64_t id) {
  return [id](const letter& l) { return l.what.from == node_id{id}; };
}

filter operator&&(filter a, filter b) {
  return [a = std::move(a), b = std::move(b)](const letter& l) { return a(l) && b(l); };
}

filter operator||(filter a, filter b) {
  return [a = std::move(a), b = std::move(b)](const letter& l) { return a(l) || b(l); };
}

filter operator!(filter a) {
  return [a = std::move(a)](const letter& l) { return !a(l); };
}

std::vector<letter> among(const std::vector<letter>& letters, const filter& which) {
  std::vector<letter> some;
  std::copy_if(letters.begin(), letters.end(), std::back_inserter(some), which);
  return some;
}

}  // namespace story

// Makes the first corpus of recovery_fuzz.cpp: small logs of each shape, in the form that it reads.
//
//   g++ -std=c++20 -Iinclude -Itests tests/fuzz/recovery_corpus.cpp -o build/recovery_corpus
//   build/recovery_corpus tests/fuzz/corpus/recovery

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <raft/file_log.hpp>
#include <support/faulty_disk.hpp>

namespace {

using namespace raft;
using log_type = file_log<test::disk_files>;

void require(bool holds) {
  if (!holds) std::abort();
}

payload bytes_of(std::string_view text) { return std::as_bytes(std::span{text.data(), text.size()}); }

file_log_options small_segments() {
  file_log_options o;
  o.segment_bytes = 4096;
  o.fill_bytes = 4096;
  return o;
}

/// The byte that stands for a file's name; 0xf1 for one that is left out.
unsigned byte_of(const std::string& name) {
  constexpr const char* prefixes[]{"log-", "snapshot-", "partial-", "spare-"};
  std::uint64_t number = 0;
  for (unsigned i = 0; i < 4; ++i) {
    if (detail::wal::parse_name(name, prefixes[i], number) && number < 16) return static_cast<unsigned>(4 * number + i);
  }
  return name == "synced" ? 0xf0 : 0xf1;
}

void save(const test::disk& d, const std::string& path) {
  std::vector<std::byte> out;
  for (const auto& [name, number] : d.names) {
    std::vector<std::byte> content = d.files.at(number).seen;
    while (!content.empty() && content.back() == std::byte{}) content.pop_back();
    content.resize((content.size() + 7) / 8 * 8);
    if (byte_of(name) == 0xf1 || content.size() > 0xffff) continue;
    for (const std::size_t b :
         {std::size_t{byte_of(name)}, std::size_t{1}, content.size() % 256, content.size() / 256}) {
      out.push_back(static_cast<std::byte>(b));
    }
    out.insert(out.end(), content.begin(), content.end());
  }
  std::FILE* f = std::fopen(path.c_str(), "wb");
  require(f != nullptr && std::fwrite(out.data(), 1, out.size(), f) == out.size());
  require(std::fclose(f) == 0);
}

template <class Fill>
void make(const std::string& path, Fill&& fill) {
  test::disk d;
  {
    auto log = log_type::open("dir", voters_of({node_id{1}, node_id{2}, node_id{3}}), small_segments(), nullptr,
                              test::disk_files{&d});
    require(log.has_value());
    fill(*log);
  }
  save(d, path);
}

void append(log_type& log, std::uint64_t term, std::string_view text) {
  const payload p = bytes_of(text);
  require(log.append(term_t{term}, entry_kind::command, std::span{&p, 1}).has_value());
}

void snapshot(log_type& log, std::uint64_t index, std::uint64_t term) {
  require(log.begin_snapshot({index_t{index}, term_t{term}, voters_of({node_id{1}, node_id{4}}), 0, 0}).has_value());
  require(log.write_snapshot(bytes_of("an image")).has_value());
  require(log.finish_snapshot().has_value());
}

void sync(log_type& log) { require(log.sync().has_value()); }

void entries_and_a_vote(log_type& log) {
  require(log.store({term_t{1}, node_id{1}, {}}).has_value());
  for (const char* text : {"one", "two", "three"}) {
    append(log, 1, text);
    sync(log);
  }
  require(log.truncate_from(index_t{3}).has_value());
  append(log, 2, "another");
  sync(log);
}

void taken_snapshot(log_type& log) {
  entries_and_a_vote(log);
  snapshot(log, 2, 1);
  require(log.compact(index_t{2}).has_value());
  sync(log);
  append(log, 2, "behind it");
  sync(log);
}

void installed_snapshot(log_type& log) {
  append(log, 1, "replaced");
  sync(log);
  snapshot(log, 9, 3);
  append(log, 3, "behind it");
  sync(log);
}

void two_segments(log_type& log) {
  const std::string text(900, 'x');
  for (int i = 0; i < 6; ++i) {
    append(log, 1, text);
    sync(log);
  }
  require(log.begin_snapshot({index_t{20}, term_t{2}, voters_of({node_id{1}}), 0, 0}).has_value());
}

}  // namespace

int main(int count, char** values) {
  require(count == 2);
  const std::string folder = values[1];
  make(folder + "/new", [](log_type&) {});
  make(folder + "/entries_and_a_vote", entries_and_a_vote);
  make(folder + "/taken_snapshot", taken_snapshot);
  make(folder + "/installed_snapshot", installed_snapshot);
  make(folder + "/two_segments", two_segments);
  return 0;
}

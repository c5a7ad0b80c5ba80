// Any bytes as the files of a log's directory (libFuzzer). The opening refuses them, with a file and a reason that fits
// and nothing changed; or there is a log that can be read from end to end, written to, and opened again to the same
// state. Time and memory are bounded by the size of the files.
//
// The input is a list of files: a byte for the name, a byte for what the fuzzer is helped with (checksums set right),
// two bytes for the length, the content. What has no room in the last one's length is cut.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include <raft/file_log.hpp>
#include <support/faulty_disk.hpp>

namespace {

using namespace raft;
using log_type = file_log<test::disk_files>;

void require(bool holds, std::source_location where = std::source_location::current()) {
  if (holds) return;
  std::fprintf(stderr, "line %u: broken\n", static_cast<unsigned>(where.line()));
  std::abort();
}

constexpr std::uint64_t identity = 0x0123456789ABCDEF;
constexpr std::uint32_t seed = detail::wal::seed_of(identity);

configuration members() { return voters_of({node_id{1}, node_id{2}, node_id{3}}); }

file_log_options small_segments() {
  file_log_options o;
  o.segment_bytes = 4096;
  o.fill_bytes = 4096;
  return o;
}

/// The name that a byte stands for.
std::string name_of(unsigned b) {
  constexpr const char* prefixes[]{"log-", "snapshot-", "partial-", "spare-"};
  if (b >= 0xf0) return b % 2 == 0 ? "synced" : "notes";
  return detail::wal::name_of(prefixes[b % 4], b / 4 % 16);
}

using bytes = std::vector<std::byte>;

/// Sets the checksum over [from + 4, end) that is stored at `from`, if there is such a range.
void seal(bytes& b, std::size_t from, std::size_t end, std::uint32_t start) {
  if (end < from + 4 || end > b.size()) return;
  detail::store_le(b.data() + from, detail::crc32c(b.data() + from + 4, end - from - 4, start));
}

/// Makes a segment's header ours and its checksum right, and those of the batches behind it as far as they go.
void seal_segment(bytes& b) {
  namespace wal = detail::wal;
  if (b.size() < wal::segment_header_bytes) return;
  detail::store_le(b.data(), wal::segment_magic);
  detail::store_le(b.data() + 12, wal::format_version);
  detail::store_le(b.data() + 16, identity);
  const std::size_t end = wal::segment_header_bytes + detail::load_le<std::uint32_t>(b.data() + 44);
  seal(b, 8, end, 0);
  std::size_t at = wal::round_up(end, wal::sector_bytes);
  while (at + wal::batch_header_bytes <= b.size()) {
    const std::size_t length = detail::load_le<std::uint32_t>(b.data() + at + 8);
    if (length > b.size() - at - wal::batch_header_bytes) return;
    const std::byte* const items = b.data() + at + wal::batch_header_bytes;
    detail::store_le(b.data() + at + 4, detail::crc32c(items, length, seed));
    seal(b, at, at + wal::batch_header_bytes, seed);
    at += wal::batch_header_bytes + length;
  }
}

/// The same for the header, the slot and the first block of a snapshot.
void seal_snapshot(bytes& b) {
  namespace wal = detail::wal;
  if (b.size() < wal::snapshot_header_bytes) return;
  detail::store_le(b.data(), wal::snapshot_magic);
  detail::store_le(b.data() + 12, wal::format_version);
  detail::store_le(b.data() + 16, identity);
  const std::uint64_t place = detail::load_le<std::uint64_t>(b.data() + 32);
  if (place > b.size() - wal::snapshot_header_bytes) return;
  const std::size_t end = wal::snapshot_header_bytes + static_cast<std::size_t>(place);
  seal(b, 8, end, 0);
  const std::uint64_t number = detail::load_le<std::uint64_t>(b.data() + 24);
  const std::uint32_t own = seed ^ wal::seed_of(number * 0x9E3779B97F4A7C15);
  const std::size_t slot = wal::round_up(end, wal::sector_bytes);
  const std::size_t block = slot + wal::sector_bytes;
  if (block + wal::trailer_bytes > b.size()) return;
  const std::size_t size = b.size() - block - wal::trailer_bytes;
  detail::store_le<std::uint64_t>(b.data() + slot + 8, size);
  detail::store_le(b.data() + slot + 4, detail::crc32c(b.data() + block, size));
  seal(b, slot, slot + wal::slot_bytes, own);
  detail::store_le(b.data() + block + size + 4, static_cast<std::uint32_t>(size));
  detail::store_le(b.data() + block + size, detail::crc32c(b.data() + block, size, own));
}

test::disk files_of(const std::uint8_t* data, std::size_t size) {
  test::disk d;
  d.identity = identity;
  while (size >= 4) {
    const std::string name = name_of(data[0]);
    const unsigned help = data[1];
    const std::size_t length = std::min<std::size_t>(data[2] + 256U * data[3], size - 4);
    bytes content(length);
    for (std::size_t i = 0; i < length; ++i) content[i] = std::byte{data[4 + i]};
    if (help % 2 == 1 && name.starts_with("log-")) seal_segment(content);
    if (help % 2 == 1 && (name.starts_with("snapshot-") || name.starts_with("partial-"))) seal_snapshot(content);
    d.names[name] = d.durable_names[name] = d.next_file;
    d.files[d.next_file++] = {content, content, {}};
    data += 4 + length;
    size -= 4 + length;
  }
  return d;
}

/// Reads everything there is to read; a number that stands for it.
std::uint64_t read_all(log_type& log) {
  std::uint64_t sum = log.hard_state().current_term.value * 31 + log.hard_state().voted_for.value;
  const auto add = [&sum](std::uint64_t n) { sum = sum * 0x9E3779B97F4A7C15 + n; };
  const snapshot_meta& meta = log.snapshot();
  require(log.first_index().previous() <= meta.index && meta.index <= log.last_index());
  require(log.term_at(meta.index) == meta.term);
  require(validate(meta.configuration).has_value());
  add(log.first_index().value);
  add(meta.index.value);
  term_t term = log.term_at(log.first_index().previous());
  for (index_t i = log.first_index(); i <= log.last_index(); i = i.next()) {
    const auto one = log.view(i, i, 1);
    require(one.has_value() && one->count() == 1);
    one->for_each(i, [&](const entry& e) {
      require(e.index == i && e.term >= term && e.term == log.term_at(i));
      term = e.term;
      add(detail::crc32c(e.data.data(), e.data.size()));
    });
    add(term.value);
  }
  for (const index_t i : log.configurations()) require(log.first_index() <= i && i <= log.last_index());
  for (std::uint64_t at = 0; at < meta.size;) {
    const auto piece = log.read_snapshot(at, 1000);
    require(piece.has_value() && !piece->empty());  // it was verified when the log was opened
    add(detail::crc32c(piece->data(), piece->size()));
    at += piece->size();
  }
  require(validate(log.partial().meta.configuration).has_value() || log.partial().meta.index == index_t{});
  return sum;
}

/// Writes of each kind that the log's state allows, and their sync.
void write_on(log_type& log) {
  const index_t last = log.last_index();
  const term_t term = log.term_at(last);
  if (last.value > UINT64_MAX - 8 || term.value > UINT64_MAX - 8) return;
  const payload data{};
  require(log.store({term.next(), node_id{1}, log.snapshot().index}).has_value());
  require(log.append(term, entry_kind::command, std::span{&data, 1}).has_value());
  require(log.append(term, entry_kind::command, std::span{&data, 1}).has_value());
  require(log.truncate_from(last.next().next()).has_value());
  if (log.partial().meta.index == index_t{}) {
    require(log.begin_snapshot({last.next(), term, members(), 0, 0}).has_value());
  }
  require(log.write_snapshot(data).has_value());
  const auto finished = log.finish_snapshot();
  require(finished || finished.error().code == errc::compacted);
  require(log.compact(log.snapshot().index).has_value());
  require(log.sync().has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::disk d = files_of(data, size);
  const std::uint64_t changes = d.changes;
  file_log_failure why;
  {
    auto log = log_type::open("dir", members(), small_segments(), &why, test::disk_files{&d});
    if (!log) {
      require(why.why.code == errc::corrupt || why.why.code == errc::unsupported_version);
      require(!why.file.empty() && why.why.what != nullptr && *why.why.what != '\0');
      require(d.changes == changes);
      return 0;
    }
    const std::uint64_t shown = read_all(*log);
    test::disk again = d;
    again.revive();
    auto second = log_type::open("dir", members(), small_segments(), &why, test::disk_files{&again});
    require(second.has_value() && read_all(*second) == shown);
    write_on(*log);
  }
  d.crash({});
  auto log = log_type::open("dir", members(), small_segments(), &why, test::disk_files{&d});
  require(log.has_value());
  static_cast<void>(read_all(*log));
  return 0;
}

// Any bytes into `decode` (libFuzzer). What it takes must be encoded to the very same bytes again; what it refuses must
// have a reason that fits.
//
// Byte 0 of the input chooses the checksums and whether the frame is sealed (its checks set right), which is how the
// fuzzer gets behind them; the rest is the frame, at an address that is not aligned.
//
// `decode_to` says the same of every frame, and hands over the same.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <raft/codec.hpp>

#include "fuzz/input.hpp"

namespace {

using namespace raft;
using fuzz::require;

constexpr cluster_id home{0x0123456789ABCDEF};
constexpr node_id self{2};
constexpr std::size_t limit = 1 << 16;

/// Makes a header ours and its checks right, as far as there are bytes.
void seal(std::vector<std::byte>& frame, bool cover_all) {
  if (frame.size() < frame_header_bytes) return;
  constexpr auto heads = []<std::size_t... Kind>(std::index_sequence<Kind...>) {
    return std::array{detail::head_bytes<detail::body_kind<Kind>>...};
  }
  (std::make_index_sequence<detail::body_kinds>{});
  const auto kind = std::to_integer<std::size_t>(frame[9]);
  if (kind >= heads.size()) return;
  const std::size_t head = heads[kind];
  if (frame.size() < head) return;
  frame[8] = std::byte{frame_version};
  detail::store_le<std::uint64_t>(frame.data() + 16, home.value);
  detail::store_le<std::uint64_t>(frame.data() + 32, self.value);
  const auto length = detail::load_le<std::uint32_t>(frame.data());
  if (cover_all && length >= head && length <= frame.size()) {
    detail::store_le(frame.data() + 12, detail::crc32c(frame.data() + head, length - head));
  }
  detail::store_le(frame.data() + 4, detail::crc32c(frame.data() + 8, head - 8));
}

template <checksums Covered>
void check(std::span<const std::byte> in) {
  auto back = decode<Covered>(in, home, self, limit);
  const auto called = decode_to<Covered>(
      in, home, self,
      [&]<class Body>(const envelope& m, const Body& body) {
        require(back && envelope_of(back->message) == m && std::get<Body>(back->message.body) == body);
      },
      limit);
  require(back ? called.has_value() && *called == back->bytes : !called.has_value() && called.error() == back.error());
  if (!back) {
    const auto& why = back.error();
    require(why.code != errc::incomplete || (why.detail > 0 && why.detail <= limit));
    require(why.code == errc::incomplete || why.code == errc::malformed || why.code == errc::checksum ||
            why.code == errc::unsupported_version || why.code == errc::foreign_cluster ||
            why.code == errc::misaddressed);
    return;
  }
  require(back->bytes <= in.size() && back->bytes <= limit && back->bytes == frame_bytes(back->message));
  require(back->message.to == self && back->message.from != self && back->message.from != nobody);
  std::vector<std::byte> again;
  auto appended = append_frame<Covered>(back->message, home, again);
  require(appended && *appended == back->bytes && again.size() == back->bytes);
  for (std::size_t i = 0; i < again.size(); ++i) require(again[i] == in[i]);
  if (const auto* append = std::get_if<append_entries>(&back->message.body)) {
    std::size_t payload_bytes = 0;
    append->entries.for_each(index_t{1}, [&](const entry& e) {
      for (const std::byte b : e.data) payload_bytes += 1 + std::to_integer<std::size_t>(b) / 256;
    });
    require(payload_bytes <= back->bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::vector<std::byte> frame(size - 1, std::byte{});
  for (std::size_t i = 1; i < size; ++i) frame[i - 1] = std::byte{data[i]};
  const bool cover_all = (data[0] & 1) == 0;
  if ((data[0] & 2) != 0) seal(frame, cover_all);
  // A copy of its own, so that AddressSanitizer sees one byte too far, and begins off by one where it can.
  std::vector<std::byte> shifted(frame.size() + 1, std::byte{});
  for (std::size_t i = 0; i < frame.size(); ++i) shifted[i + 1] = frame[i];
  const std::span<const std::byte> in = std::span{shifted}.subspan(1);
  if (cover_all) {
    check<checksums::all>(in);
  } else {
    check<checksums::header>(in);
  }
  return 0;
}

// What a peer can claim in a frame is more than std::size_t can say where that has 32 bits: it must be refused all the
// same. Compiling is the test; any read outside of the frame would not compile.

#include <cstddef>
#include <cstdint>
#include <vector>

#include <raft/codec.hpp>

namespace {

using namespace raft;

static_assert(sizeof(std::size_t) == 4);

/// A frame of a chunk that says so many bytes of configuration and of data follow; 8 do.
constexpr errc outcome_of(std::uint64_t configuration_bytes, std::uint64_t data_bytes) {
  const message m{node_id{1}, node_id{2}, term_t{3}, install_snapshot{index_t{4}, term_t{2}, 5, 8, 0, 0, {}, {}}};
  std::vector<std::byte> frame;
  const std::size_t head = *append_frame<checksums::header>(m, cluster_id{7}, frame);
  frame.resize(head + 8, std::byte{});
  detail::store_le<std::uint64_t>(frame.data() + head - 8, configuration_bytes | data_bytes << 32U);
  detail::store_le<std::uint32_t>(frame.data(), static_cast<std::uint32_t>(frame.size()));
  detail::store_le<std::uint32_t>(frame.data() + 4, detail::crc32c(frame.data() + 8, head - 8));
  const auto read = decode<checksums::header>(frame, cluster_id{7}, node_id{2});
  return read ? errc{} : read.error().code;
}

static_assert(outcome_of(3, 5) == errc{});
static_assert(outcome_of(0, 0) == errc::malformed);
static_assert(outcome_of(9, 0) == errc::malformed);
static_assert(outcome_of(0xFFFFFFF8, 16) == errc::malformed);  // 8, if it is added up in 32 bits
static_assert(outcome_of(16, 0xFFFFFFF8) == errc::malformed);
static_assert(outcome_of(0xFFFFFFFF, 0xFFFFFFFF) == errc::malformed);

}  // namespace

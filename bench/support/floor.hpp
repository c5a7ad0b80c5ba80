#pragma once

// The floor: the least that a cluster has to do with a payload, which is to have it once in the memory of each node.
// One memcpy a node into a ring of 8 MB, which is in the cache as far as that has room. Every figure of a whole cluster
// is given as a multiple of this, measured in the same run, because the machine's own speed drifts more than the
// engine's.

#include <cstddef>
#include <cstring>
#include <vector>

#include "payloads.hpp"

namespace bench {

class memcpy_floor {
 public:
  static constexpr std::size_t ring_bytes = std::size_t{8} << 20;

  /// Goes once round the rings with `work`: a first lap waits for memory, and who uses his memory again does not.
  memcpy_floor(std::size_t nodes, const payloads& work)
      : rings_(nodes, std::vector<std::byte>(ring_bytes, std::byte{1})) {
    run(work, ring_bytes / (work.count() * work.size()) + 1);
  }

  /// Copies every payload of `windows` windows into each ring. Precondition: a payload is not larger than a ring.
  void run(const payloads& work, std::size_t windows) noexcept {
    const std::size_t nodes = rings_.size();
    std::byte* to[16];  // Locals: bytes that are stored may alias any member.
    for (std::size_t k = 0; k < nodes; ++k) to[k] = rings_[k].data();
    std::size_t at = at_;
    for (std::size_t w = 0; w < windows; ++w) {
      for (const auto data : work.window()) {
        if (ring_bytes - at < data.size()) at = 0;
        for (std::size_t k = 0; k < nodes; ++k) std::memcpy(to[k] + at, data.data(), data.size());
        at += data.size();
      }
      asm volatile("" : : : "memory");
    }
    at_ = at;
  }

 private:
  std::vector<std::vector<std::byte>> rings_;
  std::size_t at_ = 0;
};

}  // namespace bench

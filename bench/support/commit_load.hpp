#pragma once

// The commit work: propose a window, run rounds until the leader has applied it, again. What `commit_bench` and
// `commit_probe` measure, and what `peers/` has other engines do.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cluster.hpp"
#include "payloads.hpp"

namespace bench {

enum class proposing { as_span, singly };

struct commit_shape {
  std::size_t nodes = 3;
  std::size_t window = 64;
  std::size_t payload = 16;
  proposing how = proposing::as_span;
  bool commit_at_once = false;
};

template <raft::checksums Covered = raft::checksums::all>
class commit_load {
 public:
  /// A cluster in its steady state: every log was filled and trimmed twice.
  explicit commit_load(const commit_shape& shape)
      : shape_(shape), work_(shape.window, shape.payload), cluster_(shape.nodes, options_for(shape)) {
    run(2 * cluster<Covered>::trim_at / shape.window + 1);
  }

  void run(std::size_t windows) {
    for (std::size_t w = 0; w < windows; ++w) {
      if (shape_.how == proposing::as_span) {
        cluster_.commit_span(work_.window());
      } else {
        cluster_.commit_singly(work_.window());
      }
    }
    windows_ += windows;
  }

  /// Ends the program unless every node applied everything that was committed.
  void verify() {
    cluster_.finish();
    cluster_.verify(windows_ * work_.count(), windows_ * work_.sum());
  }

  [[nodiscard]] const payloads& work() const noexcept { return work_; }
  [[nodiscard]] std::uint64_t messages() const noexcept { return cluster_.sent(); }

 private:
  static typename cluster<Covered>::options options_for(const commit_shape& shape) {
    auto o = cluster<Covered>::defaults();
    o.commit_at_once = shape.commit_at_once;
    return o;
  }

  commit_shape shape_;
  payloads work_;
  cluster<Covered> cluster_;
  std::uint64_t windows_ = 0;
};

}  // namespace bench

#pragma once

// The same state machine, whose snapshots hold the next number, too.

#include <cstddef>
#include <cstdint>

#include "tickets.hpp"

class repaired_tickets : public tickets {
 public:
  template <class Sink>
  raft::result<void> write_snapshot(Sink& sink) {
    const std::byte next{next_};
    if (auto written = sink(raft::payload{&next, 1}); !written) return written;
    return tickets::write_snapshot(sink);
  }

  template <class Source>
  raft::result<void> restore(Source& source) {
    const raft::result<raft::payload> first = source();
    if (!first) return first.error();
    if (first->empty()) return {raft::errc::corrupt, "a snapshot without the next number"};
    auto rest = [&source, piece = first->subspan(1)]() mutable -> raft::result<raft::payload> {
      return piece.empty() ? source() : raft::result<raft::payload>{std::exchange(piece, {})};
    };
    const auto next = std::to_integer<std::uint8_t>(first->front());
    if (auto restored = tickets::restore(rest); !restored) return restored;
    next_ = next;
    return {};
  }
};

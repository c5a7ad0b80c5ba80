#pragma once

// A state machine with a bug: numbered tickets. A client takes the next one, or gives the newest one back. No number is
// ever to be given out twice.

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include <raft/raft.hpp>

class tickets {
 public:
  static constexpr std::byte take{1}, give_back{2};

  void apply(const raft::entry& command) {
    if (command.data.front() == take) taken_.insert(next_++);
    if (command.data.front() == give_back && !taken_.empty()) taken_.erase(*taken_.rbegin());
  }

  template <class Sink>
  raft::result<void> write_snapshot(Sink& sink) {
    std::vector<std::byte> bytes;
    for (const std::uint8_t number : taken_) bytes.push_back(std::byte{number});
    return sink(raft::payload{bytes});
  }

  template <class Source>
  raft::result<void> restore(Source& source) {
    taken_.clear();
    for (;;) {
      const raft::result<raft::payload> piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) break;
      for (const std::byte number : *piece) taken_.insert(std::to_integer<std::uint8_t>(number));
    }
    next_ = taken_.empty() ? 1 : static_cast<std::uint8_t>(*taken_.rbegin() + 1);  // The bug: some were given back.
    return {};
  }

 protected:
  std::set<std::uint8_t> taken_{};
  std::uint8_t next_ = 1;
};

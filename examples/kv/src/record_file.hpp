#pragma once

// The file that a run of the engine is recorded to (recorded_run.hpp, raft/record.hpp).
//
// Each piece is written at once, so what the engine was told is in the file before it acts, and a server that is killed
// leaves all of it: what the operating system has taken is not lost with the process. It is not synced.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <raft/types.hpp>

#include "recorded_run.hpp"

namespace kv {

class record_file {
 public:
  /// A new file: options.record, or that with ".1", ".2", ... behind it, the first that is not there. Null: `why` says
  /// why there is none.
  static std::unique_ptr<record_file> create(const server_options& options, std::uint64_t seed, std::string& why);
  record_file(const record_file&) = delete;
  record_file& operator=(const record_file&) = delete;
  ~record_file();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// After an error nothing more is written, and the server goes on: the recording ends there.
  void write(raft::payload bytes);

 private:
  record_file(std::string name, int file) : name_(std::move(name)), file_(file) {}

  std::string name_;
  int file_;
};

/// The recorder's Sink.
struct record_sink {
  record_file* to;
  void operator()(raft::payload bytes) const { to->write(bytes); }
};

}  // namespace kv

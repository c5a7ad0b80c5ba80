// examples/kv: a data directory belongs to one server, whatever its first start ends at.

#include "../../examples/kv/src/directory_owner.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include <raft/testing/faulty_files.hpp>

namespace kv_directory_owner_test {

using raft::testing::keep;
using raft::testing::memory_disk;
using raft::testing::memory_files;

namespace {

/// What a server is refused for; empty: it has the directory.
std::string refusal(memory_disk& d, std::uint64_t id) {
  std::string why;
  return kv::claim_directory(memory_files{&d}, "dir", id, why) ? "" : why;
}

bool could_have(memory_disk d, std::uint64_t id) { return refusal(d, id).empty(); }

/// How many calls a server's start makes of it.
std::uint64_t calls_of(memory_disk d, std::uint64_t id) {
  d.calls = 0;
  CHECK(refusal(d, id) == "");
  return d.calls;
}

}  // namespace

TEST_CASE("claim_directory: the first has it for ever, and others are told whose it is") {
  memory_disk d;
  CHECK(refusal(d, 16) == "");
  CHECK(refusal(d, 16) == "");
  for (const std::uint64_t other : {std::uint64_t{1}, std::uint64_t{6}, std::uint64_t{160}, UINT64_MAX}) {
    CHECK(refusal(d, other) == "dir/owner-16: this directory belongs to server 16");
  }
  d.crash({});
  CHECK(refusal(d, 1) == "dir/owner-16: this directory belongs to server 16");
  CHECK(refusal(d, 16) == "");
}

TEST_CASE("claim_directory: a call that fails is told, and the next start has the directory") {
  for (const bool before : {false, true}) {
    memory_disk known;
    if (before) REQUIRE(refusal(known, 16) == "");
    const std::uint64_t calls = calls_of(known, 16);
    for (std::uint64_t call = 1; call <= calls; ++call) {
      CAPTURE(call);
      memory_disk d = known;
      d.calls = 0;
      d.fail_at = call;
      CHECK(refusal(d, 16) == "dir/owner-16: a fault, errno 5");
      CHECK(d.handles.empty());
      CHECK(refusal(d, 16) == "");
    }
  }
}

TEST_CASE("claim_directory: killed or without power at any call, its owner comes back, and nobody else has it") {
  for (const bool before : {false, true}) {
    memory_disk known;
    if (before) REQUIRE(refusal(known, 16) == "");
    const std::uint64_t calls = calls_of(known, 16);
    for (std::uint64_t call = 1; call <= calls + 1; ++call) {
      for (std::uint64_t seed = 0; seed < 8; ++seed) {
        CAPTURE(call);
        CAPTURE(seed);
        memory_disk d = known;
        d.calls = 0;
        d.dead_from = call;
        const bool had = refusal(d, 16).empty();
        if (seed == 0) d.revive();  // the process alone ends
        if (seed != 0) d.crash({keep::how::any, seed});
        CHECK(could_have(d, 1) == (d.names.count("owner-16") == 0));
        CHECK((!had || d.names.count("owner-16") == 1));
        CHECK(refusal(d, 16) == "");
        d.crash({});
        CHECK(refusal(d, 1) == "dir/owner-16: this directory belongs to server 16");
      }
    }
  }
}

}  // namespace kv_directory_owner_test

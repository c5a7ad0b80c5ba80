// Records a busy cluster for so many inputs, replays every server, and prints whether state and outputs are the same
// and how long each took. Usage: raft_record [--inputs N] [--seed S]; exits 1 if a replay differs.

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/recorded_cluster.hpp"

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool replay_one(const raft::testing::recorded_server& s, std::uint64_t& inputs) {
  raft::tape t;
  const auto end = s.replay(t);
  if (!end) {
    std::printf("server %" PRIu64 ": %s (input %" PRIu64 ")\n", s.id.value, end.error().what, end.error().detail);
    return false;
  }
  inputs += end->inputs;
  const auto& node = s.node->engine();
  const bool same = end->sum == s.tape.sum() && end->checked == s.node->inputs_recorded() && end->incomplete == 0 &&
                    end->end->machine().inner.state == node.machine().inner.state &&
                    end->end->commit_index() == node.commit_index() && end->end->term() == node.term();
  std::printf("server %" PRIu64 ": %" PRIu64 " inputs, %zu bytes, term %" PRIu64 ", commit %" PRIu64 ": %s\n",
              s.id.value, end->inputs, s.bytes.size(), node.term().value, node.commit_index().value,
              same ? "identical" : "DIFFERS");
  return same;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t inputs = 40000;
  std::uint64_t seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--inputs") inputs = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
  }
  auto start = std::chrono::steady_clock::now();
  raft::testing::recorded_cluster c{seed, 1000};
  c.run(inputs);
  std::printf("recorded %" PRIu64 " inputs in %.2f s\n", inputs, seconds_since(start));
  start = std::chrono::steady_clock::now();
  bool same = true;
  std::uint64_t replayed = 0;
  for (const auto& s : c.servers) same = replay_one(s, replayed) && same;
  std::printf("replayed %" PRIu64 " inputs in %.2f s: %s\n", replayed, seconds_since(start),
              same ? "identical outputs" : "DIFFERENT OUTPUTS");
  return same && replayed >= inputs ? 0 : 1;
}

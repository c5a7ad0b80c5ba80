#include "replay.hpp"

#include <cstdio>
#include <fstream>
#include <iterator>

#include <raft/record.hpp>

#include "record_file.hpp"
#include "service.hpp"
#include "state.hpp"

namespace kv {

namespace {

/// The state alone: nobody waits for answers.
struct replayed_machine {
  kv::state state{};
  std::string reply{};
  void apply(const raft::entry& e) {
    reply.clear();
    state.apply(as_text(e.data), reply);
  }
  template <class Sink>
  raft::result<void> write_snapshot(Sink& sink) {
    return state.write_snapshot(sink);
  }
  template <class Source>
  raft::result<void> restore(Source& source) {
    return state.restore(source);
  }
};

}  // namespace

raft::result<replay_report> replay_recording(std::string_view file) {
  const auto run = take_first_line(file);
  if (!run) return {raft::errc::malformed, "it does not begin as a recording of raft-kv"};
  const raft::payload recording = as_payload(file);
  auto log = raft::initial_log(recording);
  if (!log) return log.error();
  raft::tape tape;
  const auto end = raft::replay<loop_clock>(tape, recording, engine_options(run->options), run->seed,
                                            raft::deferred_memory_log{*std::move(log)}, replayed_machine{});
  if (!end) return end.error();
  return replay_report{.id = end->end->id().value,
                       .inputs = end->inputs,
                       .compared = end->checked,
                       .cut_off = end->incomplete,
                       .term = end->end->term().value,
                       .commit_index = end->end->commit_index().value,
                       .keys = end->end->machine().inner.state.keys()};
}

int replay(const std::string& name) {
  std::ifstream in{name, std::ios::binary};
  if (!in) {
    std::printf("%s: cannot be read\n", name.c_str());
    return 3;
  }
  const std::string file{std::istreambuf_iterator<char>(in), {}};
  const auto report = replay_recording(file);
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  if (!report) {
    const bool differs = report.error().code == raft::errc::inconsistent_state;
    std::printf("%s: %s (after input %llu)\n", name.c_str(), report.error().what, number(report.error().detail));
    return differs ? 1 : 3;
  }
  std::printf("%s: %llu inputs of server %llu replayed; identical outputs up to input %llu\n", name.c_str(),
              number(report->inputs), number(report->id), number(report->compared));
  std::printf("at the end: term %llu, commit index %llu, %llu keys\n", number(report->term),
              number(report->commit_index), number(report->keys));
  if (report->cut_off != 0) {
    std::printf("the last %llu bytes are no whole input: the server ended while it wrote them\n",
                number(report->cut_off));
  }
  if (report->compared != report->inputs) {
    std::printf("what came of the last %llu inputs was not written down any more\n",
                number(report->inputs - report->compared));
  }
  return 0;
}

}  // namespace kv

// Three servers in one program elect a leader, agree on a text, lose the leader, go on without it, and take it back.
#include <cstdio>
#include <deque>
#include <string>
#include <vector>

#include <raft/codec.hpp>
#include <raft/memory_log.hpp>
#include <raft/raft.hpp>

// The four policies: a network that is a queue, a log in memory, a clock that the program moves, and a text that grows.
struct queue_transport {
  std::deque<std::vector<std::byte>>* to;
  void send(const raft::message& m) const {
    (void)raft::append_frame(m, raft::cluster_id{}, to[m.to.value].emplace_back());
  }
};
struct manual_clock {
  using duration = int;  // milliseconds
  using time_point = int;
  const int* time;
  int now() const { return *time; }
};
struct text_machine {
  std::string text;
  void add(raft::payload p) { text.append(reinterpret_cast<const char*>(p.data()), p.size()); }
  void apply(const raft::entry& e) { add(e.data); }
  raft::result<void> write_snapshot(auto& sink) const { return sink(std::as_bytes(std::span{text})); }
  raft::result<void> restore(auto& source) {
    for (text.clear();;) {
      const raft::result<raft::payload> piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) return {};
      add(*piece);
    }
  }
};
using server = raft::node<queue_transport, raft::memory_log, manual_clock, text_machine>;

int main() {
  int time = 0;
  std::deque<std::vector<std::byte>> inbox[4];  // by id
  std::vector<server> servers;
  const auto members = raft::voters_of({raft::node_id{1}, raft::node_id{2}, raft::node_id{3}});
  for (const raft::node_id id : members.voters) {
    auto made = server::create(id, {}, id.value, {inbox}, raft::memory_log{members}, {&time}, {});
    if (!made) return 1;
    servers.push_back(*std::move(made));
  }
  raft::node_id cut_off{};
  const auto run = [&](int milliseconds) {
    for (const int end = time + milliseconds; time < end; ++time) {
      for (server& s : servers) {
        s.tick();
        for (auto& frames = inbox[s.id().value]; !frames.empty(); frames.pop_front()) {
          const auto frame = raft::decode(frames.front(), raft::cluster_id{}, s.id());
          const bool lost = !frame || s.id() == cut_off || frame->message.from == cut_off;
          if (!lost) (void)s.step(frame->message);
        }
      }
    }
  };
  const auto propose = [&](const std::string& text) {
    run(1000);
    auto leader = raft::nobody;
    for (server& s : servers) {  // only the leader takes it; one that is cut off does not lead for long
      if (s.propose(std::as_bytes(std::span{text}))) leader = s.id();
    }
    run(100);
    std::printf("at %d ms server %d leads:", time, static_cast<int>(leader.value));
    for (const server& s : servers) std::printf("  %d holds \"%s\"", int(s.id().value), s.machine().text.c_str());
    return std::puts(""), leader;
  };
  cut_off = propose("one ");
  propose("two ");
  cut_off = raft::nobody;
  propose("three ");
  const std::string& text = servers[0].machine().text;
  return text == "one two three " && text == servers[1].machine().text && text == servers[2].machine().text ? 0 : 1;
}

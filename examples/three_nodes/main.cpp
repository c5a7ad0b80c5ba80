// Three servers in one program elect a leader, agree on a text, lose the leader, go on, and take it back.

#include <cstdio>
#include <deque>
#include <string>
#include <vector>

#include <raft/codec.hpp>
#include <raft/memory_log.hpp>
#include <raft/raft.hpp>

// The four policies. A network is a queue of frames; a clock is a number that the program moves.
struct frame {
  raft::node_id from, to;
  std::vector<std::byte> bytes;
};
struct queue_transport {
  std::deque<frame>* queue;
  void send(const raft::message& m) {
    frame f{m.from, m.to, {}};
    if (raft::append_frame(m, raft::cluster_id{7}, f.bytes)) queue->push_back(std::move(f));
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
  void apply(const raft::entry& e) { text.append(reinterpret_cast<const char*>(e.data.data()), e.data.size()); }
  raft::result<void> write_snapshot(auto& sink) const { return sink(std::as_bytes(std::span{text})); }
  raft::result<void> restore(auto& source) {
    for (text.clear();;) {
      auto piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) return {};
      text.append(reinterpret_cast<const char*>(piece->data()), piece->size());
    }
  }
};
using server = raft::node<queue_transport, raft::memory_log, manual_clock, text_machine>;

int main() {
  std::deque<frame> queue;
  std::vector<server> servers;
  raft::node_id down = raft::nobody;
  int time = 0;
  const auto members = raft::voters_of({raft::node_id{1}, raft::node_id{2}, raft::node_id{3}});
  for (const raft::node_id id : members.voters) {
    auto made = server::create(id, {}, id.value, {&queue}, raft::memory_log{members}, {&time}, {});
    if (!made) return std::puts(made.error().what), 1;
    servers.push_back(*std::move(made));
  }
  const auto run = [&](int milliseconds) {
    for (const int end = time + milliseconds; time < end; ++time) {
      for (server& s : servers) s.tick();
      for (; !queue.empty(); queue.pop_front()) {
        const frame& f = queue.front();
        if (f.from == down || f.to == down) continue;
        if (auto m = raft::decode(f.bytes, raft::cluster_id{7}, f.to)) (void)servers[f.to.value - 1].step(m->message);
      }
    }
    for (const server& s : servers)
      std::printf("  server %d holds \"%s\"\n", int(s.id().value), s.machine().text.c_str());
  };
  const auto propose = [&](const std::string& text) {
    for (server& s : servers) {
      if (s.id() == down || !s.propose(std::as_bytes(std::span{text}))) continue;  // only the leader takes it
      std::printf("%4d ms: server %d leads in term %d, takes \"%s\"\n", time, int(s.id().value), int(s.term().value),
                  text.c_str());
      return s.id();
    }
    return raft::nobody;
  };
  run(1000);
  down = propose("one ");
  run(100);
  std::printf("%4d ms: it is cut off\n", time);
  run(1000);
  propose("two ");
  run(100);
  down = raft::nobody;
  std::printf("%4d ms: it is back\n", time);
  run(1000);
  return servers[0].machine().text == "one two " && servers[0].machine().text == servers[2].machine().text ? 0 : 1;
}

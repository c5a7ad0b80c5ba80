// End-to-end tests: real raft-kv processes on loopback, real clients, real signals.
//
//   e2e RAFT-KV DIRECTORY                     runs every scenario; DIRECTORY is for data and logs
//   e2e RAFT-KV DIRECTORY NAME...             those
//   e2e RAFT-KV DIRECTORY failover ROUNDS     kills the leader so often, and says how long there was none
//
// Ends with the line `N passed, M failed`; the exit code is 0 only if nothing failed.

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>

#include "support/kv/load.hpp"

namespace {

using namespace e2e;
using linearizability::verdict;

std::string program;
std::string directory;

std::string place(const std::string& name) { return directory + "/" + name; }

/// The output of a shell command, without the last line end.
std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(("{ " + command + "; } 2>&1 </dev/null").c_str(), "r");
  require(pipe != nullptr, "popen");
  std::string all;
  char some[4096];
  for (std::size_t n = 0; (n = std::fread(some, 1, sizeof some, pipe)) > 0;) all.append(some, n);
  ::pclose(pipe);
  while (!all.empty() && all.back() == '\n') all.pop_back();
  return all;
}

void expect(const std::string& what, const std::string& wanted, const std::string& got) {
  require(wanted == got, what + ": expected '" + wanted + "', got '" + got + "'");
}

connection connected(const address& to) {
  connection c;
  require(c.open(to, steady::now() + milliseconds(2000)), "cannot connect to " + to_string(to));
  return c;
}

/// The reply to one command; none within the limit fails the scenario.
reply ask(connection& c, const std::vector<std::string>& words, milliseconds limit = milliseconds(5000)) {
  auto got = c.call(words, limit);
  require(got.has_value(), "no answer to " + words[0]);
  return *std::move(got);
}
reply ask(cluster_client& c, const std::vector<std::string>& words, milliseconds limit = milliseconds(10000)) {
  auto got = c.until_done(words, limit);
  require(got.has_value(), words[0] + " is not done");
  return *std::move(got);
}

/// What one exchange of raw bytes brings back, until it is `wanted` or nothing more comes.
void exchange(const address& to, const std::string& bytes, const std::string& wanted) {
  connection c = connected(to);
  require(c.send(bytes, steady::now() + milliseconds(2000)), "send");
  std::string got;
  while (got.size() < wanted.size()) {
    const auto r = c.receive(steady::now() + milliseconds(2000));
    if (!r) break;
    got += r->type == 'n' ? "nil;" : r->type + r->text + ";";
  }
  expect("replies to " + bytes.substr(0, 60), wanted, got);
}

// ---------------------------------------------------------------------------------------------------- clients

/// For what is not about elections: a busy machine must not bring any.
const cluster::words calm = {"--election-ms", "1000-2000"};

void redis_cli_through_a_follower() {
  cluster c{program, place("redis_cli"), 3, calm};
  c.start_all();
  const int leader = c.leader();
  const int follower = (leader + 1) % 3;
  const auto cli = [&c](int i, const std::string& words) {
    return output_of("redis-cli -c -p " + std::to_string(c.client(i).port) + " " + words);
  };
  expect("SET", "OK", cli(follower, "set k v"));
  expect("GET", "v", cli(follower, "get k"));
  expect("SET NX", "", cli(follower, "set k w nx"));
  expect("SET GET", "v", cli(follower, "set k w xx get"));
  expect("INCRBY", "41", cli(follower, "incrby n 41"));
  expect("INCR", "42", cli(follower, "incr n"));
  expect("INCR of a text", "ERR value is not an integer or out of range", cli(follower, "incr k"));
  expect("APPEND", "3", cli(follower, "append k xy"));
  expect("STRLEN", "3", cli(follower, "strlen k"));
  expect("CAS", "1", cli(follower, "cas k wxy z"));
  expect("CAS", "0", cli(follower, "cas k wxy z"));
  expect("CAS", "", cli(follower, "cas none a b"));
  expect("MSET", "OK", cli(follower, "mset a 1 b 2"));
  expect("MGET", "1\n\n2", cli(follower, "mget a none b"));
  expect("EXISTS", "2", cli(follower, "exists a b none"));
  expect("DEL", "1", cli(follower, "del a none"));
  expect("wrong words", "ERR wrong number of arguments for 'get' command", cli(follower, "get"));
  expect("unknown", "ERR unknown command 'nope', with args beginning with: 'x' ", cli(follower, "nope x"));
  expect("ECHO", "hi", cli(follower, "echo hi"));
  expect("SELECT", "OK", cli(follower, "select 0"));
  expect("CONFIG", "save\n", cli(follower, "config get save") + "\n");
  require(cli(follower, "info").find("raft_role:follower") != std::string::npos, "INFO names the role");
  require(cli(follower, "hello 3").find("NOPROTO") != std::string::npos, "HELLO 3 is refused");
  require(cli(follower, "command").find("raft.status") != std::string::npos, "COMMAND lists");
  expect("FLUSHALL", "OK", cli(follower, "flushall"));
  expect("DBSIZE", "0", cli(follower, "dbsize"));
  expect("SNAPSHOT", status_field(c.client(leader), "applied_index"), cli(leader, "raft.snapshot"));
  const std::string moved = "MOVED 0 " + to_string(c.client(leader));
  connection writer = connected(c.client(leader));
  expect("without -c", moved, output_of("redis-cli -p " + std::to_string(c.client(follower).port) + " get k"));
  // A follower answers reads that ask for it: with everything that was answered before, or a little less.
  connection near = connected(c.client(follower));
  expect("READONLY", "OK", ask(near, {"READONLY"}).text);
  for (int n = 0; n < 50; ++n) {
    ask(writer, {"SET", "k", std::to_string(n)});
    expect("GET near", std::to_string(n), ask(near, {"GET", "k"}).text);
  }
  expect("READONLY STALE", "OK", ask(near, {"READONLY", "STALE", "60000"}).text);
  require(ask(near, {"GET", "k"}).type == '$', "a read that may be old");
  expect("READONLY STALE x", "ERR value is not an integer or out of range", ask(near, {"READONLY", "STALE", "x"}).text);
  expect("READWRITE", "OK", ask(near, {"READWRITE"}).text);
  expect("a read of the leader's", moved, ask(near, {"GET", "k"}).text);
}

void replies_in_order_and_hostile_bytes() {
  cluster c{program, place("wire"), 3, calm};
  c.start_all();
  const address leader = c.client(c.leader());
  exchange(leader, "set o 1\r\nget o\r\nping\r\nset o 2\r\nget o\r\nnope\r\nget o\r\n",
           "+OK;$1;+PONG;+OK;$2;-ERR unknown command 'nope', with args beginning with: ;$2;");
  exchange(leader, "get o\r\nset o 3\r\nget o\r\n", "$2;+OK;$3;");
  exchange(leader, "*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length;");
  exchange(leader, "*1\r\n*1\r\n", "-ERR Protocol error: expected '$', got '*';");
  exchange(leader, "set q 1\r\nquit\r\nset q 2\r\n", "+OK;+OK;");
  exchange(leader, "get q\r\n", "$1;");

  // A request in single bytes, and one of 8 MiB.
  connection slow = connected(leader);
  const auto far = steady::now() + milliseconds(20000);
  for (const char byte : request({"SET", "slow", "bytes"})) slow.send(std::string(1, byte), far);
  expect("single bytes", "OK", slow.receive(far).value_or(reply{}).text);
  const std::string large(std::size_t{8} << 20, 'x');
  expect("8 MiB", "OK", ask(slow, {"SET", "large", large}).text);
  require(ask(slow, {"GET", "large"}).text == large, "8 MiB come back");
  exchange(leader, "*2\r\n$3\r\nGET\r\n$8388609\r\n", "-ERR Protocol error: invalid bulk length;");

  // A client that asks for much and takes nothing must not hold up others, nor may memory grow without end.
  connection greedy = connected(leader);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += request({"GET", "large"});
  greedy.send(many, far);
  for (int i = 0; i < 100; ++i) {
    connection other = connected(leader);
    expect("others are served", "PONG", ask(other, {"PING"}).text);
  }
  require(c.resident_megabytes(c.leader()) < 300,
          "memory is bounded: " + std::to_string(c.resident_megabytes(c.leader())));
  greedy.close();
  const auto clients_left = [&] { return status_field(leader, "clients") == "2"; };  // `slow`, and the one that asks
  require(within(milliseconds(5000), clients_left),
          "connections that ended are let go: " + status_field(leader, "clients"));
}

// ---------------------------------------------------------------------------------------------------- losing servers

void leader_killed() {
  cluster c{program, place("kill"), 3};
  c.start_all();
  c.leader();
  counters load{c.clients(), 6};
  for (int round = 0; round < 4; ++round) {
    std::this_thread::sleep_for(milliseconds(500));
    const int leader = c.leader();
    load.mark();
    c.kill9(leader);
    require(within(milliseconds(15000), [&] { return load.first_answer().has_value(); }), "no answers after the kill");
    c.start(leader);
    c.converge();
  }
  load.stop();
  load.verify(c.clients());
  require(load.acknowledged() > 100, "hardly any load");
}

void leader_stopped_and_continued() {
  cluster c{program, place("stop"), 3};
  c.start_all();
  c.leader();
  counters load{c.clients(), 6};
  for (int round = 0; round < 2; ++round) {
    std::this_thread::sleep_for(milliseconds(300));
    const int leader = c.leader();
    connection old = connected(c.client(leader));
    expect("SET", "OK", ask(old, {"SET", "x", "old"}).text);
    c.signal(leader, SIGSTOP);
    load.mark();
    require(within(milliseconds(15000), [&] { return load.first_answer().has_value(); }),
            "no answers while it is stopped");
    cluster_client client{c.clients()};
    require(client.until_done({"SET", "x", "new"}, milliseconds(10000), milliseconds(300)).has_value(),
            "SET while stopped");
    // It wakes with a read in its socket: it must not answer from what it had.
    old.send(request({"GET", "x"}), steady::now() + milliseconds(100));
    c.signal(leader, SIGCONT);
    const auto answer = old.receive(steady::now() + milliseconds(5000));
    require(answer.has_value(), "no answer of the one that was stopped");
    require(answer->type == '-' || answer->text == "new", "a stale read: " + answer->text);
    require(within(milliseconds(5000), [&] { return status_field(c.client(leader), "role") == "follower"; }),
            "the one that was stopped follows");
  }
  load.stop();
  load.verify(c.clients());
}

void all_restarted() {
  cluster c{program, place("restart"), 3, {"--snapshot-entries", "2000"}};
  c.start_all();
  c.leader();
  cluster_client client{c.clients()};
  const std::string session = ask(client, {"SESSION.OPEN"}).text;
  const std::vector<std::string> once = {"SESSION.DO", session, "1", "INCR", "once"};
  expect("the first time", "1", ask(client, once).text);
  counters load{c.clients(), 4};
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(milliseconds(700));
    for (int i = 0; i < 3; ++i) c.kill9(i);
    c.start_all();
    c.leader();
    expect("a retry after a restart", "1", ask(client, once).text);
  }
  load.stop();
  load.verify(c.clients());
  expect("done once", "1", ask(client, {"GET", "once"}).text);
}

void follower_behind_the_log() {
  cluster c{program, place("snapshot"), 3, {"--snapshot-entries", "500", "--election-ms", "1000-2000"}};
  c.start_all();
  const int behind = (c.leader() + 1) % 3;
  c.kill9(behind);
  const address leader = c.client(c.leader());
  connection to = connected(leader);
  const std::string session = ask(to, {"SESSION.OPEN"}).text;
  expect("in a session", "1", ask(to, {"SESSION.DO", session, "1", "INCR", "n"}).text);
  const std::string value(2000, 'v');
  for (int i = 0; i < 20; ++i) {
    std::string many;
    for (int k = 0; k < 200; ++k) many += request({"SET", "key:" + std::to_string(i * 200 + k), value});
    const auto until = steady::now() + milliseconds(20000);
    to.send(many, until);
    for (int k = 0; k < 200; ++k) require(to.receive(until).has_value(), "SET");
  }
  require(std::atoll(status_field(leader, "first_index").c_str()) > 1, "the log was shortened");
  c.start(behind);
  c.converge();
  require(c.log(behind).find("took the leader's snapshot") != std::string::npos, "it took a snapshot");
  connection near = connected(c.client(behind));
  expect("READONLY", "OK", ask(near, {"READONLY"}).text);
  for (const int k : {0, 1234, 3999}) {
    expect("key " + std::to_string(k), value, ask(near, {"GET", "key:" + std::to_string(k)}).text);
  }
  // Kill the others one by one until it leads: its sessions came with the snapshot.
  for (int round = 0; round < 20 && c.leader() != behind; ++round) {
    const int other = c.leader();
    c.kill9(other);
    c.leader();
    c.start(other);
    c.converge();
  }
  if (c.leader() != behind) return;
  connection now = connected(c.client(behind));
  expect("a retry at the one with the snapshot", "1", ask(now, {"SESSION.DO", session, "1", "INCR", "n"}).text);
}

// ---------------------------------------------------------------------------------------------------- disks

/// In the child: a file system of its own with little room. False where this user may not.
bool small_disk(const std::string& at, const char* size) {
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  return ::mount("tmpfs", at.c_str(), "tmpfs", 0, (std::string("size=") + size).c_str()) == 0;
}

void disk_full() {
  cluster c{program, place("full"), 3, {"--snapshot-entries", "1000000"}};
  std::filesystem::create_directories(c.data(0));
  c.start(0, [&c] {
    if (small_disk(c.data(0), "150m")) return;
    // A limit on files instead: the first segment does not fit.
    std::puts("no tmpfs: a file-size limit instead");
    std::fflush(stdout);
    const rlimit limit{32 << 20, 32 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  });
  c.start(1);
  c.start(2);
  c.leader();
  counters load{c.clients(), 2};
  cluster_client client{c.clients()};
  const std::string value(std::size_t{1} << 20, 'v');
  int code = -1;
  long long kept = 0;
  for (int i = 0; i < 400 && code == -1; ++i) {
    const auto done =
        client.until_done({"SET", "key:" + std::to_string(i % 20), value + std::to_string(i)}, milliseconds(10000));
    require(done && done->text == "OK", "the others go on");
    ++kept;
    code = c.wait_for_end(0, milliseconds(1));
  }
  const std::string said = c.log(0);
  require(code == 4 || code == 3, "the server with the full disk ends with its code: " + std::to_string(code));
  require(said.find("errno 28") != std::string::npos || said.find("errno 27") != std::string::npos,
          "it says that the disk is full");
  require(said.find(c.data(0)) != std::string::npos, "it names the file");
  load.stop();
  load.verify(c.clients());
  for (long long i = std::max(0LL, kept - 20); i < kept; ++i) {
    const auto held = client.until_done({"GET", "key:" + std::to_string(i % 20)}, milliseconds(10000));
    require(held && held->text == value + std::to_string(i), "acknowledged writes are there");
  }
}

void log_damaged() {
  cluster c{program, place("damage"), 3};
  c.start_all();
  const int victim = (c.leader() + 1) % 3;
  cluster_client client{c.clients()};
  for (int i = 0; i < 200; ++i) {
    require(client.until_done({"SET", "k" + std::to_string(i), std::string(1000, 'x')}, milliseconds(5000)).has_value(),
            "SET");
  }
  c.converge();
  c.kill9(victim);
  std::string file;
  for (const auto& e : std::filesystem::directory_iterator(c.data(victim))) {
    if (e.path().filename().string().starts_with("log-")) file = e.path();
  }
  const auto flip = [&file] {
    std::fstream f{file, std::ios::in | std::ios::out | std::ios::binary};
    f.seekg(100'000);
    const int byte = f.get();
    f.seekp(100'000);
    f.put(static_cast<char>(byte ^ 1));
  };
  flip();
  c.start(victim);
  require(c.wait_for_end(victim, milliseconds(5000)) == 3, "a damaged log is refused");
  const std::string said = c.log(victim);
  require(said.find(file) != std::string::npos && said.find("offset") != std::string::npos,
          "with file and offset: " + said);
  flip();
  c.start(victim);
  c.converge();
}

void refusals_at_the_start() {
  cluster c{program, place("refusals"), 3};
  c.start(0);
  require(within(milliseconds(10000), [&] { return c.log(0).find("clients at") != std::string::npos; }), "it starts");
  const auto run = [](const std::string& words) { return output_of(program + " " + words + "; echo code $?"); };
  const auto ends = [](const std::string& text, const std::string& with) { return text.ends_with(with); };
  require(ends(run("--nope"), "code 2"), "an unknown option");
  require(ends(run("--help"), "code 0"), "--help");
  const std::string mine = " --cluster '" + c.cluster_text() + "' --data ";
  require(ends(run("--id 1" + mine + c.data(0)), "code 3"), "a directory in use");
  const std::string used = run("--id 1" + mine + place("refusals/other"));
  require(ends(used, "code 3") && used.find("cannot listen") != std::string::npos, "a port in use: " + used);
  c.kill9(0);
  const std::string other = run("--id 2" + mine + c.data(0));
  require(ends(other, "code 3") && other.find("belongs to server 1") != std::string::npos,
          "another's directory: " + other);
  // Another cluster is not listened to.
  c.start(0);
  c.start(1, [] {}, {"--cluster", c.cluster_text() + ",9=127.0.0.1:1/127.0.0.1:2"});
  const auto refused = [&] { return c.log(0).find("its --cluster is another one") != std::string::npos; };
  require(within(milliseconds(10000), refused), "a server of another cluster is refused");
  c.signal(0, SIGTERM);
  require(c.wait_for_end(0, milliseconds(5000)) == 0, "SIGTERM ends it with 0");
}

// ---------------------------------------------------------------------------------------------------- histories

void check_histories(const std::string& name, const cluster::words& options) {
  const unsigned seed = static_cast<unsigned>(steady::now().time_since_epoch().count());
  std::mt19937 random{seed};
  cluster::words all = {"--snapshot-entries", "300"};
  all.insert(all.end(), options.begin(), options.end());
  cluster c{program, place(name), 3, all};
  c.start_all();
  c.leader();
  recorder clients{c.clients(), 9, seed};
  const auto end = steady::now() + std::chrono::seconds(10);
  while (steady::now() < end) {
    std::this_thread::sleep_for(milliseconds(400 + random() % 600));
    const int leader = c.leader();
    switch (random() % 4) {
      case 0:
        c.kill9(leader);
        std::this_thread::sleep_for(milliseconds(random() % 500));
        c.start(leader);
        break;
      case 1:
        c.signal(leader, SIGSTOP);
        std::this_thread::sleep_for(milliseconds(300 + random() % 700));
        c.signal(leader, SIGCONT);
        break;
      case 2: {
        const int follower = (leader + 1 + static_cast<int>(random() % 2)) % 3;
        c.signal(follower, SIGSTOP);
        std::this_thread::sleep_for(milliseconds(random() % 500));
        c.kill9(follower);
        c.start(follower);
        break;
      }
      default:
        for (int i = 0; i < 3; ++i) c.kill9(i);
        c.start_all();
    }
  }
  clients.stop();
  clients.write(place(name + "/history.jsonl"));
  const auto& history = clients.history();
  const auto open = std::count_if(history.begin(), history.end(),
                                  [](const auto& o) { return o.end == linearizability::operation::never; });
  std::printf("    seed %u: %zu operations, %ld of unknown outcome\n", seed, history.size(), static_cast<long>(open));
  require(history.size() > 500, "hardly any operations");
  const auto found = linearizability::check(history);
  require(found.what != verdict::not_linearizable, "not linearizable at key " + found.key);
  require(found.what != verdict::gave_up, "the checker gave up at key " + found.key);
}

void histories() { check_histories("histories", {}); }

/// Any server takes any command; reads are answered by lease where there is one.
void histories_at_any_server() { check_histories("histories_at_any_server", {"--forward", "--lease-reads", "100"}); }

// ---------------------------------------------------------------------------------------------------- forwarding

/// Threads, each with a counter of its own at one server, whoever leads: without a session, so what is not known to be
/// done is never sent again.
class increments {
 public:
  explicit increments(const std::vector<address>& servers) : servers_(servers), ends_(servers.size()) {
    for (std::size_t i = 0; i < servers_.size(); ++i) threads_.emplace_back([this, i] { run(i); });
  }
  ~increments() { stop(); }
  increments(const increments&) = delete;
  increments& operator=(const increments&) = delete;

  void stop() {
    stopping_ = true;
    for (std::thread& t : threads_) {
      if (t.joinable()) t.join();
    }
  }
  /// After stop(): each counter is at least what was answered, and at most that and what nobody knows of.
  void verify(const std::vector<address>& servers) const {
    cluster_client client{servers};
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      const ends& e = ends_[i];
      const long long held = std::atoll(ask(client, {"GET", key(i)}).text.c_str());
      require(e.other.empty(), "an answer that is none of the fates: " + e.other);
      require(e.done <= held && held <= e.done + e.unknown, key(i) + " is " + std::to_string(held) +
                                                                ", answered were " + std::to_string(e.done) +
                                                                ", unknown " + std::to_string(e.unknown));
    }
  }
  [[nodiscard]] long long sum(long long (*of)(long long done, long long unknown, long long refused)) const {
    long long all = 0;
    for (const ends& e : ends_) all += of(e.done, e.unknown, e.refused);
    return all;
  }

 private:
  struct ends {
    long long done = 0;
    long long unknown = 0;
    long long refused = 0;
    std::string other{};
  };
  static std::string key(std::size_t i) { return "increments:" + std::to_string(i); }

  void run(std::size_t i) {
    ends& e = ends_[i];
    connection link;
    while (!stopping_) {
      if (!link.is_open() && !link.open(servers_[i], steady::now() + milliseconds(200))) {
        std::this_thread::sleep_for(milliseconds(5));
        continue;
      }
      const auto got = link.call({"INCR", key(i)}, milliseconds(5000));
      if (!got || got->is_error("UNKNOWN")) {
        ++e.unknown;
        if (!got) link.close();
      } else if (got->is_error("TRYAGAIN") || got->is_error("CLUSTERDOWN")) {
        ++e.refused;
        std::this_thread::sleep_for(milliseconds(2));
      } else if (got->type == ':') {
        ++e.done;
      } else if (e.other.empty()) {
        e.other = got->type + got->text;
      }
    }
  }

  std::vector<address> servers_;
  std::vector<ends> ends_;
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_{};
};

/// With --forward a client needs no other server than the one it talks to, whoever leads.
void writes_forwarded() {
  cluster c{program, place("forward"), 3, {"--forward", "--election-ms", "500-1000"}};
  c.start_all();
  const int follower = (c.leader() + 1) % 3;
  const address near = c.client(follower);
  c.converge();
  exchange(near, "set o 1\r\nget o\r\nincr o\r\nget o\r\nset o 5\r\nget o\r\nincr p\r\nget p\r\nget o\r\n",
           "+OK;$1;:2;$2;+OK;$5;:1;$1;$5;");
  connection link = connected(near);
  const std::string session = ask(link, {"SESSION.OPEN"}).text;
  for (int twice = 0; twice < 2; ++twice) {
    expect("in a session", "1", ask(link, {"SESSION.DO", session, "1", "INCR", "s"}).text);
  }
  expect("an error of the command", "ERR value is not an integer or out of range",
         ask(link, {"INCRBY", "o", "x"}).text);
  // Leaders killed, stopped and changed by wish, under load at each server.
  increments load{c.clients()};
  for (int round = 0; round < 6; ++round) {
    std::this_thread::sleep_for(milliseconds(400));
    const int leader = c.leader();
    if (round % 3 == 0) {
      c.kill9(leader);
      std::this_thread::sleep_for(milliseconds(400));
      c.start(leader);
    } else if (round % 3 == 1) {
      connection to = connected(c.client(leader));
      static_cast<void>(ask(to, {"RAFT.TRANSFER"}));
    } else {
      c.signal(leader, SIGSTOP);
      std::this_thread::sleep_for(milliseconds(2000));
      c.signal(leader, SIGCONT);
    }
    c.converge();
  }
  load.stop();
  load.verify(c.clients());
  const auto done = load.sum([](long long d, long long, long long) { return d; });
  std::printf("    %lld commands answered at any server, %lld refused for certain, %lld of unknown outcome\n", done,
              load.sum([](long long, long long, long long r) { return r; }),
              load.sum([](long long, long long u, long long) { return u; }));
  require(done > 200, "hardly any load");
}

// ---------------------------------------------------------------------------------------------------- leases

/// A leader with a lease asks nobody for a read, and one that was stopped has none when it wakes.
void reads_by_lease() {
  cluster c{program, place("lease"), 3, {"--lease-reads", "100", "--election-ms", "400-800"}};
  c.start_all();
  const int leader = c.leader();
  connection link = connected(c.client(leader));
  ask(link, {"SET", "x", "old"});
  // A read that asks the others takes a message to each; those by lease take none but the heartbeats of the time.
  const auto sent_for = [&](const char* what, int reads) {
    const auto term = status_field(c.client(leader), "term");
    const long long before = std::atoll(status_field(c.client(leader), "messages_sent").c_str());
    for (int n = 0; n < reads; ++n) expect(what, "old", ask(link, {"GET", "x"}).text);
    expect("the same leader", term, status_field(c.client(leader), "term"));
    return std::atoll(status_field(c.client(leader), "messages_sent").c_str()) - before;
  };
  const auto begin = steady::now();
  const long long sent = sent_for("GET by lease", 2000);
  const double beats = std::chrono::duration<double>(steady::now() - begin).count() / (0.4 / 3) + 2;
  require(static_cast<double>(sent) <= 3 * beats, "2000 reads took " + std::to_string(sent) + " messages");
  std::printf("    2000 reads by lease: %lld messages of the leader, heartbeats among them\n", sent);
  c.signal(leader, SIGSTOP);
  cluster_client client{c.clients()};
  require(client.until_done({"SET", "x", "new"}, milliseconds(15000), milliseconds(300)).has_value(), "SET meanwhile");
  link.send(request({"GET", "x"}), steady::now() + milliseconds(100));
  c.signal(leader, SIGCONT);
  const auto answer = link.receive(steady::now() + milliseconds(5000));
  require(answer.has_value(), "no answer of the one that was stopped");
  require(answer->type == '-' || answer->text == "new", "a stale read: " + answer->text);
}

// ---------------------------------------------------------------------------------------------------- recordings

/// What servers did under load, with leaders killed, is replayed from their recordings to the same outputs.
void recorded_and_replayed() {
  cluster c{program, place("record"), 3, {"--forward", "--snapshot-entries", "2000"}};
  const auto recording = [&c](int i) { return c.data(i) + ".rec"; };
  const auto start = [&](int i) { c.start(i, {}, {"--record", recording(i)}); };
  for (int i = 0; i < 3; ++i) start(i);
  for (int i = 0; i < 3; ++i) c.await_start(i);
  c.leader();
  counters load{c.clients(), 4};
  increments elsewhere{c.clients()};
  for (int round = 0; round < 4; ++round) {
    std::this_thread::sleep_for(milliseconds(500));
    const int leader = c.leader();
    if (round % 2 == 0) {
      c.kill9(leader);
      std::this_thread::sleep_for(milliseconds(300));
      start(leader);
    } else {
      connection link = connected(c.client(leader));
      static_cast<void>(ask(link, {"RAFT.TRANSFER"}));
    }
    c.converge();
  }
  load.stop();
  elsewhere.stop();
  load.verify(c.clients());
  elsewhere.verify(c.clients());
  for (int i = 0; i < 3; ++i) c.kill9(i);

  const auto replay = [](const std::string& file) {
    return output_of(program + " --replay " + file + "; echo code $?");
  };
  int recordings = 0;
  long long inputs = 0;
  for (const auto& file : std::filesystem::directory_iterator(place("record"))) {
    const std::string name = file.path();
    if (name.find(".rec") == std::string::npos) continue;
    const std::string said = replay(name);
    require(said.ends_with("code 0") && said.find("identical outputs up to input") != std::string::npos, said);
    inputs += std::atoll(said.substr(said.find(": ") + 2).c_str());
    ++recordings;
  }
  std::printf("    %d recordings, %lld inputs replayed to identical outputs\n", recordings, inputs);
  require(recordings == 5, "each start has a recording of its own: " + std::to_string(recordings));
  require(inputs > 1000, "hardly any inputs");

  // Cut off as by a kill in the middle of a write; and with a byte changed.
  const std::string torn = place("record/torn");
  std::filesystem::copy_file(recording(0), torn);
  std::filesystem::resize_file(torn, std::filesystem::file_size(torn) * 2 / 3);
  std::string said = replay(torn);
  for (int less = 1; less < 20 && said.find("are no whole input") == std::string::npos; ++less) {
    std::filesystem::resize_file(torn, std::filesystem::file_size(torn) - 1);
    said = replay(torn);
  }
  require(said.ends_with("code 0") && said.find("are no whole input") != std::string::npos,
          "a torn recording: " + said);
  {
    std::fstream f{torn, std::ios::in | std::ios::out | std::ios::binary};
    f.seekp(static_cast<std::streamoff>(std::filesystem::file_size(torn) / 2));
    const int byte = f.get();
    f.seekp(static_cast<std::streamoff>(std::filesystem::file_size(torn) / 2));
    f.put(static_cast<char>(byte ^ 1));
  }
  said = replay(torn);
  require(said.ends_with("code 1") || said.ends_with("code 3"), "a changed byte: " + said);
  require(replay(c.log_file(0)).ends_with("code 3"), "what is no recording");
}

// ---------------------------------------------------------------------------------------------------- failover

void failover(int rounds) {
  const double timeout = 150;  // the shortest election timeout of the default, in milliseconds
  cluster c{program, place("failover"), 3};
  c.start_all();
  c.leader();
  counters load{c.clients(), 8};
  std::vector<double> gaps;
  for (int round = 0; round < rounds; ++round) {
    std::this_thread::sleep_for(milliseconds(400));
    const int leader = c.leader();
    load.mark();
    c.kill9(leader);
    require(within(milliseconds(20000), [&] { return load.first_answer().has_value(); }), "no leader within 20 s");
    gaps.push_back(std::chrono::duration<double, std::milli>(*load.first_answer()).count());
    c.start(leader);
    c.converge();
    if (!load.wrong().empty()) break;
  }
  load.stop();
  load.verify(c.clients());
  std::sort(gaps.begin(), gaps.end());
  std::printf("    %d rounds of kill -9 of the leader, %lld commands acknowledged, none lost, none done twice\n",
              rounds, load.acknowledged());
  std::printf("    from the kill to the first answer to a command sent after it: median %.0f ms, worst %.0f ms\n",
              gaps[gaps.size() / 2], gaps.back());
  std::printf("    in election timeouts of %.0f ms (the least of 150-300): median %.2f, worst %.2f\n", timeout,
              gaps[gaps.size() / 2] / timeout, gaps.back() / timeout);
}

// ---------------------------------------------------------------------------------------------------- members

/// The answer to an administrator's command, of whoever leads. What was not done for certain is asked again.
void administer(const cluster& c, const std::vector<std::string>& words) {
  const auto until = steady::now() + milliseconds(30000);
  std::string last;
  while (steady::now() < until) {
    connection link;
    const int leader = leader_of(c.clients());
    const auto got = leader >= 0 && link.open(c.client(leader), until) ? link.call(words, until) : std::nullopt;
    if (got && got->text == "OK") return;
    last = got ? got->text : "no answer";
    std::this_thread::sleep_for(milliseconds(20));
  }
  require(false, words[0] + " " + words[1] + ": " + last);
}

void add(cluster& c, int i) {
  c.start(i);
  c.await_start(i);
  administer(c, {"RAFT.ADD", std::to_string(i + 1), c.location(i)});
}

void expect_voters(const cluster& c, const std::string& wanted) {
  expect("voters", wanted, status_field(c.client(c.leader()), "voters"));
}

/// redis-benchmark, run after run, at one server after the other: with --forward it need not know who leads.
class benchmark_runs {
 public:
  explicit benchmark_runs(const cluster& c) : cluster_(c), thread_([this] { run(); }) {}
  ~benchmark_runs() { stop(); }
  benchmark_runs(const benchmark_runs&) = delete;
  benchmark_runs& operator=(const benchmark_runs&) = delete;
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }
  /// Those that ended with all their commands done.
  [[nodiscard]] int completed() const { return completed_; }

 private:
  void run() {
    for (int at = 0; !stopping_; at = (at + 1) % cluster_.size()) {
      if (!connection{}.open(cluster_.client(at), steady::now() + milliseconds(100))) continue;
      const std::string said = output_of("timeout 20 redis-benchmark -h 127.0.0.1 -p " +
                                         std::to_string(cluster_.client(at).port) + " -t set -c 8 -n 500 -q");
      completed_ += said.find("requests per second") != std::string::npos && said.find("rror") == std::string::npos;
    }
  }

  const cluster& cluster_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> completed_{0};
  std::thread thread_;
};

/// One server becomes three and five, and then each of the five is replaced by another: all under load.
void members_replaced() {
  cluster c{program, place("members"), 10, {"--forward"}, 1};
  c.start(0);
  c.await_start(0);
  c.leader();
  counters load{c.clients(), 4};
  benchmark_runs others{c};
  for (const int i : {1, 2}) add(c, i);
  expect_voters(c, "1,2,3");
  // A learner gets the log and has no vote; the same command makes a voter of it, or the other way round.
  c.start(3);
  c.await_start(3);
  administer(c, {"RAFT.ADD", "4", c.location(3), "LEARNER"});
  expect_voters(c, "1,2,3");
  expect("learners", "4", status_field(c.client(c.leader()), "learners"));
  administer(c, {"RAFT.ADD", "4", c.location(3)});
  {
    connection asked = connected(c.client(c.leader()));
    expect("RAFT.PREVIEW", "voters 1,2,3; learners 4; a majority of the voters is heard",
           ask(asked, {"RAFT.PREVIEW", "1", "2", "3", "LEARNERS", "4"}).text);
    expect("RAFT.PREVIEW", "voters 1,2, together with 1,2,3,4 at first; a majority of the voters is heard",
           ask(asked, {"RAFT.PREVIEW", "1", "2"}).text);
  }
  administer(c, {"RAFT.CHANGE", "1", "2", "3", "LEARNERS", "4"});
  expect("learners", "4", status_field(c.client(c.leader()), "learners"));
  administer(c, {"RAFT.REMOVE", "4"});
  c.kill9(3);
  for (const int i : {3, 4}) add(c, i);
  expect_voters(c, "1,2,3,4,5");
  for (int i = 0; i < 5; ++i) {
    add(c, i + 5);
    administer(c, {"RAFT.REMOVE", std::to_string(i + 1)});
    std::this_thread::sleep_for(milliseconds(200));
    c.kill9(i);
  }
  expect_voters(c, "6,7,8,9,10");
  connection asked = connected(c.client(c.leader()));
  const auto why = ask(asked, {"RAFT.WHY"});
  require(why.items.size() == 5 && why.items[0].text.find("leads term") != std::string::npos, "RAFT.WHY");
  require(ask(asked, {"RAFT.WHY", "999999999"}).text.find("is not in this log") != std::string::npos, "RAFT.WHY index");
  // Nobody of those who began the cluster is there to ask: whoever restarts knows the present ones.
  c.kill9(9);
  c.start(9);
  c.converge();
  others.stop();
  load.stop();
  load.verify(c.clients());
  std::printf(
      "    one server to five, then five replaced: %lld commands acknowledged, longest pause %.0f ms; "
      "%d runs of redis-benchmark\n",
      load.acknowledged(), load.longest_pause_ms(), others.completed());
  require(others.completed() > 0, "no run of redis-benchmark was whole");
}

// ---------------------------------------------------------------------------------------------------- leadership

void leadership_transferred() {
  cluster c{program, place("transfer"), 3};
  c.start_all();
  c.leader();
  counters load{c.clients(), 4};
  std::vector<double> pauses;
  for (int round = 0; round < 20; ++round) {
    const int leader = c.leader();
    const int target = (leader + 1 + round % 2) % 3;
    std::this_thread::sleep_for(milliseconds(100));
    static_cast<void>(load.longest_pause_ms());
    connection link = connected(c.client(leader));
    expect("RAFT.TRANSFER", "OK", ask(link, {"RAFT.TRANSFER", std::to_string(target + 1)}).text);
    std::this_thread::sleep_for(milliseconds(100));
    pauses.push_back(load.longest_pause_ms());
    require(leader_of(c.clients()) == target, "the target leads");
  }
  // A server that is asked to end hands leadership over first.
  const int leader = c.leader();
  c.signal(leader, SIGTERM);
  expect("its exit code", "0", std::to_string(c.wait_for_end(leader, milliseconds(5000))));
  std::this_thread::sleep_for(milliseconds(100));
  const double at_the_end = load.longest_pause_ms();
  c.leader();
  load.stop();
  load.verify(c.clients());
  std::sort(pauses.begin(), pauses.end());
  std::printf("    20 transfers under load: pause median %.1f ms, worst %.1f ms; at the end of a leader %.1f ms\n",
              pauses[pauses.size() / 2], pauses.back(), at_the_end);
}

/// A command of a session is done once, whoever is asked again, and with whatever server.
void session_retried() {
  cluster c{program, place("session"), 3};
  c.start_all();
  cluster_client client{c.clients()};
  const std::string session = ask(client, {"SESSION.OPEN"}).text;
  const std::vector<std::string> command = {"SESSION.DO", session, "1", "INCR", "once"};
  expect("the first time", "1", ask(client, command).text);
  for (int leaders = 0; leaders < 2; ++leaders) {
    connection link = connected(c.client(c.leader()));
    expect("RAFT.TRANSFER", "OK", ask(link, {"RAFT.TRANSFER"}).text);
    c.leader();
    expect("under another leader", "1", ask(client, command).text);
  }
  for (int i = 0; i < 3; ++i) c.kill9(i);
  c.start_all();
  c.leader();
  expect("after a restart of all", "1", ask(client, command).text);
  expect("what was done", "1", ask(client, {"GET", "once"}).text);
}

void numbers_shown() {
  const std::uint16_t port = free_port();
  cluster c{program, place("numbers"), 1};
  c.start(0, {}, {"--metrics", "127.0.0.1:" + std::to_string(port)});
  c.await_start(0);
  c.leader();
  const auto page = [port](const std::string& request) {
    // What a shell has for this; the page ends with the connection.
    return output_of("bash -c 'exec 3<>/dev/tcp/127.0.0.1/" + std::to_string(port) + "; printf \"" + request +
                     "\\r\\n\\r\\n\" >&3; timeout 5 cat <&3'");
  };
  const std::string good = page("GET /metrics HTTP/1.1");
  require(good.starts_with("HTTP/1.0 200 OK"), "the page: " + good.substr(0, 60));
  for (const char* line : {"\nraft_is_leader 1", "\n# TYPE raft_proposals_total counter", "\nraft_kv_clients "}) {
    require(good.find(line) != std::string::npos, std::string("the page has no ") + line);
  }
  require(page("GET /nothing HTTP/1.1").starts_with("HTTP/1.0 404"), "another page");
  require(page("DELETE /metrics HTTP/1.1").starts_with("HTTP/1.0 405"), "another method");
}

struct scenario {
  const char* name;
  void (*run)();
};

constexpr scenario scenarios[] = {
    {"redis_cli_through_a_follower", redis_cli_through_a_follower},
    {"replies_in_order_and_hostile_bytes", replies_in_order_and_hostile_bytes},
    {"leader_killed", leader_killed},
    {"leader_stopped_and_continued", leader_stopped_and_continued},
    {"all_restarted", all_restarted},
    {"follower_behind_the_log", follower_behind_the_log},
    {"disk_full", disk_full},
    {"log_damaged", log_damaged},
    {"refusals_at_the_start", refusals_at_the_start},
    {"histories", histories},
    {"histories_at_any_server", histories_at_any_server},
    {"writes_forwarded", writes_forwarded},
    {"reads_by_lease", reads_by_lease},
    {"recorded_and_replayed", recorded_and_replayed},
    {"members_replaced", members_replaced},
    {"leadership_transferred", leadership_transferred},
    {"session_retried", session_retried},
    {"numbers_shown", numbers_shown},
};

int passed = 0;
int failed = 0;

template <class Run>
void run_one(const std::string& name, Run&& run) {
  const auto begin = steady::now();
  std::string why;
  try {
    run();
  } catch (const std::exception& e) {
    why = e.what();
  }
  const double seconds = std::chrono::duration<double>(steady::now() - begin).count();
  std::printf("%s %s (%.1f s)%s%s\n", why.empty() ? "ok    " : "FAILED", name.c_str(), seconds, why.empty() ? "" : ": ",
              why.c_str());
  std::fflush(stdout);
  ++(why.empty() ? passed : failed);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 2) {
    std::fprintf(stderr, "usage: e2e RAFT-KV DIRECTORY [NAME... | failover ROUNDS]\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  program = words[0];
  directory = words[1];
  if (words.size() == 4 && words[2] == "failover") {
    run_one("failover", [&words] { failover(std::max(1, std::atoi(words[3].c_str()))); });
  } else {
    for (const scenario& s : scenarios) {
      const bool wanted = words.size() == 2 || std::find(words.begin() + 2, words.end(), s.name) != words.end();
      if (wanted) run_one(s.name, s.run);
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

#pragma once

// A cluster of real raft-kv processes, on loopback or wherever it is told, for the tests with real servers.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../../../examples/kv/tools/resp_client.hpp"

namespace e2e {

using namespace kv::tools;
using kv::address;

/// Ends a scenario with the reason.
inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// Polls until it holds.
template <class Condition>
bool within(milliseconds limit, Condition&& holds) {
  for (const auto until = steady::now() + limit; steady::now() < until;) {
    if (holds()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

/// A port of loopback that nobody has now, none twice. They are below those that the system gives to clients (from
/// 32768 on), and each process begins at a place of its own: nobody else takes one before a server has it, or while the
/// server is down.
inline std::uint16_t free_port() {
  static int next = 10000 + static_cast<int>(::getpid()) * 64 % 20000;
  for (int tries = 0; tries < 1000; ++tries) {
    const auto port = static_cast<std::uint16_t>(next);
    next = next < 31999 ? next + 1 : 10000;
    const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(port);
    const bool bound = ::bind(s, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    ::close(s);
    if (bound) return port;
  }
  throw std::runtime_error("no free port");
}

/// Where a server is reached.
struct endpoints {
  address clients{};
  address servers{};
};

/// Places on loopback, with ports that nobody has.
inline std::vector<endpoints> on_loopback(int size) {
  std::vector<endpoints> all;
  for (int i = 0; i < size; ++i) all.push_back({{"127.0.0.1", free_port()}, {"127.0.0.1", free_port()}});
  return all;
}

class cluster {
 public:
  using words = std::vector<std::string>;

  /// Servers at these places, of which the first `founders` begin the cluster.
  cluster(std::string program, std::string directory, const std::vector<endpoints>& at, words extra, int founders)
      : program_(std::move(program)),
        directory_(std::move(directory)),
        extra_(std::move(extra)),
        founders_(founders),
        pids_(at.size(), -1) {
    std::filesystem::create_directories(directory_);
    for (const endpoints& p : at) {
      clients_.push_back(p.clients);
      places_.push_back(to_string(p.servers) + "/" + to_string(p.clients));
    }
    for (int i = 0; i < founders_; ++i) text_ += (i == 0 ? "" : ",") + std::to_string(i + 1) + "=" + location(i);
  }
  /// `size` servers on loopback; all of them begin the cluster, unless told otherwise.
  cluster(std::string program, std::string directory, int size, words extra = {}, int founders = -1)
      : cluster(std::move(program), std::move(directory), on_loopback(size), std::move(extra),
                founders < 0 ? size : founders) {}
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;
  ~cluster() {
    for (std::size_t i = 0; i < pids_.size(); ++i) kill9(static_cast<int>(i));
  }

  [[nodiscard]] int size() const { return static_cast<int>(pids_.size()); }
  [[nodiscard]] const std::vector<address>& clients() const { return clients_; }
  [[nodiscard]] const address& client(int i) const { return clients_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] std::string data(int i) const { return directory_ + "/" + std::to_string(i + 1); }
  [[nodiscard]] std::string log_file(int i) const { return data(i) + ".log"; }
  [[nodiscard]] bool runs(int i) const { return pid(i) > 0; }
  [[nodiscard]] const std::string& cluster_text() const { return text_; }
  /// Where servers and clients reach server i, as RAFT.ADD takes it.
  [[nodiscard]] const std::string& location(int i) const { return places_[static_cast<std::size_t>(i)]; }

  /// Everything that a server has said so far.
  [[nodiscard]] std::string log(int i) const {
    std::ifstream in{log_file(i)};
    return {std::istreambuf_iterator<char>(in), {}};
  }

  /// Starts server i (counted from zero); `prepare` runs in the child before it becomes raft-kv.
  void start(int i, const std::function<void()>& prepare = {}, const words& more = {}) {
    words all = {program_, "--id", std::to_string(i + 1), "--cluster", text_, "--data", data(i)};
    if (i >= founders_) all.insert(all.end(), {"--join", location(i)});
    all.insert(all.end(), extra_.begin(), extra_.end());
    all.insert(all.end(), more.begin(), more.end());
    const pid_t child = ::fork();
    require(child >= 0, "fork");
    if (child == 0) {
      const int out = ::open(log_file(i).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
      ::dup2(out, 1);
      ::dup2(out, 2);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // no server outlives the test, however that ends
      if (prepare) prepare();
      std::vector<char*> arguments;
      for (std::string& word : all) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      ::execv(program_.c_str(), arguments.data());
      ::_exit(127);
    }
    pid(i) = child;
  }
  /// Starts all, and waits until all can be reached: making the first log takes its time.
  void start_all() {
    for (int i = 0; i < size(); ++i) start(i);
    for (int i = 0; i < size(); ++i) await_start(i);
  }
  void await_start(int i) const {
    connection c;
    const bool there =
        within(milliseconds(20000), [&] { return c.open(client(i), steady::now() + milliseconds(100)); });
    require(there, "server " + std::to_string(i + 1) + " does not start");
  }

  void kill9(int i) {
    if (!runs(i)) return;
    ::kill(pid(i), SIGKILL);
    ::waitpid(pid(i), nullptr, 0);
    pid(i) = -1;
  }
  void signal(int i, int which) {
    if (runs(i)) ::kill(pid(i), which);
  }

  /// Memory that a server uses, in MiB.
  [[nodiscard]] long resident_megabytes(int i) const {
    std::ifstream in{"/proc/" + std::to_string(pid(i)) + "/statm"};
    long size = 0;
    long resident = 0;
    in >> size >> resident;
    return resident * ::sysconf(_SC_PAGESIZE) >> 20;
  }

  /// The exit code of a server that ends by itself; -1 if it does not, -2 for one that a signal ended.
  int wait_for_end(int i, milliseconds limit) {
    int status = 0;
    if (!within(limit, [&] { return ::waitpid(pid(i), &status, WNOHANG) == pid(i); })) return -1;
    pid(i) = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
  }

  /// The place of a leader that takes writes.
  int leader(milliseconds limit = milliseconds(15000)) const {
    int found = -1;
    const bool there = within(limit, [&] {
      found = leader_of(clients_);
      if (found < 0) return false;
      connection c;
      const auto until = steady::now() + milliseconds(1000);
      const auto done = c.open(client(found), until) ? c.call({"SET", "leader-check", "1"}, until) : std::nullopt;
      return done && done->text == "OK";
    });
    require(there, "no leader within " + std::to_string(limit.count()) + " ms");
    return found;
  }

  /// Waits until every server that runs has applied what is committed now.
  void converge(milliseconds limit = milliseconds(30000)) const {
    const long long index = std::atoll(status_field(client(leader()), "commit_index").c_str());
    for (int i = 0; i < size(); ++i) {
      if (!runs(i)) continue;
      const bool there =
          within(limit, [&] { return std::atoll(status_field(client(i), "applied_index").c_str()) >= index; });
      require(there, "server " + std::to_string(i + 1) + " does not catch up to " + std::to_string(index));
    }
  }

 private:
  pid_t& pid(int i) { return pids_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] pid_t pid(int i) const { return pids_[static_cast<std::size_t>(i)]; }

  std::string program_;
  std::string directory_;
  words extra_;
  int founders_;
  std::string text_{};
  std::vector<std::string> places_{};
  std::vector<address> clients_{};
  std::vector<pid_t> pids_{};
};

}  // namespace e2e

#pragma once

// Where a run takes place: raft-kv servers, each in a network namespace, with a small disk and clocks of its own. A
// server has a place (counted from zero, never used again) whose id and whose node on the wire are the place plus one.

#include <sched.h>
#include <sys/mount.h>

#include <map>
#include <memory>
#include <set>

#include "clock_page.hpp"
#include "support/kv/load.hpp"
#include "wire.hpp"

namespace faults {

using namespace e2e;

/// What a server says of itself.
using status = std::map<std::string, std::string>;

inline status status_of(const address& server, milliseconds within = milliseconds(500)) {
  connection c;
  const auto until = steady::now() + within;
  const auto all = c.open(server, until) ? c.call({"RAFT.STATUS"}, until) : std::nullopt;
  status fields;
  if (!all) return fields;
  for (std::size_t i = 0; i + 1 < all->items.size(); i += 2) fields[all->items[i].text] = all->items[i + 1].text;
  return fields;
}

/// Makes this process root of namespaces in which it may mount and make networks. Before it has any thread. Throws with
/// the reason where the machine forbids it.
inline void own_namespaces() {
  const auto uid = std::to_string(::geteuid());
  const auto gid = std::to_string(::getegid());
  const int wanted = CLONE_NEWNS | (uid == "0" ? 0 : CLONE_NEWUSER);
  detail::must(::unshare(wanted) == 0, "no namespaces for mounts and users");
  if (uid != "0") {
    std::ofstream{"/proc/self/setgroups"} << "deny";
    std::ofstream{"/proc/self/uid_map"} << "0 " + uid + " 1";
    std::ofstream{"/proc/self/gid_map"} << "0 " + gid + " 1";
  }
  detail::must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mounts cannot be made private");
}

class site {
 public:
  static constexpr int most_places = 200;
  static constexpr int clients_node = 254;
  static constexpr int operator_node = 253;  ///< Whose packets always arrive.

  /// The calling thread becomes the operator's.
  site(const std::string& program, const std::string& directory, const std::string& shim, int founders, unsigned seed)
      : wire_(seed),
        shim_(shim),
        servers_(program, directory, places(), {"--snapshot-entries", "5000"}, founders),
        around_({}, [this] { wire_.enter(clients_node); }) {
    wire_.plug(clients_node);
    wire_.plug(operator_node);
    wire_.enter(operator_node);
    for (int i = 0; i < founders; ++i) begin(i);
    for (int i = 0; i < founders; ++i) join(i);
  }
  ~site() {
    for (const auto& [i, clock] : clocks_) take_away(i);
  }
  site(const site&) = delete;
  site& operator=(const site&) = delete;

  [[nodiscard]] wire& network() { return wire_; }
  [[nodiscard]] clock_page& clock(int i) { return *clocks_.at(i)->operator->(); }
  [[nodiscard]] const std::map<int, std::unique_ptr<clock_of_server>>& clocks() const { return clocks_; }
  [[nodiscard]] const surroundings& around() const { return around_; }
  [[nodiscard]] const std::vector<int>& members() const { return members_; }
  [[nodiscard]] bool is_member(int i) const { return std::ranges::find(members_, i) != members_.end(); }
  [[nodiscard]] const address& client(int i) const { return servers_.client(i); }
  [[nodiscard]] const std::string& location(int i) const { return servers_.location(i); }
  [[nodiscard]] std::string disk(int i) const { return servers_.data(i); }
  [[nodiscard]] std::string log(int i) const { return servers_.log(i); }
  [[nodiscard]] bool runs(int i) const { return servers_.runs(i); }
  static int node(int i) { return i + 1; }

  /// Lets a new server begin, which is no member yet. Answers its place, or -1 if there are no more.
  int add_server() {
    const int i = next_place_;
    if (i >= most_places) return -1;
    begin(i);
    newcomers_.push_back(i);
    return i;
  }
  void begin(int i) {
    next_place_ = std::max(next_place_, i + 1);
    wire_.plug(node(i));
    clocks_[i] = std::make_unique<clock_of_server>(servers_.data(i) + ".clock");
    std::filesystem::create_directories(disk(i));
    detail::must(::mount("tmpfs", disk(i).c_str(), "tmpfs", 0, "size=400m") == 0, "a disk for a server");
    start(i);
  }
  /// From now on clients know it.
  void join(int i) {
    std::erase(newcomers_, i);
    members_.push_back(i);
    tell_clients();
  }
  void leave(int i) {
    std::erase(members_, i);
    tell_clients();
  }
  /// For good, with its disk.
  void take_away(int i) {
    servers_.kill9(i);
    ::umount2(disk(i).c_str(), MNT_DETACH);
  }

  void start(int i) {
    if (servers_.runs(i)) return;
    const auto prepare = [this, i] {
      wire_.enter(node(i));
      ::setenv("RAFT_CLOCK_PAGE", clocks_.at(i)->file().c_str(), 1);
      ::setenv("LD_PRELOAD", shim_.c_str(), 1);
    };
    servers_.start(i, prepare, {"--data", disk(i) + "/log"});
  }
  /// What the first sends to the other is lost, until the network clears.
  void cut(int from, int to) {
    weather w = wire_.get(node(from), node(to));
    w.cut = true;
    wire_.set(node(from), node(to), w);
  }
  /// No fault is left: everybody is connected and runs.
  void heal() {
    wire_.clear();
    for (const int i : members_) {
      servers_.signal(i, SIGCONT);
      start(i);
    }
  }
  void kill9(int i) { servers_.kill9(i); }
  void signal(int i, int which) { servers_.signal(i, which); }
  /// The exit code of a server that has ended by itself; nothing while it runs or if it was killed.
  std::optional<int> ended(int i) {
    if (!servers_.runs(i)) return std::nullopt;
    const int code = servers_.wait_for_end(i, milliseconds(1));
    return code == -1 ? std::nullopt : std::optional<int>{code};
  }

  /// The place of the member that says that it leads in the highest term; -1 if none does.
  int leader() { return leader_among(members_); }
  /// The same, with those that are to be members: a change may have made one a voter, and the others have elected it,
  /// before the operator who asked for the change has heard that it is done.
  int leader_or_newcomer() {
    std::vector<int> all = members_;
    all.insert(all.end(), newcomers_.begin(), newcomers_.end());
    return leader_among(all);
  }

  /// The answer "OK" of whoever leads to a command of an operator, asked again until then.
  bool administer(const std::vector<std::string>& words, milliseconds limit, std::string& last) {
    for (const auto until = steady::now() + limit; steady::now() < until;) {
      connection link;
      const int i = leader_or_newcomer();
      const auto got = i >= 0 && link.open(client(i), until) ? link.call(words, until) : std::nullopt;
      if (got && got->text == "OK") return true;
      last = got ? got->text : "no answer";
      std::this_thread::sleep_for(milliseconds(20));
    }
    return false;
  }

  /// What is not in order: who leads, who follows, who lags. Empty: every member runs, knows the one leader, has
  /// applied what was committed when this was asked, and has the same voters.
  std::string disorder() {
    const int lead = leader();
    if (lead < 0) return "nobody leads";
    const status its = status_of(client(lead));
    if (its.empty()) return "the leader does not answer";
    const auto field = [](const status& s, const char* name) {
      const auto at = s.find(name);
      return at == s.end() ? std::string{} : at->second;
    };
    for (const int i : members_) {
      const std::string who = "server " + std::to_string(i + 1);
      const status s = status_of(client(i));
      if (s.empty()) return who + " does not answer";
      if (field(s, "leader") != std::to_string(lead + 1)) return who + " follows " + field(s, "leader");
      if (std::atoll(field(s, "applied_index").c_str()) < std::atoll(field(its, "commit_index").c_str())) {
        return who + " lags: applied " + field(s, "applied_index") + " of " + field(its, "commit_index");
      }
      if (field(s, "voters") != voters()) return who + " has the voters " + field(s, "voters") + ", not " + voters();
    }
    return {};
  }

 private:
  int leader_among(const std::vector<int>& places) {
    std::vector<address> all;
    for (const int i : places) all.push_back(client(i));
    const int at = leader_of(all);
    return at < 0 ? -1 : places[static_cast<std::size_t>(at)];
  }
  static std::vector<endpoints> places() {
    std::vector<endpoints> all;
    for (int i = 0; i < most_places; ++i) {
      all.push_back({{wire::address_of(node(i)), 6379}, {wire::address_of(node(i)), 7000}});
    }
    return all;
  }
  [[nodiscard]] std::string voters() const {
    const std::set<int> sorted{members_.begin(), members_.end()};
    std::string text;
    for (const int i : sorted) text += (text.empty() ? "" : ",") + std::to_string(i + 1);
    return text;
  }
  void tell_clients() {
    std::vector<address> all;
    for (const int i : members_) all.push_back(client(i));
    around_.change(std::move(all));
  }

  wire wire_;
  std::string shim_;
  cluster servers_;
  std::map<int, std::unique_ptr<clock_of_server>> clocks_{};
  std::vector<int> members_{};
  std::vector<int> newcomers_{};  ///< Servers that run and are to be members.
  int next_place_ = 0;
  surroundings around_;
};

}  // namespace faults

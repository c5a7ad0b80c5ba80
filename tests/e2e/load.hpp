#pragma once

// Clients under which servers are killed: counters in sessions, which show every lost and every doubled write at once,
// and recorded histories for the linearizability checker.

#include <atomic>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <raft/testing/linearizability.hpp>

#include "processes.hpp"

namespace linearizability = raft::testing::linearizability;

namespace e2e {

/// Threads, each with a session and a counter of its own. The n-th command of a session must be answered n: less is a
/// lost write, more a doubled one.
class counters {
 public:
  counters(const std::vector<address>& servers, int threads) {
    for (int t = 0; t < threads; ++t) last_.push_back(0);
    for (int t = 0; t < threads; ++t) {
      threads_.emplace_back([this, servers, t] { run(servers, t); });
    }
  }
  ~counters() { stop(); }
  counters(const counters&) = delete;
  counters& operator=(const counters&) = delete;

  void stop() {
    stopping_ = true;
    for (std::thread& t : threads_) {
      if (t.joinable()) t.join();
    }
  }

  /// From now on, looks for the first command that is sent later and answered.
  void mark() {
    const std::lock_guard lock{mutex_};
    marked_ = steady::now();
    first_answer_ = {};
  }
  /// How long after mark() that was.
  [[nodiscard]] std::optional<steady::duration> first_answer() {
    const std::lock_guard lock{mutex_};
    if (first_answer_ == steady::time_point{}) return std::nullopt;
    return first_answer_ - marked_;
  }

  /// The longest time between two answers, of whichever threads, since this was asked last.
  [[nodiscard]] double longest_pause_ms() {
    const std::lock_guard lock{mutex_};
    return std::chrono::duration<double, std::milli>(std::exchange(longest_pause_, {})).count();
  }

  [[nodiscard]] long long acknowledged() {
    const std::lock_guard lock{mutex_};
    long long sum = 0;
    for (const long long n : last_) sum += n;
    return sum;
  }
  /// Answers that were not the number of the command; the first of them in words.
  [[nodiscard]] std::string wrong() {
    const std::lock_guard lock{mutex_};
    return wrong_;
  }

  /// After stop(): compares what the cluster holds with what was acknowledged.
  void verify(const std::vector<address>& servers) {
    require(wrong().empty(), wrong());
    cluster_client client{servers};
    for (std::size_t t = 0; t < last_.size(); ++t) {
      const auto held = client.until_done({"GET", key(static_cast<int>(t))}, milliseconds(15000));
      require(held.has_value(), "the counters cannot be read");
      require(held->text == std::to_string(last_[t]),
              key(static_cast<int>(t)) + " is " + held->text + ", acknowledged were " + std::to_string(last_[t]));
    }
  }

 private:
  static std::string key(int t) { return "counter:" + std::to_string(t); }

  void run(const std::vector<address>& servers, int t) {
    cluster_client client{servers};
    std::optional<reply> session;
    while (!session && !stopping_) session = client.until_done({"SESSION.OPEN"}, milliseconds(1000));
    for (long long n = 1; !stopping_; ++n) {
      if (!finish(client, session->text, t, n)) return;
    }
  }

  /// Sends one command until it is answered, so that none is open when the thread ends. False: the answer was wrong, or
  /// there is none for a long time.
  bool finish(cluster_client& client, const std::string& session, int t, long long n) {
    const std::string serial = std::to_string(n);
    for (const auto until = steady::now() + std::chrono::seconds(30); steady::now() < until;) {
      const auto sent = steady::now();
      const outcome o = client.once({"SESSION.DO", session, serial, "INCR", key(t)}, sent + milliseconds(500));
      if (o.what == outcome::kind::done) {
        take(t, n, o.answer, sent);
        return o.answer.text == serial;
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    const std::lock_guard lock{mutex_};
    wrong_ = key(t) + ": no answer to command " + serial + " within 30 s";
    return false;
  }

  void take(int t, long long n, const reply& answer, steady::time_point sent) {
    const std::lock_guard lock{mutex_};
    if (answer.text != std::to_string(n) && wrong_.empty()) {
      wrong_ = key(t) + ": command " + std::to_string(n) + " was answered " + answer.type + answer.text;
    }
    last_[static_cast<std::size_t>(t)] = n;
    const auto answered = steady::now();
    if (last_answer_ != steady::time_point{}) longest_pause_ = std::max(longest_pause_, answered - last_answer_);
    last_answer_ = answered;
    if (sent >= marked_ && first_answer_ == steady::time_point{}) first_answer_ = steady::now();
  }

  std::atomic<bool> stopping_{false};
  std::mutex mutex_{};
  steady::time_point marked_{};
  steady::time_point first_answer_{};
  steady::time_point last_answer_{};
  steady::duration longest_pause_{};
  std::vector<long long> last_{};
  std::string wrong_{};
  std::vector<std::thread> threads_{};
};

/// Threads that do random commands on shared keys and record what they saw.
class recorder {
 public:
  recorder(std::vector<address> servers, int threads, unsigned seed) : servers_(std::move(servers)) {
    for (int t = 0; t < threads; ++t) {
      threads_.emplace_back([this, t, seed] { run(t, seed + static_cast<unsigned>(t)); });
    }
  }
  ~recorder() { stop(); }
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;

  void stop() {
    stopping_ = true;
    for (std::thread& t : threads_) {
      if (t.joinable()) t.join();
    }
  }

  /// After stop().
  [[nodiscard]] const std::vector<linearizability::operation>& history() const { return history_; }

  /// After stop(): one line of JSON for each operation, for another checker.
  void write(const std::string& file) const {
    static constexpr const char* names[] = {"get", "put", "append", "cas", "incr"};
    std::ofstream out{file};
    for (const auto& o : history_) {
      const bool open = o.end == linearizability::operation::never;
      out << "{\"c\":" << o.client << ",\"op\":\"" << names[static_cast<std::size_t>(o.what)] << "\",\"k\":\"" << o.key
          << "\",\"v\":\"" << o.value << "\",\"o\":\"" << o.expected << "\",\"t0\":" << o.call
          << ",\"t1\":" << (open ? o.call : o.end) << ",\"r\":\"" << o.result.value_or("")
          << "\",\"ok\":" << (o.result.has_value() ? "true" : "false") << ",\"st\":\"" << (open ? "info" : "ok")
          << "\"}\n";
    }
  }

 private:
  using operation = linearizability::operation;
  using action = linearizability::action;

  /// Few clients a key and few operations a key keep the search of the checker small.
  static constexpr int clients_a_key = 3;
  static constexpr int operations_a_key = 60;

  /// A read at a server that mostly does not lead, which asks the leader for its index. Not recorded if not answered.
  void read_near(connection& near, const address& server, operation o, std::vector<operation>& mine) const {
    if (!near.is_open()) {
      if (!near.open(server, steady::now() + milliseconds(200)) || !near.call({"READONLY"}, milliseconds(200))) {
        return near.close();
      }
    }
    o.call = now();
    const auto got = near.call(words_of(o), milliseconds(700));
    o.end = now();
    if (!got) return near.close();
    if (got->type == '-') return;
    if (got->type != 'n') o.result = got->text;
    mine.push_back(o);
  }

  void run(int t, unsigned seed) {
    std::mt19937 random{seed};
    connection link;
    connection near;
    std::size_t server = random() % servers_.size();
    std::vector<operation> mine;
    for (int n = 0; !stopping_; ++n) {
      operation o = draw(random, t, n);
      if (o.what == action::get && random() % 2 == 0) {
        read_near(near, servers_[static_cast<std::size_t>(t) % servers_.size()], o, mine);
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
        continue;
      }
      if (!link.is_open() && !link.open(servers_[server], steady::now() + milliseconds(200))) {
        server = random() % servers_.size();
        std::this_thread::sleep_for(milliseconds(5));
        continue;
      }
      o.call = now();
      const auto got = link.call(words_of(o), milliseconds(700));
      o.end = now();
      if (!got || got->is_error("UNKNOWN")) {
        o.end = operation::never;
        if (o.what != action::get) mine.push_back(o);
        link.close();
        server = random() % servers_.size();
      } else if (got->is_error("MOVED")) {
        follow(got->text, server);
        link.close();
      } else if (got->is_error("CLUSTERDOWN") || got->is_error("TRYAGAIN")) {
        link.close();
        server = random() % servers_.size();
        std::this_thread::sleep_for(milliseconds(5));
      } else {
        if (got->type != 'n' && got->text != "OK") o.result = got->text;
        mine.push_back(o);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    }
    const std::lock_guard lock{mutex_};
    history_.insert(history_.end(), mine.begin(), mine.end());
  }

  operation draw(std::mt19937& random, int t, int n) {
    operation o;
    o.client = t;
    const std::string place =
        std::to_string(t / clients_a_key) + ":" + std::to_string(n / (operations_a_key / clients_a_key));
    const std::string unique = std::to_string(t) + "-" + std::to_string(n);
    const auto dice = random() % 10;
    switch (random() % 3) {
      case 0:
        o.key = "number:" + place;
        o.what = dice < 5 ? action::get : action::increment;
        break;
      case 1:
        o.key = "text:" + place;
        o.what = dice < 5 ? action::get : action::append;
        o.value = unique + ";";
        break;
      default:
        o.key = "register:" + place;
        o.what = dice < 4 ? action::get : dice < 8 ? action::set : action::cas;
        // Few values, so that compare-and-set hits now and then.
        o.value = o.what == action::cas ? unique : std::to_string(random() % 3);
        o.expected = std::to_string(random() % 3);
    }
    if (o.what == action::get || o.what == action::increment) o.value.clear();
    return o;
  }

  static std::vector<std::string> words_of(const operation& o) {
    switch (o.what) {
      case action::get:
        return {"GET", o.key};
      case action::set:
        return {"SET", o.key, o.value};
      case action::append:
        return {"APPEND", o.key, o.value};
      case action::cas:
        return {"CAS", o.key, o.expected, o.value};
      default:
        return {"INCR", o.key};
    }
  }

  void follow(const std::string& moved, std::size_t& server) const {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (moved.ends_with(" " + to_string(servers_[i]))) server = i;
    }
  }

  static std::int64_t now() { return steady::now().time_since_epoch().count(); }

  std::vector<address> servers_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_{};
  std::vector<operation> history_{};
  std::vector<std::thread> threads_{};
};

}  // namespace e2e

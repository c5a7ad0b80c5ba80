#pragma once

// Clients under which servers are killed and cut off: counters in sessions, which show every lost and every doubled
// write at once; recorded histories for the linearizability checker; and a ledger of everything that was acknowledged.
// Each has threads of its own, which end with stop().

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <raft/testing/linearizability.hpp>

#include "processes.hpp"

namespace linearizability = raft::testing::linearizability;

namespace e2e {

/// Where clients are, and where they find servers. A copy shows the same servers, which may change.
class surroundings {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): a list of servers is all that most clients need
  surroundings(std::vector<address> servers, std::function<void()> enter = {})
      : shared_(std::make_shared<shared>()), enter_(std::move(enter)) {
    shared_->servers = std::move(servers);
  }

  void change(std::vector<address> servers) {
    const std::lock_guard lock{shared_->mutex};
    shared_->servers = std::move(servers);
    shared_->version.fetch_add(1);
  }
  [[nodiscard]] std::vector<address> servers() const {
    const std::lock_guard lock{shared_->mutex};
    return shared_->servers;
  }
  /// Rises with each change.
  [[nodiscard]] unsigned version() const { return shared_->version; }

  /// What a client's thread does first.
  void enter() const {
    if (enter_) enter_();
  }

 private:
  struct shared {
    std::mutex mutex{};
    std::vector<address> servers{};
    std::atomic<unsigned> version{0};
  };
  std::shared_ptr<shared> shared_;
  std::function<void()> enter_;
};

/// Threads that begin in the surroundings, and end when they are told.
class crew {
 public:
  crew() = default;
  ~crew() { stop(); }
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;

  template <class Work>
  void begin(const surroundings& where, int threads, Work work) {
    for (int t = 0; t < threads; ++t) {
      threads_.emplace_back([where, work, t] {
        where.enter();
        work(t);
      });
    }
  }
  void stop() {
    stopping_ = true;
    for (std::thread& t : threads_) {
      if (t.joinable()) t.join();
    }
  }
  [[nodiscard]] bool stopping() const { return stopping_; }

 private:
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_{};
};

/// A client that follows changes of the surroundings.
class roaming_client {
 public:
  explicit roaming_client(surroundings where) : where_(std::move(where)), client_(where_.servers()) {}

  cluster_client& now() {
    if (const unsigned latest = where_.version(); latest != version_) {
      version_ = latest;
      client_ = cluster_client{where_.servers()};
    }
    return client_;
  }

 private:
  surroundings where_;
  unsigned version_ = where_.version();
  cluster_client client_;
};

/// Threads, each with a session and a counter of its own. The n-th command of a session must be answered n: less is a
/// lost write, more a doubled one.
class counters {
 public:
  /// Each thread rests for `pace` after each command.
  counters(const surroundings& where, int threads, milliseconds pace = {})
      : pace_(pace), last_(static_cast<std::size_t>(threads)) {
    crew_.begin(where, threads, [this, where](int t) { run(where, t); });
  }
  ~counters() { stop(); }
  counters(const counters&) = delete;
  counters& operator=(const counters&) = delete;

  void stop() { crew_.stop(); }

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

  void run(const surroundings& where, int t) {
    roaming_client client{where};
    std::optional<reply> session;
    while (!session && !crew_.stopping()) session = client.now().until_done({"SESSION.OPEN"}, milliseconds(1000));
    for (long long n = 1; !crew_.stopping(); ++n) {
      if (!finish(client, session->text, t, n)) return;
      if (pace_.count() > 0) std::this_thread::sleep_for(pace_);
    }
  }

  /// Sends one command until it is answered, so that none is open when the thread ends. False: the answer was wrong, or
  /// there is none for a long time.
  bool finish(roaming_client& client, const std::string& session, int t, long long n) {
    const std::string serial = std::to_string(n);
    for (const auto until = steady::now() + std::chrono::seconds(30); steady::now() < until;) {
      const auto sent = steady::now();
      const outcome o = client.now().once({"SESSION.DO", session, serial, "INCR", key(t)}, sent + milliseconds(500));
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

  milliseconds pace_;
  std::mutex mutex_{};
  steady::time_point marked_{};
  steady::time_point first_answer_{};
  steady::time_point last_answer_{};
  steady::duration longest_pause_{};
  std::vector<long long> last_;
  std::string wrong_{};
  crew crew_{};
};

/// Threads that do random commands on shared keys and record what they saw. A few clients share a key, for a few dozen
/// operations, and take a fresh one early when outcomes are unknown: that keeps the search of the checker small.
class recorder {
 public:
  recorder(const surroundings& where, int threads, unsigned seed)
      : groups_(static_cast<std::size_t>((threads + clients_a_key - 1) / clients_a_key)) {
    crew_.begin(where, threads, [this, where, seed](int t) { client{*this, where, t, seed}.run(); });
  }
  ~recorder() { stop(); }
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;

  void stop() { crew_.stop(); }

  /// After stop().
  [[nodiscard]] const std::vector<linearizability::operation>& history() const { return history_; }
  /// After stop(): operations that were refused, and certainly not applied.
  [[nodiscard]] long long refused() const { return refused_; }

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

  static constexpr int clients_a_key = 3;
  static constexpr int operations_a_key = 60;
  static constexpr int unknown_a_key = 6;

  /// Clients that share keys. What is drawn next is counted, so the last of a key may be a few more.
  struct group {
    std::atomic<int> key{0};
    std::atomic<int> operations{0};
    std::atomic<int> unknown{0};

    void note(std::atomic<int>& what, int limit) {
      if (what.fetch_add(1) + 1 < limit) return;
      operations = 0;
      unknown = 0;
      key.fetch_add(1);
    }
  };

  class client {
   public:
    client(recorder& all, const surroundings& where, int t, unsigned seed)
        : all_(all),
          where_(where),
          group_(all.groups_[static_cast<std::size_t>(t / clients_a_key)]),
          random_(seed + static_cast<unsigned>(t)),
          number_(t) {}

    void run() {
      for (int n = 0; !all_.crew_.stopping(); ++n) {
        if (version_ != where_.version()) move();
        operation o = draw(n);
        o.what == action::get&& random_() % 2 == 0 ? read_near(std::move(o)) : perform(std::move(o));
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % 3000));
      }
      const std::lock_guard lock{all_.mutex_};
      all_.history_.insert(all_.history_.end(), mine_.begin(), mine_.end());
      all_.refused_ += refused_;
    }

   private:
    void move() {
      version_ = where_.version();
      servers_ = where_.servers();
      link_.close();
      near_.close();
      elsewhere();
    }
    void elsewhere() {
      link_.close();
      server_ = random_() % servers_.size();
    }

    /// A read at a server that mostly does not lead, which asks the leader for its index. Not recorded if not answered.
    void read_near(operation o) {
      const address& server = servers_[static_cast<std::size_t>(number_) % servers_.size()];
      if (!near_.is_open()) {
        if (!near_.open(server, steady::now() + milliseconds(200)) || !near_.call({"READONLY"}, milliseconds(200))) {
          return near_.close();
        }
      }
      o.call = now();
      const auto got = near_.call(words_of(o), milliseconds(700));
      o.end = now();
      if (!got) return near_.close();
      if (got->type == '-') return;
      if (got->type != 'n') o.result = got->text;
      keep(std::move(o));
    }

    void perform(operation o) {
      if (!link_.is_open() && !link_.open(servers_[server_], steady::now() + milliseconds(200))) {
        elsewhere();
        std::this_thread::sleep_for(milliseconds(5));
        return;
      }
      o.call = now();
      // Some lose patience, and find the next leader, while others still wait for an answer of the last one.
      const auto got = link_.call(words_of(o), milliseconds(150 + random_() % 550));
      o.end = now();
      if (!got || got->is_error("UNKNOWN")) {
        o.end = operation::never;
        if (o.what != action::get) {
          keep(std::move(o));
          group_.note(group_.unknown, unknown_a_key);
        }
        elsewhere();
      } else if (got->is_error("MOVED")) {
        ++refused_;
        link_.close();
        follow(got->text);
      } else if (got->is_error("CLUSTERDOWN") || got->is_error("TRYAGAIN")) {
        ++refused_;
        elsewhere();
        std::this_thread::sleep_for(milliseconds(5));
      } else {  // an error that nobody expects is a result that no store gives
        if (got->type != 'n' && got->text != "OK") o.result = got->text;
        keep(std::move(o));
      }
    }

    void keep(operation o) {
      mine_.push_back(std::move(o));
      group_.note(group_.operations, operations_a_key);
    }

    operation draw(int n) {
      operation o;
      o.client = number_;
      const std::string place = std::to_string(number_ / clients_a_key) + ":" + std::to_string(group_.key);
      const std::string unique = std::to_string(number_) + "-" + std::to_string(n);
      const auto dice = random_() % 10;
      switch (random_() % 3) {
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
          o.value = o.what == action::cas ? unique : std::to_string(random_() % 3);
          o.expected = std::to_string(random_() % 3);
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

    void follow(const std::string& moved) {
      for (std::size_t i = 0; i < servers_.size(); ++i) {
        if (moved.ends_with(" " + to_string(servers_[i]))) server_ = i;
      }
    }

    static std::int64_t now() { return steady::now().time_since_epoch().count(); }

    recorder& all_;
    const surroundings& where_;
    group& group_;
    std::mt19937 random_;
    int number_;
    unsigned version_ = where_.version();
    std::vector<address> servers_ = where_.servers();
    std::size_t server_ = random_() % servers_.size();
    connection link_{};
    connection near_{};
    std::vector<operation> mine_{};
    long long refused_ = 0;
  };

  std::vector<group> groups_;
  std::mutex mutex_{};
  std::vector<operation> history_{};
  long long refused_ = 0;
  crew crew_{};
};

/// Threads that write one key after the other, each once, and remember which were acknowledged.
class ledger {
 public:
  ledger(const surroundings& where, int threads) : written_(static_cast<std::size_t>(threads)) {
    crew_.begin(where, threads, [this, where](int t) { run(where, written_[static_cast<std::size_t>(t)], t); });
  }
  ~ledger() { stop(); }
  ledger(const ledger&) = delete;
  ledger& operator=(const ledger&) = delete;

  void stop() { crew_.stop(); }

  /// After stop(): the keys that were acknowledged. Each holds its own name.
  [[nodiscard]] std::vector<std::string> acknowledged() const {
    std::vector<std::string> all;
    for (const page& p : written_) all.insert(all.end(), p.acknowledged.begin(), p.acknowledged.end());
    return all;
  }
  /// After stop(): the keys of which nobody knows.
  [[nodiscard]] std::vector<std::string> unknown() const {
    std::vector<std::string> all;
    for (const page& p : written_) all.insert(all.end(), p.unknown.begin(), p.unknown.end());
    return all;
  }

 private:
  struct page {
    std::vector<std::string> acknowledged{};
    std::vector<std::string> unknown{};
  };

  void run(const surroundings& where, page& mine, int t) {
    roaming_client client{where};
    for (long long n = 0; !crew_.stopping(); ++n) {
      const std::string key = "ledger:" + std::to_string(t) + ":" + std::to_string(n);
      const outcome o = client.now().once({"SET", key, key}, steady::now() + milliseconds(500));
      if (o.what == outcome::kind::done && o.answer.text == "OK") mine.acknowledged.push_back(key);
      if (o.what == outcome::kind::unknown) mine.unknown.push_back(key);
      std::this_thread::sleep_for(milliseconds(5));
    }
  }

  std::vector<page> written_;
  crew crew_{};
};

}  // namespace e2e

#pragma once

// Where clients' commands wait for the log: the engine's StateMachine on one side, connections on the other. No socket
// and no engine in here; both meet it by values.
//
//   a client's command --write--> batch() --propose--> proposed(..) or refused(..)
//                      |              \--sent on----> forward(..), where another server leads
//                      \-read--> waits for its turn to be confirmed
//   the engine --apply / on_fate / on_forwarded / on_read--> replies, to those who asked and are still there
//
// Invariants: every command taken in is answered exactly once, whatever becomes of it; a command that is answered with
// MOVED, CLUSTERDOWN or TRYAGAIN was certainly not applied and never will be; a waiter is found by index AND term of
// its entry, so an answer never goes to whoever waited for another entry in that place.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <raft/entry.hpp>
#include <raft/node.hpp>
#include <raft/role.hpp>
#include <raft/types.hpp>

#include "arena.hpp"
#include "bytes.hpp"
#include "client.hpp"
#include "command.hpp"
#include "fifo.hpp"
#include "options.hpp"
#include "resp.hpp"
#include "state.hpp"

namespace kv {

namespace texts {
inline constexpr std::string_view no_leader = "CLUSTERDOWN no leader";
inline constexpr std::string_view try_again = "TRYAGAIN the command was not applied, and will not be";
inline constexpr std::string_view unknown = "UNKNOWN leadership was lost: the command may or may not be applied";
inline constexpr std::string_view answer_lost = "UNKNOWN the command is applied, and its answer did not get here";
inline constexpr std::string_view change_goes_on =
    "UNKNOWN leadership was lost: the change is decided, and ends under another leader; see RAFT.STATUS";
}  // namespace texts

class desk {
 public:
  /// `cluster` tells where clients are sent to.
  explicit desk(std::vector<member> cluster) : cluster_(std::move(cluster)) {}
  /// Commands are taken in where another server leads, too: `forward` sends them on.
  void take_in_everywhere() noexcept { takes_everywhere_ = true; }
  /// The members are others now.
  void set_members(std::vector<member> cluster) { cluster_ = std::move(cluster); }

  // ---- connections

  /// A new one; the reference holds until close().
  client& open() {
    if (free_.empty()) {
      slots_.emplace_back();
      free_.push_back(slots_.size() - 1);
    }
    slot& s = slots_[free_.back()];
    s.who = std::make_unique<client>();
    s.who->number = (std::uint64_t{s.generation} << 32) | free_.back();
    s.who->reads_here = takes_everywhere_;
    free_.pop_back();
    return *s.who;
  }

  /// It is gone; what it waits for is done all the same, and answered to nobody.
  void close(client& c) {
    const auto place = static_cast<std::size_t>(c.number & 0xffffffff);
    slots_[place].who.reset();
    ++slots_[place].generation;
    free_.push_back(place);
  }

  /// Null if it is gone.
  [[nodiscard]] client* find(client_number n) const {
    const slot& s = slots_[static_cast<std::size_t>(n & 0xffffffff)];
    return s.generation == n >> 32 ? s.who.get() : nullptr;
  }

  [[nodiscard]] std::size_t connections() const noexcept { return slots_.size() - free_.size(); }

  /// Those with something to send since the list was last taken; some may be gone.
  [[nodiscard]] std::vector<client_number>& dirty() noexcept { return dirty_; }

  // ---- requests

  /// What is taken in from now on belongs to the next turn.
  void begin_turn() {
    ++turn_;
    reads_taken_ = false;
    // Not before: a leader whose removal is done leads no longer when it is told so, and its client is answered OK.
    if (!leading_ && !changes_.empty()) {
      end_changes([](const waiter& w) { return w.done; }, texts::change_goes_on);
    }
  }
  [[nodiscard]] std::uint64_t turn() const noexcept { return turn_; }
  [[nodiscard]] bool leading() const noexcept { return leading_; }
  /// Whether a command that is taken in now is for another server,
  [[nodiscard]] bool sends_on() const noexcept { return takes_everywhere_ && !leading_; }
  /// and whether the batch is: all of it was taken in for another one, and there is none of this one's own.
  [[nodiscard]] bool batch_is_sent_on() const noexcept { return sends_on() && !batch_for_here_; }

  /// A reply that is known.
  template <class Write>
  void say(client& c, Write&& write) {
    c.replies.say(write);
    note(c);
  }

  /// Takes in a command for the log, or says who to ask.
  void write(client& c, const command& what) {
    if (!leading_ && (!takes_everywhere_ || leader_ == raft::nobody)) return say_elsewhere(c);
    batch_for_here_ = leading_ || (batch_for_here_ && !batch_ends_.empty());
    char* const room = batch_.room(encoded_bound(what));
    batch_.used(static_cast<std::size_t>(encode(room, what) - room));
    batch_ends_.push_back(batch_.size());
    batch_waiters_.push_back({raft::index_t{}, raft::term_t{}, c.number, c.replies.expect_write(turn_), turn_});
  }

  /// Answers a command that reads from the state as it is.
  void read_now(client& c, const command& what) {
    c.replies.expect_read(0, what);
    c.replies.serve(confirmed_, reader());
    note(c);
  }

  /// Takes in a command that reads, or says who to ask.
  void read(client& c, const command& what) {
    if (!leading_ && !c.reads_here) return say_elsewhere(c);
    c.replies.expect_read(turn_, what);
    reads_taken_ = true;
    if (c.reading_turn == turn_) return;
    c.reading_turn = turn_;
    readers_.push({turn_, c.number});
  }

  /// Whether this turn has taken in reads.
  [[nodiscard]] bool reads_taken() const noexcept { return reads_taken_; }
  [[nodiscard]] std::size_t batch_bytes() const noexcept { return batch_.size(); }

  /// The commands to be proposed; views that hold until proposed() or refused().
  [[nodiscard]] std::span<const raft::payload> batch() {
    batch_payloads_.clear();
    std::size_t begin = 0;
    for (const std::size_t end : batch_ends_) {
      batch_payloads_.push_back(as_payload(batch_.view().substr(begin, end - begin)));
      begin = end;
    }
    return batch_payloads_;
  }

  /// The batch has its places in the log.
  void proposed(raft::proposal first) {
    for (std::size_t i = 0; i < batch_waiters_.size(); ++i) {
      waiter w = batch_waiters_[i];
      w.index = first.index + i;
      w.term = first.term;
      waiters_.push(w);
    }
    forget_batch();
  }

  /// Nothing of the batch was appended; `reply` is the text of the error for all of it.
  void refused(std::string_view reply) {
    for (const waiter& w : batch_waiters_) fail(w, reply);
    forget_batch();
  }

  /// Sends the batch on, one by one: propose(payload, context) asks another server for one, and answers the text of the
  /// error if that is not possible. Each that was sent on ends in one on_forwarded.
  template <class Propose>
  void forward(Propose&& propose) {
    const std::span<const raft::payload> commands = batch();
    for (std::size_t i = 0; i < commands.size(); ++i) {
      const std::uint64_t context = first_forward_ + forwards_.size();
      forwards_.push(batch_waiters_[i]);  // before: its end may be told during the call
      ++open_forwards_;
      const std::string error = propose(commands[i], context);
      if (!error.empty()) end_forward(context, [&](const waiter& w) { fail(w, error); });
    }
    forget_batch();
  }

  /// Its ready replies were sent and emptied: there is room for more.
  void resume(client& c) {
    c.replies.serve(confirmed_, reader());
    note(c);
  }

  /// A membership change has its place in the log; the client is answered when it is done.
  void expect_change(client& c, raft::proposal place) {
    changes_.push_back({place.index, place.term, c.number, c.replies.expect_write(turn_), turn_});
  }

  /// A server is being made a voter; the client is answered when that has ended.
  void expect_promotion(client& c) { promotions_.push_back({{}, {}, c.number, c.replies.expect_write(turn_), turn_}); }

  /// Leadership is being handed over; the client is answered when that has ended.
  void expect_transfer(client& c) { transfers_.push_back({{}, {}, c.number, c.replies.expect_write(turn_), turn_}); }

  /// What to answer where this server cannot help: the text of an error.
  [[nodiscard]] std::string elsewhere() const {
    for (const member& m : cluster_) {
      if (!leading_ && raft::node_id{m.id} == leader_) return "MOVED 0 " + to_string(m.clients);
    }
    return std::string(texts::no_leader);
  }

  // ---- the engine's StateMachine

  void apply(const raft::entry& e) {
    const std::string_view what = as_text(e.data);
    waiter* w = find(e.index, e.term);
    client* c = w != nullptr ? find(w->client) : nullptr;
    if (c == nullptr) {
      if (scratch_.capacity() > scratch_kept) scratch_ = {};
      scratch_.clear();
      state_.apply(what, scratch_);
      if (!forwards_.empty()) keep_answer(e);
    } else {
      c->replies.complete(w->number, confirmed_, reader(), [&](std::string& out) { state_.apply(what, out); });
      note(*c);
    }
    if (w == nullptr) return;
    const std::uint64_t turn = w->turn;
    finish(*w);
    confirm(turn);
  }

  void on_fate(raft::index_t first, raft::index_t last, raft::term_t term, raft::fate what) {
    if (!changes_.empty()) decide_changes(first, last, term, what);
    // An entry that was applied by way of a snapshot has nobody here who knows its answer.
    const std::span<waiter> all = waiters_.all();
    auto w = std::lower_bound(all.begin(), all.end(), std::pair{term, first}, before);
    std::uint64_t turn = 0;
    for (; w != all.end() && w->term == term && w->index <= last; ++w) {
      if (w->done) continue;
      fail(*w, not_answered(what));
      w->done = true;
      turn = std::max(turn, w->turn);
    }
    while (!waiters_.empty() && waiters_.front().done) waiters_.pop();
    if (turn > confirmed_) drop_reads(turn);  // they rode on these writes
  }

  /// What became of a command that was sent on. Its answer is that of the entry in its place, which was applied here.
  void on_forwarded(std::uint64_t context, raft::fate what, raft::proposal place) {
    if (what != raft::fate::applied) {
      return end_forward(context, [&](const waiter& w) { fail(w, not_answered(what)); });
    }
    const auto at = std::lower_bound(answers_.begin(), answers_.end(), place.index,
                                     [](const answer& a, raft::index_t i) { return a.index < i; });
    const bool there = at != answers_.end() && at->index == place.index && at->term == place.term;
    end_forward(context, [&](const waiter& w) { there ? complete(w, at->text) : fail(w, texts::answer_lost); });
  }

  void on_read(std::uint64_t turn, raft::read_fate what) {
    what == raft::read_fate::ready ? confirm(turn) : drop_reads(turn);
  }

  void on_role(raft::role_kind role, raft::node_id leader) {
    leading_ = role == raft::role_kind::leader;
    leader_ = leader;
  }

  void on_transfer(raft::transfer_fate what) {
    const std::string_view reply = what == raft::transfer_fate::done        ? "+OK\r\n"
                                   : what == raft::transfer_fate::timed_out ? "-ERR the transfer took too long\r\n"
                                                                            : "-ERR the transfer was broken off\r\n";
    for (const waiter& w : std::exchange(transfers_, {})) reply_to(w, reply);
  }

  void on_promotion(raft::promotion_fate what) {
    const std::string_view reply = what == raft::promotion_fate::promoted ? "+OK\r\n"
                                   : what == raft::promotion_fate::too_slow
                                       ? "-ERR it does not catch up, and stays a learner\r\n"
                                       : "-UNKNOWN leadership was lost: see RAFT.STATUS, and ask again\r\n";
    for (const waiter& w : std::exchange(promotions_, {})) reply_to(w, reply);
  }

  /// The membership in force, and the entry that it is from.
  void on_configuration(bool joint, raft::index_t index) {
    joint_ = joint;
    configuration_index_ = index;
  }

  /// The reads of all turns up to this one cannot be confirmed here; their clients are told who to ask.
  void drop_reads(std::uint64_t turn) {
    const std::string text = "-" + elsewhere() + "\r\n";
    while (!readers_.empty() && readers_.front().turn <= turn) {
      if (client* c = find(readers_.front().client); c != nullptr) {
        c->replies.drop_reads(turn, confirmed_, text, reader());
        note(*c);
      }
      readers_.pop();
    }
  }

  [[nodiscard]] kv::state& state() noexcept { return state_; }
  [[nodiscard]] const kv::state& state() const noexcept { return state_; }
  /// Commands that wait for the log.
  [[nodiscard]] std::size_t waiting_writes() const noexcept { return waiters_.size(); }
  [[nodiscard]] bool waiting_reads() const noexcept { return !readers_.empty(); }
  /// Commands that were sent on and have not ended.
  [[nodiscard]] std::size_t forwards() const noexcept { return open_forwards_; }

 private:
  struct slot {
    std::unique_ptr<client> who{};
    std::uint32_t generation = 1;
  };
  struct waiter {
    raft::index_t index{};
    raft::term_t term{};
    client_number client = 0;
    reply_queue::number number = 0;
    std::uint64_t turn = 0;
    bool done = false;
  };
  /// What the execution of an entry brought, for whoever sent it on from here; kept while somebody waits.
  struct answer {
    raft::index_t index{};
    raft::term_t term{};
    std::string text{};
  };
  struct reading {
    std::uint64_t turn = 0;
    client_number client = 0;
  };

  /// Serves a read from the state of now.
  struct state_reader {
    kv::state* from;
    void operator()(std::string_view what, std::string& out) const { from->read(what, out); }
  };
  state_reader reader() { return {&state_}; }

  static constexpr std::size_t scratch_kept = std::size_t{1} << 20;
  static constexpr std::size_t most_answers = 65'536;  ///< More than are applied while a place gets here.
  static constexpr std::size_t most_answer_bytes = std::size_t{16} << 20;

  /// Of a command without an answer: that it will never be applied, or that nobody knows.
  static std::string_view not_answered(raft::fate what) {
    return what == raft::fate::dropped ? texts::try_again : texts::unknown;
  }

  static bool before(const waiter& w, const std::pair<raft::term_t, raft::index_t>& place) {
    return std::pair{w.term, w.index} < place;
  }

  void note(client& c) {
    if (c.dirty || c.replies.ready().empty()) return;
    c.dirty = true;
    dirty_.push_back(c.number);
  }

  void keep_answer(const raft::entry& e) {
    answers_.push_back({e.index, e.term, scratch_});
    answer_bytes_ += scratch_.size();
    while (answers_.size() > most_answers || answer_bytes_ > most_answer_bytes) {
      answer_bytes_ -= answers_.front().text.size();
      answers_.pop_front();
    }
  }

  /// It was applied a moment ago. No read waits in front of it, or that would see it too early: see service.
  void complete(const waiter& w, const std::string& reply) {
    client* c = find(w.client);
    if (c == nullptr) return;
    c->replies.complete(w.number, confirmed_, reader(), [&reply](std::string& out) { out.append(reply); });
    note(*c);
  }

  /// Answers a command that was sent on; tell(waiter) does it.
  template <class Tell>
  void end_forward(std::uint64_t context, Tell&& tell) {
    waiter& w = forwards_[static_cast<std::size_t>(context - first_forward_)];
    tell(w);
    w.done = true;
    --open_forwards_;
    for (; !forwards_.empty() && forwards_.front().done; ++first_forward_) forwards_.pop();
    if (!forwards_.empty()) return;
    answers_.clear();
    answer_bytes_ = 0;
  }

  void say_elsewhere(client& c) {
    say(c, [this](std::string& out) { resp::write_error(out, elsewhere()); });
  }

  /// Who waits for that entry; null if nobody does. Nearly always the one in front.
  waiter* find(raft::index_t index, raft::term_t term) {
    if (waiters_.empty()) return nullptr;
    waiter& front = waiters_.front();
    if (front.index == index && front.term == term) return &front;
    const std::span<waiter> all = waiters_.all();
    const auto at = std::lower_bound(all.begin(), all.end(), std::pair{term, index}, before);
    return at != all.end() && at->index == index && at->term == term && !at->done ? &*at : nullptr;
  }

  void finish(waiter& w) {
    w.done = true;
    while (!waiters_.empty() && waiters_.front().done) waiters_.pop();
  }

  void fail(const waiter& w, std::string_view reply) { reply_to(w, "-" + std::string(reply) + "\r\n"); }

  /// This is the answer, and not what the command's execution would bring.
  void reply_to(const waiter& w, std::string_view reply) {
    client* c = find(w.client);
    if (c == nullptr) return;
    c->replies.fail(w.number, reply, confirmed_, reader());
    note(*c);
  }

  void confirm(std::uint64_t turn) {
    if (turn <= confirmed_) return;
    confirmed_ = turn;
    while (!readers_.empty() && readers_.front().turn <= turn) {
      if (client* c = find(readers_.front().client); c != nullptr) {
        c->replies.serve(confirmed_, reader());
        note(*c);
      }
      readers_.pop();
    }
  }

  void forget_batch() {
    batch_.clear();
    batch_ends_.clear();
    batch_waiters_.clear();
  }

  /// A change is done when its entry is applied and, if that led into a joint membership, the one that leaves it.
  void decide_changes(raft::index_t first, raft::index_t last, raft::term_t term, raft::fate what) {
    const auto meant = [&](const waiter& w) { return w.term == term && first <= w.index && w.index <= last; };
    if (what == raft::fate::dropped) return end_changes(meant, texts::try_again);
    if (what == raft::fate::unknown) return end_changes(meant, texts::unknown);
    for (waiter& w : changes_) w.done = w.done || meant(w);
    if (!joint_ && configuration_index_ <= last) end_changes([](const waiter& w) { return w.done; }, {});
  }

  /// Answers those that are meant: with this error, or with OK.
  template <class Meant>
  void end_changes(Meant&& meant, std::string_view error) {
    std::erase_if(changes_, [&](const waiter& w) {
      if (!meant(w)) return false;
      reply_to(w, error.empty() ? "+OK\r\n" : "-" + std::string(error) + "\r\n");
      return true;
    });
  }

  std::vector<member> cluster_;
  kv::state state_{};
  std::vector<slot> slots_{};
  std::vector<std::size_t> free_{};
  std::vector<client_number> dirty_{};

  bool leading_ = false;
  bool takes_everywhere_ = false;
  raft::node_id leader_{};

  std::uint64_t turn_ = 0;
  std::uint64_t confirmed_ = 0;  ///< The reads of all turns up to this one may be served.
  bool reads_taken_ = false;
  fifo<reading> readers_{};  ///< Whose reads wait for a turn above confirmed_.

  arena batch_{};  ///< The commands of this turn, one behind the other,
  std::vector<std::size_t> batch_ends_{};
  bool batch_for_here_ = false;
  std::vector<waiter> batch_waiters_{};
  std::vector<raft::payload> batch_payloads_{};
  fifo<waiter> waiters_{};  ///< By term, then by index.

  fifo<waiter> forwards_{};  ///< Sent on; the context of the front one is
  std::uint64_t first_forward_ = 1;
  std::size_t open_forwards_ = 0;
  std::deque<answer> answers_{};  ///< By index.
  std::size_t answer_bytes_ = 0;

  std::vector<waiter> changes_{};     ///< Of the membership; `done`: its entry is applied.
  std::vector<waiter> promotions_{};  ///< To voters: one at a time.
  std::vector<waiter> transfers_{};   ///< Of leadership: one at a time, but for who asks while it ends.
  bool joint_ = false;
  raft::index_t configuration_index_{};

  std::string scratch_{};
};

}  // namespace kv

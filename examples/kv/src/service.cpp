#include "service.hpp"

#include <algorithm>
#include <cstdio>
#include <random>
#include <utility>
#include <variant>

#include <raft/version.hpp>

#include "directory_owner.hpp"
#include "engine.hpp"
#include "policies.hpp"

namespace kv {

// ---------------------------------------------------------------------------------------------------- life

service::service(const server_options& options)
    : options_(options),
      cluster_(cluster_number(options.cluster)),
      now_(std::chrono::steady_clock::now()),
      desk_(options.cluster) {}

service::~service() = default;

void service::log(std::string_view text) const {
  std::fprintf(stderr, "raft-kv %llu: %.*s\n", static_cast<unsigned long long>(options_.id),
               static_cast<int>(text.size()), text.data());
}

std::unique_ptr<service> service::open(const server_options& options, std::string& why) {
  std::unique_ptr<service> s{new service(options)};
  if (!s->start(why)) return nullptr;
  return s;
}

bool service::start(std::string& why) {
  raft::file_log_options log_options;
  log_options.sync = options_.sync ? raft::sync_policy::always : raft::sync_policy::never;
  raft::file_log_failure failure;
  auto log = raft::file_log<>::open(options_.data, initial_configuration(), log_options, &failure);
  if (!log) {
    why = "the log cannot be opened: " + failure.text();
    return false;
  }
  if (!claim_directory(raft::posix_files{}, options_.data, options_.id, why)) return false;
  const std::uint64_t seed = (std::uint64_t{std::random_device{}()} << 32) | std::random_device{}() | 1;
  if (!options_.record.empty()) {
    record_ = record_file::create(options_, seed, why);
    if (record_ == nullptr) return false;
    this->log("records this run to " + record_->name());
  }
  if (options_.forward) desk_.take_in_everywhere();
  auto made = engine::create(record_.get(), raft::node_id{options_.id}, engine_options(options_), seed,
                             links_transport{links_, cluster_}, *std::move(log),
                             loop_clock{now_, options_.lease_drift != 0}, machine{*this}, watcher{*this});
  if (!made) {
    why = std::string("the engine refuses the stored state: ") + made.error().what;
    return false;
  }
  engine_ = *std::move(made);
  return true;
}

// ---------------------------------------------------------------------------------------------------- members

/// The servers that began the cluster, with their places: the same on every server, whenever it joins.
raft::configuration service::initial_configuration() const {
  std::vector<raft::node_id> ids;
  for (const member& m : options_.cluster) ids.emplace_back(m.id);
  raft::configuration c = raft::voters_of(ids);
  for (const member& m : options_.cluster) {
    const std::string place = place_of(m);
    const raft::payload bytes = as_payload(place);
    c.data.push_back({raft::node_id{m.id}, {bytes.begin(), bytes.end()}});
  }
  return c;
}

void service::take_members(const raft::configuration& c, raft::index_t index) {
  members_.clear();
  for (const raft::node_id id : raft::members_of(c)) {
    if (auto m = detail::parse_place(id.value, as_text(c.data_of(id)))) members_.push_back(*std::move(m));
  }
  is_member_ = c.is_member(raft::node_id{options_.id});
  ++membership_version_;
  for (const member& m : members_) {
    if (m.id != options_.id) link_to(raft::node_id{m.id});
  }
  desk_.set_members(members_);
  desk_.on_configuration(c.joint(), index);
}

link& service::link_to(raft::node_id peer) {
  const auto at = std::ranges::find(links_, peer, &link::peer);
  if (at != links_.end()) return *at;
  return links_.emplace_back(link{.peer = peer});
}

const member* service::find(std::uint64_t id) const {
  const auto at = std::ranges::find(members_, id, &member::id);
  if (at != members_.end()) return &*at;
  return is_member_ ? nullptr : options_.find(id);
}

// ---------------------------------------------------------------------------------------------------- a loop turn

raft::result<std::size_t> service::take_frames(std::span<const std::byte> bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    const auto frame = raft::decode(bytes.subspan(taken), cluster_, engine_->id());
    if (!frame && frame.error().code == raft::errc::incomplete) break;
    if (!frame) return frame.error();
    // A snapshot may take the place of what was put off.
    if (std::holds_alternative<raft::install_snapshot>(frame->message.body)) catch_up();
    // What the engine refuses it tells the watcher; the stream itself is in order.
    static_cast<void>(engine_->step(frame->message));
    taken += frame->bytes;
  }
  return taken;
}

/// When the write is applied, their replies are made all at once, whatever their size. A write that is sent on is
/// answered only when its place is known here, and that may be later than it was applied: no read may wait before it.
std::size_t service::most_reads_before_a_write() const noexcept { return desk_.sends_on() ? 0 : 64; }

bool service::has_room(client& c) const {
  constexpr std::size_t most_waiting = 16'384;
  constexpr std::size_t most_ready = std::size_t{1} << 20;
  constexpr std::size_t most_held = std::size_t{16} << 20;
  return c.replies.waiting() < most_waiting && c.replies.ready().size() < most_ready &&
         c.replies.held_bytes() < most_held &&
         !(c.held_back && c.replies.waiting_reads() > most_reads_before_a_write());
}

std::size_t service::take_requests(client& c, std::string_view bytes, bool& more) {
  constexpr std::size_t most_batch = std::size_t{8} << 20;
  std::size_t taken = 0;
  more = false;
  while (!c.closing) {
    more = !has_room(c) || desk_.batch_bytes() >= most_batch;
    if (more) break;
    const resp::outcome found = c.parser.next(bytes.substr(taken));
    if (found == resp::outcome::incomplete) break;
    if (found == resp::outcome::broken) {
      desk_.say(c, [&c](std::string& out) { resp::write_error(out, "ERR " + c.parser.error()); });
      c.closing = true;
      break;
    }
    more = !c.parser.arguments().empty() && !take_request(c, c.parser.arguments());
    if (more) break;
    taken += c.parser.consumed();
  }
  return taken;
}

/// False: not now.
bool service::take_request(client& c, std::span<const std::string_view> words) {
  command what;
  if (!parse(words, what, error_)) {
    desk_.say(c, [this](std::string& out) { resp::write_error(out, error_); });
    return true;
  }
  c.held_back = what.effect == effect::writes && c.replies.waiting_reads() > most_reads_before_a_write();
  if (c.held_back) return false;
  switch (what.effect) {
    case effect::writes:
      desk_.write(c, what);
      break;
    case effect::reads:
      read(c, what);
      break;
    case effect::local:
      answer(c, what);
      break;
  }
  return true;
}

/// At the leader, or, after READONLY, at any server: from a state that is recent enough, or up to the leader's index.
void service::read(client& c, const command& what) {
  const bool may_be_old = c.stale_ms != 0 && !desk_.leading();
  if (may_be_old && engine_->read_stale(std::chrono::milliseconds(c.stale_ms))) {
    catch_up();
    return desk_.read_now(c, what);
  }
  desk_.read(c, what);
}

/// True if the batch is under way, and so confirms the reads of its turn.
bool service::propose_batch() {
  const auto batch = desk_.batch();
  if (batch.empty()) return false;
  if (const auto first = engine_->propose(batch); first) {
    desk_.proposed(*first);
    return true;
  } else {
    switch (first.error().code) {
      case raft::errc::not_leader:
        desk_.refused(desk_.elsewhere());
        break;
      case raft::errc::failed:
        desk_.refused(texts::unknown);
        break;
      case raft::errc::transferring:
        break;  // it waits: leadership will soon be elsewhere, or here as before
      default:
        desk_.refused(texts::try_again);
        break;
    }
  }
  return false;
}

void service::forward_batch() {
  desk_.forward([this](raft::payload command, std::uint64_t context) -> std::string {
    const auto sent = engine_->propose_anywhere(command, context);
    if (sent) return {};
    const bool nobody_leads = sent.error().code == raft::errc::not_leader;
    return nobody_leads ? desk_.elsewhere()
                        : std::string(sent.error().code == raft::errc::failed ? texts::unknown : texts::try_again);
  });
}

void service::submit() {
  bool reads_ride = false;
  if (desk_.batch_is_sent_on()) {
    forward_batch();
  } else {
    reads_ride = propose_batch();
  }
  if (desk_.reads_taken() && !reads_ride && !engine_->read_anywhere(desk_.turn())) desk_.drop_reads(desk_.turn());
  if (now_ >= engine_->deadline()) engine_->tick();
}

bool service::dirty() const noexcept { return engine_->log().dirty(); }

void service::sync() {
  const auto done = engine_->log().sync();
  if (done && !done->empty()) static_cast<void>(engine_->step(raft::persisted{done->first, done->last}));
}

void service::apply_later(raft::index_t index) noexcept {
  if (put_off_ == raft::index_t{}) put_off_ = index;
  put_off_until_ = index;
}

/// From the log, which keeps entries for longer than a turn.
void service::catch_up() {
  if (put_off_ == raft::index_t{}) return;
  const raft::index_t from = std::exchange(put_off_, raft::index_t{});
  engine_->log().for_each(from, put_off_until_, [this](const raft::entry& e) {
    if (e.kind == raft::entry_kind::command) desk_.apply(e);
  });
}

moment service::deadline() const { return engine_->deadline(); }

bool service::failed(std::string& why) const {
  const raft::file_log_failure& failure = engine_->log().last_error();
  if (!engine_->failed() && failure.file.empty()) return false;
  why = failure.file.empty() ? std::string(engine_->status().failure.what) : failure.text();
  return true;
}

void service::snapshot_if_due() {
  const raft::index_t last = engine_->log().snapshot().index;
  if (engine_->last_applied() - last < options_.snapshot_entries) return;
  const auto taken = engine_->take_snapshot();
  if (taken) {
    log("snapshot at index " + std::to_string(taken->value));
  } else if (taken.error().code != raft::errc::not_ready) {
    log(std::string("no snapshot: ") + taken.error().what);
  }
}

// ---------------------------------------------------------------------------------------------------- local commands

void service::answer(client& c, const command& what) {
  // Into memory of its own: a snapshot makes the engine answer others, this client among them.
  std::string out;
  const auto words = what.words;
  switch (what.verb) {
    case verb::ping:
      say_ping(out, words);
      break;
    case verb::echo:
      resp::write_bulk(out, words[0]);
      break;
    case verb::info:
      say_info(out);
      break;
    case verb::command:
      say_commands(out, words);
      break;
    case verb::config:
      say_settings(out, words);
      break;
    case verb::hello:
      say_hello(out, words, c.number);
      break;
    case verb::select:
      words[0] == "0" ? resp::write_simple(out, "OK") : resp::write_error(out, "ERR DB index is out of range");
      break;
    case verb::readonly:
    case verb::readwrite:
      say_read_mode(out, c, what);
      break;
    case verb::raft_status:
      say_status(out);
      break;
    case verb::raft_snapshot:
      say_snapshot(out);
      break;
    case verb::raft_add:
    case verb::raft_remove:
    case verb::raft_change:
      return change_members(c, what);
    case verb::raft_preview:
      say_preview(out, what);
      break;
    case verb::raft_transfer:
      return transfer(c, what);
    case verb::raft_why:
      say_why(out, words);
      break;
    default:  // QUIT
      c.closing = true;
      resp::write_simple(out, "OK");
  }
  desk_.say(c, [&out](std::string& to) { to.append(out); });
}

/// READONLY, READONLY STALE ms, READWRITE.
void service::say_read_mode(std::string& out, client& c, const command& what) const {
  constexpr std::uint64_t longest = 3'600'000;
  const auto words = what.words;
  const bool stale = words.size() == 2 && same_word(words[0], "stale");
  const auto limit = stale ? to_count(words[1]) : std::nullopt;
  if (!words.empty() && !stale) return resp::write_error(out, texts::syntax);
  if (stale && (!limit || *limit > longest)) return resp::write_error(out, texts::not_an_integer);
  c.reads_here = options_.forward || what.verb == verb::readonly;
  c.stale_ms = limit.value_or(0);
  resp::write_simple(out, "OK");
}

void service::say_ping(std::string& out, std::span<const std::string_view> words) const {
  if (words.empty()) return resp::write_simple(out, "PONG");
  if (words.size() == 1) return resp::write_bulk(out, words[0]);
  resp::write_error(out, "ERR wrong number of arguments for 'ping' command");
}

void service::say_info(std::string& out) const {
  std::string text = "# Server\r\nserver:raft-kv\r\nraft_version:" + std::to_string(RAFT_VERSION_MAJOR) + "." +
                     std::to_string(RAFT_VERSION_MINOR) + "." + std::to_string(RAFT_VERSION_PATCH) +
                     "\r\n# Replication\r\nrole:" + (desk_.leading() ? "master" : "slave") + "\r\n# Raft\r\n";
  for (const auto& [field, value] : status())
    text.append("raft_").append(field).append(":").append(value).append("\r\n");
  resp::write_bulk(out, text);
}

void service::say_snapshot(std::string& out) {
  const auto taken = engine_->take_snapshot();
  if (taken) return resp::write_integer(out, static_cast<std::int64_t>(taken->value));
  const raft::index_t there = engine_->log().snapshot().index;
  if (there != raft::index_t{} && there == engine_->last_applied()) {  // there is nothing that a new one would add
    return resp::write_integer(out, static_cast<std::int64_t>(there.value));
  }
  resp::write_error(out, std::string("ERR ") + taken.error().what);
}

void service::say_commands(std::string& out, std::span<const std::string_view> words) const {
  const auto describe = [&out](const command_info& c) {
    resp::write_array(out, 6);
    resp::write_bulk(out, c.name);
    resp::write_integer(out, c.arity);
    resp::write_array(out, 1);
    resp::write_simple(out, c.effect == effect::writes ? "write" : c.effect == effect::reads ? "readonly" : "loading");
    for (const int key : c.keys) resp::write_integer(out, key);
  };
  if (words.empty()) {
    resp::write_array(out, command_table.size());
    for (const command_info& c : command_table) describe(c);
  } else if (same_word(words[0], "count")) {
    resp::write_integer(out, static_cast<std::int64_t>(command_table.size()));
  } else if (same_word(words[0], "docs")) {
    resp::write_array(out, 0);
  } else if (same_word(words[0], "info")) {
    resp::write_array(out, words.size() - 1);
    for (const std::string_view name : words.subspan(1)) {
      const command_info* c = find_command(name);
      c != nullptr ? describe(*c) : resp::write_nil(out);
    }
  } else {
    resp::write_error(out, "ERR unknown subcommand of 'command'");
  }
}

void service::say_settings(std::string& out, std::span<const std::string_view> words) const {
  if (!same_word(words[0], "get")) return resp::write_error(out, "ERR only CONFIG GET is supported");
  if (words.size() < 2) return resp::write_error(out, "ERR wrong number of arguments for 'config|get' command");
  const std::pair<std::string_view, std::string_view> settings[] = {
      {"appendfsync", options_.sync ? "always" : "no"}, {"appendonly", "yes"}, {"databases", "1"}, {"save", ""}};
  std::vector<std::string_view> found;
  for (const auto& [name, value] : settings) {
    for (const std::string_view wanted : words.subspan(1)) {
      if (wanted != "*" && !same_word(wanted, name)) continue;
      found.insert(found.end(), {name, value});
      break;
    }
  }
  resp::write_array(out, found.size());
  for (const std::string_view word : found) resp::write_bulk(out, word);
}

void service::say_hello(std::string& out, std::span<const std::string_view> words, client_number who) const {
  if (!words.empty() && words[0] != "2") return resp::write_error(out, "NOPROTO unsupported protocol version");
  resp::write_array(out, 14);
  const auto pair = [&out](std::string_view field, std::string_view value) {
    resp::write_bulk(out, field);
    resp::write_bulk(out, value);
  };
  pair("server", "raft-kv");
  pair("version", std::to_string(RAFT_VERSION_MAJOR) + "." + std::to_string(RAFT_VERSION_MINOR) + "." +
                      std::to_string(RAFT_VERSION_PATCH));
  resp::write_bulk(out, "proto");
  resp::write_integer(out, 2);
  resp::write_bulk(out, "id");
  resp::write_integer(out, static_cast<std::int64_t>(who & 0x7fffffffffffffff));
  pair("mode", "cluster");
  pair("role", desk_.leading() ? "master" : "replica");
  resp::write_bulk(out, "modules");
  resp::write_array(out, 0);
}

}  // namespace kv

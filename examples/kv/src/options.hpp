#pragma once

// The command line of raft-kv as a value.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"

namespace kv {

struct address {
  std::string host{};
  std::uint16_t port = 0;
  friend bool operator==(const address&, const address&) = default;
};

[[nodiscard]] inline std::string to_string(const address& a) { return a.host + ":" + std::to_string(a.port); }

/// One server of the cluster: where the others reach it, and where clients do.
struct member {
  std::uint64_t id = 0;
  address raft{};
  address clients{};
  friend bool operator==(const member&, const member&) = default;
};

/// "HOST:RAFTPORT/HOST:CLIENTPORT": what travels in the cluster's configuration as a member's data.
[[nodiscard]] inline std::string place_of(const member& m) { return to_string(m.raft) + "/" + to_string(m.clients); }

struct server_options {
  std::uint64_t id = 0;
  std::vector<member> cluster{};     ///< The servers that began it, by id.
  std::optional<member> join{};      ///< This server, if it is not one of them.
  std::optional<address> metrics{};  ///< Where its numbers are shown.
  std::string data{};                ///< The directory of the log.
  std::string record{};              ///< The file that this run is recorded to; empty: it is not.
  std::string replay{};              ///< The recording to be replayed, instead of serving anybody.
  bool sync = true;                  ///< --fsync always
  bool forward = false;              ///< Writes of clients are sent on to whoever leads.
  /// Reads by lease, where the clocks of two servers differ by so many thousandths at the most; zero: none.
  std::uint32_t lease_drift = 0;
  std::uint64_t snapshot_entries = 500'000;
  std::chrono::milliseconds election_min{150};
  std::chrono::milliseconds election_max{300};

  [[nodiscard]] const member* find(std::uint64_t who) const {
    const auto at = std::find_if(cluster.begin(), cluster.end(), [who](const member& m) { return m.id == who; });
    if (at != cluster.end()) return &*at;
    return join && join->id == who ? &*join : nullptr;
  }
};

inline constexpr std::string_view usage =
    "usage: raft-kv --id N --cluster \"1=HOST:RAFTPORT/HOST:CLIENTPORT,2=...\" --data DIR\n"
    "               [--join HOST:RAFTPORT/HOST:CLIENTPORT] [--fsync always|never] [--snapshot-entries N]\n"
    "               [--election-ms LO-HI] [--metrics HOST:PORT] [--forward] [--lease-reads DRIFT] [--record FILE]\n"
    "       raft-kv --replay FILE\n"
    "\n"
    "One server of a replicated key-value store that speaks the Redis protocol.\n"
    "  --id                which server this is; an id is never used again\n"
    "  --cluster           the servers that begin it: id, where servers reach it, where clients do; the same text\n"
    "                      everywhere, and for good: it names the cluster, whoever comes and goes later\n"
    "  --join              where this server is reached, if it is none of them: it waits for RAFT.ADD\n"
    "  --data              the directory for its log; made if missing, one for each server\n"
    "  --fsync             never: do not wait for the disk; acknowledged writes may be lost with the machine (always)\n"
    "  --snapshot-entries  take a snapshot and shorten the log after so many entries (500000); half of them, or\n"
    "                      64 MiB, stay for servers that lag\n"
    "  --election-ms       the range of the election timeout in milliseconds (150-300)\n"
    "  --metrics           where http://HOST:PORT/metrics shows its numbers in Prometheus' text form (nowhere)\n"
    "  --forward           serve every client here: writes are sent on to the leader, reads ask it for its index\n"
    "  --lease-reads       answer reads without asking the others while a quorum has promised to elect nobody else:\n"
    "                      for clocks of which one shows at least 1000 - DRIFT while another shows 1000 (1-999), on\n"
    "                      machines that are never suspended; the same on every server\n"
    "  --record            write everything that this server's engine is told to FILE, or to FILE.1, FILE.2, ...:\n"
    "                      the first that is not there yet\n"
    "  --replay            do all that again, without files and sockets, and say whether the outputs are the same\n";

namespace detail {

inline std::optional<address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const auto port = to_count(text.substr(colon + 1));
  if (!port || *port > 65535) return std::nullopt;
  return address{std::string(text.substr(0, colon)), static_cast<std::uint16_t>(*port)};
}

/// What place_of() wrote, of the server `id`.
inline std::optional<member> parse_place(std::uint64_t id, std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto raft = parse_address(text.substr(0, slash));
  auto clients = parse_address(text.substr(slash + 1));
  if (!raft || !clients) return std::nullopt;
  return member{id, std::move(*raft), std::move(*clients)};
}

/// "ID=HOST:RAFTPORT/HOST:CLIENTPORT".
inline std::optional<member> parse_member(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const auto id = to_count(text.substr(0, equals));
  return id ? parse_place(*id, text.substr(equals + 1)) : std::nullopt;
}

/// Empty if the text is no cluster.
inline std::vector<member> parse_cluster(std::string_view text) {
  std::vector<member> all;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    auto one = parse_member(text.substr(0, comma));
    if (!one) return {};
    all.push_back(std::move(*one));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  std::sort(all.begin(), all.end(), [](const member& a, const member& b) { return a.id < b.id; });
  const auto same_id = [](const member& a, const member& b) { return a.id == b.id; };
  if (std::adjacent_find(all.begin(), all.end(), same_id) != all.end()) return {};
  return all;
}

inline bool parse_election(std::string_view text, server_options& out) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return false;
  const auto low = to_count(text.substr(0, dash));
  const auto high = to_count(text.substr(dash + 1));
  if (!low || !high || *low < 3 || *low >= *high || *high > 3'600'000) return false;
  out.election_min = std::chrono::milliseconds(*low);
  out.election_max = std::chrono::milliseconds(*high);
  return true;
}

/// Takes in one option. False: its value makes no sense, or (`known` is false) there is no such option.
inline bool take_option(std::string_view name, std::string_view value, server_options& out, bool& known) {
  if (name == "--id" || name == "--snapshot-entries") {
    const auto n = to_count(value);
    (name == "--id" ? out.id : out.snapshot_entries) = n.value_or(0);
    return n.has_value();
  }
  if (name == "--cluster") {
    out.cluster = parse_cluster(value);
    return !out.cluster.empty();
  }
  if (name == "--join") {
    out.join = parse_place(1, value);  // whose it is is told by --id, in whatever order they come
    return out.join.has_value();
  }
  if (name == "--metrics") {
    out.metrics = parse_address(value);
    return out.metrics.has_value();
  }
  if (name == "--data") {
    out.data = value;
    return !value.empty();
  }
  if (name == "--record" || name == "--replay") {
    (name == "--record" ? out.record : out.replay) = value;
    return !value.empty();
  }
  if (name == "--lease-reads") {
    const auto n = to_count(value);
    out.lease_drift = static_cast<std::uint32_t>(n.value_or(1000));
    return n && *n < 1000;
  }
  if (name == "--fsync") {
    out.sync = value == "always";
    return out.sync || value == "never";
  }
  if (name == "--election-ms") return parse_election(value, out);
  known = false;
  return false;
}

/// What is wrong with the options together; empty: nothing.
inline std::string_view check_together(server_options& o) {
  if (!o.replay.empty()) return {};
  if (o.id == 0 || o.cluster.empty() || o.data.empty()) return "--id, --cluster and --data are needed";
  const bool founder = std::any_of(o.cluster.begin(), o.cluster.end(), [&o](const member& m) { return m.id == o.id; });
  if (o.join && founder) return "--cluster has an entry for --id: this server need not join";
  if (!o.join && !founder) {
    return "--cluster has no entry for --id; a server that joins later says where it is with --join";
  }
  if (o.join) o.join->id = o.id;
  return {};
}

}  // namespace detail

/// Reads the words behind the program's name. False: `error` says what is wrong with them.
inline bool parse(std::span<const std::string_view> words, server_options& out, std::string& error) {
  for (std::size_t i = 0; i < words.size();) {
    if (words[i] == "--forward") {  // it has no value
      out.forward = true;
      ++i;
      continue;
    }
    bool known = true;
    const std::string_view value = i + 1 < words.size() ? words[i + 1] : std::string_view{};
    if (detail::take_option(words[i], value, out, known)) {
      i += 2;
      continue;
    }
    error = std::string(known ? "bad value for " : "unknown option ") + std::string(words[i]);
    return false;
  }
  error = detail::check_together(out);
  return error.empty();
}

/// The name of the cluster on the wire: the same for the same servers at the same places, in whatever order they are
/// listed (FNV-1a).
[[nodiscard]] inline std::uint64_t cluster_number(const std::vector<member>& cluster) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const member& m : cluster) {
    for (const char c : std::to_string(m.id) + "=" + to_string(m.raft) + "/" + to_string(m.clients) + ",") {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
  }
  return hash;
}

}  // namespace kv

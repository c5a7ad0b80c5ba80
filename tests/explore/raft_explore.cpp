// Explores scopes to their end, and compares the number of distinct states with the one that is known.
//
//   raft_explore --list
//   raft_explore --scope NAME [--threads N] [--most N]
//   raft_explore --quick | --all [--threads N] [--known FILE]
//
// With --known a number that differs from the file's is a failure: the behaviour of the engine has changed, and the new
// number goes into the file together with the reason. Exits 1 if something is broken or differs; a broken invariant is
// told as the shortest story that leads to it.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/resource.h>

#include <raft/testing/explorer.hpp>

#include "scopes.hpp"

namespace {

using raft::testing::exploration;
using raft::testing::exploration_scope;

struct wishes {
  std::vector<std::string> names{};
  bool list = false;
  bool quick = false;
  bool all = false;
  unsigned threads = 2;
  std::uint64_t most = ~std::uint64_t{0};
  std::string known{};
};

bool read(const char* text, auto& number) {
  const char* end = text + std::strlen(text);
  const auto [stop, wrong] = std::from_chars(text, end, number);
  return wrong == std::errc{} && stop == end;
}

bool parse(int count, char** words, wishes& w) {
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    const char* value = i + 1 < count ? words[i + 1] : "";
    if (word == "--list") {
      w.list = true;
    } else if (word == "--quick") {
      w.quick = true;
    } else if (word == "--all") {
      w.all = true;
    } else if (word == "--scope") {
      w.names.emplace_back(value);
      ++i;
    } else if (word == "--known") {
      w.known = value;
      ++i;
    } else if ((word == "--threads" && read(value, w.threads)) || (word == "--most" && read(value, w.most))) {
      ++i;
    } else {
      std::fprintf(stderr, "raft_explore: what is '%s'?\n", words[i]);
      return false;
    }
  }
  return w.list || w.quick || w.all || !w.names.empty();
}

/// Lines of "name number"; what follows a '#' is a remark.
std::map<std::string, std::uint64_t> known_numbers(const std::string& file) {
  std::map<std::string, std::uint64_t> all;
  std::ifstream in{file};
  for (std::string line; std::getline(in, line);) {
    line = line.substr(0, line.find('#'));
    const std::size_t space = line.find(' ');
    std::uint64_t number = 0;
    const std::string digits =
        space == std::string::npos ? "" : line.substr(space + 1, line.find(' ', space + 1) - space - 1);
    if (read(digits.c_str(), number)) all[line.substr(0, space)] = number;
  }
  return all;
}

exploration explored(const exploration_scope& s, const wishes& w) {
  using machine = raft::testing::hashing_machine;
  return s.deferred ? raft::testing::explore<machine, false>(s, w.threads, w.most)
                    : raft::testing::explore<machine, true>(s, w.threads, w.most);
}

/// One line of the table, and a story if there is one. True if all is well.
bool show(const exploration_scope& s, const wishes& w, const std::map<std::string, std::uint64_t>& known,
          std::uint64_t& total) {
  const auto begin = std::chrono::steady_clock::now();
  const exploration e = explored(s, w);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto expected = known.find(s.name);
  const bool as_known = w.known.empty() || (expected != known.end() && expected->second == e.states);
  total += e.states;
  std::printf("%-20s %-10s %10llu %12llu %5u %8zu %6zu %8.1f\n", s.name.c_str(),
              e.complete ? "COMPLETE" : (e.broken ? "BROKEN" : "refused"), static_cast<unsigned long long>(e.states),
              static_cast<unsigned long long>(e.unreduced), e.depth, e.server_states, e.messages, took.count());
  if (e.refused != nullptr) std::printf("  %s\n", e.refused);
  for (const std::string& line : e.story) std::printf("  %s\n", line.c_str());
  if (!e.story.empty()) std::printf("  (a story of %zu steps)\n", e.story.size() - 1);
  if (e.complete && !as_known) {
    std::printf("  the known number of states is %llu: what the engine does has changed\n",
                static_cast<unsigned long long>(expected == known.end() ? 0 : expected->second));
  }
  std::fflush(stdout);
  return e.complete && as_known;
}

/// The most memory that the process ever had, in MB.
long peak_megabytes() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss / 1024;
}

}  // namespace

int main(int count, char** words) {
  wishes w;
  if (!parse(count, words, w)) {
    std::fprintf(stderr,
                 "raft_explore --list | --quick | --all | --scope NAME [--threads N] [--most N] [--known FILE]\n");
    return 2;
  }
  std::vector<exploration_scope> all = scopes::quick_scopes();
  const std::size_t quick = all.size();
  for (exploration_scope& s : scopes::long_scopes()) all.push_back(std::move(s));
  const auto known = known_numbers(w.known);
  std::size_t passed = 0;
  std::size_t chosen = 0;
  std::uint64_t total = 0;
  const auto begin = std::chrono::steady_clock::now();
  if (!w.list) {
    std::printf("%-20s %-10s %10s %12s %5s %8s %6s %8s\n", "scope", "", "states", "unreduced", "depth", "servers",
                "mails", "seconds");
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const exploration_scope& s = all[i];
    if (w.list) std::printf("%-20s %s%s\n", s.name.c_str(), s.about.c_str(), i < quick ? "" : " (long)");
    const bool named = std::find(w.names.begin(), w.names.end(), s.name) != w.names.end();
    if (w.list || !(named || w.all || (w.quick && i < quick))) continue;
    ++chosen;
    passed += show(s, w, known, total) ? 1 : 0;
  }
  if (w.list) return 0;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%llu distinct states, %.0f s, at most %ld MB\n%zu passed, %zu failed\n",
              static_cast<unsigned long long>(total), took.count(), peak_megabytes(), passed, chosen - passed);
  return chosen != 0 && passed == chosen ? 0 : 1;
}

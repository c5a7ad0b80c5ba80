// A user's own state machine in the simulator: machines with one fault each are found, and told apart from sound ones.

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "assertion.hpp"  // before any header of the engine

#include <raft/testing/scenario.hpp>

#include "engine_servers.hpp"

using namespace raft;
using namespace raft::testing;

namespace {

/// A sum of the commands' first bytes; what each test breaks is a member that hides one of these.
struct adder {
  std::uint64_t sum = 0;
  void apply(const entry& e) {
    if (!e.data.empty()) sum = 3 * sum + std::to_integer<std::uint64_t>(e.data.front());
  }
  template <class Sink>
  result<void> write_snapshot(Sink& sink) {
    std::array<std::byte, 8> bytes{};
    raft::detail::store_le(bytes.data(), sum);
    for (const std::byte& b : bytes) {
      if (auto written = sink(payload{&b, 1}); !written) return written;
    }
    return {};
  }
  template <class Source>
  result<void> restore(Source& source) {
    std::vector<std::byte> bytes;
    for (;;) {
      const result<payload> piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) break;
      bytes.insert(bytes.end(), piece->begin(), piece->end());
    }
    if (bytes.size() != 8) return {errc::corrupt, "no sum"};
    sum = raft::detail::load_le<std::uint64_t>(bytes.data());
    return {};
  }
};

/// Asks chance, or as good as that.
struct chancy : adder {
  void apply(const entry& e) {
    static std::uint64_t calls = 0;
    adder::apply(e);
    sum += ++calls % 97 == 0 ? 1U : 0U;
  }
};

/// Keeps on restore what was there before.
struct merging : adder {
  template <class Source>
  result<void> restore(Source& source) {
    const std::uint64_t before = sum;
    auto done = adder::restore(source);
    sum += before;
    return done;
  }
};

/// Reads the first piece of a snapshot only.
struct hasty : adder {
  template <class Source>
  result<void> restore(Source& source) {
    const result<payload> piece = source();
    if (piece->size() != 8) return {errc::corrupt, "not in one piece"};
    sum = raft::detail::load_le<std::uint64_t>(piece->data());
    return {};
  }
};

/// Two snapshots of it are never the same bytes,
struct salted : adder {
  std::uint8_t salt = 0;
  template <class Sink>
  result<void> write_snapshot(Sink& sink) {
    ++salt;
    const auto last = static_cast<std::byte>(salt);
    auto written = adder::write_snapshot(sink);
    return written ? sink(payload{&last, 1}) : written;
  }
  template <class Source>
  result<void> restore(Source& source) {
    std::vector<std::byte> bytes;
    for (result<payload> piece = source(); !piece->empty(); piece = source()) {
      bytes.insert(bytes.end(), piece->begin(), piece->end());
    }
    sum = raft::detail::load_le<std::uint64_t>(bytes.data());
    return {};
  }
};

/// but its states can be compared.
struct digested : salted {
  [[nodiscard]] std::uint64_t digest() const { return sum; }
};

/// Keeps its state over a crash.
struct lasting : adder {
  index_t last{};
  void apply(const entry& e) {
    adder::apply(e);
    last = e.index;
  }
  [[nodiscard]] index_t applied_index() const { return last; }
  void on_restore(const snapshot_meta& meta) { last = meta.index; }
};

/// Says that it has applied more than it did.
struct boastful : lasting {
  [[nodiscard]] index_t applied_index() const { return last == index_t{} ? last : last.next(); }
};

/// Its snapshots lack something.
struct forgetful : adder {
  template <class Source>
  result<void> restore(Source& source) {
    auto done = adder::restore(source);
    sum &= 0xffff;
    return done;
  }
};

template <class M>
scenario<M> short_one() {
  scenario<M> s;
  s.seeds = 12;
  s.events = 4000;
  s.largest_command = 16;
  s.shrink_runs = 150;
  return s;
}

}  // namespace

TEST_CASE("scenario: a sound machine passes, with commands of its own or any bytes") {
  scenario<adder> s = short_one<adder>();
  report r = simulate(s);
  INFO(r.text);
  CHECK_FALSE(r.found);
  s.command = [](rng& chance) { return std::vector<std::byte>{static_cast<std::byte>(chance.below(256))}; };
  r = simulate(s);
  INFO(r.text);
  CHECK_FALSE(r.found);
}

TEST_CASE("scenario: a machine that asks chance is found") {
  const report r = simulate(short_one<chancy>());
  REQUIRE(r.found);
  CHECK(r.found->found->invariant == "I29");
}

TEST_CASE("scenario: a machine whose restore keeps what was there before is found") {
  const report r = simulate(short_one<merging>());
  REQUIRE(r.found);
  CHECK(r.found->found->invariant == "I29");
  CHECK(r.found->found->what.find("restored a snapshot") != std::string::npos);
}

TEST_CASE("scenario: a machine that reads only the first piece of a snapshot is found") {
  scenario<hasty> s = short_one<hasty>();
  s.adjust = [](plan& p) { p.options.snapshot_chunk_bytes = 150; };  // 144 bytes of these are the simulator's
  CHECK_FALSE(simulate(s).found);
  s.adjust = [](plan& p) { p.options.snapshot_chunk_bytes = 5; };
  const report r = simulate(s);
  REQUIRE(r.found);
  CHECK(r.found->found->invariant == "I19");
}

TEST_CASE("scenario: snapshots that differ in bytes are found, unless the machine has a digest to compare by") {
  CHECK(simulate(short_one<salted>()).found);
  const report r = simulate(short_one<digested>());
  INFO(r.text);
  CHECK_FALSE(r.found);
}

TEST_CASE("scenario: the user's own check is asked after every command") {
  scenario<adder> s = short_one<adder>();
  s.command = [](rng& chance) { return std::vector<std::byte>{static_cast<std::byte>(chance.below(4))}; };
  s.check = [](const adder& a) { return a.sum % 7 == 5 ? std::string{"five"} : std::string{}; };
  const report r = simulate(s);
  REQUIRE(r.found);
  CHECK(r.found->found->invariant == "check");
  CHECK(r.found->found->what == "five");
}

TEST_CASE("scenario: a machine that keeps its state over a crash; and one that says so and has forgotten") {
  const report sound = simulate(short_one<lasting>());
  INFO(sound.text);
  CHECK_FALSE(sound.found);
  CHECK(simulate(short_one<boastful>()).found);
}

TEST_CASE("scenario: what was found is told with a word that repeats it") {
  scenario<forgetful> s = short_one<forgetful>();
  s.seeds = 40;
  const report r = simulate(s);
  REQUIRE(r.least);
  const std::string word = to_text(r.least->least);
  CHECK(r.text.find("repeat: " + word + "\n") != std::string::npos);
  s.repeat = word;
  const report again = simulate(s);
  REQUIRE(again.found);
  CHECK(again.found->trace == r.least->last.trace);
  CHECK(again.found->found->what == r.least->last.found->what);

  s.repeat = "no run";
  CHECK(simulate(s).found->found->invariant == "scenario");
  s.repeat.clear();
  s.adjust = without_restarts;
  const report spared = simulate(s);
  INFO(spared.text);
  CHECK_FALSE(spared.found);
}

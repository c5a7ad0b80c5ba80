// The tape of a recording by itself: what it hands back is what was noted, and what cannot have been is refused.

#include <doctest/doctest.h>
#include <raft/record_tape.hpp>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "support/letter.hpp"

namespace record_tape_test {

using namespace raft;
using namespace story;
using raft::detail::note;

namespace {

/// What was noted, as a tape writes it: each note's kind and its numbers.
struct notes {
  std::vector<std::byte> bytes{};
  notes& add(note kind, std::initializer_list<std::uint64_t> numbers) {
    bytes.push_back(static_cast<std::byte>(kind));
    raft::detail::form_writer form{bytes};
    for (const std::uint64_t n : numbers) form(n);
    return *this;
  }
};

/// A move of the clock, as it is noted: small numbers in either direction are short.
constexpr std::uint64_t moved(std::int64_t by) {
  return static_cast<std::uint64_t>(by) << 1 ^ (by < 0 ? ~std::uint64_t{0} : 0);
}

constexpr std::int64_t limit = std::int64_t{1} << 61;

}  // namespace

TEST_CASE("tape: hands back the clock's readings, none that goes back, and none at which arithmetic overflows") {
  const auto accepted = [](std::initializer_list<std::int64_t> moves) {
    notes noted;
    for (const std::int64_t by : moves) noted.add(note::time, {moved(by)});
    tape t;
    t.replay({}, noted.bytes, false);
    std::int64_t expected = 0;
    bool equal = true;
    for (const std::int64_t by : moves) {
      expected += by;
      equal = t.time([] { return std::int64_t{-1}; }) == expected && equal;
    }
    CHECK_FALSE(t.diverged());
    CHECK(equal == t.all_asked_for());
    return t.all_asked_for();
  };
  CHECK(accepted({0, 0, 7}));
  CHECK(accepted({-7, 3, 4, 100}));
  CHECK(accepted({limit}));
  CHECK(accepted({-limit}));
  CHECK_FALSE(accepted({limit + 1}));
  CHECK_FALSE(accepted({-limit - 1}));
  CHECK_FALSE(accepted({5, -1}));
  CHECK_FALSE(accepted({limit, 1}));
}

TEST_CASE("tape: who asks for what was not noted has diverged, unless the notes were cut off") {
  for (const bool cut_off : {false, true}) {
    notes noted;
    noted.add(note::time, {moved(3)});
    tape t;
    t.replay({}, noted.bytes, cut_off);
    CHECK(t.answer(9) == 9);  // what it is here
    CHECK(t.diverged() == !cut_off);
    CHECK(t.time([] { return std::int64_t{0}; }) == 3);
    CHECK(t.all_asked_for());
    t.replay({}, {}, true);
    CHECK(t.answer(8) == 8);
    CHECK(t.diverged() == !cut_off);  // and stays so
  }
}

TEST_CASE("tape: a view shows as many entries as were noted, and cannot show more than are here, nor none") {
  struct row {
    std::optional<std::uint64_t> noted;
    std::uint64_t own, shown;
    bool diverged;
  };
  for (const row& r : {row{{}, 9, 9, false}, row{{}, 8, 8, true}, row{5, 9, 5, false}, row{5, 5, 5, false},
                       row{5, 4, 4, true}, row{0, 9, 9, true}}) {
    for (const bool cut_off : {false, true}) {
      notes noted;
      if (r.noted) noted.add(note::short_view, {0, *r.noted});
      tape t;
      t.replay({}, noted.bytes, cut_off);
      CHECK(t.shown(r.own, 9) == r.shown);
      CHECK(t.diverged() == (r.diverged && !cut_off));
      CHECK(t.all_asked_for());
    }
  }
}

TEST_CASE("tape: an error of the Log comes back at its call, and at no other; one that is none is refused") {
  const auto fine = [] { return result<void>{}; };
  const auto noted_at = [](std::uint64_t call, std::uint64_t code) {
    return notes{}.add(note::log_error, {call, code, 28}).bytes;
  };
  const auto io = static_cast<std::uint64_t>(errc::io);
  const auto second = noted_at(2, io);
  tape t;
  t.replay({}, second, false);
  CHECK(t.log_call(fine));
  CHECK_FALSE(t.all_asked_for());
  const auto failed = t.log_call(fine);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == errc::io);
  CHECK(failed.error().detail == 28);
  CHECK(t.all_asked_for());
  CHECK(t.log_call(fine));

  auto cut = second;
  cut.resize(2);
  for (const std::vector<std::byte>& wrong : {noted_at(1, 0), noted_at(1, 256), noted_at(2, 0), cut}) {
    tape u;
    u.replay({}, wrong, false);
    CHECK(u.log_call(fine));
    CHECK_FALSE(u.all_asked_for());
  }
}

TEST_CASE("taped_transport: one that carries no snapshots declines them all, and nothing is noted") {
  tape t;
  raft::detail::taped_transport<raft::detail::no_transport> transport{&t, {}};
  const std::uint64_t sum = t.sum();
  CHECK_FALSE(transport.send_snapshot({1_n, 2_n, 3_t}, install_snapshot{}));
  CHECK(t.written().empty());
  CHECK(t.sum() == sum);
}

}  // namespace record_tape_test

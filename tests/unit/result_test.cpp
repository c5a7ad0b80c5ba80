// A value, or the reason why there is none.

#include <doctest/doctest.h>
#include <raft/result.hpp>

#include <string>
#include <utility>
#include <vector>

namespace result_test {

using namespace raft;

namespace {

constexpr error sample{errc::busy, node_id{3}, 9, "a limit"};

/// Counts its copies and moves.
struct costly {
  explicit constexpr costly(int n, int extra = 0) : value(n + extra) {}
  constexpr costly(const costly& other) : value(other.value), copies(other.copies + 1), moves(other.moves) {}
  constexpr costly(costly&& other) noexcept : value(other.value), copies(other.copies), moves(other.moves + 1) {}
  costly& operator=(const costly&) = default;
  costly& operator=(costly&&) = default;
  ~costly() = default;
  int value;
  int copies = 0;
  int moves = 0;
};

constexpr result<int> half(int n) {
  if (n % 2 != 0) return {errc::malformed, "an odd number"};
  return n / 2;
}
static_assert(half(8).value() == 4);
static_assert(half(7).error().code == errc::malformed);

}  // namespace

TEST_CASE("result: holds a value") {
  result<int> r{7};
  REQUIRE(r.has_value());
  CHECK(static_cast<bool>(r));
  CHECK(*r == 7);
  CHECK(r.value() == 7);
  *r = 8;
  CHECK(std::as_const(r).value() == 8);
}

TEST_CASE("result: holds an error with all that it carries") {
  const result<int> r{sample};
  REQUIRE_FALSE(r);
  CHECK(r.error().code == errc::busy);
  CHECK(r.error().leader == node_id{3});
  CHECK(r.error().detail == 9);
  CHECK(r.error().what == std::string("a limit"));
}

TEST_CASE("result: a member of the value is reached by an arrow, and the value can be moved out") {
  result<std::vector<int>> r{std::vector{1, 2, 3}};
  CHECK(r->size() == 3);
  const std::vector<int> taken = *std::move(r);
  CHECK(taken == std::vector{1, 2, 3});
}

TEST_CASE("result: a value can be made in place, without a copy or a move") {
  const result<costly> r{std::in_place, 4, 1};
  CHECK(r->value == 5);
  CHECK(r->copies == 0);
  CHECK(r->moves == 0);
}

TEST_CASE("result: copies keep what they hold") {
  const result<int> good{7};
  const result<int> bad{sample};
  result<int> copy = good;
  CHECK(*copy == 7);
  copy = bad;
  REQUIRE_FALSE(copy);
  CHECK(copy.error() == sample);
  copy = good;
  CHECK(*copy == 7);
}

TEST_CASE("result<void>: done, or an error") {
  const result<void> done;
  CHECK(done.has_value());
  const result<void> refused{errc::failed, "a write failed"};
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::failed);
  CHECK(result<void>{sample}.error() == sample);
}

TEST_CASE("error: equality looks at the facts and not at the sentence") {
  CHECK(error{errc::io, {}, 5, "one"} == error{errc::io, {}, 5, "other"});
  CHECK_FALSE(error{errc::io, {}, 5, ""} == error{errc::io, {}, 6, ""});
  CHECK_FALSE(error{errc::io, {}, 5, ""} == error{errc::corrupt, {}, 5, ""});
  CHECK_FALSE(error{errc::not_leader, node_id{1}, 0, ""} == error{errc::not_leader, node_id{2}, 0, ""});
}

TEST_CASE("verdict: nothing against it, or a code and a sentence") {
  CHECK(detail::verdict{});
  const detail::verdict refused{errc::impossible, "no"};
  CHECK_FALSE(refused);
  CHECK(refused.error().code == errc::impossible);
  CHECK(refused.error().what == std::string("no"));
  CHECK(sizeof(detail::verdict) == 16);
}

}  // namespace result_test

// The nouns: what may be done with a term, an index, an id and a mark, and what may not.

#include <doctest/doctest.h>
#include <raft/types.hpp>

#include <concepts>
#include <type_traits>

namespace types_test {

using namespace raft;

namespace {

template <class A, class B>
concept mixes = requires(A a, B b) {
  a == b;
}
|| requires(A a, B b) { a < b; }
|| requires(A a, B b) { a + b; }
|| std::convertible_to<A, B> || std::is_assignable_v<B&, A>;

static_assert(!mixes<term_t, index_t> && !mixes<index_t, node_id> && !mixes<node_id, mark_t> && !mixes<mark_t, term_t>);
static_assert(!std::convertible_to<std::uint64_t, term_t> && !std::convertible_to<term_t, std::uint64_t>);
static_assert(!std::convertible_to<std::uint64_t, index_t> && !std::convertible_to<index_t, std::uint64_t>);
static_assert(!std::convertible_to<std::uint64_t, node_id> && !std::convertible_to<node_id, std::uint64_t>);
static_assert(!std::convertible_to<std::uint64_t, mark_t> && !std::convertible_to<mark_t, std::uint64_t>);
static_assert(sizeof(term_t) == 8 && std::is_trivially_copyable_v<term_t>);

}  // namespace

TEST_CASE("term_t: begins at zero, has a next one, is ordered") {
  CHECK(term_t{}.value == 0);
  CHECK(term_t{4}.next() == term_t{5});
  CHECK(term_t{4} < term_t{5});
}

TEST_CASE("index_t: next, previous and the distance between two") {
  CHECK(index_t{}.value == 0);
  CHECK(index_t{7}.next() == index_t{8});
  CHECK(index_t{7}.previous() == index_t{6});
  CHECK(index_t{}.previous() == index_t{});
  CHECK(index_t{7} + 3 == index_t{10});
  CHECK(index_t{10} - index_t{7} == 3);
}

TEST_CASE("node_id: zero is nobody") {
  CHECK(nobody == node_id{});
  CHECK(node_id{1} != nobody);
}

}  // namespace types_test

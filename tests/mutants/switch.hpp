#pragma once

// The switch that turns one mutant on. Included by the compiler's command line before everything else, in the scratch
// copies that the scripts beside this file build; the engine's own headers know nothing of it.
//
//   RAFT_MUTANT=17    mutant 17 is on; without it none is
//   RAFT_REACHED=F    none is on, and `reached` notes which ones the program comes by (reached.cpp writes them to F)
//
// In constant evaluation no mutant is on: what a static_assert says is about the engine as it ships.

#include <cstdlib>
#include <type_traits>

namespace raft_mutants {

inline constexpr int most = 1 << 15;
inline constexpr int none = -1;
inline constexpr int recording = -2;

inline bool reached[most] = {};
inline const int active = [] {
  if (const char* number = std::getenv("RAFT_MUTANT")) return std::atoi(number);
  return std::getenv("RAFT_REACHED") != nullptr ? recording : none;
}();

[[gnu::noinline]] inline bool record(int number) {
  reached[number] = true;
  return false;
}

}  // namespace raft_mutants

/// Whether this mutant is on.
constexpr bool raft_mutant(int number) {
  if (std::is_constant_evaluated()) return false;
  if (raft_mutants::active == raft_mutants::recording) return raft_mutants::record(number);
  return raft_mutants::active == number;
}

// What general.py puts in the place of an operator: the operands are evaluated once, as they were.
namespace raft_mutants {

constexpr bool less(int number, const auto& a, const auto& b) { return raft_mutant(number) ? a <= b : a < b; }
constexpr bool less_equal(int number, const auto& a, const auto& b) { return raft_mutant(number) ? a < b : a <= b; }
constexpr bool greater(int number, const auto& a, const auto& b) { return raft_mutant(number) ? a >= b : a > b; }
constexpr bool greater_equal(int number, const auto& a, const auto& b) { return raft_mutant(number) ? a > b : a >= b; }
constexpr bool equal(int number, const auto& a, const auto& b) { return raft_mutant(number) ? a != b : a == b; }
constexpr bool not_equal(int number, const auto& a, const auto& b) { return raft_mutant(number) ? a == b : a != b; }

/// One more or one less, if the value is a number, a place in a row, or one of the engine's; a letter more of a text.
template <class Value>
constexpr Value off(int number, int by, Value v) {
  if constexpr (requires { Value{v.value}; }) {
    return raft_mutant(number) ? Value{v.value + static_cast<decltype(v.value)>(by)} : v;
  } else if constexpr (requires { static_cast<Value>(v + by); }) {
    return raft_mutant(number) ? static_cast<Value>(v + by) : v;
  } else if constexpr (requires { v += 'x'; }) {
    if (raft_mutant(number)) v += 'x';
    return v;
  } else {
    return v;
  }
}

}  // namespace raft_mutants

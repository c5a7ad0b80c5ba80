#pragma once

// RAFT_ASSERT: what only a programmer's error can make false [floor 0].
//
// Input from a network, a disk or a client never asserts: it is refused with a value (`result.hpp`). What asserts is a
// broken promise of the code around the engine (a policy that answers `last_index() < first_index()`, a call into the
// node from inside one of its policies) or of the engine itself.
//
// Checked builds (`RAFT_CHECKED` 1, the default where NDEBUG is not defined) evaluate each condition; others do not.
// To replace what a failure does, define `RAFT_ASSERT_FAILED(sentence, file, line)` before the first include; it must
// not return. All translation units of a program must agree on both macros.

#ifndef RAFT_CHECKED
#ifdef NDEBUG
#define RAFT_CHECKED 0
#else
#define RAFT_CHECKED 1
#endif
#endif

#if RAFT_CHECKED && !defined(RAFT_ASSERT_FAILED)
#include <cstdio>
#include <cstdlib>

namespace raft::detail {

[[noreturn]] inline void assertion_failed(const char* sentence, const char* file, int line) {
  std::fprintf(stderr, "raft: %s:%d: broken: %s\n", file, line, sentence);
  std::abort();
}

}  // namespace raft::detail

#define RAFT_ASSERT_FAILED(sentence, file, line) ::raft::detail::assertion_failed(sentence, file, line)
#endif

/// Says that `condition` holds whatever the input was; `sentence` says what is broken if it does not. An unchecked
/// build compiles the condition, so that what only it uses is no unused variable, and never evaluates it.
#if RAFT_CHECKED
#define RAFT_ASSERT(condition, sentence) \
  ((condition) ? static_cast<void>(0) : static_cast<void>(RAFT_ASSERT_FAILED(sentence, __FILE__, __LINE__)))
#else
#define RAFT_ASSERT(condition, sentence) static_cast<void>(false && (condition))
#endif

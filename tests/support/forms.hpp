#pragma once

// Canonical forms of parts of a node, compared: whatever decides what it will do changes its form.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <doctest/doctest.h>
#include <raft/canonical.hpp>

namespace story {

using form = std::vector<std::byte>;

/// What `write(writer, time)` writes; `time` writes a moment as the number that it is.
template <class Write>
form form_by(raft::canonical_writer w, Write&& write) {
  write(w, [&w](std::int64_t moment) { w(moment); });
  return {w.bytes().begin(), w.bytes().end()};
}

/// Whether `whole` begins with all of `part`: no form does with another one's, so that what follows them is told apart.
inline bool begins_with(const form& whole, const form& part) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

/// A writer that keeps what it is told as numbers, for forms that are numbers alone.
struct numbers {
  std::vector<std::uint64_t> written{};

  template <class... Values>
  void operator()(const Values&... values) {
    (put(values), ...);
  }

 private:
  template <class Value>
  void put(const Value& value) {
    if constexpr (requires { value.value; }) {
      written.push_back(value.value);
    } else {
      written.push_back(static_cast<std::uint64_t>(value));
    }
  }
};

/// Checks that no two of them are equal: the form of `value`, and after each change, made to the value before.
template <class Value>
void every_change_shows(Value value, const std::function<form(const Value&)>& form_of,
                        const std::vector<std::function<void(Value&)>>& changes) {
  std::vector<form> forms{form_of(value)};
  for (std::size_t number = 0; number < changes.size(); ++number) {
    CAPTURE(number);
    changes[number](value);
    const form now = form_of(value);
    for (const form& before : forms) CHECK(now != before);
    forms.push_back(now);
  }
}

}  // namespace story

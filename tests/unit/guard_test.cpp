// What guards the way in: a call from inside a call is found out, and numbers have a limit.

#include <cstring>

namespace {

int found = 0;
const char* sentence_found = "";

}  // namespace

#define RAFT_CHECKED 1
#define RAFT_ASSERT_FAILED(sentence, file, line) \
  (++found, sentence_found = (sentence), static_cast<void>(file), static_cast<void>(line))

#include <doctest/doctest.h>
#include <raft/guard.hpp>

using namespace raft::detail;

TEST_CASE("entered: marks the time of a call, and finds out a call from inside it") {
  bool inside = false;
  found = 0;
  {
    const entered outer{inside};
    CHECK(inside);
    CHECK(found == 0);
    const entered inner{inside};
    CHECK(found == 1);
    CHECK(std::strstr(sentence_found, "call back") != nullptr);
  }
  CHECK_FALSE(inside);
  const entered next{inside};
  CHECK(found == 1);
}

TEST_CASE("number_limit: sums of numbers below it do not overflow") {
  CHECK(number_limit + number_limit > number_limit);
  CHECK(number_limit + UINT32_MAX > number_limit);
}

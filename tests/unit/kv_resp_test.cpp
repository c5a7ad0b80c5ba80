// examples/kv: the parser of requests and the writers of replies.

#include "../../examples/kv/src/resp.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace kv_resp_test {

using kv::resp::limits;
using kv::resp::outcome;
using kv::resp::parser;

namespace {

using words = std::vector<std::string>;

/// All requests in `bytes`, which are given to the parser in pieces of `step` bytes more each time, each time in memory
/// of exactly that size (so that a sanitizer sees any read beyond). A broken stream adds {"!", sentence}.
std::vector<words> parse_all(const std::string& bytes, std::size_t step, limits most = {}) {
  std::vector<words> found;
  parser p{most};
  std::size_t begin = 0;
  std::size_t end = 0;
  while (end < bytes.size()) {
    end = std::min(bytes.size(), end + step);
    for (;;) {
      const std::unique_ptr<char[]> exact{new char[end - begin]};
      std::memcpy(exact.get(), bytes.data() + begin, end - begin);
      const outcome o = p.next({exact.get(), end - begin});
      if (o == outcome::incomplete) break;
      if (o == outcome::broken) {
        found.push_back({"!", p.error()});
        return found;
      }
      found.emplace_back(p.arguments().begin(), p.arguments().end());
      begin += p.consumed();
    }
  }
  return found;
}

/// The same result whatever the pieces are.
std::vector<words> parse_all(const std::string& bytes) {
  const auto whole = parse_all(bytes, bytes.size());
  for (std::size_t step = 1; step < bytes.size(); ++step) {
    REQUIRE_MESSAGE(parse_all(bytes, step) == whole, "in pieces of ", step);
  }
  return whole;
}

std::string broken(const std::string& bytes) {
  const auto found = parse_all(bytes);
  REQUIRE(!found.empty());
  REQUIRE(found.back().size() == 2);
  REQUIRE(found.back()[0] == "!");
  return found.back()[1];
}

}  // namespace

TEST_CASE("parser: requests one after the other, binary-safe") {
  const std::string binary("\0\r\n*$\xff", 6);
  const std::string bytes =
      "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\n" + binary + "\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$0\r\n\r\n";
  CHECK(parse_all(bytes) == std::vector<words>{{"SET", "k", binary}, {"GET", "k"}, {""}});
}

TEST_CASE("parser: lines of words") {
  CHECK(parse_all("PING\r\n") == std::vector<words>{{"PING"}});
  CHECK(parse_all("  set  k \t v \n\r\nget k\r\n") == std::vector<words>{{"set", "k", "v"}, {}, {"get", "k"}});
  CHECK(parse_all("set k \"a b\\n\\x41\\\"\" 'c d\\'\\n'\r\n") ==
        std::vector<words>{{"set", "k", "a b\nA\"", "c d'\\n"}});
  CHECK(parse_all("a \"\" ''\n") == std::vector<words>{{"a", "", ""}});
  CHECK(parse_all("a \"\\xzz\\q\"\n") == std::vector<words>{{"a", "xzzq"}});
  CHECK(broken("a \"b\r\n") == "Protocol error: unbalanced quotes in request");
  CHECK(broken("a 'b\r\n") == "Protocol error: unbalanced quotes in request");
  CHECK(broken("a \"b\"c\r\n") == "Protocol error: unbalanced quotes in request");
}

TEST_CASE("parser: an array of nothing is no request, as in Redis") {
  CHECK(parse_all("*0\r\n*-1\r\nPING\r\n") == std::vector<words>{{}, {}, {"PING"}});
}

TEST_CASE("parser: what is not the protocol is named") {
  CHECK(broken("*x\r\n") == "Protocol error: invalid multibulk length");
  CHECK(broken("*1048577\r\n") == "Protocol error: invalid multibulk length");
  CHECK(broken("*99999999999999999999\r\n") == "Protocol error: invalid multibulk length");
  CHECK(broken("*1 \r\n") == "Protocol error: invalid multibulk length");
  CHECK(broken("*+1\r\n") == "Protocol error: invalid multibulk length");
  CHECK(broken("*1\rX") == "Protocol error: invalid multibulk length");
  CHECK(broken("*0000000000000000000000001\r\n") == "Protocol error: too big mbulk count string");
  CHECK(broken("*1\r\n:1\r\n") == "Protocol error: expected '$', got ':'");
  CHECK(broken("*1\r\n\r\n\r\n") == "Protocol error: expected '$', got '?'");
  CHECK(broken("*1\r\n$-1\r\n") == "Protocol error: invalid bulk length");
  CHECK(broken("*1\r\n$x\r\n") == "Protocol error: invalid bulk length");
  CHECK(broken("*1\r\n$0000000000000000000000001\r\n") == "Protocol error: too big bulk count string");
  CHECK(broken("*1\r\n$1\r\na\n\n") == "Protocol error: no CRLF behind an argument");
  CHECK(broken("*1\r\n$1\r\nabc") == "Protocol error: no CRLF behind an argument");
}

TEST_CASE("parser: limits") {
  const limits few{.arguments = 2, .argument_bytes = 4, .request_bytes = 32, .inline_bytes = 8};
  const auto last = [&few](const std::string& bytes) {
    const auto whole = parse_all(bytes, bytes.size(), few);
    REQUIRE(parse_all(bytes, 1, few) == whole);
    return whole.back();
  };
  CHECK(last("*2\r\n$4\r\nabcd\r\n$0\r\n\r\n") == words{"abcd", ""});
  CHECK(last("*3\r\n") == words{"!", "Protocol error: invalid multibulk length"});
  CHECK(last("*1\r\n$5\r\nabcde\r\n") == words{"!", "Protocol error: invalid bulk length"});
  CHECK(last("abcdefgh\n") == words{"abcdefgh"});
  CHECK(last("abcdefghi\n") == words{"!", "Protocol error: too big inline request"});
  CHECK(last("abcdefghi") == words{"!", "Protocol error: too big inline request"});
  const limits narrow{.arguments = 8, .argument_bytes = 8, .request_bytes = 31, .inline_bytes = 8};
  CHECK(parse_all("*3\r\n$8\r\nabcdefgh\r\n$8\r\nabcdefgh\r\n", 1, narrow).back() ==
        words{"!", "Protocol error: request too big"});
}

TEST_CASE("parser: a large argument in small pieces is not read again and again") {
  // 4 MiB in pieces of 64 bytes: with a scan of all bytes at each piece this would be 137 GB.
  const std::size_t size = std::size_t{4} << 20;
  std::string bytes = "*2\r\n$3\r\nGET\r\n$" + std::to_string(size) + "\r\n" + std::string(size, 'x') + "\r\n";
  parser p;
  std::size_t end = 0;
  outcome o = outcome::incomplete;
  while (end < bytes.size() && o == outcome::incomplete) {
    end = std::min(bytes.size(), end + 64);
    o = p.next({bytes.data(), end});
  }
  CHECK(end == bytes.size());
  REQUIRE(o == outcome::request);
  CHECK(p.arguments()[1].size() == size);
}

TEST_CASE("parser: random bytes never break anything but the connection") {
  std::uint32_t random = 12345;
  const auto draw = [&random](std::uint32_t n) {
    random = random * 1664525 + 1013904223;
    return (random >> 8) % n;
  };
  const std::string alphabet = "*$\r\n0123456789-abc\"'\\x \t";
  for (int round = 0; round < 3000; ++round) {
    std::string bytes(1 + draw(40), ' ');
    for (char& c : bytes)
      c = draw(4) == 0 ? static_cast<char>(draw(256)) : alphabet[draw(static_cast<std::uint32_t>(alphabet.size()))];
    if (draw(2) == 0) bytes.insert(0, "*2\r\n$3\r\nGET\r\n");
    REQUIRE(parse_all(bytes, 1) == parse_all(bytes, bytes.size()));
  }
}

TEST_CASE("replies: each kind") {
  std::string out;
  kv::resp::write_simple(out, "OK");
  kv::resp::write_error(out, "ERR a\r\nb");
  kv::resp::write_integer(out, -42);
  kv::resp::write_bulk(out, "x\r\n");
  kv::resp::write_bulk(out, "");
  kv::resp::write_nil(out);
  kv::resp::write_array(out, 2);
  CHECK(out == "+OK\r\n-ERR a  b\r\n:-42\r\n$3\r\nx\r\n\r\n$0\r\n\r\n$-1\r\n*2\r\n");
}

}  // namespace kv_resp_test

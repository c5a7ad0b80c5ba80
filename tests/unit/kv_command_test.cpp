// examples/kv: the table of commands, what is refused before it reaches the log, and the form in the log.

#include "../../examples/kv/src/command.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace kv_command_test {

using namespace kv;

namespace {

using words = std::vector<std::string_view>;

/// The refusal, or "" and the command.
std::string refusal(const words& w, command* out = nullptr) {
  command c;
  std::string error;
  if (!parse(w, out != nullptr ? *out : c, error)) return error;
  return "";
}

}  // namespace

TEST_CASE("parse: names in any case, number of words") {
  CHECK(refusal({"SeT", "k", "v"}) == "");
  CHECK(refusal({"set", "k"}) == "ERR wrong number of arguments for 'set' command");
  CHECK(refusal({"GET"}) == "ERR wrong number of arguments for 'get' command");
  CHECK(refusal({"GET", "a", "b"}) == "ERR wrong number of arguments for 'get' command");
  CHECK(refusal({"MSET", "a", "1", "b"}) == "ERR wrong number of arguments for 'mset' command");
  CHECK(refusal({"MSET", "a", "1", "b", "2"}) == "");
  CHECK(refusal({"DBSIZE", "x"}) == "ERR wrong number of arguments for 'dbsize' command");
  CHECK(refusal({"CAS", "k", "a"}) == "ERR wrong number of arguments for 'cas' command");
  CHECK(refusal({"nope"}) == "ERR unknown command 'nope', with args beginning with: ");
  CHECK(refusal({"nope", "a", "b"}) == "ERR unknown command 'nope', with args beginning with: 'a' 'b' ");
  CHECK(refusal({""}) == "ERR unknown command '', with args beginning with: ");
}

TEST_CASE("parse: every command of the table is found under its name, and no name twice") {
  for (const command_info& c : command_table) {
    CHECK(find_command(c.name) == &c);
    for (const command_info& d : command_table) CHECK((&c == &d || c.verb != d.verb));
  }
}

TEST_CASE("parse: options of SET") {
  command c;
  CHECK(refusal({"set", "k", "v", "nx"}, &c) == "");
  CHECK(c.flags == set_if_absent);
  CHECK(c.words.size() == 2);
  CHECK(refusal({"set", "k", "v", "XX", "GET"}, &c) == "");
  CHECK(c.flags == (set_if_present | set_answers_old));
  CHECK(refusal({"set", "k", "v", "NX", "GET"}) == "");
  CHECK(refusal({"set", "k", "v", "NX", "XX"}) == "ERR syntax error");
  CHECK(refusal({"set", "k", "v", "EX", "10"}) == "ERR syntax error");
}

TEST_CASE("parse: numbers are looked at before they take a place in the log") {
  CHECK(refusal({"INCRBY", "k", "12"}) == "");
  for (const char* bad : {"", "x", "1.5", "+1", " 1", "1 ", "01", "-0", "-", "9223372036854775808"}) {
    CHECK_MESSAGE(refusal({"INCRBY", "k", bad}) == "ERR value is not an integer or out of range", bad);
  }
  CHECK(refusal({"INCRBY", "k", "-9223372036854775808"}) == "");
  CHECK(refusal({"FLUSHALL", "ASYNC"}) == "");
  CHECK(refusal({"FLUSHALL", "NOW"}) == "ERR syntax error");
}

TEST_CASE("parse: commands in a session") {
  command c;
  CHECK(refusal({"SESSION.DO", "7", "9", "INCR", "k"}, &c) == "");
  CHECK(c.in_session);
  CHECK(c.session == 7);
  CHECK(c.serial == 9);
  CHECK(c.verb == verb::incr);
  CHECK(refusal({"SESSION.DO", "7", "10", "GET", "k"}, &c) == "");
  CHECK(c.effect == effect::writes);  // Its answer is to be remembered.
  const std::string only_data = "ERR only commands on data can be done in a session";
  CHECK(refusal({"SESSION.DO", "7", "9", "PING"}) == only_data);
  CHECK(refusal({"SESSION.DO", "7", "9", "SESSION.OPEN"}) == only_data);
  CHECK(refusal({"SESSION.DO", "7", "9", "SESSION.DO", "7", "9", "INCR", "k"}) == only_data);
  CHECK(refusal({"SESSION.DO", "7", "9", "nope"}).starts_with("ERR unknown command 'nope'"));
  CHECK(refusal({"SESSION.DO", "7", "9", "INCR"}) == "ERR wrong number of arguments for 'incr' command");
  for (const char* bad : {"0", "-1", "x", "", "01"}) {
    CHECK(refusal({"SESSION.DO", bad, "9", "INCR", "k"}).starts_with("ERR SESSION.DO needs"));
    CHECK(refusal({"SESSION.DO", "7", bad, "INCR", "k"}).starts_with("ERR SESSION.DO needs"));
  }
}

TEST_CASE("parse: sessions in sessions do not nest calls") {
  words w;
  for (int i = 0; i < 300'000; ++i) w.insert(w.end(), {"SESSION.DO", "1", "1"});
  CHECK(refusal(w) == "ERR only commands on data can be done in a session");
}

TEST_CASE("encode, decode: there and back") {
  const std::string binary("\0\xff\r\n", 4);
  const std::string large(100'000, 'x');
  const std::vector<words> requests = {{"set", "k", binary, "NX", "GET"},
                                       {"get", ""},
                                       {"mset", "a", large, "b", "2"},
                                       {"flushall"},
                                       {"session.open"},
                                       {"session.do", "18446744073709551615", "300", "cas", "k", "a", "b"}};
  for (const words& request : requests) {
    command c;
    REQUIRE(refusal(request, &c) == "");
    std::string bytes;
    encode(bytes, c);
    command d;
    words memory;
    REQUIRE(decode(bytes, memory, d));
    CHECK(d.verb == c.verb);
    CHECK(d.flags == c.flags);
    CHECK(d.in_session == c.in_session);
    CHECK(d.session == c.session);
    CHECK(d.serial == c.serial);
    CHECK(words(d.words.begin(), d.words.end()) == words(c.words.begin(), c.words.end()));
  }
}

TEST_CASE("encode: the form on disk") {
  const words request{"SESSION.DO", "1", "300", "SET", "k", "vv", "XX"};
  command c;
  REQUIRE(refusal(request, &c) == "");
  std::string bytes;
  encode(bytes, c);
  // session_do = 65, 1, 300 = 0x2c | 0x80 then 2; set = 1, XX = 2, two words.
  CHECK(bytes == std::string("\x41\x01\xac\x02\x01\x02\x02\x01k\x02vv"));
}

TEST_CASE("decode: no cut or lengthened form is taken, and none read beyond") {
  const words request{"session.do", "200", "300", "mset", "a", "1", "bb", "22"};
  command c;
  REQUIRE(refusal(request, &c) == "");
  std::string bytes;
  encode(bytes, c);
  words memory;
  command d;
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const std::vector<char> exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    CHECK_FALSE(decode({exact.data(), exact.size()}, memory, d));
  }
  CHECK_FALSE(decode(bytes + "x", memory, d));
  CHECK_FALSE(decode(std::string("\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12), memory, d));
  CHECK_FALSE(decode(std::string("\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 12), memory, d));
}

}  // namespace kv_command_test

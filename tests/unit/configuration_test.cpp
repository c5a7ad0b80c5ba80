// Who the members are: the rules that make a configuration legal, and its byte form.

#include <doctest/doctest.h>
#include <raft/configuration.hpp>

#include <string>
#include <string_view>

#include "support/letter.hpp"
#include "support/printing.hpp"

namespace configuration_test {

using namespace raft;
using namespace story;

namespace {

configuration joint() {
  configuration c;
  c.voters = {1_n, 4_n};
  c.outgoing = {1_n, 2_n, 3_n};
  c.learners = {5_n};
  c.learners_next = {3_n};
  c.auto_leave = true;
  return c;
}

member_data datum(node_id id, std::string_view text) {
  const payload view = payload_of(text);
  return {id, {view.begin(), view.end()}};
}

configuration with_data() {
  configuration c = joint();
  c.data = {datum(1_n, "10.0.0.1:7000"), datum(3_n, "c"), datum(5_n, std::string(256, 'x'))};
  return c;
}

template <class Change>
void illegal(Change change) {
  configuration c = joint();
  change(c);
  const auto legal = validate(c);
  REQUIRE_FALSE(legal);
  CHECK(legal.error().code == errc::invalid_configuration);
  CHECK(legal.error().what[0] != '\0');
  const auto decoded = decode_configuration(bytes_of(c));
  CHECK_FALSE(decoded);
}

}  // namespace

TEST_CASE("is_voter, is_learner, is_member: either half votes, a learner does not") {
  const configuration c = joint();
  CHECK(c.joint());
  for (const node_id id : {1_n, 2_n, 3_n, 4_n}) CHECK(c.is_voter(id));
  CHECK_FALSE(c.is_voter(5_n));
  CHECK(c.is_learner(5_n));
  CHECK_FALSE(c.is_learner(3_n));  // it is one later
  CHECK(c.is_member(5_n));
  CHECK_FALSE(c.is_member(6_n));
  CHECK_FALSE(c.is_member(nobody));
  CHECK_FALSE(voters_of({1_n}).joint());
}

TEST_CASE("voters_of: sorts") { CHECK(voters_of({3_n, 1_n, 2_n}).voters == std::vector{1_n, 2_n, 3_n}); }

TEST_CASE("members_of: each member once, sorted") {
  CHECK(members_of(joint()) == std::vector{1_n, 2_n, 3_n, 4_n, 5_n});
  CHECK(members_of(configuration{}).empty());
}

TEST_CASE("validate: legal ones pass") {
  CHECK(validate(joint()));
  CHECK(validate(voters_of({7_n})));
}

TEST_CASE("validate: each rule is held against each list") {
  illegal([](configuration& c) { c.voters = {}; });
  using list = std::vector<node_id> configuration::*;
  for (const list of : {list{&configuration::voters}, list{&configuration::outgoing}, list{&configuration::learners}}) {
    illegal([&](configuration& c) { (c.*of) = {7_n, 6_n}; });
    illegal([&](configuration& c) { (c.*of) = {6_n, 6_n}; });
    illegal([&](configuration& c) { (c.*of) = {0_n, 6_n}; });
  }
  illegal([](configuration& c) { c.learners = {1_n}; });       // votes
  illegal([](configuration& c) { c.learners = {2_n}; });       // votes in the old half
  illegal([](configuration& c) { c.learners_next = {4_n}; });  // votes in the new half only
  illegal([](configuration& c) { c.learners_next = {1_n}; });  // goes on voting
  illegal([](configuration& c) { c.learners_next = {9_n}; });  // votes nowhere
  illegal([](configuration& c) { c.learners_next = {3_n, 2_n}; });
  illegal([](configuration& c) { c.learners_next = {3_n, 3_n}; });
  illegal([](configuration& c) {
    c.outgoing = {};
    c.learners_next = {};
  });  // auto_leave of nothing
  illegal([](configuration& c) {
    c.outgoing = {};
    c.auto_leave = false;
  });  // learners_next of nothing
}

TEST_CASE("validate: a list has 255 members at most") {
  configuration c;
  for (std::uint64_t id = 1; id <= 255; ++id) c.voters.push_back(node_id{id});
  CHECK(validate(c));
  CHECK(*decode_configuration(bytes_of(c)) == c);
  c.voters.push_back(256_n);
  CHECK_FALSE(validate(c));
}

TEST_CASE("encode, decode_configuration: what was encoded is decoded") {
  for (const configuration& c : {joint(), with_data(), voters_of({1_n}), voters_of({5_n, node_id{UINT64_MAX}})}) {
    const auto back = decode_configuration(bytes_of(c));
    REQUIRE(back);
    CHECK(*back == c);
    CHECK(bytes_of(c).size() == configuration_bytes(c));
  }
}

TEST_CASE("encode: a configuration without data has the form that every build reads") {
  CHECK(bytes_of(joint())[0] == std::byte{1});
  CHECK(bytes_of(with_data())[0] == std::byte{2});
  bytes wire = bytes_of(joint());
  wire[0] = std::byte{2};
  wire.push_back(std::byte{0});
  wire.push_back(std::byte{0});
  CHECK(decode_configuration(wire).error().code == errc::malformed);  // it has one form
}

TEST_CASE("data_of: each member's own, empty where there is none") {
  const configuration c = with_data();
  CHECK(text_of(c.data_of(1_n)) == "10.0.0.1:7000");
  CHECK(text_of(c.data_of(3_n)) == "c");
  CHECK(c.data_of(5_n).size() == member_data_limit);
  for (const node_id id : {2_n, 4_n, 6_n, nobody}) CHECK(c.data_of(id).empty());
  CHECK_FALSE(c == joint());
}

TEST_CASE("validate: data is of members, sorted, once each, not empty and not too large") {
  illegal([](configuration& c) { c.data = {datum(6_n, "x")}; });
  illegal([](configuration& c) { c.data = {datum(nobody, "x")}; });
  illegal([](configuration& c) { c.data = {datum(2_n, "x"), datum(1_n, "y")}; });
  illegal([](configuration& c) { c.data = {datum(2_n, "x"), datum(2_n, "y")}; });
  illegal([](configuration& c) { c.data = {datum(2_n, "")}; });
  illegal([](configuration& c) { c.data = {datum(2_n, std::string(257, 'x'))}; });
}

TEST_CASE("decode_configuration: every length but the right one is refused") {
  configuration without_data = with_data();
  without_data.data.clear();  // which has a byte form of its own
  for (const bytes& whole : {bytes_of(with_data()), bytes_of(without_data)}) {
    REQUIRE(decode_configuration(whole));
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
      const bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
      CHECK_FALSE(decode_configuration(part));
    }
    bytes more = whole;
    more.push_back(std::byte{0});
    CHECK(decode_configuration(more).error().code == errc::malformed);
  }
}

TEST_CASE("decode_configuration: says in which part the bytes end, and reads none behind them") {
  const bytes whole = bytes_of(with_data());
  const std::size_t ids = 6 + 8 * 7;
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    CAPTURE(cut);
    const auto read = decode_configuration(payload{whole}.first(cut));
    REQUIRE_FALSE(read);
    CHECK(read.error().code == errc::malformed);
    CHECK(read.error().what == std::string(cut < 6     ? "a configuration ends inside its head"
                                           : cut < ids ? "a configuration ends inside its ids"
                                                       : "a configuration ends inside its members' data"));
  }
  bytes none = bytes_of(joint());
  none[0] = std::byte{2};
  none.resize(none.size() + 2);
  CHECK(decode_configuration(none).error().what == std::string("a configuration of version 2 without data"));
  bytes empty = none;  // the last member's data has no bytes: all of it is there, and it is not legal
  empty[empty.size() - 2] = std::byte{1};
  empty.insert(empty.end(), {std::byte{1}, {}, {}, {}, {}, {}, {}, {}, {}, {}});
  CHECK(decode_configuration(empty).error().code == errc::invalid_configuration);
}

TEST_CASE("decode_configuration: every byte counts") {
  const bytes whole = bytes_of(with_data());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {1, 2, 0x80, 0xFF}) {
      bytes other = whole;
      other[i] ^= static_cast<std::byte>(flip);
      const auto read = decode_configuration(other);
      if (read) {
        CHECK_FALSE(*read == with_data());
        CHECK(bytes_of(*read) == other);  // one byte form for each
      }
    }
  }
}

TEST_CASE("decode_configuration: another version, and a truth that is none") {
  bytes wire = bytes_of(joint());
  for (const int version : {0, 3, 255}) {
    wire[0] = static_cast<std::byte>(version);
    CHECK(decode_configuration(wire).error().code == errc::unsupported_version);
  }
  wire[0] = std::byte{1};
  wire[1] = std::byte{2};
  CHECK(decode_configuration(wire).error().code == errc::malformed);
}

}  // namespace configuration_test

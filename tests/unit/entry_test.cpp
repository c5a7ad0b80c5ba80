// One entry and a batch of them in their wire form.

#include <cstdlib>
#include <memory>
#include <string>

#include <doctest/doctest.h>
#include <raft/entry.hpp>

#include "support/letter.hpp"
#include "support/printing.hpp"

namespace entry_test {

using namespace raft;
using namespace story;

namespace {

result<entries> parsed(const bytes& wire, std::uint32_t count) {
  return entries::parse(wire.data(), wire.size(), count);
}

void refused(const bytes& wire, std::uint32_t count, errc code = errc::malformed) {
  const auto batch = parsed(wire, count);
  REQUIRE_FALSE(batch);
  CHECK(batch.error().code == code);
}

const std::vector<written> three{{1, "a"}, no_op(2), {2, "a longer payload"}};

}  // namespace

TEST_CASE("entry_bytes: a header of 16 bytes and the payload, up to a multiple of 8") {
  CHECK(entry_bytes(0) == 16);
  CHECK(entry_bytes(1) == 24);
  CHECK(entry_bytes(8) == 24);
  CHECK(entry_bytes(9) == 32);
}

TEST_CASE("write_entry: the byte form") {
  bytes wire(entry_bytes(3), std::byte{0xFF});
  write_entry(wire.data(), 0x0102_t, entry_kind::configuration, payload_of("xyz"));
  const std::vector<int> expected{2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 'x', 'y', 'z', 0, 0, 0, 0, 0};
  REQUIRE(wire.size() == expected.size());
  for (std::size_t i = 0; i < wire.size(); ++i) CHECK(std::to_integer<int>(wire[i]) == expected[i]);
}

TEST_CASE("read_entry: what was written is read") {
  for (const auto kind : {entry_kind::command, entry_kind::no_op, entry_kind::configuration}) {
    for (const std::size_t size : {0U, 1U, 7U, 8U, 100U}) {
      const std::string text(size, 'q');
      bytes wire(entry_bytes(size));
      write_entry(wire.data(), 77_t, kind, payload_of(text));
      const entry e = read_entry(wire.data(), 5_i);
      CHECK(e.index == 5_i);
      CHECK(e.term == 77_t);
      CHECK(e.kind == kind);
      CHECK(text_of(e.data) == text);
    }
  }
}

TEST_CASE("parse: a batch shows its entries") {
  const bytes wire = wire_of(three);
  const auto batch = parsed(wire, 3);
  REQUIRE(batch);
  CHECK(batch->count() == 3);
  CHECK(batch->bytes() == wire.size());
  CHECK(batch->first_term() == 1_t);
  CHECK(batch->last_term() == 2_t);
  CHECK(read(*batch) == three);
  CHECK_FALSE(batch->empty());
  std::vector<index_t> places;
  batch->for_each(9_i, [&](const entry& e) { places.push_back(e.index); });
  CHECK(places == std::vector{9_i, 10_i, 11_i});
}

TEST_CASE("parse: no entries are no entries") {
  const auto none = entries::parse(nullptr, 0, 0);
  REQUIRE(none);
  CHECK(none->empty());
  CHECK(none->last_term() == 0_t);
  CHECK(*none == entries{});
}

TEST_CASE("parse: every length but the right one is refused") {
  const bytes wire = wire_of(three);
  for (std::size_t cut = 0; cut < wire.size(); ++cut) {
    const bytes part(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(cut));  // so that a read beyond is found
    refused(part, 3);
  }
  bytes more = wire;
  more.resize(more.size() + 8);
  refused(more, 3);
  refused(wire, 2);
  refused(wire, 4);
  refused(wire, 0);
  refused(wire, UINT32_MAX);
}

TEST_CASE("parse: says in which part the bytes end, and reads none behind them") {
  const bytes wire = wire_of({{1, "a"}, {2, "nine byte"}});
  const std::size_t second = entry_bytes(1);
  for (std::size_t cut = 0; cut < wire.size(); ++cut) {
    CAPTURE(cut);
    const auto batch = entries::parse(wire.data(), cut, 2);
    REQUIRE_FALSE(batch);
    const std::size_t in_entry = cut < second ? cut : cut - second;
    CHECK(batch.error().what == std::string(in_entry < entry_header_bytes
                                                ? "a batch of entries ends inside a header"
                                                : "a batch of entries ends inside a payload"));
  }
  CHECK(entries::parse(wire.data(), wire.size(), 1).error().what ==
        std::string("bytes left over behind a batch of entries"));
}

TEST_CASE("parse: lengths that reach beyond the bytes are refused, whatever they add up to") {
  bytes wire = wire_of({{1, "abc"}});
  for (const std::uint32_t length : {9U, 100U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFF0U, 0xFFFFFFFFU}) {
    detail::store_le<std::uint32_t>(wire.data() + 8, length);
    refused(wire, 1);
  }
}

TEST_CASE("parse: a payload above entry_payload_limit is refused, even if all of it is there") {
  // Memory that is zero until it is written to, so that the test does not fill a gigabyte.
  const std::unique_ptr<void, void (*)(void*)> memory{std::calloc(entry_payload_limit + 64, 1), std::free};
  REQUIRE(memory);
  auto* wire = static_cast<std::byte*>(memory.get());
  for (const auto kind : {entry_kind::command, entry_kind::no_op}) {
    for (const std::size_t length : {entry_payload_limit - 1, entry_payload_limit, entry_payload_limit + 1,
                                     entry_payload_limit + 8, entry_payload_limit + 40}) {
      CAPTURE(length);
      write_entry_header(wire, 1_t, kind, length);
      CHECK(entries::parse(wire, entry_bytes(length), 1).has_value() == (length <= entry_payload_limit));
    }
  }
}

TEST_CASE("parse: more bytes than a length field can say are refused before one of them is read") {
  std::size_t too_many = std::size_t{UINT32_MAX} + 1;  // no constant: the program has to run it, not the compiler
  const auto refused_at_once = entries::parse(nullptr, too_many, 1);
  REQUIRE_FALSE(refused_at_once);
  CHECK(refused_at_once.error().code == errc::malformed);
}

TEST_CASE("parse: kinds that are not known are refused, in each of their four bytes") {
  for (const std::size_t place : {12U, 13U, 14U, 15U}) {
    bytes wire = wire_of({{1, "abc"}});
    wire[place] = std::byte{4};
    refused(wire, 1);
  }
  bytes zero = wire_of({{1, "abc"}});
  zero[12] = std::byte{0};
  refused(zero, 1);
}

TEST_CASE("parse: an entry that no log holds is refused wherever in the batch it is") {
  for (const written& wrong :
       {written{2, "of an unknown kind", entry_kind{4}}, written{2, "no configuration", entry_kind::configuration}}) {
    for (std::size_t place = 0; place < 3; ++place) {
      CAPTURE(place);
      std::vector<written> batch(3, {2, "a"});
      CHECK(parsed(wire_of(batch), 3));
      batch[place] = wrong;
      CHECK_FALSE(parsed(wire_of(batch), 3));
    }
  }
}

TEST_CASE("parse: terms that fall are refused") {
  refused(wire_of({{2, "a"}, {1, "b"}}), 2);
  refused(wire_of({{2, "a"}, {3, "b"}, {2, "c"}}), 3);
}

TEST_CASE("parse: a configuration entry that holds none is refused") {
  refused(wire_of({{1, "no configuration", entry_kind::configuration}}), 1, errc::unsupported_version);
  refused(wire_of({{1, "", entry_kind::configuration}}), 1);
  const bytes wire = wire_of({members(1, voters_of({1_n, 2_n}))});
  CHECK(parsed(wire, 1));
  refused(wire_of({members(1, configuration{})}), 1, errc::invalid_configuration);
}

TEST_CASE("from: the entries behind the first ones") {
  const bytes wire = wire_of(three);
  const entries all = *parsed(wire, 3);
  CHECK(all.from(0) == all);
  CHECK(read(all.from(1)) == std::vector<written>{no_op(2), {2, "a longer payload"}});
  CHECK(all.from(1).last_term() == 2_t);
  CHECK(read(all.from(2)) == std::vector<written>{{2, "a longer payload"}});
  CHECK(all.from(3).empty());
  CHECK(all.from(3).last_term() == 0_t);
}

TEST_CASE("operator==: equal bytes, wherever they lie") {
  const bytes one = wire_of(three);
  const bytes two = wire_of(three);
  CHECK(*parsed(one, 3) == *parsed(two, 3));
  const bytes other = wire_of({{1, "a"}, no_op(2), {2, "a longer payloaD"}});
  CHECK_FALSE(*parsed(one, 3) == *parsed(other, 3));
  CHECK_FALSE(*parsed(one, 3) == parsed(one, 3)->from(1));
  const bytes longer = wire_of({{1, "a"}, no_op(2), {2, "a payload that takes more room"}});
  CHECK_FALSE(*parsed(one, 3) == *parsed(longer, 3));
  const entries all = *parsed(one, 3);
  const entries first_two = *entries::parse(one.data(), all.bytes() - all.from(2).bytes(), 2);
  CHECK_FALSE(all == first_two);
  CHECK_FALSE(first_two == all);
}

}  // namespace entry_test

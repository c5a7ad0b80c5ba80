// Messages are plain values: built, copied, compared.

#include <doctest/doctest.h>
#include <raft/message.hpp>

#include <type_traits>

#include "support/letter.hpp"
#include "support/printing.hpp"

namespace message_test {

using namespace raft;
using namespace story;

static_assert(std::is_trivially_copyable_v<message_body>);
static_assert(std::is_trivially_copyable_v<append_entries> && std::is_trivially_copyable_v<install_snapshot>);

namespace {

std::vector<letter> one_of_each() {
  return {say(1_n, 2_n, 3_t, request_pre_vote{4_i, 5_t}),
          say(1_n, 2_n, 3_t, request_pre_vote_reply{4_t, true}),
          say(1_n, 2_n, 3_t, request_vote{4_i, 5_t}),
          say(1_n, 2_n, 3_t, request_vote_reply{true}),
          append(1_n, 2_n, 3_t, {4_i, 1_t}, 2_i, {{2, "x"}, {3, "y"}}, 7),
          say(1_n, 2_n, 3_t, append_entries_reply{true, 4_i, 5_i, 6_t, 7_i, 8}),
          chunk(1_n, 2_n, 3_t, {4_i, 2_t}, voters_of({1_n, 2_n}), "image", 1, 3),
          say(1_n, 2_n, 3_t, install_snapshot_reply{4_i, 5, 6, true, 7}),
          say(1_n, 2_n, 3_t, timeout_now{4_i, 3_t}),
          say(1_n, 2_n, 3_t, read_request{4}),
          say(1_n, 2_n, 3_t, read_reply{4, 5_i, true}),
          say(1_n, 2_n, 3_t, forwarded_proposal{4, 5, payload_of("x")}),
          say(1_n, 2_n, 3_t, forwarded_proposal_reply{4, 5, 6_i, 7_n})};
}

}  // namespace

TEST_CASE("message_body: every kind, in the order of their byte form") {
  const auto all = one_of_each();
  REQUIRE(all.size() == std::variant_size_v<message_body>);
  for (std::size_t k = 0; k < all.size(); ++k) CHECK(all[k].what.body.index() == k);
}

TEST_CASE("operator==: a message equals its copy and nothing else") {
  const auto all = one_of_each();
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j) CHECK((all[i].what == all[j].what) == (i == j));
    CHECK(keep(all[i].what) == all[i]);
    for (const message& other : {message{9_n, 2_n, 3_t, all[i].what.body}, message{1_n, 9_n, 3_t, all[i].what.body},
                                 message{1_n, 2_n, 9_t, all[i].what.body}}) {
      CHECK_FALSE(other == all[i].what);
    }
  }
}

TEST_CASE("operator==: every field of a forwarded proposal counts, and the bytes of its command") {
  const forwarded_proposal one{4, 5, payload_of("x")};
  CHECK(one == one);
  CHECK_FALSE(one == forwarded_proposal{3, 5, payload_of("x")});
  CHECK_FALSE(one == forwarded_proposal{4, 6, payload_of("x")});
  CHECK_FALSE(one == forwarded_proposal{4, 5, payload_of("y")});
  CHECK_FALSE(one == forwarded_proposal{4, 5, payload_of("xx")});
}

TEST_CASE("operator==: every field of a chunk counts") {
  const auto original = chunk(1_n, 2_n, 3_t, {4_i, 2_t}, voters_of({1_n, 2_n}), "image", 1, 3).as<install_snapshot>();
  const bytes data = bytes_of("mag");
  const bytes members = bytes_of(voters_of({1_n, 2_n}));
  const bytes other_data = bytes_of("maG");
  const bytes other_members = bytes_of(voters_of({1_n, 3_n}));
  install_snapshot same{4_i, 2_t, 7, 5, 1, 0, members, data};
  CHECK(same == same);
  const auto differs = [&](auto change) {
    install_snapshot other = same;
    change(other);
    CHECK_FALSE(other == same);
  };
  differs([](install_snapshot& m) { m.last_included_index = 5_i; });
  differs([](install_snapshot& m) { m.last_included_term = 3_t; });
  differs([](install_snapshot& m) { m.id = 8; });
  differs([](install_snapshot& m) { m.size = 6; });
  differs([](install_snapshot& m) { m.offset = 2; });
  differs([](install_snapshot& m) { m.round = 1; });
  differs([&](install_snapshot& m) { m.data = other_data; });
  differs([&](install_snapshot& m) { m.data = m.data.first(2); });
  differs([&](install_snapshot& m) { m.configuration = other_members; });
  CHECK(original.size == 5);
}

TEST_CASE("visit_body: calls with the body that is there") {
  for (const letter& l : one_of_each()) {
    const bool found = visit_body(l.what.body, [&](const auto& body) {
      return std::get_if<std::decay_t<decltype(body)>>(&l.what.body) == &body;
    });
    CHECK(found);
  }
}

TEST_CASE("envelope_of: who says it to whom in which term") {
  CHECK(envelope_of(one_of_each()[0].what) == envelope{1_n, 2_n, 3_t});
}

}  // namespace message_test

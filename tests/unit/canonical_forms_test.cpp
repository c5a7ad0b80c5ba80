// The canonical forms of messages and Logs: whatever a field holds is in the form.

#include <doctest/doctest.h>
#include <raft/canonical_forms.hpp>
#include <raft/memory_log.hpp>

#include <set>
#include <string>
#include <vector>

#include "support/forms.hpp"
#include "support/letter.hpp"
#include "support/test_log.hpp"

namespace canonical_forms_test {

using namespace raft;
using namespace story;

namespace {

form form_of(const message& m) {
  canonical_writer w;
  canonical(w, m);
  return {w.bytes().begin(), w.bytes().end()};
}

template <class Log>
form form_of_log(const Log& log) {
  canonical_writer w;
  canonical_contents(w, log);
  return {w.bytes().begin(), w.bytes().end()};
}

bool all_differ(const std::vector<form>& forms) {
  return std::set<form>(forms.begin(), forms.end()).size() == forms.size();
}

/// The forms of messages that differ in their bodies alone.
template <class Body>
std::vector<form> forms_of(const std::vector<Body>& bodies) {
  std::vector<form> out;
  for (const Body& body : bodies) out.push_back(form_of(say(1_n, 2_n, 3_t, body).what));
  return out;
}

}  // namespace

TEST_CASE("canonical: messages to, from, in the term of, or of the kind of another one differ") {
  const message m{1_n, 2_n, 3_t, request_vote{4_i, 2_t}};
  CHECK(all_differ({form_of(m), form_of({4_n, 2_n, 3_t, m.body}), form_of({1_n, 4_n, 3_t, m.body}),
                    form_of({1_n, 2_n, 4_t, m.body}), form_of({1_n, 2_n, 3_t, timeout_now{4_i, 2_t}}),
                    form_of({1_n, 2_n, 3_t, request_pre_vote{4_i, 2_t}})}));
}

TEST_CASE("canonical: bodies that differ in one field differ") {
  CHECK(all_differ(forms_of<request_pre_vote>({{4_i, 2_t}, {5_i, 2_t}, {4_i, 3_t}})));
  CHECK(all_differ(forms_of<request_pre_vote_reply>({{4_t, false}, {5_t, false}, {4_t, true}})));
  CHECK(all_differ(forms_of<request_vote>({{4_i, 2_t}, {5_i, 2_t}, {4_i, 3_t}, {4_i, 2_t, true}})));
  CHECK(all_differ(forms_of<request_vote_reply>({{false}, {true}})));
  CHECK(all_differ(forms_of<append_entries_reply>({{true, 1_i, 1_i, 1_t, 1_i, 1},
                                                   {false, 1_i, 1_i, 1_t, 1_i, 1},
                                                   {true, 2_i, 1_i, 1_t, 1_i, 1},
                                                   {true, 1_i, 2_i, 1_t, 1_i, 1},
                                                   {true, 1_i, 1_i, 2_t, 1_i, 1},
                                                   {true, 1_i, 1_i, 1_t, 2_i, 1},
                                                   {true, 1_i, 1_i, 1_t, 1_i, 2}})));
  CHECK(all_differ(forms_of<install_snapshot_reply>({{1_i, 1, 1, true, 1},
                                                     {2_i, 1, 1, true, 1},
                                                     {1_i, 2, 1, true, 1},
                                                     {1_i, 1, 2, true, 1},
                                                     {1_i, 1, 1, false, 1},
                                                     {1_i, 1, 1, true, 2}})));
  CHECK(all_differ(forms_of<timeout_now>({{4_i, 2_t}, {5_i, 2_t}, {4_i, 3_t}})));
  CHECK(all_differ(forms_of<read_request>({{1}, {2}})));
  CHECK(all_differ(forms_of<read_reply>({{1, 1_i, false}, {2, 1_i, false}, {1, 2_i, false}, {1, 1_i, true}})));
  CHECK(all_differ(forms_of<forwarded_proposal>(
      {{1, 1, payload_of("a")}, {2, 1, payload_of("a")}, {1, 2, payload_of("a")}, {1, 1, payload_of("b")}})));
  CHECK(all_differ(forms_of<forwarded_proposal_reply>(
      {{1, 1, 1_i, 1_n}, {2, 1, 1_i, 1_n}, {1, 2, 1_i, 1_n}, {1, 1, 2_i, 1_n}, {1, 1, 1_i, 2_n}})));
}

TEST_CASE("canonical: appends differ by each field and each entry, the members in an entry too") {
  std::vector<form> forms;
  const auto note = [&forms](after prev, index_t commit, const std::vector<written>& batch, std::uint64_t round = 0) {
    forms.push_back(form_of(append(1_n, 2_n, 9_t, prev, commit, batch, round).what));
  };
  note({4_i, 2_t}, 3_i, {});
  note({5_i, 2_t}, 3_i, {});
  note({4_i, 3_t}, 3_i, {});
  note({4_i, 2_t}, 4_i, {});
  note({4_i, 2_t}, 3_i, {}, 1);
  note({4_i, 2_t}, 3_i, {{2, "x"}});
  note({4_i, 2_t}, 3_i, {{3, "x"}});
  note({4_i, 2_t}, 3_i, {{2, "y"}});
  note({4_i, 2_t}, 3_i, {{2, "x"}, {2, "x"}});
  note({4_i, 2_t}, 3_i, {no_op(2)});
  note({4_i, 2_t}, 3_i, {members(2, voters(2))});
  note({4_i, 2_t}, 3_i, {members(2, voters(3))});
  CHECK(all_differ(forms));
  // How many there are is said first, so that no batch's form begins another one's.
  CHECK(std::mismatch(forms[5].begin(), forms[5].end(), forms[8].begin(), forms[8].end()).first != forms[5].end());
}

TEST_CASE("canonical: configurations differ by each set, by how a joint one is left, and by what belongs to a member") {
  std::vector<configuration> some(8, voters_of({1_n, 2_n}));
  some[1].voters = {1_n, 3_n};
  some[2].outgoing = {1_n, 3_n};
  some[3].outgoing = {1_n, 3_n};
  some[3].auto_leave = !some[2].auto_leave;
  some[4].learners = {3_n};
  some[5].learners_next = {3_n};
  some[6].data = {{2_n, {std::byte{7}}}};
  some[7].data = {{2_n, {std::byte{8}}}};
  std::vector<form> forms;
  for (const configuration& c : some) {
    canonical_writer w;
    canonical(w, c);
    forms.emplace_back(w.bytes().begin(), w.bytes().end());
  }
  CHECK(all_differ(forms));
}

TEST_CASE("canonical: what should be a configuration, and is none, is told by its bytes") {
  std::vector<install_snapshot> bodies(3, {4_i, 2_t, 7, 9, 3, 1, {}, payload_of("abc")});
  bodies[1].configuration = payload_of("no configuration");
  bodies[2].configuration = payload_of("no confIguration");
  CHECK(all_differ(forms_of(bodies)));
}

TEST_CASE("canonical: bytes that are no configuration are told from one whose form begins with the same numbers") {
  const auto form_of_bytes = [](payload bytes) {
    return form_by({}, [bytes](canonical_writer& w, const auto&) { canonical_configuration(w, bytes); });
  };
  const bytes two{std::byte{1}, std::byte{2}};  // two bytes, 1 and 2; or two voters with these ids
  const form none = form_of_bytes(two);
  const form one = form_of_bytes(bytes_of(voters_of({1_n, 2_n})));
  CHECK_FALSE(begins_with(one, none));
  CHECK_FALSE(begins_with(none, one));
}

TEST_CASE("canonical: chunks of snapshots differ by each field") {
  const install_snapshot one{4_i, 2_t, 7, 9, 3, 1, {}, payload_of("abc")};
  std::vector<install_snapshot> bodies(9, one);
  bodies[1].last_included_index = 5_i;
  bodies[2].last_included_term = 3_t;
  bodies[3].id = 8;
  bodies[4].size = 10;
  bodies[5].offset = 4;
  bodies[6].round = 2;
  bodies[7].data = payload_of("abd");
  const bytes three = bytes_of(voters(3));
  bodies[8].configuration = three;
  CHECK(all_differ(forms_of(bodies)));
}

TEST_CASE(
    "canonical_contents: Logs differ by the hard state, where they begin, each entry, the snapshot and its bytes") {
  const stored one{.term = 5,
                   .vote = 1,
                   .commit_hint = 4,
                   .members = voters(3),
                   .log = {{2, "a"}, {5, "b"}},
                   .base = {3_i, 2_t},
                   .snapshot = {4_i, 2_t},
                   .image = "state"};
  std::vector<stored> logs(11, one);
  logs[1].term = 6;
  logs[2].vote = 2;
  logs[3].commit_hint = 5;
  logs[4].members = voters(2);
  logs[5].log.back().text = "c";
  logs[6].log.back().term = 4;
  logs[7].log.push_back({5, "b"});
  logs[8].base = {3_i, 1_t};
  logs[9].image = "other";
  logs[10].log.pop_back();
  std::vector<form> forms;
  for (const stored& s : logs) forms.push_back(form_of_log(s.build()));
  CHECK(all_differ(forms));
  CHECK(form_of_log(one.build()) == forms[0]);
}

TEST_CASE("canonical_contents: a snapshot that is being received is in the form: which, and how far it has got") {
  const stored before{.term = 5, .members = voters(3), .log = {{2, "a"}, {5, "b"}}};
  const auto receiving = [&before](const snapshot_meta& meta, std::string_view got) {
    memory_log log = before.build();
    CHECK(log.begin_snapshot(meta));
    if (!got.empty()) CHECK(log.write_snapshot(payload_of(got)));
    return form_of_log(log);
  };
  const snapshot_meta meta{9_i, 5_t, voters(3), 6, 7};
  CHECK(all_differ({form_of_log(before.build()), receiving(meta, ""), receiving(meta, "abc"),
                    receiving({8_i, 5_t, voters(3), 6, 7}, "abc"), receiving({9_i, 4_t, voters(3), 6, 7}, "abc"),
                    receiving({9_i, 5_t, voters(2), 6, 7}, "abc"), receiving({9_i, 5_t, voters(3), 7, 7}, "abc"),
                    receiving({9_i, 5_t, voters(3), 6, 8}, "abc")}));
}

TEST_CASE("memory_log: of a snapshot that is being received the bytes that are there count as well") {
  const stored before{.term = 5, .members = voters(3), .log = {{2, "a"}, {5, "b"}}};
  const auto own_form = [](const memory_log& log) {
    canonical_writer w;
    log.canonical(w);
    return form{w.bytes().begin(), w.bytes().end()};
  };
  const auto receiving = [&](std::string_view got) {
    memory_log log = before.build();
    CHECK(log.begin_snapshot({9_i, 5_t, voters(3), 6, 7}));
    CHECK(log.write_snapshot(payload_of(got)));
    return own_form(log);
  };
  CHECK(all_differ({own_form(before.build()), receiving("abc"), receiving("abd"), receiving("ab")}));
  stored another = before;
  another.term = 6;
  CHECK(own_form(another.build()) != own_form(before.build()));
  CHECK(receiving("abc") == receiving("abc"));
}

TEST_CASE("canonical_contents: where a snapshot cannot be read through a const Log, its id stands for its bytes") {
  struct changes_as_it_reads : memory_log {
    result<payload> read_snapshot(std::uint64_t offset, std::uint32_t max) {
      return memory_log::read_snapshot(offset, max);
    }
  };
  const auto holding = [](const std::string& image) {
    const stored s{
        .term = 5, .members = voters(3), .log = {{2, "a"}}, .base = {3_i, 2_t}, .snapshot = {4_i, 2_t}, .image = image};
    return form_of_log(changes_as_it_reads{s.build()});
  };
  CHECK(all_differ({holding("state"), holding("other")}));
  CHECK(holding("state") == holding("state"));
}

TEST_CASE("canonical_contents: a snapshot that cannot be read further ends the form there") {
  struct breaks_off : memory_log {
    std::uint64_t readable = 0;
    bool empty = false;  ///< Beyond that there are no bytes; else there is an error.
    [[nodiscard]] result<payload> read_snapshot(std::uint64_t offset, std::uint32_t) const {
      if (offset < readable) return memory_log::read_snapshot(offset, 1);
      return empty ? result<payload>{payload{}} : result<payload>{errc::io, "the disk is broken"};
    }
  };
  const memory_log whole = stored{.term = 5,
                                  .members = voters(3),
                                  .log = {{2, "a"}},
                                  .base = {3_i, 2_t},
                                  .snapshot = {4_i, 2_t},
                                  .image = "state"}
                               .build();
  CHECK(all_differ({form_of_log(breaks_off{whole, 0}), form_of_log(breaks_off{whole, 1}),
                    form_of_log(breaks_off{whole, 2}), form_of_log(breaks_off{whole, 5})}));
  CHECK(form_of_log(breaks_off{whole, 2, true}) == form_of_log(breaks_off{whole, 2, false}));
}

TEST_CASE("canonical_contents: of entries that are not at hand it holds the terms") {
  const auto cold = [](std::uint64_t term) {
    test_log log{stored{.term = 5, .members = voters(3), .log = {{term, "a"}, {5, "b"}}}.build()};
    log.cold = true;
    return form_of_log(log);
  };
  CHECK(all_differ({cold(3), cold(4)}));
}

TEST_CASE("canonical_contents: which of two entries that are alike is not at hand is seen") {
  struct one_cold : memory_log {
    index_t cold{};
    [[nodiscard]] result<entries> view(index_t from, index_t to, std::uint32_t max_bytes) const {
      if (from == cold) return {errc::not_at_hand, "in cold storage"};
      return memory_log::view(from, to, max_bytes);
    }
  };
  // What is written of such an entry, its term, kind and bytes with their length, is the same number each time.
  const written ones{1, "\x01", entry_kind::command};
  REQUIRE(entry_kind::command == entry_kind{1});
  const memory_log log = stored{.term = 1, .members = voters(3), .log = {ones, ones}}.build();
  CHECK(
      all_differ({form_of_log(one_cold{log, 0_i}), form_of_log(one_cold{log, 1_i}), form_of_log(one_cold{log, 2_i})}));
}

TEST_CASE(
    "canonical_contents: whether a snapshot is being received is seen, and what is left of an earlier one is not") {
  struct receives : memory_log {
    partial_snapshot now{};
    [[nodiscard]] const partial_snapshot& partial() const { return now; }
  };
  const memory_log log = stored{.term = 5, .members = voters(3), .log = {{2, "a"}}}.build();
  const snapshot_meta meta{9_i, 5_t, voters(3), 6, 7};
  const form none = form_of_log(receives{log, {}});
  CHECK_FALSE(begins_with(form_of_log(receives{log, {meta, 3}}), none));
  snapshot_meta ended = meta;
  ended.index = {};
  CHECK(form_of_log(receives{log, {ended, 3}}) == none);
}

}  // namespace canonical_forms_test

// The roles' own data: the sets of votes.

#include <doctest/doctest.h>
#include <raft/role.hpp>

#include "support/letter.hpp"
#include "support/printing.hpp"

namespace role_test {

using namespace raft;
using namespace story;

TEST_CASE("tally: two sorted sets, into which each voter gets once [B06]") {
  roles::tally votes;
  for (const node_id id : {3_n, 1_n, 2_n, 3_n, 1_n}) votes.take(id, true);
  for (const node_id id : {9_n, 5_n, 9_n}) votes.take(id, false);
  CHECK(votes.granted == std::vector{1_n, 2_n, 3_n});
  CHECK(votes.refused == std::vector{5_n, 9_n});
}

TEST_CASE("role_kind: in the order of the roles") {
  CHECK(static_cast<int>(role_kind::follower) == 0);
  CHECK(static_cast<int>(role_kind::pre_candidate) == 1);
  CHECK(static_cast<int>(role_kind::candidate) == 2);
  CHECK(static_cast<int>(role_kind::leader) == 3);
}

TEST_CASE("roles: each begins without anything of another one") {
  const roles::leader<std::int64_t> lead;
  CHECK(lead.peers.empty());
  CHECK(lead.reads.empty());
  CHECK(lead.uncommitted.empty());
  CHECK(lead.round == 0);
  const roles::candidate stands;
  CHECK_FALSE(stands.own_vote_counted);
  CHECK(stands.votes.granted.empty());
  const roles::follower<std::int64_t> follows;
  CHECK(follows.leader == nobody);
}

}  // namespace role_test

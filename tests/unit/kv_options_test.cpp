// examples/kv: the command line.

#include "../../examples/kv/src/options.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace kv_options_test {

using namespace kv;

namespace {

const char* const three = "2=b:7/b:8,1=a:5/a:6,3=::1:9/::1:10";

std::string refusal(std::vector<std::string_view> words, server_options* out = nullptr) {
  server_options mine;
  std::string error;
  return parse(words, out != nullptr ? *out : mine, error) ? "" : error;
}

}  // namespace

TEST_CASE("options: all of them") {
  server_options o;
  CHECK(refusal({"--id", "2", "--cluster", three, "--data", "d", "--fsync", "never", "--snapshot-entries", "7",
                 "--election-ms", "10-20"},
                &o) == "");
  CHECK(o.id == 2);
  CHECK(o.cluster.size() == 3);
  CHECK(o.cluster[0].id == 1);
  CHECK(o.find(2)->raft == address{"b", 7});
  CHECK(o.find(2)->clients == address{"b", 8});
  CHECK(o.find(3)->raft == address{"::1", 9});
  CHECK(o.data == "d");
  CHECK_FALSE(o.sync);
  CHECK(o.snapshot_entries == 7);
  CHECK(o.election_min.count() == 10);
  CHECK(o.election_max.count() == 20);
}

TEST_CASE("options: a server that joins is none of those that began the cluster, and says where it is") {
  server_options o;
  CHECK(refusal({"--join", "d:1/d:2", "--id", "4", "--cluster", three, "--data", "d"}, &o) == "");
  CHECK(o.cluster.size() == 3);
  CHECK(*o.find(4) == member{4, {"d", 1}, {"d", 2}});
  CHECK(o.find(5) == nullptr);
  CHECK(refusal({"--join", "d:1/d:2", "--id", "3", "--cluster", three, "--data", "d"}) ==
        "--cluster has an entry for --id: this server need not join");
  for (const char* bad : {"", "d", "d:1", "d:1/d"}) {
    CHECK_MESSAGE(refusal({"--join", bad}) == "bad value for --join", bad);
  }
}

TEST_CASE("options: sending on, leases and recordings are asked for, and a replay needs nothing else") {
  server_options o;
  CHECK(refusal({"--id", "1", "--cluster", three, "--data", "d"}, &o) == "");
  CHECK_FALSE(o.forward);
  CHECK(o.lease_drift == 0);
  CHECK(o.record.empty());
  CHECK(refusal({"--forward", "--id", "1", "--cluster", three, "--lease-reads", "100", "--data", "d", "--record", "r"},
                &o) == "");
  CHECK(o.forward);
  CHECK(o.lease_drift == 100);
  CHECK(o.record == "r");
  server_options last;
  CHECK(refusal({"--id", "1", "--cluster", three, "--data", "d", "--forward"}, &last) == "");
  CHECK(last.forward);
  server_options replayed;
  CHECK(refusal({"--replay", "r"}, &replayed) == "");
  CHECK(replayed.replay == "r");
  for (const char* bad : {"", "0", "1000", "x"})
    CHECK(refusal({"--lease-reads", bad}) == "bad value for --lease-reads");
  CHECK(refusal({"--record"}) == "bad value for --record");
  CHECK(refusal({"--replay", ""}) == "bad value for --replay");
}

TEST_CASE("options: where the numbers are shown") {
  server_options o;
  CHECK(refusal({"--id", "1", "--cluster", three, "--data", "d"}, &o) == "");
  CHECK_FALSE(o.metrics.has_value());
  CHECK(refusal({"--id", "1", "--cluster", three, "--data", "d", "--metrics", "::1:90"}, &o) == "");
  CHECK(o.metrics == address{"::1", 90});
  CHECK(refusal({"--metrics", "90"}) == "bad value for --metrics");
}

TEST_CASE("place_of: says where a member is, and is read back") {
  const member m{7, {"::1", 9}, {"host.example", 10}};
  CHECK(place_of(m) == "::1:9/host.example:10");
  CHECK(detail::parse_place(7, place_of(m)) == m);
}

TEST_CASE("options: what is wrong is named") {
  CHECK(refusal({}) == "--id, --cluster and --data are needed");
  CHECK(refusal({"--id", "4", "--cluster", three, "--data", "d"}) ==
        "--cluster has no entry for --id; a server that joins later says where it is with --join");
  CHECK(refusal({"--nope", "4"}) == "unknown option --nope");
  for (const char* bad : {"", "0", "-1", "x", "1x"}) CHECK(refusal({"--id", bad}) == "bad value for --id");
  for (const char* bad : {"", "1", "1=a:5", "1=a/a:6", "1=a:5/a", "1=a:5/a:0", "1=a:5/a:65536", "=a:5/a:6", "1=:5/a:6",
                          "0=a:5/a:6", "1=a:5/a:6,1=b:5/b:6", "1=a:5/a:6,,2=b:5/b:6", "1/a:5=a:6"}) {
    CHECK_MESSAGE(refusal({"--cluster", bad}) == "bad value for --cluster", bad);
  }
  CHECK(refusal({"--data"}) == "bad value for --data");
  CHECK(refusal({"--fsync", "sometimes"}) == "bad value for --fsync");
  CHECK(refusal({"--snapshot-entries", "0"}) == "bad value for --snapshot-entries");
  for (const char* bad : {"10", "20-10", "10-10", "0-10", "a-b", "-5"}) {
    CHECK_MESSAGE(refusal({"--election-ms", bad}) == "bad value for --election-ms", bad);
  }
}

TEST_CASE("cluster_number: the same for any order, another for another place") {
  server_options a;
  server_options b;
  server_options c;
  refusal({"--cluster", "1=a:5/a:6,2=b:7/b:8"}, &a);
  refusal({"--cluster", "2=b:7/b:8,1=a:5/a:6"}, &b);
  refusal({"--cluster", "2=b:7/b:9,1=a:5/a:6"}, &c);
  CHECK(cluster_number(a.cluster) == cluster_number(b.cluster));
  CHECK(cluster_number(a.cluster) != cluster_number(c.cluster));
}

}  // namespace kv_options_test

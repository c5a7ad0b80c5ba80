#pragma once

// How the values of the engine look in a failed check. Include it in every test that compares them.

#include <ostream>

#include <raft/configuration.hpp>
#include <raft/message.hpp>
#include <raft/node.hpp>
#include <raft/observer.hpp>
#include <raft/result.hpp>
#include <raft/status.hpp>
#include <raft/storage.hpp>
#include <raft/types.hpp>

#include "support/letter.hpp"

namespace raft {

std::ostream& operator<<(std::ostream& out, term_t t);
std::ostream& operator<<(std::ostream& out, index_t i);
std::ostream& operator<<(std::ostream& out, node_id id);
std::ostream& operator<<(std::ostream& out, mark_t m);
std::ostream& operator<<(std::ostream& out, errc code);
std::ostream& operator<<(std::ostream& out, const error& e);
std::ostream& operator<<(std::ostream& out, role_kind role);
std::ostream& operator<<(std::ostream& out, progress_state state);
std::ostream& operator<<(std::ostream& out, fate what);
std::ostream& operator<<(std::ostream& out, read_fate what);
std::ostream& operator<<(std::ostream& out, transfer_fate what);
std::ostream& operator<<(std::ostream& out, ignored_reason why);
std::ostream& operator<<(std::ostream& out, vote_result result);
std::ostream& operator<<(std::ostream& out, const proposal& p);
std::ostream& operator<<(std::ostream& out, const configuration& c);
std::ostream& operator<<(std::ostream& out, const hard_state& h);
std::ostream& operator<<(std::ostream& out, const snapshot_meta& m);
std::ostream& operator<<(std::ostream& out, const entries& batch);
std::ostream& operator<<(std::ostream& out, const request_pre_vote& b);
std::ostream& operator<<(std::ostream& out, const request_pre_vote_reply& b);
std::ostream& operator<<(std::ostream& out, const request_vote& b);
std::ostream& operator<<(std::ostream& out, const request_vote_reply& b);
std::ostream& operator<<(std::ostream& out, const append_entries& b);
std::ostream& operator<<(std::ostream& out, const append_entries_reply& b);
std::ostream& operator<<(std::ostream& out, const install_snapshot& b);
std::ostream& operator<<(std::ostream& out, const install_snapshot_reply& b);
std::ostream& operator<<(std::ostream& out, const timeout_now& b);
std::ostream& operator<<(std::ostream& out, const read_request& b);
std::ostream& operator<<(std::ostream& out, const read_reply& b);
std::ostream& operator<<(std::ostream& out, const forwarded_proposal& b);
std::ostream& operator<<(std::ostream& out, const forwarded_proposal_reply& b);
std::ostream& operator<<(std::ostream& out, const message& m);
std::ostream& operator<<(std::ostream& out, const status<std::int64_t>& s);

}  // namespace raft

namespace story {

std::ostream& operator<<(std::ostream& out, const written& e);
std::ostream& operator<<(std::ostream& out, const std::vector<written>& log);
std::ostream& operator<<(std::ostream& out, const letter& l);

}  // namespace story

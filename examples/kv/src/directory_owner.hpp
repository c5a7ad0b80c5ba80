#pragma once

// To whom a data directory belongs: an empty file in it, `owner-ID`, names the server whose log it is. Under another id
// the log would let its former owner's votes be given again [paper §5.2].
//
// All that it says is in the name, and a name is there or it is not: so at whatever call a kill, a power failure or a
// full disk ends this, the owner may come back to its directory.

#include <cstdint>
#include <string>
#include <string_view>

#include <raft/file_log/file_handle.hpp>
#include <raft/file_log/posix_files.hpp>

namespace kv {

/// Makes the directory, which exists and which nobody else has locked, that of server `id`, for ever; true as well
/// where it was that before. False, and `why`, if it is another's, or if a call failed.
template <raft::files_policy Files>
[[nodiscard]] bool claim_directory(const Files& files, const std::string& directory, std::uint64_t id,
                                   std::string& why) {
  constexpr std::string_view prefix = "owner-";
  const std::string path = directory + '/' + std::string{prefix} + std::to_string(id);
  const auto failed = [&](const raft::error& e) {
    why = raft::file_log_failure{e, path}.text();
    return false;
  };
  const auto names = files.list(directory);
  if (!names) return failed(names.error());
  bool mine = false;
  for (const std::string& name : *names) {
    if (!name.starts_with(prefix)) continue;
    if (name.substr(prefix.size()) != std::to_string(id)) {
      why = directory + '/' + name + ": this directory belongs to server " + name.substr(prefix.size());
      return false;
    }
    mine = true;
  }
  if (!mine) {
    const auto file = files.open(path, raft::open_mode::create);
    if (!file) return failed(file.error());
    files.close(*file);
  }
  // In any case: whoever made the name may have died before it was durable.
  if (const auto durable = files.sync_directory(directory); !durable) return failed(durable.error());
  return true;
}

}  // namespace kv

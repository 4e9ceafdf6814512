// The name of the owner's end of a descriptor's socket, by which every holder knows what it has:
// an abstract address "swiommu/<owner's pid>/<token of the owner>/<number of the file>", hexadecimal.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace swiommu::run {

struct FileName {
  pid_t owner = 0;
  std::uint64_t token = 0;  // another one for each engine: pids come back
  std::uint64_t id = 0;
};

// Binds the owner's end. 0, or -errno.
long bind_name(int socket, FileName const& name);
// What the other end of `descriptor` is called. Nothing if it is no socket, or none of ours.
std::optional<FileName> peer_name(int descriptor);

}  // namespace swiommu::run

// Starts a program with the preloaded library in it.
#pragma once
#include <string>
#include <vector>

#include "swiommu/base/result.h"

namespace swiommu::run {

struct Launch {
  std::vector<std::string> command;  // program and arguments
  std::string profile;               // name or path; empty: the usual one
  std::string log;                   // path, "-" for standard error; empty: none
};

// Becomes the program: returns only if that fails. ENOENT: no such program; EACCES: it cannot be executed; ENOEXEC: nothing can
// be preloaded into it; EINVAL: the library, the log.
Result<> launch(Launch const& launch);

}  // namespace swiommu::run

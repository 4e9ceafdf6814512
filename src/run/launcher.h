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
  std::vector<std::string> devices;  // see vfio/model_specification.h
};

// Becomes the program: returns only if that fails. ENOENT: no such program; EACCES: it cannot be executed; ENOEXEC: nothing can
// be preloaded into it; EINVAL: the library, the profile, the log, a device, words in braces that stand for no device.
Result<> launch(Launch const& launch);

}  // namespace swiommu::run

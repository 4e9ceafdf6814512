// What kind of program a file is, as far as it decides whether a library can be preloaded into it.
#pragma once
#include <string>

#include "swiommu/base/result.h"

namespace swiommu::run {

// As a shell finds it: a name without a slash is looked for in PATH. ENOENT; EACCES: it is there, and cannot be executed.
Result<std::string> find_program(std::string const& name);

// Follows scripts to their interpreters. ENOENT, EACCES: as above; ENOEXEC: it can be executed, but a library cannot be preloaded
// into it, and why.
Result<> check_preloadable(std::string const& path);

}  // namespace swiommu::run

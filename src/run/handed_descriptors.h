// Descriptors that a program finds open: {iommufd} and {vfio:N} in its arguments stand for their numbers.
#pragma once
#include <string>
#include <vector>

#include "swiommu/base/result.h"

namespace swiommu::run {

// For the launcher: puts numbers in place of the words, keeps them taken, and notes in the environment what is to be there. Words
// in braces that mean nothing here are left alone. EINVAL: there are not so many devices.
Result<> prepare_handed(std::vector<std::string>& arguments, unsigned devices);

// For the program: calls open(path) -> descriptor, or a negative number, for each, and puts the result where it was promised.
// Once: what the program starts finds nothing of it in the environment.
void hand_over(int (*open)(char const* path), int (*move)(int from, int to));

}  // namespace swiommu::run

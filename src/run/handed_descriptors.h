// Descriptors that a program finds open: {iommufd} and {vfio:N} in its arguments stand for their numbers.
#pragma once
#include <string>
#include <vector>

#include "swiommu/base/result.h"

namespace swiommu::run {

// For the launcher: puts numbers in place of the words, keeps them taken, and notes in the environment what is to be there. Words
// in braces that mean nothing here are left alone. EINVAL: there are not so many devices.
Result<> prepare_handed(std::vector<std::string>& arguments, unsigned devices);

// For the program: for each of them that is `wanted` calls open(path), which gives a descriptor or a negative number, and puts it
// where it was promised. A process that becomes another program asks again.
void hand_over(bool (*wanted)(int number), int (*open)(char const* path), int (*move)(int from, int to));

}  // namespace swiommu::run

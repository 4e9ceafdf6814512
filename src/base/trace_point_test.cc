#include "swiommu/base/trace_point.h"

#include <gtest/gtest.h>
#include <fstream>
#include <string>

namespace {

std::string this_program() {
  std::ifstream file("/proc/self/exe", std::ios::binary | std::ios::ate);
  std::string bytes(static_cast<std::size_t>(file.tellg()), '\0');
  file.seekg(0).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

TEST(TracePoint, TakesUpToFourArgumentsAndEvaluatesThemAtMostOnce) {
  int count = 0;
  void const* pointer = &count;
  SWIOMMU_TRACE(test_none);
  SWIOMMU_TRACE(test_one, 1u);
  SWIOMMU_TRACE(test_two, 1, pointer);
  SWIOMMU_TRACE(test_three, 1, pointer, sizeof count);
  SWIOMMU_TRACE(test_four, 1, pointer, sizeof count, ++count);
  EXPECT_LE(count, 1);
}

TEST(TracePoint, IsInTheProgramWhereTheSystemHasTracePoints) {
#ifndef SWIOMMU_HAS_TRACE_POINTS
  GTEST_SKIP() << "built without <sys/sdt.h>";
#endif
  std::string const program = this_program();
  for (std::string const count : {"none", "one", "two", "three", "four"}) {
    // Put together here, so that the program holds it only if the trace point put it there.
    std::string const note = std::string("swiommu") + '\0' + "test_" + count + '\0';
    EXPECT_NE(program.find(note), std::string::npos) << count;
  }
}

}  // namespace

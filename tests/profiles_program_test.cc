// swiommu profiles, as a user runs it.
#include <nlohmann/json.hpp>

#include "run_program.h"

namespace swiommu {
namespace {

TEST(ProfilesProgram, ListsAllWithALineEach) {
  auto const run = run_program({"profiles"});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(run.err, "");
  for (char const* const name :
       {"intel-vtd", "arm-smmuv3", "amd", "riscv", "s390-zpci", "kernel-selftest", "kernel-selftest-7.3"})
    EXPECT_NE(run.out.find(std::string("\n") + name + " "), std::string::npos) << name;
  auto const json = run_program({"profiles", "--json"});
  EXPECT_TRUE(json.out.starts_with(R"({"profile":"intel-vtd","hardware":"intel-vtd","format":"x86-64","description":")"))
      << json.out;
}

TEST(ProfilesProgram, ShowsOne) {
  auto const run = run_program({"profiles", "intel-vtd"});
  EXPECT_EQ(run.status, 0);
  for (char const* const part :
       {"intel-vtd: Intel VT-d in scalable mode", "  ecap            0x",
        "  usual           x86-64, 4 levels, pages of 4K 2M 1G, iovas [0x0, 0x7fffffffffff]",
        "  nesting_parent  vtd-second-stage, 4 levels", "writable mappings only", "nested domains    vtd-s1",
        "PASIDs            1048576", "reserved          [0xfee00000, 0xfeefffff] msi"})
    EXPECT_NE(run.out.find(part), std::string::npos) << part << "\n" << run.out;
}

TEST(ProfilesProgram, WhatItPrintsAsJsonIsAProfileToo) {
  ScratchFolder const folder;
  for (char const* const name : {"intel-vtd", "arm-smmuv3", "amd", "riscv", "s390-zpci", "kernel-selftest-7.3"}) {
    auto const text = run_program({"profiles", name, "--json"});
    ASSERT_EQ(text.status, 0);
    auto const again = run_program({"profiles", folder.file("p.json", text.out), "--json"});
    EXPECT_EQ(again.status, 0) << again.err;
    EXPECT_EQ(again.out, text.out);
  }
}

TEST(ProfilesProgram, RefusesWithOneLineThatSaysWhere) {
  ScratchFolder const folder;
  std::string const path = folder.file("mine.json", "{\n  \"base\": \"intel-vtd\",\n  \"max_pasid\": 4\n}\n");
  auto const run = run_program({"profiles", path});
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(run.err, "swiommu: " + path + ":3:3: a profile has no key \"max_pasid\"; did you mean \"max_pasids\"?\n");
  auto const unknown = run_program({"profiles", "intel"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_NE(unknown.err.find("did you mean intel-vtd?"), std::string::npos) << unknown.err;
}

}  // namespace
}  // namespace swiommu

#include <gtest/gtest.h>

#include <fstream>

#include "profile/register_field.h"
#include "swiommu/profile/load_profile.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu {
namespace {

Profile parsed(std::string_view text) {
  auto profile = parse_profile(text, "folder/mine.json");
  EXPECT_TRUE(profile) << profile.error().about;
  return profile.value_or(Profile{});
}

std::string error_of(std::string_view text) {
  auto const profile = parse_profile(text, "p.json");
  if (profile) return "no error";
  EXPECT_EQ(profile.error().code, EINVAL);
  return profile.error().about;
}

TEST(ParseProfile, ABaseAloneIsThatProfileUnderAnotherName) {
  Profile profile = parsed(R"({"base": "amd"} // nothing else)");
  EXPECT_EQ(profile.name, "mine");
  profile.name = "amd";
  EXPECT_EQ(profile, load_profile("amd").value());
}

TEST(ParseProfile, WhatIsSaidChanges) {
  Profile const p = parsed(R"({
    "base": "intel-vtd", "name": "small", "description": "as small as can be",
    "paging": {
      "usual": {"page_sizes": ["4K"], "aperture": {"start": "16M", "last": "0xffffffff"}, "with": []},
      "nesting_parent": null
    },
    "nested": [], "max_pasids": 16, "dirty_tracking": false, "ats": false,
    "reserved": [{"start": 0, "last": 4095}, {"start": "0xfee00000", "last": "0xfeefffff", "kind": "msi"}]
  })");
  EXPECT_EQ(p.name, "small");
  EXPECT_EQ(p.description, "as small as can be");
  EXPECT_EQ(p.choose_paging(0)->shape()->page_sizes, bit(12));
  EXPECT_EQ(p.choose_paging(0)->inputs(), (Range{16 << 20, 0xffffffff}));
  for (std::uint32_t const flag : {IOMMU_HWPT_ALLOC_PASID, IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING})
    EXPECT_FALSE(p.choose_paging(flag)) << flag;
  EXPECT_EQ(p.max_pasid_lg2(), 4u);
  EXPECT_FALSE(p.ats);
  EXPECT_TRUE(p.page_requests);
  EXPECT_EQ(p.reserved[0].kind, ReservedIovas::Kind::reserved);
  EXPECT_EQ(p.reserved[1].iovas, (Range{0xfee00000, 0xfeefffff}));
  EXPECT_EQ(p.reserved[1].kind, ReservedIovas::Kind::hardware_msi);
}

TEST(ParseProfile, FromRegistersFollowsTheRestAndThenWhatIsSaid) {
  Profile const old = parsed(R"({"base": "intel-vtd", "registers": {"cap": "0xd2078c106f0466", "ecap": "0xf020df"}})");
  EXPECT_EQ(old.choose_paging(0)->format.format, FormatName::vtd_second_stage);
  EXPECT_EQ(old.max_pasids, 0u);
  EXPECT_TRUE(old.nested.empty());
  Profile const changed =
      parsed(R"({"base": "amd", "max_pasids": 4, "registers": {"efr2": 0}, "host_address_width": 40, "ats": false})");
  EXPECT_FALSE(changed.of(PagingUse::nesting_parent));
  EXPECT_EQ(changed.max_pasids, 4u);
  EXPECT_FALSE(changed.ats);
  EXPECT_EQ(changed.choose_paging(0)->format.output_bits, 40u);
}

TEST(ParseProfile, AnotherFormatStartsAnew) {
  Profile const p = parsed(R"({"base": "arm-smmuv3", "paging": {"usual": {"format": "arm-lpae-s2-4k", "input_bits": 40}}})");
  EXPECT_EQ(p.choose_paging(0)->format.format, FormatName::arm_stage2);
  EXPECT_EQ(p.choose_paging(0)->inputs(), (Range{0, low_bits(40)}));
  EXPECT_TRUE(p.choose_paging(0)->shape()->page_sizes & bit(16)) << "the restriction of the base is gone";
}

TEST(ParseProfile, ErrorsSayWhereAndWhatWouldBeRight) {
  struct {
    std::string_view text, error;
  } const cases[] = {
      {"[]", "p.json:1:1: a profile must be an object, not an array"},
      {"{}", "p.json:1:1: a profile must say what it starts from, as \"base\": \"intel-vtd\""},
      {R"({"base": 7})", "p.json:1:10: base must be a string, not a number"},
      {R"({"base": "intle-vtd"})", "p.json:1:10: base cannot be \"intle-vtd\"; did you mean \"intel-vtd\"?"},
      {R"({"base": "xyz"})",
       "p.json:1:10: base cannot be \"xyz\"; there are intel-vtd, arm-smmuv3, amd, riscv, s390-zpci, kernel-selftest, "
       "kernel-selftest-7.3"},
      {"{\"base\": \"amd\",\n  \"pagign\": {}}", "p.json:2:3: a profile has no key \"pagign\"; did you mean \"paging\"?"},
      {R"({"base": "amd", "name": ""})", "p.json:1:25: name must be one line of text"},
      {R"({"base": "amd", "description": "a\nb"})", "p.json:1:32: description must be one line of text"},
      {R"({"base": "amd", "hardware": "riscv"})", "p.json:1:29: the hardware is that of the base, amd; choose another base"},
      {R"({"base": "amd", "ats": 1})", "p.json:1:24: ats must be true or false, not a number"},
      {R"({"base": "amd", "max_pasids": -1})",
       "p.json:1:31: max_pasids must be a number from 0x0 to 0x100000, without sign and fraction"},
      {R"({"base": "amd", "max_pasids": "2M"})", "p.json:1:31: max_pasids must be a number from 0x0 to 0x100000, not 2097152"},
      {R"({"base": "amd", "max_pasids": "many"})",
       "p.json:1:31: max_pasids must be a number from 0x0 to 0x100000, as 4096, \"0x1000\" or \"4K\", not \"many\""},
      {R"({"base": "amd", "max_pasids": null})", "p.json:1:31: max_pasids must be a number from 0x0 to 0x100000, not null"},
      {R"({"base": "amd", "registers": {"efr3": 0}})", "p.json:1:31: registers has no key \"efr3\"; did you mean \"efr\"?"},
      {R"({"base": "arm-smmuv3", "registers": {"idr0": "0x100000000"}})",
       "p.json:1:46: idr0 must be a number from 0x0 to 0xffffffff, not 4294967296"},
      {R"({"base": "riscv", "registers": {"capabilities": 0}})",
       "p.json:1:32: no page table is possible: capabilities has none of Sv39, Sv48, Sv57"},
      {R"({"base": "amd", "nested": ["amd-gest"]})", "p.json:1:28: nested cannot be \"amd-gest\"; did you mean \"amd-guest\"?"},
      {R"({"base": "amd", "nested": ["amd-guest", "amd-guest"]})", "p.json:1:41: nested has \"amd-guest\" twice"},
      {R"({"base": "amd", "reserved": [{"start": 5}]})",
       "p.json:1:30: a reserved range lacks \"last\": it is {\"start\": .., \"last\": ..}"},
      {R"({"base": "amd", "reserved": [{"start": 5, "last": 4}]})",
       "p.json:1:30: a reserved range ends (0x4) before it starts (0x5)"},
      {R"({"base": "amd", "reserved": [{"start": 5, "lats": 6}]})",
       "p.json:1:43: a reserved range has no key \"lats\"; did you mean \"last\"?"},
      {R"({"base": "amd", "paging": {"pasids": {}}})", "p.json:1:28: paging has no key \"pasids\"; did you mean \"pasid\"?"},
      {R"({"base": "riscv", "paging": {"pasid": {}}})",
       "p.json:1:39: paging.pasid is not in the base: it must say its \"format\""},
      {R"({"base": "amd", "paging": {"usual": {"level": 4}}})",
       "p.json:1:38: paging.usual has no key \"level\"; did you mean \"levels\"?"},
      {R"({"base": "amd", "paging": {"usual": {"levels": 7}}})", "p.json:1:48: levels must be a number from 1 to 6, not 7"},
      {R"({"base": "amd", "paging": {"usual": {"page_sizes": ["4K", "6K"]}}})",
       "p.json:1:59: a page size is a power of two, and 6144 is none"},
      {R"({"base": "amd", "paging": {"usual": {"page_sizes": "4K"}}})", "p.json:1:52: page_sizes must be an array, not a string"},
      {R"({"base": "amd", "paging": {"usual": {"granule": "3K"}}})", "p.json:1:49: granule must be 2K, 4K, 16K or 64K"},
      // combinations
      {R"({"base": "amd", "paging": {"usual": null}})", "p.json:1:37: there must be a usual kind of paging domain"},
      {R"({"base": "intel-vtd", "paging": {"usual": {"levels": 3}}})", "p.json:1:54: x86-64 tables have 4 or 5 levels"},
      {R"({"base": "amd", "paging": {"pasid": {"levels": 5}}})",
       "p.json:1:48: efr allows 4 levels (GATS), and paging.pasid has 5"},
      {R"({"base": "riscv", "dirty_tracking": true})", "p.json:1:37: dirty tracking needs a kind of paging domain that has it"},
      {R"({"base": "intel-vtd", "registers": {"ecap": "0xf020df"}, "max_pasids": 5})",
       "p.json:1:45: ecap lacks PASID (bit 40), which PASIDs need"},
      {R"({"base": "amd", "paging": {"usual": {"aperture": {"start": 0, "last": "8E"}, "levels": 4}}})",
       "p.json:1:50: the aperture [0x0, 0x8000000000000000] is not within the table's inputs [0x0, 0xffffffffffff]"},
  };
  for (auto const& c : cases) EXPECT_EQ(error_of(c.text), c.error) << c.text;
}

TEST(ParseProfile, WhatIsPrintedCanBeLoadedAgain) {
  auto const all = builtin_profiles().value();
  for (Profile const& profile : all) {
    auto const text = profile_text(profile);
    ASSERT_TRUE(text);
    auto const again = parse_profile(*text, "again");
    ASSERT_TRUE(again) << again.error().about << "\n" << *text;
    EXPECT_EQ(*again, profile) << *text;
  }
}

TEST(ParseProfile, GarbageIsAnErrorOnOneLine) {
  std::uint64_t state = 7;
  auto const random = [&] { return state = state * 6364136223846793005 + 1442695040888963407, state >> 33; };
  unsigned accepted = 0;
  auto const all = builtin_profiles().value();
  for (Profile const& profile : all) {
    std::string const good = profile_text(profile).value();
    for (int n = 0; n < 400; n++) {
      std::string text = good;
      for (std::uint64_t changes = 1 + random() % 3; changes > 0 && !text.empty(); changes--) {
        std::size_t const at = random() % text.size();
        switch (random() % 4) {
          case 0: text[at] = static_cast<char>(random()); break;
          case 1: text.erase(at, 1 + random() % 20); break;
          case 2: text.insert(at, text.substr(random() % text.size(), random() % 40)); break;
          default: text.resize(at);
        }
      }
      auto const result = parse_profile(text, "g");
      if (result) {
        accepted++;
        EXPECT_FALSE(find_contradiction(*result)) << text;
        continue;
      }
      EXPECT_EQ(result.error().code, EINVAL);
      EXPECT_TRUE(result.error().about.starts_with("g:")) << result.error().about;
      EXPECT_EQ(result.error().about.find('\n'), std::string::npos) << result.error().about;
    }
  }
  EXPECT_GT(accepted, 0u) << "all changes were too large to test anything";
}

class LoadProfile : public testing::Test {
 protected:
  // A file in the test's own folder.
  std::string write(std::string const& name, std::string_view text) {
    std::string path = testing::TempDir() + "swiommu-profile-" + name;
    std::ofstream(path, std::ios::binary) << text;
    paths_.push_back(path);
    return path;
  }
  void TearDown() override {
    for (std::string const& path : paths_) std::remove(path.c_str());
  }

 private:
  std::vector<std::string> paths_;
};

TEST_F(LoadProfile, TakesNamesAndPaths) {
  EXPECT_EQ(load_profile("riscv")->name, "riscv");
  EXPECT_EQ(load_profile(write("a.json", R"({"base": "amd"})"))->name, "swiommu-profile-a");
}

TEST_F(LoadProfile, SaysWhatItDoesNotFind) {
  auto const error = [](std::string const& name) {
    auto const profile = load_profile(name);
    return profile ? Error{0, "no error"} : profile.error();
  };
  EXPECT_EQ(error("intelvtd").code, ENOENT);
  EXPECT_EQ(error("intelvtd").about,
            "there is no profile 'intelvtd'; did you mean intel-vtd? (a file is named by a path with a '/', or ends in .json)");
  EXPECT_EQ(error("").code, ENOENT);
  EXPECT_EQ(error("not-there.json").code, ENOENT);
  EXPECT_EQ(error("/dev/zero").about, "the profile /dev/zero is no file");
  EXPECT_EQ(error("/").code, EINVAL);
  std::string const large = write("large", std::string((1 << 20) + 1, ' '));
  EXPECT_EQ(error(large).code, EFBIG);
  std::string const bad = write("bad", "{\"base\":\n \"amdd\"}");
  EXPECT_EQ(error(bad).about, bad + ":2:2: base cannot be \"amdd\"; did you mean \"amd\"?");
}

}  // namespace
}  // namespace swiommu

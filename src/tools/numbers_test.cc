#include "tools/numbers.h"

#include <gtest/gtest.h>

#include "profile/format_names.h"
#include "tools/iommu_kinds.h"

namespace swiommu::tools {
namespace {

TEST(Numbers, AreDecimalOrHexadecimalAndWhole) {
  EXPECT_EQ(parse_number("0", "it"), 0u);
  EXPECT_EQ(parse_number("4096", "it"), 4096u);
  EXPECT_EQ(parse_number("0x1000", "it"), 4096u);
  EXPECT_EQ(parse_number("0XfFff", "it"), 0xffffu);
  EXPECT_EQ(parse_number("0xffffffffffffffff", "it"), ~std::uint64_t{0});
  EXPECT_EQ(parse_number("18446744073709551615", "it"), ~std::uint64_t{0});
  for (char const* const text :
       {"", "0x", "x", "-1", "+1", " 1", "1 ", "0x10000000000000000", "18446744073709551616", "0x-1", "0x0x1", "1k", "ff"}) {
    auto const result = parse_number(text, "the length");
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, EINVAL);
    EXPECT_NE(result.error().about.find("the length '" + std::string(text) + "'"), std::string::npos);
  }
}

TEST(Devices, AreNumbersOrPciAddresses) {
  for (char const* const text : {"0x28", "40", "00:05.0", "0000:00:05.0", "0:5.0"}) EXPECT_EQ(parse_device(text), 0x28u) << text;
  EXPECT_EQ(parse_device("ff:1f.7"), 0xffffu);
  EXPECT_EQ(parse_device("0xffffffff"), 0xffffffffu);
  for (char const* const text : {"", ":", ".", ":.", "00:05", "05.0", "100:00.0", "00:20.0", "00:05.8", "10000:00:05.0",
                                 "0:0:0:5.0", "00:05.", "00:.0", ":05.0", "-0:05.0", "0x100000000"})
    EXPECT_FALSE(parse_device(text)) << text;
}

TEST(Requests, AreReadsUnlessTheySayOtherwise) {
  EXPECT_EQ(parse_request("0x1000")->access, Access::reading());
  EXPECT_EQ(parse_request("0x1000:r")->access, Access::reading());
  EXPECT_EQ(parse_request("0x1000:w")->access, Access::writing());
  EXPECT_EQ(parse_request("0x1000:w")->iova, 0x1000u);
  for (char const* const text : {"0x1000:", "0x1000:W", "0x1000:rw", "0x1000::r", ":r", ""})
    EXPECT_FALSE(parse_request(text)) << text;
}

TEST(Registers, AreGivenOnceAndInAnyCase) {
  RegisterValues registers;
  EXPECT_TRUE(add_register(registers, "rtaddr=0x1000"));
  EXPECT_EQ(registers, (RegisterValues{{"RTADDR", 0x1000}}));
  for (char const* const text : {"RTADDR=1", "=1", "CAP", "CAP=", "CAP=zz", "CAP=1=2", ""})
    EXPECT_FALSE(add_register(registers, text)) << text;
  EXPECT_EQ(registers.size(), 1u);
}

TEST(Sizes, HaveTheUsualNames) {
  EXPECT_EQ(size_name(0), "1B");
  EXPECT_EQ(size_name(12), "4K");
  EXPECT_EQ(size_name(21), "2M");
  EXPECT_EQ(size_name(39), "512G");
  EXPECT_EQ(size_name(63), "8E");
  EXPECT_EQ(size_name(64), "all");
}

TEST(FormatNames, AreFoundByEachOfTheirSpellings) {
  for (NamedFormat const& format : named_formats()) {
    EXPECT_EQ(find_format(format.name)->name, format.name);
    for (std::size_t start = 0; start < format.also.size();) {
      std::size_t const comma = std::min(format.also.find(',', start), format.also.size());
      EXPECT_EQ(find_format(format.also.substr(start, comma - start))->name, format.name);
      start = comma + 1;
    }
  }
  for (char const* const name : {"", ",", "x86", "vtd-fs,amd-v2"}) EXPECT_FALSE(find_format(name)) << name;
}

}  // namespace
}  // namespace swiommu::tools

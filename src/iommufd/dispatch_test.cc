// The rule of extensible structures, for every native ioctl.
#include "iommufd/dispatch.h"

#include <vector>

#include "iommufd_fixture.h"

namespace swiommu::iommufd {
namespace {

class DispatchTest : public IommufdTest, public testing::WithParamInterface<Operation> {
 protected:
  // The answer to a structure of `size` bytes, all 0 but for the size and, if it is not 0, the last byte.
  int answer(std::uint32_t size, std::uint8_t last_byte = 0) {
    // Not more readable bytes than it says.
    std::byte* const end = memory(2 * page) + page;
    EXPECT_EQ(::mprotect(end, page, PROT_NONE), 0);
    std::byte* const start = end - size;
    if (last_byte != 0) end[-1] = std::byte{last_byte};
    std::memcpy(start, &size, std::min<std::size_t>(size, sizeof size));
    // Each time in a file of its own, so that no answer depends on the last one.
    file_ = engine_->open().value();
    return call_at(GetParam().request, start);
  }
};

TEST_P(DispatchTest, AShortStructureIsRefused) {
  for (std::uint32_t size = sizeof size; size < GetParam().least; size++) EXPECT_EQ(answer(size), EINVAL) << size;
}

TEST_P(DispatchTest, AStructureThatEndsEarlierIsTakenForOneWithZeros) {
  int const exact = answer(GetParam().size);
  EXPECT_NE(exact, E2BIG);
  EXPECT_NE(exact, ENOTTY);
  for (std::uint32_t size = GetParam().least; size < GetParam().size; size++) EXPECT_EQ(answer(size), exact) << size;
}

TEST_P(DispatchTest, WhatIsNotKnownMustBeZero) {
  int const exact = answer(GetParam().size);
  for (std::uint32_t const more : {1, 2, 8, 300, 2000}) {
    EXPECT_EQ(answer(GetParam().size + more), exact) << more;
    EXPECT_EQ(answer(GetParam().size + more, 1), E2BIG) << more;
  }
}

TEST_P(DispatchTest, UnreadableStructuresAreFaults) {
  EXPECT_EQ(call_at(GetParam().request, nullptr), EFAULT);
  std::byte* const end = memory(2 * page) + page;
  ASSERT_EQ(::mprotect(end, page, PROT_NONE), 0);
  std::uint32_t const size = GetParam().size;
  std::memcpy(end - sizeof size, &size, sizeof size);
  EXPECT_EQ(call_at(GetParam().request, end - sizeof size), EFAULT) << "no more than its size can be read";
  std::uint32_t const longer = size + 8;
  std::memcpy(end - size, &longer, sizeof longer);
  EXPECT_EQ(call_at(GetParam().request, end - size), EFAULT) << "the part that is not known cannot be read";
  std::uint32_t const short_size = 4;
  std::memcpy(end - sizeof size, &short_size, sizeof short_size);
  EXPECT_EQ(call_at(GetParam().request, end - sizeof size), EINVAL) << "too short, which is found first";
}

TEST_P(DispatchTest, TheTypeAndTheOtherBitsOfTheNumberCount) {
  std::array<std::uint32_t, 40> structure{sizeof structure};
  EXPECT_EQ(call_at(GetParam().request ^ 0x100, structure.data()), ENOTTY);
  EXPECT_EQ(call_at(GetParam().request | 0x40000000, structure.data()), ENOTTY);
  EXPECT_EQ(call_at(GetParam().request ^ 0x100, nullptr), EFAULT) << "which is found first";
}

INSTANTIATE_TEST_SUITE_P(Native, DispatchTest, testing::ValuesIn(operations().begin(), operations().end()),
                         [](auto const& test) { return "ioctl_" + std::to_string(test.param.request & 0xff); });

TEST(DispatchTable, HasAllNativeIoctlsWithLinuxSizes) {
  // number, least size, size
  constexpr std::uint32_t expected[][3] = {
      {0x80, 8, 8},   {0x81, 12, 12}, {0x82, 24, 24}, {0x83, 40, 40}, {0x84, 32, 32}, {0x85, 40, 40}, {0x86, 24, 24},
      {0x87, 24, 24}, {0x88, 12, 12}, {0x89, 24, 48}, {0x8a, 32, 40}, {0x8b, 16, 16}, {0x8c, 48, 48}, {0x8d, 32, 32},
      {0x8e, 16, 16}, {0x8f, 40, 40}, {0x90, 24, 40}, {0x91, 24, 24}, {0x92, 8, 8},   {0x93, 28, 32}, {0x94, 40, 40}};
  ASSERT_EQ(operations().size(), std::size(expected));
  for (auto const& [number, least, size] : expected) {
    Operation const& row = operations()[number - 0x80];
    EXPECT_EQ(row.request, 0x3b00u | number);
    EXPECT_EQ(row.least, least) << std::hex << number;
    EXPECT_EQ(row.size, size) << std::hex << number;
  }
}

using DispatchOrder = IommufdTest;

TEST_F(DispatchOrder, OneNumberBeyondTheTableIsNoIoctl) {
  std::array<std::uint32_t, 40> structure{sizeof structure};
  EXPECT_EQ(call_at(0x3b95, structure.data()), ENOTTY);
  EXPECT_EQ(call_at(0x3b9f, structure.data()), ENOTTY);
}

TEST_F(DispatchOrder, WritesBackNoMoreThanTheCallerHasRoomFor) {
  // GET_HW_INFO and others have optional fields; of those done here only structures of one size exist, so a longer one it is.
  struct {
    iommu_ioas_alloc known;
    std::uint32_t tail;
  } longer{{.size = sizeof longer, .flags = 0, .out_ioas_id = 0}, 0};
  EXPECT_EQ(call_at(IOMMU_IOAS_ALLOC, &longer), 0);
  EXPECT_EQ(longer.known.out_ioas_id, 1u);
  EXPECT_EQ(longer.known.size, sizeof longer);
}

}  // namespace
}  // namespace swiommu::iommufd

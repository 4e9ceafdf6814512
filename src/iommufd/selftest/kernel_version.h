// What the selftest programs of different versions of Linux expect of the mock IOMMU, where that is not the same. All of it is
// in this file and in the profiles.
//
//           leaves of a table                              HWPT_INVALIDATE on a paging HWPT
//   6.12    2 KiB; 1 MiB too, if the device asks for them  ENOENT
//   7.2     2 KiB                                          EINVAL
//   7.3     2 KiB and 4 KiB                                EINVAL
//
// A write sets the dirty bits of one leaf, so the sizes of leaves show. What the kernels map is larger in both of the last, but
// 7.2 reports of a dirty leaf of 4 KiB only the first half, which leaves of 2 KiB do as well; and 4 KiB pages are seldom
// neighbours in a machine's memory, as they always are here. From 7.2 on a table of its own kind (mock_table_huge) has leaves of
// 4 KiB and 1 MiB instead.
//
// The programs send the same from 7.2 to 7.3, so the profile says which: "kernel-selftest-7.3", and "kernel-selftest" for those
// before. 6.12 is recognised by the length of its data for HWPTs.
#pragma once
#include <cerrno>
#include <cstdint>

#include "iommufd/selftest/mock_hardware.h"
#include "iommufd/user_data.h"
#include "swiommu/base/bits.h"

namespace swiommu::iommufd::selftest {

// Flags of mock devices (mock_domain_flags).
inline constexpr std::uint32_t mock_no_dirty_tracking = 1;
inline constexpr std::uint32_t mock_huge_leaves = 2;  // 6.12 only
inline constexpr std::uint32_t mock_has_pasids = 4;   // not in 6.12
inline constexpr std::uint32_t known_mock_flags = mock_no_dirty_tracking | mock_huge_leaves | mock_has_pasids;

// Leaves besides those of the profile; bit n: of 2^n bytes.
constexpr std::uint64_t leaf_sizes_of_flags(MockTable table, std::uint32_t device_flags) {
  return table == mock_table_usual && (device_flags & mock_huge_leaves) != 0 ? bit(mock_huge_page_lg2) : 0;
}

// Data of a HWPT, valid otherwise, that only 6.12 passes.
inline bool is_of_6_12(UserData const& data) { return data.length == least_mock_hwpt_data; }

constexpr int invalidation_refusal_of(bool linux_6_12) { return linux_6_12 ? ENOENT : EINVAL; }

}  // namespace swiommu::iommufd::selftest

// What the IOMMU of the kernel's selftests has beside its profile: the structures of its users (iommufd_test.h), and numbers that
// its tests count on.
#pragma once
#include <cstddef>
#include <cstdint>

namespace swiommu::iommufd::selftest {

inline constexpr unsigned mock_huge_page_lg2 = 20;
inline constexpr unsigned mock_pasid_bits = 20;

// The second time that something is attached to this PASID, ENOMEM: makes a replace fail half way.
inline constexpr std::uint32_t unlucky_pasid = 1024;

// HWPT_ALLOC: of a nested HWPT, and of a paging one with another table.
inline constexpr std::uint32_t mock_hwpt_type = 0xdead;
struct MockHwptData {
  std::uint32_t iotlb;  // what all entries hold at first
  std::uint32_t table;  // not in 6.12
};
inline constexpr std::size_t least_mock_hwpt_data = 4;
enum MockTable : std::uint32_t { mock_table_usual = 0, mock_table_huge = 1 };

// HWPT_INVALIDATE, of a nested HWPT and of a vIOMMU
inline constexpr std::uint32_t mock_invalidation_type = 0xdeadbeef;
inline constexpr std::uint32_t mock_invalidate_all = 1;
struct MockIotlbInvalidation {
  std::uint32_t flags;
  std::uint32_t entry;
};
struct MockCacheInvalidation {
  std::uint32_t flags;
  std::uint32_t device;  // its virt_id
  std::uint32_t entry;
};
inline constexpr std::size_t mock_iotlb_entries = 4;
inline constexpr std::size_t mock_cache_entries = 4;
inline constexpr std::uint32_t mock_cache_at_first = 0xbaddad;

// VIOMMU_ALLOC
inline constexpr std::uint32_t mock_viommu_type = 0xdeadbeef;
struct MockViommuData {
  std::uint32_t in;
  std::uint32_t out;  // the same as `in`, and so is the first word of the memory that can be mapped
  std::uint64_t out_map_offset;
  std::uint64_t out_map_length;
};
inline constexpr std::size_t least_mock_viommu_data = 8;
inline constexpr std::uint64_t mock_viommu_memory = 0x2000;

// VEVENTQ_ALLOC, HW_QUEUE_ALLOC
inline constexpr std::uint32_t mock_event_type = 0xbeefbeef;
struct MockEvent {
  std::uint32_t virt_id;
};
inline constexpr std::uint32_t mock_hw_queue_type = 0xdeadbeef;
inline constexpr std::uint32_t mock_hw_queues = 2;

static_assert(sizeof(MockHwptData) == 8 && offsetof(MockHwptData, table) == least_mock_hwpt_data);
static_assert(sizeof(MockIotlbInvalidation) == 8 && offsetof(MockIotlbInvalidation, entry) == 4);
static_assert(sizeof(MockCacheInvalidation) == 12 && offsetof(MockCacheInvalidation, device) == 4 &&
              offsetof(MockCacheInvalidation, entry) == 8);
static_assert(sizeof(MockViommuData) == 24 && offsetof(MockViommuData, out) == 4 &&
              offsetof(MockViommuData, out_map_offset) == 8 && offsetof(MockViommuData, out_map_length) == 16);
static_assert(sizeof(MockEvent) == 4);

}  // namespace swiommu::iommufd::selftest

// A device of the profile kernel-selftest, and what is needed to make it do something.
#pragma once
#include "check.h"
#include "iommufd/selftest/test_command.h"

using swiommu::iommufd::selftest::TestCommand;
using swiommu::iommufd::selftest::TestOperation;

inline TestCommand test_command(TestOperation operation, std::uint32_t id) {
  TestCommand command{};
  command.size = sizeof command;
  command.operation = operation;
  command.id = id;
  return command;
}

inline int run_test_command(int fd, TestCommand& command) {
  return ioctl(fd, swiommu::iommufd::selftest::test_request, &command);
}

inline std::uint32_t make_address_space(int fd) {
  iommu_ioas_alloc alloc{};
  alloc.size = sizeof alloc;
  CHECK(ioctl(fd, IOMMU_IOAS_ALLOC, &alloc) == 0);
  return alloc.out_ioas_id;
}

struct MockDevice {
  std::uint32_t mock_id, hwpt_id, device_id;
};

inline MockDevice make_device(int fd, std::uint32_t page_table) {
  TestCommand command = test_command(TestOperation::mock_domain, page_table);
  CHECK(run_test_command(fd, command) == 0);
  return {command.mock_domain.out_stdev_id, command.mock_domain.out_hwpt_id, command.mock_domain.out_idev_id};
}

constexpr std::uint64_t first_iova = 1 << 24;

inline int map_memory(int fd, std::uint32_t ioas, void* memory, std::uint64_t length, std::uint64_t iova) {
  iommu_ioas_map map{};
  map.size = sizeof map;
  map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
  map.ioas_id = ioas;
  map.user_va = reinterpret_cast<std::uintptr_t>(memory);
  map.length = length;
  map.iova = iova;
  return ioctl(fd, IOMMU_IOAS_MAP, &map) == 0 ? 0 : errno;
}

// What the structures of the ioctls are made of, so that a fuzzer's bytes become calls that often make sense.
#pragma once
#include <array>
#include <cstdint>

#include "iommufd/selftest/test_command.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/vfio_type1.h"

namespace swiommu::fuzzing {

enum class Kind : std::uint8_t {
  // 4 bytes
  none,  // behind the last field
  zero,
  flag,  // the lowest bit
  pins,  // of an access
  map_flags,
  type1_flags,
  hwpt_flags,
  nested_flags,
  mock_flags,
  access_flags,
  index,  // mostly 0 or 1
  small,  // a number of things
  limit,  // a number of bytes
  pasid,
  operation,  // 2 bytes, and 2 reserved ones
  any_type,   // of data
  viommu_type,
  event_type,
  queue_type,
  descriptor,   // of a file with memory
  data_type,    // these five are about the data that go with the call: see ioctl_data.h
  data_length,  //
  data_count,   //
  // ids and descriptors that earlier calls gave
  any_id,
  ioas,
  paging,
  nested,
  attachable,  // an IOAS or HWPT
  device,
  mock,
  fault_queue,
  viommu,
  item,    // pages that an access holds
  access,  // a descriptor
  buffer,  // a descriptor
  file,    // a descriptor
  fault_file,
  // what the call gives
  new_ioas,  // the first of these
  new_paging,
  new_nested,
  new_device,
  new_mock,
  new_fault_queue,
  new_viommu,
  new_other,
  new_item,
  new_access,
  new_file,
  new_fault_file,  // the last
  // 8 bytes
  zero8,
  iova,
  length,
  offset,     // in a file
  page_size,  // of a dirty bitmap
  address,    // of the caller's memory
  data_address,
  virtual_id,
  value,
};

constexpr bool is_given(Kind kind) { return kind >= Kind::new_ioas && kind <= Kind::new_fault_file; }
constexpr unsigned size_of(Kind kind) { return kind >= Kind::zero8 ? 8 : 4; }

// What data_uptr leads to.
enum class Role : std::uint8_t {
  none,
  ranges,
  table,
  nested,
  raw,
  viommu,
  nested_invalidation,
  raw_invalidation,
  viommu_invalidation,
};

struct Shape {
  char const* name;
  std::uint32_t request;
  std::uint32_t size;
  std::array<Kind, 14> fields;  // from byte 4 on; all behind them are 0
  Role role = Role::none;
  std::uint32_t operation = 0;  // of the test ioctl: before the fields
};

namespace shapes {

using enum Kind;
using enum iommufd::selftest::TestOperation;

constexpr Shape test(char const* name, iommufd::selftest::TestOperation operation, std::array<Kind, 14> fields) {
  return {name, iommufd::selftest::test_request, 72, fields, Role::none, static_cast<std::uint32_t>(operation)};
}

// The ioctls of the selftests, which only their hardware has, are the last ones.
inline constexpr Shape all[] = {
    {"DESTROY", IOMMU_DESTROY, 8, {any_id}},
    {"IOAS_ALLOC", IOMMU_IOAS_ALLOC, 12, {zero, new_ioas}},
    {"IOAS_ALLOW_IOVAS", IOMMU_IOAS_ALLOW_IOVAS, 24, {ioas, data_count, zero, data_address}, Role::ranges},
    {"IOAS_COPY", IOMMU_IOAS_COPY, 40, {map_flags, ioas, ioas, length, iova, iova}},
    {"IOAS_IOVA_RANGES", IOMMU_IOAS_IOVA_RANGES, 32, {ioas, small, zero, address}},
    {"IOAS_MAP", IOMMU_IOAS_MAP, 40, {map_flags, ioas, zero, address, length, iova}},
    {"IOAS_UNMAP", IOMMU_IOAS_UNMAP, 24, {ioas, iova, length}},
    {"OPTION", IOMMU_OPTION, 24, {flag, operation, ioas, value}},
    {"VFIO_IOAS", IOMMU_VFIO_IOAS, 12, {ioas, operation}},
    {"HWPT_ALLOC", IOMMU_HWPT_ALLOC, 48, {hwpt_flags, device, ioas, new_paging, zero, zero, zero, zero8, fault_queue}},
    {"HWPT_ALLOC table",
     IOMMU_HWPT_ALLOC,
     48,
     {hwpt_flags, device, ioas, new_paging, zero, data_type, data_length, data_address, fault_queue},
     Role::table},
    {"HWPT_ALLOC nested",
     IOMMU_HWPT_ALLOC,
     48,
     {nested_flags, device, paging, new_nested, zero, data_type, data_length, data_address, fault_queue},
     Role::nested},
    {"HWPT_ALLOC vIOMMU",
     IOMMU_HWPT_ALLOC,
     48,
     {nested_flags, device, viommu, new_nested, zero, data_type, data_length, data_address, fault_queue},
     Role::nested},
    {"HWPT_ALLOC raw",
     IOMMU_HWPT_ALLOC,
     48,
     {nested_flags, device, paging, new_nested, zero, data_type, data_length, data_address, fault_queue},
     Role::raw},
    {"GET_HW_INFO", IOMMU_GET_HW_INFO, 40, {flag, device, limit, address, any_type}},
    {"HWPT_SET_DIRTY_TRACKING", IOMMU_HWPT_SET_DIRTY_TRACKING, 16, {flag, paging}},
    {"HWPT_GET_DIRTY_BITMAP", IOMMU_HWPT_GET_DIRTY_BITMAP, 48, {paging, flag, zero, iova, length, page_size, address}},
    {"HWPT_INVALIDATE",
     IOMMU_HWPT_INVALIDATE,
     32,
     {nested, data_address, data_type, data_length, data_count},
     Role::nested_invalidation},
    {"HWPT_INVALIDATE raw",
     IOMMU_HWPT_INVALIDATE,
     32,
     {nested, data_address, data_type, data_length, data_count},
     Role::raw_invalidation},
    {"HWPT_INVALIDATE vIOMMU",
     IOMMU_HWPT_INVALIDATE,
     32,
     {viommu, data_address, data_type, data_length, data_count},
     Role::viommu_invalidation},
    {"FAULT_QUEUE_ALLOC", IOMMU_FAULT_QUEUE_ALLOC, 16, {zero, new_fault_queue, new_fault_file}},
    {"IOAS_MAP_FILE", IOMMU_IOAS_MAP_FILE, 40, {map_flags, ioas, descriptor, offset, length, iova}},
    {"VIOMMU_ALLOC", IOMMU_VIOMMU_ALLOC, 40, {zero, viommu_type, device, paging, new_viommu, zero, zero, zero8}},
    {"VIOMMU_ALLOC data",
     IOMMU_VIOMMU_ALLOC,
     40,
     {zero, viommu_type, device, paging, new_viommu, data_length, zero, data_address},
     Role::viommu},
    {"VDEVICE_ALLOC", IOMMU_VDEVICE_ALLOC, 24, {viommu, device, new_other, virtual_id}},
    {"IOAS_CHANGE_PROCESS", IOMMU_IOAS_CHANGE_PROCESS, 8, {zero}},
    {"VEVENTQ_ALLOC", IOMMU_VEVENTQ_ALLOC, 32, {zero, viommu, event_type, small, new_other, new_file}},
    {"HW_QUEUE_ALLOC", IOMMU_HW_QUEUE_ALLOC, 40, {zero, viommu, queue_type, index, new_other, iova, length}},

    {"VFIO_GET_API_VERSION", VFIO_GET_API_VERSION, 4, {}},
    {"VFIO_CHECK_EXTENSION", VFIO_CHECK_EXTENSION, 4, {}},
    {"VFIO_SET_IOMMU", VFIO_SET_IOMMU, 4, {}},
    {"VFIO_IOMMU_GET_INFO", VFIO_IOMMU_GET_INFO, 128, {flag}},
    {"VFIO_IOMMU_MAP_DMA", VFIO_IOMMU_MAP_DMA, 32, {type1_flags, address, iova, length}},
    {"VFIO_IOMMU_UNMAP_DMA", VFIO_IOMMU_UNMAP_DMA, 24, {type1_flags, iova, length}},
    {"VFIO_IOMMU_DIRTY_PAGES", VFIO_IOMMU_DIRTY_PAGES, 48, {type1_flags, iova, length, page_size, length, address}},

    // an id and a reserved word, then what the operation takes
    test("add_reserved", add_reserved, {ioas, zero, iova, length}),
    test("mock_domain", mock_domain, {attachable, zero, new_mock, new_paging, new_device}),
    test("mock_domain_flags", mock_domain_flags, {attachable, zero, new_mock, new_paging, new_device, mock_flags}),
    test("check_map", check_map, {paging, zero, iova, length, address}),
    test("check_references", check_references, {zero, zero, length, address, small}),
    test("create_access", create_access, {ioas, zero, new_access, pins}),
    test("destroy_access_pages", destroy_access_pages, {access, zero, item}),
    test("access_pages", access_pages, {access, zero, access_flags, new_item, iova, length, zero8}),
    test("access_pages compared", access_pages, {access, zero, access_flags, new_item, iova, length, address}),
    test("access_transfer", access_transfer, {access, zero, iova, length, address, access_flags}),
    test("memory_limit", memory_limit, {zero, zero, limit}),
    test("mock_domain_replace", mock_domain_replace, {mock, zero, attachable}),
    test("access_replace_ioas", access_replace_ioas, {access, zero, ioas}),
    test("dirty", dirty, {paging, zero, flag, zero, iova, length, page_size, address}),
    test("check_iotlb", check_iotlb, {nested, zero, index, limit}),
    test("trigger_page_request", trigger_page_request, {zero, zero, device, pasid, index, access_flags, iova}),
    test("check_device_cache", check_device_cache, {device, zero, index, limit}),
    test("trigger_event", trigger_event, {zero, zero, device}),
    test("pasid_attach", pasid_attach, {mock, zero, pasid, attachable}),
    test("pasid_replace", pasid_replace, {mock, zero, pasid, attachable}),
    test("pasid_detach", pasid_detach, {mock, zero, pasid}),
    test("pasid_check", pasid_check, {mock, zero, pasid, paging}),
    test("dmabuf_get", dmabuf_get, {zero, zero, limit, zero}),
    test("dmabuf_revoke", dmabuf_revoke, {zero, zero, buffer, flag}),
};

inline constexpr unsigned native = [] {
  unsigned count = 0;
  while (all[count].operation == 0) count++;
  return count;
}();

}  // namespace shapes

}  // namespace swiommu::fuzzing

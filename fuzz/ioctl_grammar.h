// What the structures of the ioctls are made of, so that a fuzzer's bytes become calls that often make sense.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "iommufd/selftest/test_command.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/vfio_type1.h"

namespace swiommu::fuzzing {

enum class Kind : std::uint8_t {
  zero,        // 4 bytes
  small,       // 4 bytes: an operation, a count, an index, a PASID
  flags,       // 4 bytes: some of the lowest bits
  id,          // 4 bytes
  type,        // 4 bytes: of data, queues, vIOMMUs
  descriptor,  // 4 bytes
  length4,     // 4 bytes
  halves,      // 2 and 2 bytes
  iova,        // 8 bytes
  length,      // 8 bytes
  address,     // 8 bytes: of the caller's memory
  number,      // 8 bytes
};

constexpr unsigned size_of(Kind kind) { return kind >= Kind::iova ? 8 : 4; }

struct Shape {
  std::uint32_t request;
  std::uint32_t size;
  std::array<Kind, 12> fields;  // from byte 4 on; all behind them are 0
};

using enum Kind;

inline constexpr Shape shapes[] = {
    {IOMMU_DESTROY, 8, {id}},
    {IOMMU_IOAS_ALLOC, 12, {flags}},
    {IOMMU_IOAS_ALLOW_IOVAS, 24, {id, small, zero, address}},
    {IOMMU_IOAS_COPY, 40, {flags, id, id, length, iova, iova}},
    {IOMMU_IOAS_IOVA_RANGES, 32, {id, small, zero, address}},
    {IOMMU_IOAS_MAP, 40, {flags, id, zero, address, length, iova}},
    {IOMMU_IOAS_MAP, 40, {flags, id, zero, address, length, iova}},
    {IOMMU_IOAS_UNMAP, 24, {id, iova, length}},
    {IOMMU_OPTION, 24, {small, halves, id, number}},
    {IOMMU_VFIO_IOAS, 12, {id, halves}},
    {IOMMU_HWPT_ALLOC, 48, {flags, id, id, zero, zero, type, length4, address, id, zero}},
    {IOMMU_GET_HW_INFO, 40, {flags, id, length4, address, type}},
    {IOMMU_HWPT_SET_DIRTY_TRACKING, 16, {flags, id}},
    {IOMMU_HWPT_GET_DIRTY_BITMAP, 48, {id, flags, zero, iova, length, length, address}},
    {IOMMU_HWPT_INVALIDATE, 32, {id, address, type, length4, small}},
    {IOMMU_FAULT_QUEUE_ALLOC, 16, {flags}},
    {IOMMU_IOAS_MAP_FILE, 40, {flags, id, descriptor, length, length, iova}},
    {IOMMU_VIOMMU_ALLOC, 40, {flags, type, id, id, zero, length4, zero, address}},
    {IOMMU_VDEVICE_ALLOC, 24, {id, id, zero, number}},
    {IOMMU_IOAS_CHANGE_PROCESS, 8, {zero}},
    {IOMMU_VEVENTQ_ALLOC, 32, {flags, id, type, small}},
    {IOMMU_HW_QUEUE_ALLOC, 40, {flags, id, type, small, zero, iova, length}},
    {VFIO_GET_API_VERSION, 4, {}},
    {VFIO_CHECK_EXTENSION, 4, {}},
    {VFIO_SET_IOMMU, 4, {}},
    {VFIO_IOMMU_GET_INFO, 128, {flags}},
    {VFIO_IOMMU_MAP_DMA, 32, {flags, address, iova, length}},
    {VFIO_IOMMU_UNMAP_DMA, 24, {flags, iova, length}},
    // operation, id and a reserved word, then what the operation takes
    {iommufd::selftest::test_request, 72, {small, id, zero, iova, length}},
    {iommufd::selftest::test_request, 72, {small, id, zero, iova, length, address, flags}},
    {iommufd::selftest::test_request, 72, {small, id, zero, flags, small, iova, length, address}},
    {iommufd::selftest::test_request, 72, {small, id, zero, flags, zero, iova, length, length, address}},
    {iommufd::selftest::test_request, 72, {small, id, zero, id, small, small, flags, iova}},
    {iommufd::selftest::test_request, 72, {small, descriptor, zero, flags, small, iova, length, address}},
    {iommufd::selftest::test_request, 72, {small, descriptor, zero, iova, length, address, flags}},
    {iommufd::selftest::test_request, 72, {small, descriptor, zero, id}},
};

}  // namespace swiommu::fuzzing

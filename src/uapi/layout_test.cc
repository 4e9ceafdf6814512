#include <gtest/gtest.h>

#include <cstddef>

#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"
#include "swiommu/uapi/vfio.h"
#include "swiommu/uapi/vfio_type1.h"

#define FIELD(field, offset, bytes) static_assert(offsetof(Structure, field) == offset && sizeof(Structure::field) == bytes);
#define STRUCTURE(structure, bytes, fields)    \
  namespace layout_of_##structure {            \
    using Structure = struct ::structure;      \
    static_assert(sizeof(Structure) == bytes); \
    fields                                     \
  }
#define VALUE(name, value) static_assert(name == value);

#include "uapi/iommufd_layout_fixture.h"
#include "uapi/iommufd_private_layout_fixture.h"
#include "uapi/vfio_iommufd_layout_fixture.h"
#include "uapi/vfio_layout_fixture.h"
#include "uapi/vfio_type1_layout_fixture.h"

TEST(UapiLayout, GivesEachRequestItsNumber) {
  EXPECT_EQ(IOMMU_DESTROY, 0x3b80u);
  EXPECT_EQ(IOMMU_IOAS_ALLOC, 0x3b81u);
  EXPECT_EQ(IOMMU_IOAS_ALLOW_IOVAS, 0x3b82u);
  EXPECT_EQ(IOMMU_IOAS_COPY, 0x3b83u);
  EXPECT_EQ(IOMMU_IOAS_IOVA_RANGES, 0x3b84u);
  EXPECT_EQ(IOMMU_IOAS_MAP, 0x3b85u);
  EXPECT_EQ(IOMMU_IOAS_UNMAP, 0x3b86u);
  EXPECT_EQ(IOMMU_OPTION, 0x3b87u);
  EXPECT_EQ(IOMMU_VFIO_IOAS, 0x3b88u);
  EXPECT_EQ(IOMMU_HWPT_ALLOC, 0x3b89u);
  EXPECT_EQ(IOMMU_GET_HW_INFO, 0x3b8au);
  EXPECT_EQ(IOMMU_HWPT_SET_DIRTY_TRACKING, 0x3b8bu);
  EXPECT_EQ(IOMMU_HWPT_GET_DIRTY_BITMAP, 0x3b8cu);
  EXPECT_EQ(IOMMU_HWPT_INVALIDATE, 0x3b8du);
  EXPECT_EQ(IOMMU_FAULT_QUEUE_ALLOC, 0x3b8eu);
  EXPECT_EQ(IOMMU_IOAS_MAP_FILE, 0x3b8fu);
  EXPECT_EQ(IOMMU_VIOMMU_ALLOC, 0x3b90u);
  EXPECT_EQ(IOMMU_VDEVICE_ALLOC, 0x3b91u);
  EXPECT_EQ(IOMMU_IOAS_CHANGE_PROCESS, 0x3b92u);
  EXPECT_EQ(IOMMU_VEVENTQ_ALLOC, 0x3b93u);
  EXPECT_EQ(IOMMU_HW_QUEUE_ALLOC, 0x3b94u);
}

TEST(UapiLayout, GivesRequestsOfVfioDevicesTheirNumbers) {
  EXPECT_EQ(VFIO_DEVICE_GET_INFO, 0x3b6bu);
  EXPECT_EQ(VFIO_DEVICE_DETACH_IOMMUFD_PT, 0x3b78u);
}

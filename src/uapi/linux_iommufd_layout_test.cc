// The numbers that our definitions are checked against, checked against Linux' own header, of whatever version was found. What
// it does not have is taken from ours: names that namespace `linux_own` lacks are found outside of it.
#include <gtest/gtest.h>

#ifdef SWIOMMU_LINUX_IOMMUFD_H
#include <linux/ioctl.h>
#include <linux/types.h>

#include <cstddef>
#include <type_traits>

#include "swiommu/uapi/iommufd.h"

#undef _IOMMUFD_H
#undef _UAPI_IOMMUFD_H
#undef IOMMU_DESTROY
#undef IOMMU_IOAS_ALLOC
#undef IOMMU_IOAS_ALLOW_IOVAS
#undef IOMMU_IOAS_COPY
#undef IOMMU_IOAS_IOVA_RANGES
#undef IOMMU_IOAS_MAP
#undef IOMMU_IOAS_UNMAP
#undef IOMMU_OPTION
#undef IOMMU_VFIO_IOAS
#undef IOMMU_HWPT_ALLOC
#undef IOMMU_GET_HW_INFO
#undef IOMMU_HWPT_SET_DIRTY_TRACKING
#undef IOMMU_HWPT_GET_DIRTY_BITMAP
#undef IOMMU_HWPT_INVALIDATE
#undef IOMMU_FAULT_QUEUE_ALLOC
#undef IOMMU_IOAS_MAP_FILE
#undef IOMMU_VIOMMU_ALLOC
#undef IOMMU_VDEVICE_ALLOC
#undef IOMMU_IOAS_CHANGE_PROCESS
#undef IOMMU_VEVENTQ_ALLOC
#undef IOMMU_HW_QUEUE_ALLOC

#define FIELD(field, offset, bytes)                                                                                 \
  static_assert(                                                                                                    \
      []<class T>() {                                                                                               \
        if constexpr (requires(T t) { t.field; }) return offsetof(T, field) == offset && sizeof(T::field) == bytes; \
        return true;                                                                                                \
      }.template operator()<Structure>(),                                                                           \
      "this field lies elsewhere in Linux: " #field);
#define STRUCTURE(structure, bytes, fields)                                \
  namespace layout_of_##structure {                                        \
    using Structure = struct structure;                                    \
    constexpr bool found = !std::is_same_v<Structure, struct ::structure>; \
    fields                                                                 \
  }
#define VALUE(name, value) static_assert(name == value, #name);

namespace linux_own {
#include SWIOMMU_LINUX_IOMMUFD_H
#include "uapi/iommufd_layout_fixture.h"

#undef FIELD
#undef STRUCTURE
#undef VALUE
#define FIELD(field, offset, bytes)
#define STRUCTURE(structure, bytes, fields) +layout_of_##structure::found
#define VALUE(name, value)
constexpr int structures_found = 0
#include "uapi/iommufd_layout_fixture.h"
    ;
}  // namespace linux_own

// 6.2, the first, had 11 ioctls
TEST(UapiLayout, IsThatOfLinuxItself) { EXPECT_GE(linux_own::structures_found, 11); }

#else
TEST(UapiLayout, IsThatOfLinuxItself) { GTEST_SKIP() << "no <linux/iommufd.h> was found when this was configured"; }
#endif

// The numbers that our definitions are checked against, checked against Linux' own header. An older header may lack fields.
#include <gtest/gtest.h>
#include <linux/vfio.h>

#include <cstddef>
// excluded by the header above: a program may include both
#include "swiommu/uapi/vfio.h"
#include "swiommu/uapi/vfio_type1.h"

#define FIELD(field, offset, bytes)                                                                                 \
  static_assert(                                                                                                    \
      []<class T>() {                                                                                               \
        if constexpr (requires(T t) { t.field; }) return offsetof(T, field) == offset && sizeof(T::field) == bytes; \
        return true;                                                                                                \
      }.template operator()<Structure>(),                                                                           \
      "this field lies elsewhere in Linux: " #field);
#define STRUCTURE(structure, bytes, fields) \
  namespace layout_of_##structure {         \
    using Structure = struct ::structure;   \
    fields                                  \
  }
#define VALUE(name, value) static_assert(name == value, #name);

#include "uapi/vfio_layout_fixture.h"
#include "uapi/vfio_type1_layout_fixture.h"
#ifdef VFIO_DEVICE_BIND_FLAG_TOKEN
#include "uapi/vfio_iommufd_layout_fixture.h"
#endif

TEST(UapiLayout, LeavesTheDeviceIoctlsOfLinuxAlone) { EXPECT_EQ(VFIO_DEVICE_GET_INFO, 0x3b6bu); }

#include "vfio/call_fields.h"

#include <gtest/gtest.h>

#include "iommufd/call_text.h"
#include "swiommu/uapi/vfio.h"

namespace swiommu::vfio {
namespace {

template <class Structure>
std::string line(std::span<iommufd::CallShape const> calls, std::uint32_t request, Structure const& before,
                 Structure const& after) {
  return iommufd::call_text({.request = request,
                             .argument = 0x1000,
                             .before = std::as_bytes(std::span(&before, 1)),
                             .after = std::as_bytes(std::span(&after, 1)),
                             .calls = calls},
                            0)
      .value();
}

TEST(VfioCallText, ShowsWhatDevicesWereAskedAndSaid) {
  vfio_region_info info{.argsz = 32, .flags = 0, .index = 0, .cap_offset = 0, .size = 0, .offset = 0};
  vfio_region_info told = info;
  told.argsz = 40;
  told.flags = 15;
  told.size = 0x4000;
  EXPECT_EQ(line(device_calls(), VFIO_DEVICE_GET_REGION_INFO, info, told),
            "VFIO_DEVICE_GET_REGION_INFO {argsz=32 => 40, index=BAR0, flags=READ|WRITE|MMAP|CAPS, cap_offset=0x0, size=0x4000, "
            "offset=0x0} = 0");
  vfio_irq_set const set{.argsz = 24, .flags = 0x24, .index = 2, .start = 0, .count = 1};
  EXPECT_EQ(line(device_calls(), VFIO_DEVICE_SET_IRQS, set, set),
            "VFIO_DEVICE_SET_IRQS {argsz=24, flags=DATA_EVENTFD|ACTION_TRIGGER, index=MSIX, start=0, count=1} = 0");
  vfio_device_attach_iommufd_pt attach{.argsz = 16, .flags = 0, .pt_id = 2, .pasid = 0};
  vfio_device_attach_iommufd_pt attached = attach;
  attached.pt_id = 3;
  EXPECT_EQ(line(device_calls(), VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach, attached),
            "VFIO_DEVICE_ATTACH_IOMMUFD_PT {argsz=16, pt_id=2 => 3} = 0");
}

TEST(VfioCallText, TheNumbersMeanSomethingElseOnOtherFiles) {
  std::uint32_t const nothing = 0;
  EXPECT_EQ(line(device_calls(), VFIO_DEVICE_RESET, nothing, nothing), "VFIO_DEVICE_RESET = 0");
  EXPECT_EQ(line(group_calls(), VFIO_GROUP_GET_DEVICE_FD, nothing, nothing), "VFIO_GROUP_GET_DEVICE_FD = 0");
  EXPECT_EQ(line(group_calls(), VFIO_DEVICE_RESET, nothing, nothing), "ioctl 0x3b6f 0x1000 = 0");
  EXPECT_EQ(line({}, VFIO_GET_API_VERSION, nothing, nothing), "VFIO_GET_API_VERSION = 0");
}

}  // namespace
}  // namespace swiommu::vfio

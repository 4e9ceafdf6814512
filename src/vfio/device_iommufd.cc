// The ioctls of cdevs that bind a function to an iommufd, and attach it there.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "iommufd/dispatch.h"
#include "swiommu/uapi/vfio.h"
#include "vfio/argument.h"
#include "vfio/device_file.h"

namespace swiommu::vfio {
namespace {

// The structure grows by the rule of iommufd: what is beyond it must be 0.
Result<vfio_device_bind_iommufd> read_bind(iommufd::Caller& caller, std::uint64_t argument) {
  vfio_device_bind_iommufd bind{};
  if (!caller.copy_in(argument, std::as_writable_bytes(std::span(&bind.argsz, 1))))
    return fail(EFAULT, "the structure cannot be read");
  std::uint32_t const size = bind.argsz;
  if (size < SWIOMMU_END_OF(vfio_device_bind_iommufd, out_devid))
    return fail(EINVAL, fmt::format("argsz {} is less than the structure has bytes", size));
  if (!caller.copy_in(argument, std::as_writable_bytes(std::span(&bind, 1)).first(std::min<std::size_t>(size, sizeof bind))))
    return fail(EFAULT, "the structure cannot be read");
  SWIOMMU_TRY(iommufd::check_tail(caller, argument, sizeof bind, size));
  return bind;
}

}  // namespace

Result<void> DeviceFile::bind(iommufd::Caller& caller, std::uint64_t argument) {
  auto const given = read_bind(caller, argument);
  if (!given) return std::unexpected(given.error());
  bool const token = (given->flags & VFIO_DEVICE_BIND_FLAG_TOKEN) != 0;
  if ((given->flags & ~std::uint32_t{VFIO_DEVICE_BIND_FLAG_TOKEN}) != 0 || given->iommufd < 0)
    return fail(EINVAL, fmt::format("flags {:#x}, iommufd {}", given->flags, given->iommufd));
  if (group_) return fail(EINVAL, "the device was opened through its group, which binds it");
  SWIOMMU_TRY(function_->group()->block());
  Lock const lock(binding_);
  auto bound = granted_ ? fail(EINVAL, "the device is bound already") : [&]() -> Result<void> {
    std::array<std::byte, 16> uuid;
    if (token && !caller.copy_in(given->token_uuid_ptr, uuid)) return fail(EFAULT, "the token cannot be read");
    return bind_to(caller, given->iommufd, token, argument + offsetof(vfio_device_bind_iommufd, out_devid));
  }();
  if (!bound) function_->group()->unblock();
  return bound;
}

Result<void> DeviceFile::bind_to(iommufd::Caller& caller, std::int32_t descriptor, bool token, std::uint64_t answer) {
  if (token) return fail(EINVAL, "the function is neither a virtual one nor has any, so it takes no token");
  auto const iommufd = caller.open_file(descriptor);
  if (!iommufd) {
    SWIOMMU_TRY(caller.borrow(descriptor));
    return fail(EBADFD, fmt::format("descriptor {} is no /dev/iommu", descriptor));
  }
  auto const id = function_->opening().open_alone(iommufd);
  if (!id) return std::unexpected(id.error());
  if (auto written = copy_to(caller, answer, std::as_bytes(std::span(&*id, 1))); !written) {
    function_->opening().close();
    return written;
  }
  granted_.store(true, std::memory_order_release);
  return {};
}

Result<void> DeviceFile::attach(iommufd::Caller& caller, std::uint64_t argument) {
  vfio_device_attach_iommufd_pt given{};
  SWIOMMU_TRY(read_argument(caller, argument, SWIOMMU_END_OF(vfio_device_attach_iommufd_pt, pt_id), given));
  if ((given.flags & ~std::uint32_t{VFIO_DEVICE_ATTACH_PASID}) != 0)
    return fail(EINVAL, fmt::format("there are no flags {:#x}", given.flags));
  std::optional<Pasid> pasid;
  if ((given.flags & VFIO_DEVICE_ATTACH_PASID) != 0) {
    SWIOMMU_TRY(read_argument(caller, argument, SWIOMMU_END_OF(vfio_device_attach_iommufd_pt, pasid), given));
    pasid = given.pasid;
  }
  SWIOMMU_TRY(function_->opening().attach(given.pt_id, pasid));
  auto written =
      copy_to(caller, argument + offsetof(vfio_device_attach_iommufd_pt, pt_id), std::as_bytes(std::span(&given.pt_id, 1)));
  if (!written) function_->opening().detach(pasid);
  return written;
}

Result<void> DeviceFile::detach(iommufd::Caller& caller, std::uint64_t argument) {
  vfio_device_detach_iommufd_pt given{};
  SWIOMMU_TRY(read_argument(caller, argument, SWIOMMU_END_OF(vfio_device_detach_iommufd_pt, flags), given));
  if ((given.flags & ~std::uint32_t{VFIO_DEVICE_DETACH_PASID}) != 0)
    return fail(EINVAL, fmt::format("there are no flags {:#x}", given.flags));
  std::optional<Pasid> pasid;
  if ((given.flags & VFIO_DEVICE_DETACH_PASID) != 0) {
    SWIOMMU_TRY(read_argument(caller, argument, SWIOMMU_END_OF(vfio_device_detach_iommufd_pt, pasid), given));
    pasid = given.pasid;
  }
  function_->opening().detach(pasid);
  return {};
}

}  // namespace swiommu::vfio

#include "vfio/group_file.h"

#include <fmt/format.h>

#include "swiommu/memory/mapping.h"
#include "swiommu/uapi/vfio.h"
#include "vfio/argument.h"
#include "vfio/device_file.h"
#include "vfio/pci_function.h"

namespace swiommu::vfio {
namespace {

// A string of the caller. EFAULT; EINVAL: a page holds no end of it.
Result<std::string> read_text(iommufd::Caller& caller, std::uint64_t address) {
  std::string text;
  for (std::uint64_t at = address; text.size() < host_page_size; at++) {
    char letter = 0;
    if (!caller.copy_in(at, std::as_writable_bytes(std::span(&letter, 1)))) return fail(EFAULT, "the name cannot be read");
    if (letter == '\0') return text;
    text.push_back(letter);
  }
  return fail(EINVAL, "the name has no end");
}

}  // namespace

GroupFile::GroupFile(std::shared_ptr<Group> group)
    : group_(std::move(group)), name_(fmt::format("/dev/vfio/{}", group_->number())) {}

Result<std::shared_ptr<GroupFile>> GroupFile::open(std::shared_ptr<Group> group) {
  return guarded([&]() -> Result<std::shared_ptr<GroupFile>> {
    std::shared_ptr<GroupFile> file(new GroupFile(std::move(group)));
    SWIOMMU_TRY(file->group_->open());
    file->open_ = true;
    return file;
  });
}

GroupFile::~GroupFile() {
  if (open_) group_->close();
}

Result<std::uint64_t> GroupFile::ioctl(iommufd::Caller& caller, std::uint32_t request, std::uint64_t argument) {
  return guarded([&]() -> Result<std::uint64_t> {
    switch (request) {
      case VFIO_GROUP_GET_STATUS: SWIOMMU_TRY(get_status(caller, argument)); return 0;
      case VFIO_GROUP_SET_CONTAINER: SWIOMMU_TRY(set_container(caller, argument)); return 0;
      case VFIO_GROUP_UNSET_CONTAINER: SWIOMMU_TRY(group_->unset_container()); return 0;
      case VFIO_GROUP_GET_DEVICE_FD: return get_device(caller, argument);
      default: return fail(ENOTTY, fmt::format("a group has no ioctl {:#x}", request));
    }
  });
}

Result<void> GroupFile::get_status(iommufd::Caller& caller, std::uint64_t argument) const {
  vfio_group_status status{};
  SWIOMMU_TRY(read_argument(caller, argument, sizeof status, status));
  status.flags =
      (group_->has_container() ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0) | (group_->viable() ? VFIO_GROUP_FLAGS_VIABLE : 0);
  return write_argument(caller, argument, status, sizeof status);
}

Result<void> GroupFile::set_container(iommufd::Caller& caller, std::uint64_t argument) {
  std::int32_t descriptor = -1;
  if (!caller.copy_in(argument, std::as_writable_bytes(std::span(&descriptor, 1))))
    return fail(EFAULT, "the descriptor cannot be read");
  auto container = caller.open_file(descriptor);
  if (!container) {
    SWIOMMU_TRY(caller.borrow(descriptor));
    if (group_->has_container()) return fail(EINVAL, "the group has a container");
    return fail(EBADFD, fmt::format("descriptor {} is neither a container nor /dev/iommu", descriptor));
  }
  return group_->set_container(std::move(container));
}

Result<std::uint64_t> GroupFile::get_device(iommufd::Caller& caller, std::uint64_t argument) {
  auto const name = read_text(caller, argument);
  if (!name) return std::unexpected(name.error());
  auto function = group_->find(*name);
  if (!function) return std::unexpected(std::move(function).error());
  auto file = DeviceFile::open_by_group(std::move(*function), shared_from_this());
  if (!file) return std::unexpected(std::move(file).error());
  auto const descriptor = caller.install(std::move(*file));
  if (!descriptor) return std::unexpected(descriptor.error());
  return static_cast<std::uint64_t>(*descriptor);
}

}  // namespace swiommu::vfio

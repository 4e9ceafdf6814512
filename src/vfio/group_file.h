// What is behind the descriptor of /dev/vfio/N.
#pragma once
#include <memory>
#include <string>

#include "swiommu/iommufd/open_file.h"
#include "vfio/group.h"

namespace swiommu::vfio {

class GroupFile final : public iommufd::OpenFile, public std::enable_shared_from_this<GroupFile> {
 public:
  // EBUSY; see Group::open(). ENOMEM.
  static Result<std::shared_ptr<GroupFile>> open(std::shared_ptr<Group> group);
  ~GroupFile() override;

  [[nodiscard]] char const* name() const override { return name_.c_str(); }
  Result<std::uint64_t> ioctl(iommufd::Caller& caller, std::uint32_t request, std::uint64_t argument) override;

  [[nodiscard]] std::shared_ptr<Group> const& group() const { return group_; }

 private:
  explicit GroupFile(std::shared_ptr<Group> group);
  Result<void> get_status(iommufd::Caller& caller, std::uint64_t argument) const;
  Result<void> set_container(iommufd::Caller& caller, std::uint64_t argument);
  Result<std::uint64_t> get_device(iommufd::Caller& caller, std::uint64_t argument);

  std::shared_ptr<Group> const group_;
  std::string const name_;
  bool open_ = false;
};

}  // namespace swiommu::vfio

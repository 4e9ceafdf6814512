#include "iommufd/file.h"

#include "iommufd/commands.h"
#include "iommufd/dispatch.h"
#include "iommufd/selftest/test_command.h"
#include "iommufd/selftest/test_ioctl.h"

namespace swiommu::iommufd {

Result<std::uint64_t> OpenFile::ioctl(Caller&, std::uint32_t, std::uint64_t) { return fail(ENOTTY, "this file has no ioctls"); }
Result<std::uint64_t> OpenFile::read(Caller&, std::uint64_t, std::uint64_t) { return fail(EINVAL, "this file cannot be read"); }
Result<std::uint64_t> OpenFile::write(Caller&, std::uint64_t, std::uint64_t) {
  return fail(EINVAL, "this file cannot be written");
}
Result<std::uint64_t> OpenFile::read_at(Caller& caller, std::uint64_t to, std::uint64_t length, std::uint64_t offset) {
  return offset == 0 ? read(caller, to, length) : fail(ESPIPE, "this file has no offsets");
}
Result<std::uint64_t> OpenFile::write_at(Caller& caller, std::uint64_t from, std::uint64_t length, std::uint64_t offset) {
  return offset == 0 ? write(caller, from, length) : fail(ESPIPE, "this file has no offsets");
}
Result<std::shared_ptr<MappableMemory>> OpenFile::map(std::uint64_t, std::uint64_t, int, int) {
  return fail(ENODEV, "this file cannot be mapped");
}

File::~File() {
  Lock const lock(mutex_);
  graveyard_.clear();
  objects_.clear();
}

Result<std::uint64_t> File::ioctl(Caller& caller, std::uint32_t request, std::uint64_t argument) {
  if (is_type1(request)) return type1_ioctl(*this, caller, request, argument);
  bool const is_test = request == selftest::test_request && engine_->mock_driver();
  return dispatch(is_test ? selftest::test_operations() : operations(), *this, caller, request, argument);
}

Result<std::shared_ptr<MappableMemory>> File::map(std::uint64_t offset, std::uint64_t length, int protection, int flags) {
  Lock const lock(mutex_);
  return mappable_.map(shared_from_this(), offset, length, protection, flags);
}

}  // namespace swiommu::iommufd

#include "run/logged_call.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "iommufd/call_text.h"
#include "run/call_log.h"
#include "swiommu/vfio/device_path.h"
#include "vfio/call_fields.h"

namespace swiommu::run {
namespace {

// The caller's structure, as much of it as its size says and we know.
class Structure {
 public:
  Structure(iommufd::Caller& caller, std::uint64_t address) {
    std::uint32_t size = 0;
    if (!caller.copy_in(address, std::as_writable_bytes(std::span(&size, 1)))) return;
    std::size_t const wanted = std::clamp<std::size_t>(size, sizeof size, bytes_.size());
    if (caller.copy_in(address, std::span(bytes_).first(wanted))) length_ = wanted;
  }
  [[nodiscard]] std::span<std::byte const> bytes() const { return std::span(bytes_).first(length_); }

 private:
  std::array<std::byte, 256> bytes_{};
  std::size_t length_ = 0;
};

// What the numbers of ioctls mean there; empty: what they mean for /dev/iommu.
std::span<iommufd::CallShape const> calls_of(iommufd::OpenFile const& file) {
  std::string_view const name = file.name();
  auto const path = vfio::DevicePath::parse(name);
  if (name == "[vfio-device]" || (path && path->kind == vfio::DevicePath::Kind::device)) return vfio::device_calls();
  if (path && path->kind == vfio::DevicePath::Kind::group) return vfio::group_calls();
  return {};
}

}  // namespace

Result<std::uint64_t> logged_ioctl(iommufd::OpenFile& file, iommufd::Caller& caller, std::uint32_t request,
                                   std::uint64_t argument) {
  if (!logging()) return file.ioctl(caller, request, argument);
  Structure const before(caller, argument);
  auto result = file.ioctl(caller, request, argument);
  Structure const after(caller, argument);
  if (auto const text = iommufd::call_text({request, argument, before.bytes(), after.bytes(), calls_of(file)}, result))
    write_log(caller.process()->pid, *text);
  return result;
}

}  // namespace swiommu::run

#include "iommufd/selftest/operations.h"
#include "iommufd/selftest/test_buffer.h"
#include "swiommu/memory/mapping.h"

namespace swiommu::iommufd::selftest {

// The ioctl returns the descriptor, which is always close-on-exec.
Result<std::uint64_t> dmabuf_get(TestCall const& call) {
  constexpr std::uint64_t most = 512 * host_page_size;
  std::uint64_t const length =
      align_down(std::uint64_t{call.arguments().dmabuf_get.length} + (host_page_size - 1), host_page_lg2);
  if (length == 0 || length > most) return fail(EINVAL, "a buffer has up to 512 pages, and at least one");
  auto const buffer = TestBuffer::create(call.file().engine().shared_from_this(), length);
  if (!buffer) return std::unexpected(buffer.error());
  auto const descriptor = call.caller().install(*buffer);
  if (!descriptor) return std::unexpected(descriptor.error());
  return static_cast<std::uint64_t>(*descriptor);
}

Result<void> dmabuf_revoke(TestCall const& call) {
  auto const [descriptor, revoked] = call.arguments().dmabuf_revoke;
  auto const file = call.file().open_file(call.caller(), descriptor);
  if (!file && !call.caller().borrow(descriptor)) return fail(EBADF, "no such descriptor");
  auto const buffer = std::dynamic_pointer_cast<DeviceBuffer>(file);
  if (!buffer) return fail(EINVAL, "the descriptor is no device's buffer");
  auto const ours = std::dynamic_pointer_cast<TestBuffer>(buffer);
  if (!ours) return fail(EOPNOTSUPP, "the buffer is another device's");
  ours->revoke(revoked != 0);
  return {};
}

}  // namespace swiommu::iommufd::selftest

// A buffer of a device behind a descriptor (Linux: a dma-buf), which its owner may take back at any time.
#pragma once
#include <cstdint>
#include <memory>

#include "swiommu/iommufd/engine.h"
#include "swiommu/iommufd/open_file.h"
#include "swiommu/memory/pinned_pages.h"

namespace swiommu::iommufd {

class DeviceBuffer : public OpenFile {
 public:
  char const* name() const override { return "/dmabuf:"; }
  [[nodiscard]] virtual std::uint64_t size() const = 0;  // in bytes

  // `length` bytes from `start`, which are in the buffer, with Origin::Kind::device and no account: such memory is charged to
  // nobody. When the buffer is revoked, Pages::revoke() is called for all that are alive; they never come back.
  // EOPNOTSUPP: cannot be mapped; ENODEV: revoked already; ENOMEM.
  virtual Result<std::shared_ptr<Pages>> pages(Engine& engine, std::uint64_t start, std::uint64_t length, bool writable,
                                               std::int32_t process) = 0;
};

}  // namespace swiommu::iommufd

// What a device says when it wants a page that is not there, and what it is answered (PCIe PRI).
#pragma once
#include <cstdint>
#include <optional>

#include "swiommu/base/result.h"

namespace swiommu {

using Pasid = std::uint32_t;

struct PageRequest {
  std::optional<Pasid> pasid;
  std::uint32_t group = 0;  // of the device's own counting; requests of a group are answered together
  bool last = true;         // of its group
  bool read = false, write = false, execute = false, privileged = false;
  std::uint64_t iova = 0;
};

// PCIe counts groups with nine bits. A device model numbers its own below `first_port_group`; the others are of DMA that waits in
// ports (Port::on_missing_page).
inline constexpr std::uint32_t page_request_groups = 512;
inline constexpr std::uint32_t first_port_group = 256;

struct PageResponse {
  enum class Code : std::uint8_t { success, invalid };
  std::optional<Pasid> pasid;
  std::uint32_t group = 0;
  Code code = Code::success;
};

// Who takes the page requests of a device: the IOMMU's page request queue.
class PageRequestTarget {
 public:
  virtual ~PageRequestTarget() = default;
  // Each group that was reported to its end is answered once by Device::answer(), also when that is reported to fail. Any thread,
  // not inside a guard. EINVAL: nobody listens there. ENOMEM.
  virtual Result<void> report(PageRequest const& request) = 0;
};

}  // namespace swiommu

// What domains and devices stand on while they are measured.
#pragma once
#include <memory>

#include "bench/failure.h"
#include "swiommu/domain/host.h"
#include "swiommu/memory/backing.h"
#include "swiommu/memory/host_address_space.h"
#include "swiommu/page_table/attributes.h"

namespace swiommu::bench {

inline constexpr Attributes read_write{.access = Access::both()};

// So many bytes of host memory, which are there only once they are touched: translating touches none.
struct HostMemory {
  explicit HostMemory(std::uint64_t bytes)
      : addresses(needed(HostAddressSpace::create())),
        ram(needed(SharedMemory::create(*addresses, bytes))),
        host(needed(Host::create(addresses))) {}

  std::shared_ptr<HostAddressSpace> addresses;
  std::unique_ptr<SharedMemory> ram;
  Host host;
};

}  // namespace swiommu::bench

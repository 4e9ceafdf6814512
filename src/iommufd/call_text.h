// One ioctl as a line for people, as strace writes it, and why it failed:
//
//   IOMMU_IOAS_MAP {flags=FIXED_IOVA|READABLE, ioas_id=1, user_va=0x7f0000001000, length=0x2000, iova=0x1000} = -1 EEXIST:
//   [0x1000, 0x2fff] overlaps what is mapped at [0x0, 0x1fff]
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "iommufd/call_fields.h"
#include "swiommu/base/result.h"

namespace swiommu::iommufd {

struct CallRecord {
  std::uint32_t request = 0;
  std::uint64_t argument = 0;  // mostly the address of the structure
  // The structure as the caller had it and as it is now, with its size in the first word; as much of it as could be read. More
  // than the structures of call_fields.h is not needed.
  std::span<std::byte const> before;
  std::span<std::byte const> after;
  std::span<CallShape const> calls = {};  // of files that are none of /dev/iommu's: the numbers may mean something else there
};

// Without a line feed, whatever the caller wrote. ENOMEM.
Result<std::string> call_text(CallRecord const& record, Result<std::uint64_t> const& result);

}  // namespace swiommu::iommufd

// What a device did wrong, or met: who, what, where and why.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "swiommu/base/access.h"
#include "swiommu/domain/domain.h"

namespace swiommu {

struct FaultRecord {
  // who
  std::uint32_t device = 0;            // requester id
  std::optional<std::uint32_t> pasid;  // nothing for a request without PASID
  // what
  std::uint64_t iova = 0;  // the first byte that could not be accessed
  Access access;
  // why, and where in the tree
  Reason reason = Reason::none;
  DomainKind domain = DomainKind::blocking;  // kind of the domain that refused
  std::uint8_t depth = 0;                    // 0: the domain that the device is attached to; 1: its parent; ...
  std::uint8_t level = 0;                    // level of the table that was looked at last
  std::uint64_t entry_address = 0;           // the entry that was looked at last, as an input of the domain under the table
  std::uint64_t entry = 0;                   // its value; 0 if it could not be read
};

// The record of a translation through `attached` that failed; who it was is left to the caller.
FaultRecord fault_of(Domain const& attached, Translation const& translation, std::uint64_t iova, Access access);

// One sentence: "iova 0x7f002000, write: entry at 0x1a3010 = 0x1f00105 (level 0 of the user page table) does not allow it".
std::string describe(FaultRecord const& record);

}  // namespace swiommu

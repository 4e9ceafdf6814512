// The translations that one port has cached.
//
// Nothing in here is ever invalidated from outside: an entry carries the generation of its domain and the serial number of the
// attachment at the time of its walk, and is of use only as long as both are current. So the invalidating side writes one
// word of the domain, and the port writes only its own memory.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "swiommu/base/access.h"
#include "swiommu/base/range.h"

namespace swiommu {

class Iotlb {
 public:
  struct Entry {
    Range iovas{1, 0};             // empty
    std::byte* data = nullptr;     // of iovas.start
    std::uint64_t attachment = 0;  // serial number, never 0
    std::uint64_t generation = 0;
    Access granted;             // what may be done without another walk: writing only after a walk that marked dirty
    std::uint32_t context = 0;  // see context_of()

    [[nodiscard]] bool serves(std::uint64_t iova, Access access, std::uint64_t serial, std::uint64_t current,
                              std::uint32_t of) const {
      return iovas.contains(iova) && attachment == serial && generation == current && granted.covers(access) && context == of;
    }
  };

  // Which of an attachment's translations: those of what is attached itself, or those of a PASID that its domain directs.
  static constexpr std::uint32_t context_of(std::optional<std::uint32_t> directed) { return directed ? *directed + 1 : 0; }

  // The entry that may serve this iova; whether it does is for serves() to say.
  [[nodiscard]] Entry const& look_up(std::uint64_t iova, std::uint64_t serial, std::uint32_t context) const {
    return entries_[slot(iova, serial, context)];
  }
  void insert(std::uint64_t iova, Entry const& entry) { entries_[slot(iova, entry.attachment, entry.context)] = entry; }

 private:
  static constexpr unsigned size_lg2 = 10;
  static std::size_t slot(std::uint64_t iova, std::uint64_t serial, std::uint32_t context) {
    return ((iova >> 12) + (serial + context) * 0x9e5) & low_bits(size_lg2);
  }

  std::array<Entry, std::size_t{1} << size_lg2> entries_{};
};

}  // namespace swiommu

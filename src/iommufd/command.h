// One ioctl under way: its structure, copied in, and the way back.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "iommufd/file.h"
#include "iommufd/user_data.h"

namespace swiommu::iommufd {

template <class Arguments>
struct Command {
  File& file;
  Caller& caller;
  Arguments& arguments;   // fields that the caller's structure was too short for are 0
  std::uint64_t address;  // of the caller's structure
  std::uint32_t size;     // that the caller said

  // Copies the structure back, no more of it than the caller has room for. EFAULT.
  [[nodiscard]] Result<void> respond() const {
    auto const bytes = std::as_bytes(std::span(&arguments, 1));
    if (caller.copy_out(address, bytes.first(std::min<std::size_t>(size, bytes.size())))) return {};
    return fail(EFAULT, "the structure cannot be written back");
  }

  // respond(), and makes the object known if that went well.
  [[nodiscard]] Result<void> publish(NewObject object) const {
    auto responded = respond();
    if (responded) object.publish();
    return responded;
  }
};

}  // namespace swiommu::iommufd

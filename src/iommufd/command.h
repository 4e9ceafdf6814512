// One ioctl under way: its structure, copied in, and the way back.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "iommufd/file.h"

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

// A pointer to data beside the structure (data_uptr, data_len), as drivers read it.
struct UserData {
  std::uint32_t type = 0;
  std::uint64_t address = 0;
  std::uint32_t length = 0;

  // The data as a structure of type `wanted`, zero-extended. EINVAL: another type; shorter than `least` or longer than the
  // structure. EFAULT.
  template <class Structure>
  Result<Structure> read(Caller& caller, std::uint32_t wanted, std::size_t least) const {
    if (type != wanted) return fail(EINVAL, "data of another type than this hardware takes");
    if (address == 0) return fail(EFAULT, "no data");
    if (length < least || length > sizeof(Structure)) return fail(EINVAL, "data of a length that this type does not have");
    Structure structure{};
    if (!caller.copy_in(address, std::as_writable_bytes(std::span(&structure, 1)).first(length)))
      return fail(EFAULT, "the data cannot be read");
    return structure;
  }
};

}  // namespace swiommu::iommufd

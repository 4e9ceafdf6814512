// The array of commands of HWPT_INVALIDATE, as drivers read it.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "swiommu/base/result.h"
#include "swiommu/iommufd/caller.h"

namespace swiommu::iommufd {

class InvalidationArray {
 public:
  InvalidationArray(Caller& caller, std::uint32_t type, std::uint64_t address, std::uint32_t entry_length, std::uint32_t entries)
      : caller_(caller), type_(type), address_(address), entry_length_(entry_length), entries_(entries) {}

  [[nodiscard]] std::uint32_t type() const { return type_; }
  [[nodiscard]] std::uint32_t entries() const { return entries_; }
  // Entries that are done, for the caller. 0 at first.
  [[nodiscard]] std::uint32_t done() const { return done_; }
  void set_done(std::uint32_t done) { done_ = done; }

  // Entry `index`, zero-extended. EINVAL: shorter than `least`, or longer than the structure. EFAULT.
  template <class Structure>
  Result<Structure> read(std::uint32_t index, std::size_t least) const {
    if (entry_length_ < least || entry_length_ > sizeof(Structure))
      return fail(EINVAL, "entries of a length that this type does not have");
    return copy<Structure>(index);
  }

  // The same for hardware that takes entries longer than the structure, whose tail is 0. E2BIG: it is not; EFAULT.
  template <class Structure>
  Result<Structure> read_extensible(std::uint32_t index) const {
    std::array<std::byte, 256> piece;
    for (std::uint64_t at = sizeof(Structure); at < entry_length_;) {
      auto const part = std::span(piece).first(std::min<std::size_t>(piece.size(), entry_length_ - at));
      if (!caller_.copy_in(address_of(index) + at, part)) return fail(EFAULT, "an entry cannot be read");
      if (std::ranges::any_of(part, [](std::byte byte) { return byte != std::byte{0}; }))
        return fail(E2BIG, "an entry is longer than what is known, and the rest of it is not 0");
      at += part.size();
    }
    return copy<Structure>(index);
  }

 private:
  [[nodiscard]] std::uint64_t address_of(std::uint32_t index) const { return address_ + std::uint64_t{entry_length_} * index; }
  template <class Structure>
  Result<Structure> copy(std::uint32_t index) const {
    Structure structure{};
    auto const bytes = std::as_writable_bytes(std::span(&structure, 1));
    if (!caller_.copy_in(address_of(index), bytes.first(std::min<std::size_t>(entry_length_, bytes.size()))))
      return fail(EFAULT, "an entry cannot be read");
    return structure;
  }

  Caller& caller_;
  std::uint32_t const type_;
  std::uint64_t const address_;
  std::uint32_t const entry_length_;
  std::uint32_t const entries_;
  std::uint32_t done_ = 0;
};

}  // namespace swiommu::iommufd

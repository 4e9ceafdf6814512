// The three kinds of address, as types that do not mix.
#pragma once
#include <compare>
#include <cstdint>

namespace swiommu {

template <class Kind>
struct Address {
  std::uint64_t value = 0;

  constexpr Address() = default;
  constexpr explicit Address(std::uint64_t address) : value(address) {}
  constexpr Address operator+(std::uint64_t offset) const { return Address(value + offset); }
  constexpr auto operator<=>(Address const&) const = default;
};

using Iova = Address<struct IovaKind>;                  // what a device puts on the bus
using GuestAddress = Address<struct GuestAddressKind>;  // an input address of a parent
using HostAddress = Address<struct HostAddressKind>;    // an output address of the root of the tree

}  // namespace swiommu

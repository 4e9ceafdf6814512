// Where a PCI function is: segment, bus, device, function.
#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace swiommu::vfio {

struct PciAddress {
  std::uint16_t segment = 0;
  std::uint8_t bus = 0;
  std::uint8_t device = 0;    // below 32
  std::uint8_t function = 0;  // below 8

  // "0000:01:00.0", as Linux names functions. May throw std::bad_alloc.
  [[nodiscard]] std::string text() const;
  // Nothing: that is no such name.
  [[nodiscard]] static std::optional<PciAddress> parse(std::string_view text);

  // Device and function in one byte; together with the bus the requester id.
  [[nodiscard]] std::uint8_t devfn() const { return static_cast<std::uint8_t>(device << 3 | function); }
  [[nodiscard]] std::uint16_t requester_id() const { return static_cast<std::uint16_t>(bus << 8 | devfn()); }

  auto operator<=>(PciAddress const&) const = default;
};

}  // namespace swiommu::vfio

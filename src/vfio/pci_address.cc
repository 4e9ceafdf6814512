#include "swiommu/vfio/pci_address.h"

#include <fmt/format.h>

#include <charconv>

namespace swiommu::vfio {
namespace {

// A number of exactly so many lower-case hexadecimal digits, and what must come after it.
bool take(std::string_view& text, std::size_t digits, std::string_view after, unsigned last, unsigned& value) {
  if (text.size() < digits + after.size() || text.substr(digits, after.size()) != after) return false;
  char const* const start = text.data();
  char const* const end = start + digits;
  auto const [stopped, error] = std::from_chars(start, end, value, 16);
  if (error != std::errc{} || stopped != end || value > last) return false;
  if (text.substr(0, digits).find_first_of("ABCDEF") != std::string_view::npos) return false;
  text.remove_prefix(digits + after.size());
  return true;
}

}  // namespace

std::string PciAddress::text() const { return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", segment, bus, device, function); }

std::optional<PciAddress> PciAddress::parse(std::string_view text) {
  unsigned segment = 0, bus = 0, device = 0, function = 0;
  if (!take(text, 4, ":", 0xffff, segment) || !take(text, 2, ":", 0xff, bus) || !take(text, 2, ".", 31, device) ||
      !take(text, 1, "", 7, function) || !text.empty())
    return std::nullopt;
  return PciAddress{static_cast<std::uint16_t>(segment), static_cast<std::uint8_t>(bus), static_cast<std::uint8_t>(device),
                    static_cast<std::uint8_t>(function)};
}

}  // namespace swiommu::vfio

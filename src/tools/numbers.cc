#include "tools/numbers.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "swiommu/base/bits.h"

namespace swiommu::tools {

namespace {

std::optional<std::uint64_t> whole(std::string_view text, int base) {
  std::uint64_t value = 0;
  auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (problem != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> number(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) return whole(text.substr(2), 16);
  return whole(text, 10);
}

// [domain:]bus:device.function; the domain does not go into the requester id.
std::optional<std::uint32_t> pci_address(std::string_view text) {
  auto const dot = text.rfind('.');
  auto const colon = text.rfind(':', dot);
  if (dot == std::string_view::npos || colon == std::string_view::npos) return std::nullopt;
  auto const before = text.substr(0, colon);
  auto const first = before.rfind(':');
  auto const bus = whole(first == std::string_view::npos ? before : before.substr(first + 1), 16);
  auto const domain = first == std::string_view::npos ? std::optional<std::uint64_t>(0) : whole(before.substr(0, first), 16);
  auto const device = whole(text.substr(colon + 1, dot - colon - 1), 16);
  auto const function = whole(text.substr(dot + 1), 8);
  if (!bus || !domain || !device || !function || *bus > 0xff || *domain > 0xffff || *device > 0x1f || *function > 7)
    return std::nullopt;
  return static_cast<std::uint32_t>(*bus << 8 | *device << 3 | *function);
}

}  // namespace

Result<std::uint64_t> parse_number(std::string_view text, std::string_view what) {
  if (auto const value = number(text)) return *value;
  return fail(EINVAL, fmt::format("{} '{}' is no 64-bit number (write 0x1000 or 4096)", what, text));
}

Result<std::uint32_t> parse_device(std::string_view text) {
  if (auto const address = pci_address(text)) return *address;
  if (auto const value = number(text); value && *value <= 0xffffffff) return static_cast<std::uint32_t>(*value);
  return fail(EINVAL, fmt::format("the device '{}' is neither a number (0x28) nor a PCI address (00:05.0)", text));
}

Result<Request> parse_request(std::string_view text) {
  Request request;
  std::string_view address = text;
  if (auto const colon = text.find(':'); colon != std::string_view::npos) {
    address = text.substr(0, colon);
    std::string_view const access = text.substr(colon + 1);
    if (access == "w")
      request.access = Access::writing();
    else if (access != "r")
      return fail(EINVAL, fmt::format("the access '{}' of '{}' is neither r nor w", access, text));
  }
  auto const value = parse_number(address, "the iova");
  if (!value) return std::unexpected(value.error());
  request.iova = *value;
  return request;
}

std::string hex(std::uint64_t value) { return fmt::format("0x{:x}", value); }

std::string size_name(unsigned size_lg2) {
  if (size_lg2 >= 64) return "all";
  constexpr char const* units[] = {"B", "K", "M", "G", "T", "P", "E"};
  return fmt::format("{}{}", bit(size_lg2 % 10), units[size_lg2 / 10]);
}

std::string size_list(std::uint64_t page_sizes) {
  std::string text;
  for (unsigned lg2 = 0; lg2 < 64; lg2++) {
    if ((page_sizes >> lg2 & 1) == 0) continue;
    unsigned last = lg2;
    while (last + 1 < 64 && (page_sizes >> (last + 1) & 1) != 0) last++;
    text.append(text.empty() ? "" : " ").append(size_name(lg2));
    if (last > lg2 + 1) {
      text.append("..").append(size_name(last));
      lg2 = last;
    }
  }
  return text;
}

}  // namespace swiommu::tools

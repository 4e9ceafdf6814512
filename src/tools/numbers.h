// Numbers, addresses and device ids as people type them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "swiommu/base/access.h"
#include "swiommu/base/result.h"

namespace swiommu::tools {

// Decimal, or hexadecimal with 0x. `what` names the value in the error: "the root '0xzz' is no number (0x1000 or 4096)".
Result<std::uint64_t> parse_number(std::string_view text, std::string_view what);

// A number, or a PCI address: "0x28", "00:05.0", "0000:00:05.0".
Result<std::uint32_t> parse_device(std::string_view text);

// One access: "IOVA", "IOVA:r" or "IOVA:w".
struct Request {
  std::uint64_t iova = 0;
  Access access = Access::reading();
};
Result<Request> parse_request(std::string_view text);

// "0x1000"
std::string hex(std::uint64_t value);

// "4K", "2M", "1G", "512G"
std::string size_name(unsigned size_lg2);

// "4K 2M 1G"; where every power of two is there, "4K..256G".
std::string size_list(std::uint64_t page_sizes);

}  // namespace swiommu::tools

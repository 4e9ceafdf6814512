// A device with one port and one paging domain over 8 MiB of memory, for the tests of ports.
#pragma once
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <vector>

#include "flat_memory.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/paging_domain.h"
#include "user_table.h"

namespace swiommu {

inline constexpr std::uint64_t page = FlatMemory::page;
inline constexpr Attributes read_write{.access = Access::both()};
inline constexpr FormatConfiguration vtd{.format = FormatName::vtd_second_stage, .levels = 4};

struct PortTest : testing::Test {
  std::shared_ptr<PagingDomain> make_domain(FormatConfiguration const& format = vtd, Limits limits = {}) const {
    return PagingDomain::create(host, format, limits).value();
  }
  // Page `iova` of the domain to page `n` of the memory.
  void map(std::uint64_t iova, std::uint64_t n, std::uint64_t pages = 1, Access access = Access::both()) const {
    Range const range{iova * page, (iova + pages) * page - 1};
    ASSERT_TRUE(domain->map(range, memory->address(n), {.access = access}));
  }
  std::expected<Chunk, FaultRecord> translate(std::uint64_t iova, Access access) const {
    Port::Guard const guard(*port);
    return port->translate(guard, Iova(iova), access);
  }
  std::uint8_t read_byte(std::uint64_t iova) const {
    std::uint8_t byte = 0;
    EXPECT_TRUE(port->read(Iova(iova), &byte, 1).ok());
    return byte;
  }
  std::uint64_t walks_of(auto&& call) const {
    std::uint64_t const before = port->walks();
    call();
    return port->walks() - before;
  }

  std::shared_ptr<FlatMemory> memory = std::make_shared<FlatMemory>(2048, std::uint64_t{1} << 32);  // 8 MiB
  Host host = Host::create(memory).value();
  std::shared_ptr<PagingDomain> domain = make_domain();
  std::shared_ptr<Device> device = Device::create(host, {.requester_id = 0x1a8, .pasid_bits = 8}).value();
  std::unique_ptr<Port> port = device->open_port().value();
};

inline std::vector<std::uint8_t> pattern(std::size_t length) {
  std::vector<std::uint8_t> bytes(length);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{1});
  return bytes;
}

}  // namespace swiommu

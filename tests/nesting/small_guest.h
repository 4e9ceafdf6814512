// A guest of a megabyte with a user page table written by hand: VT-d second stage of three levels, whose words are easy
// (bit 0 read, bit 1 write).
#pragma once
#include <gtest/gtest.h>

#include "nesting/host_memory.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/paging_domain.h"

namespace swiommu::nesting {

class SmallGuest : public testing::Test {
 protected:
  static constexpr std::uint64_t r = 1, w = 2, rw = 3, accessed = bit(8), dirty = bit(9);
  static constexpr std::uint64_t guest = 0x100000;  // guest address of the first byte
  static constexpr std::uint64_t size = 0x100000;
  static constexpr std::uint64_t host_base = 0x7000000;  // its host address
  static constexpr std::uint64_t root = guest, level1 = guest + 0x1000, level0 = guest + 0x2000;
  static constexpr std::uint64_t data = guest + 0x10000;  // free for use behind
  static constexpr std::uint64_t nowhere = 0x40000000;    // a guest address that the parent does not map
  static constexpr FormatConfiguration vtd{.format = FormatName::vtd_second_stage, .levels = 3};
  static constexpr FormatConfiguration vtd_flags{
      .format = FormatName::vtd_second_stage, .levels = 3, .accessed_updates = true, .dirty_updates = true};

  explicit SmallGuest(FormatConfiguration const& parent_format = vtd) : parent(*PagingDomain::create(host, parent_format)) {
    EXPECT_TRUE(parent->map({guest, guest + size - 1}, HostAddress(host_base), {.access = Access::both()}));
    word(root) = level1 | rw;
    word(level1) = level0 | rw;
  }

  static constexpr std::uint64_t to_host(std::uint64_t address) { return address - guest + host_base; }
  [[nodiscard]] std::uint64_t& word(std::uint64_t address) const { return memory->word(to_host(address)); }
  // The leaf word of one of the first 512 pages of iovas.
  [[nodiscard]] std::uint64_t& leaf(std::uint64_t page) const { return word(level0 + page * 8); }
  static constexpr std::uint64_t iova(std::uint64_t page) { return page << 12; }

  // One page of the parent.
  void protect(std::uint64_t page, Access access) {
    ASSERT_TRUE(parent->replace({page, page + 0xfff}, HostAddress(to_host(page)), {.access = access}));
  }

  [[nodiscard]] std::shared_ptr<NestedDomain> nested(FormatConfiguration const& format = vtd, Limits limits = {}) const {
    return *NestedDomain::create(parent, UserPageTable{.format = format, .root = root}, std::nullopt, limits);
  }

  std::shared_ptr<HostMemory> const memory = std::make_shared<HostMemory>(host_base, size);
  Host const host = *Host::create(memory);
  std::shared_ptr<PagingDomain> parent;
};

// A device with one port, attached.
struct Attached {
  Attached(Host const& host, std::shared_ptr<Domain> domain, DeviceOptions const& options = {})
      : device(*Device::create(host, options)) {
    EXPECT_TRUE(device->attach(std::move(domain)));
    port = *device->open_port();
  }
  // Reason::none if the access succeeds.
  Reason read(std::uint64_t iova) { return reason(port->read(Iova(iova), &word, sizeof(word))); }
  Reason write(std::uint64_t iova, std::uint64_t value) { return reason(port->write(Iova(iova), &value, sizeof(value))); }

  std::shared_ptr<Device> device;
  std::unique_ptr<Port> port;
  std::uint64_t word = 0;  // the one last read

 private:
  static Reason reason(DmaResult const& result) { return result.fault ? result.fault->reason : Reason::none; }
};

}  // namespace swiommu::nesting

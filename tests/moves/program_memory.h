// For tests: a program's own mappings, pinned for a device, and the program that takes them away.
#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "swiommu/device/port.h"
#include "swiommu/domain/io_address_space.h"
#include "swiommu/domain/relocations.h"

namespace swiommu {

inline constexpr std::uint64_t page = host_page_size;
inline constexpr Attributes read_write{.access = Access::both()};

// Mapped by the program somewhere, at a multiple of 2 MiB, and unmapped with whatever is there then.
class ProgramMemory {
 public:
  explicit ProgramMemory(std::uint64_t pages, int flags = MAP_PRIVATE | MAP_ANONYMOUS) : length_(pages * page) {
    constexpr std::uint64_t alignment = std::uint64_t{2} << 20;
    whole_length_ = length_ + 2 * alignment;
    whole_ =
        static_cast<std::byte*>(::mmap(nullptr, whole_length_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    data_ = whole_ + alignment - reinterpret_cast<std::uintptr_t>(whole_) % alignment;
    map(0, pages, flags);
  }
  ~ProgramMemory() { ::munmap(whole_, whole_length_); }
  ProgramMemory(ProgramMemory const&) = delete;
  ProgramMemory& operator=(ProgramMemory const&) = delete;

  // New memory in the place of pages, whatever was there.
  void map(std::uint64_t first, std::uint64_t pages, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int descriptor = -1,
           std::uint64_t offset = 0) {
    void* const got =
        ::mmap(at(first), pages * page, PROT_READ | PROT_WRITE, flags | MAP_FIXED, descriptor, static_cast<off_t>(offset));
    ASSERT_EQ(got, at(first));
  }

  [[nodiscard]] std::byte* at(std::uint64_t n) const { return data_ + n * page; }
  [[nodiscard]] std::uint64_t pages() const { return length_ / page; }

  // Page n of them holds n + what.
  void fill(unsigned what, std::uint64_t first, std::uint64_t count) const {
    for (std::uint64_t n = first; n < first + count; n++) std::memset(at(n), static_cast<int>((n + what) & 0xff), page);
  }
  void fill(unsigned what) const { fill(what, 0, pages()); }
  [[nodiscard]] bool holds(std::uint64_t n, unsigned what) const { return all(at(n), (n + what) & 0xff); }

  static bool all(std::byte const* from, unsigned what) {
    return std::all_of(from, from + page, [&](std::byte byte) { return byte == std::byte(what & 0xff); });
  }

 private:
  std::uint64_t const length_;
  std::uint64_t whole_length_;
  std::byte* whole_;
  std::byte* data_;
};

// One device over an I/O address space, whose program promises nothing.
class MovedMemoryTest : public testing::Test {
 protected:
  static constexpr std::uint64_t first_iova = std::uint64_t{1} << 30;

  MovedMemoryTest() {
    EXPECT_TRUE(relocations_.add(space_));
    EXPECT_TRUE(space_->attach_domain(domain_));
    EXPECT_TRUE(device_->attach(domain_));
    port_ = std::move(*device_->open_port());
  }

  std::shared_ptr<Pages> pages_of(ProgramMemory const& program, bool writable = true) {
    return std::make_shared<Pages>(*UserMemory::create(*memory_, program.at(0), program.pages() * page, writable), account_);
  }
  // All of it, at first_iova.
  std::shared_ptr<Pages> pin(ProgramMemory const& program) {
    auto pages = pages_of(program);
    EXPECT_TRUE(space_->map(Iova(first_iova), {pages, 0, program.pages() * page}, read_write));
    return pages;
  }
  static Iova iova(std::uint64_t n) { return Iova(first_iova + n * page); }

  // What the device finds in page n: n + `what` throughout?
  [[nodiscard]] bool device_sees(std::uint64_t n, unsigned what) {
    std::vector<std::byte> bytes(page);
    return port_->read(iova(n), bytes.data(), page).ok() && ProgramMemory::all(bytes.data(), (n + what) & 0xff);
  }
  [[nodiscard]] bool device_writes(std::uint64_t n, unsigned what) {
    std::vector<std::byte> const bytes(page, std::byte((n + what) & 0xff));
    return port_->write(iova(n), bytes.data(), page).ok();
  }
  [[nodiscard]] bool device_faults(std::uint64_t n) {
    std::byte byte;
    return !port_->read(iova(n), &byte, 1).ok();
  }
  // What a program's munmap looks like from here, or its mmap, with other contents in the place.
  void unmap(ProgramMemory& program, std::uint64_t first, std::uint64_t count) {
    ASSERT_TRUE(relocations_.move_aside(program.at(first), count * page));
    ::munmap(program.at(first), count * page);
  }
  void map_over(ProgramMemory& program, std::uint64_t first, std::uint64_t count, unsigned what) {
    ASSERT_TRUE(relocations_.move_aside(program.at(first), count * page));
    program.map(first, count);
    program.fill(what, first, count);
  }

  std::shared_ptr<HostAddressSpace> memory_ = *HostAddressSpace::create(std::uint64_t{16} << 30);
  Host host_ = *Host::create(memory_);
  std::shared_ptr<Account> account_ = std::make_shared<Account>(10000);
  std::shared_ptr<IoAddressSpace> space_ = *IoAddressSpace::create();
  std::shared_ptr<PagingDomain> domain_ = *PagingDomain::create(host_, {});
  std::shared_ptr<Device> device_ = *Device::create(host_);
  Relocations relocations_{memory_};
  std::unique_ptr<Port> port_;
};

}  // namespace swiommu

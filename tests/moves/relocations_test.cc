// What becomes of pinned memory when its program takes it away.
#include "swiommu/domain/relocations.h"

#include <unistd.h>

#include "failing_new.h"
#include "program_memory.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/shadow_domain.h"
#include "user_table.h"

namespace swiommu {
namespace {

class Relocated : public MovedMemoryTest {};

TEST_F(Relocated, UnmappedPagesStayTheDevices) {
  ProgramMemory program(16);
  program.fill(1);
  pin(program);
  unmap(program, 0, 16);
  for (std::uint64_t n = 0; n < 16; n++) EXPECT_TRUE(device_sees(n, 1)) << n;
  program.map(0, 16);
  program.fill(100);
  for (std::uint64_t n = 0; n < 16; n++) {
    EXPECT_TRUE(device_writes(n, 50)) << n;
    EXPECT_TRUE(device_sees(n, 50)) << n;
    EXPECT_TRUE(program.holds(n, 100)) << n;
  }
}

TEST_F(Relocated, OnlyThePagesThatAreTakenAwayMove) {
  ProgramMemory program(1024);
  program.fill(1);
  pin(program);
  map_over(program, 600, 3, 70);
  for (std::uint64_t n = 590; n < 610; n++) EXPECT_TRUE(device_sees(n, 1)) << n;
  EXPECT_TRUE(device_writes(599, 9));
  EXPECT_TRUE(device_writes(600, 9));
  EXPECT_TRUE(device_writes(602, 9));
  EXPECT_TRUE(device_writes(603, 9));
  EXPECT_TRUE(program.holds(599, 9));
  EXPECT_TRUE(program.holds(600, 70));
  EXPECT_TRUE(program.holds(602, 70));
  EXPECT_TRUE(program.holds(603, 9));
  EXPECT_TRUE(device_sees(601, 1));
}

TEST_F(Relocated, WhatIsMappedThereLaterAndPinnedAgainMovesByItself) {
  ProgramMemory program(4);
  program.fill(1);
  pin(program);
  map_over(program, 1, 2, 30);
  auto const again = pages_of(program);
  ASSERT_TRUE(space_->map(Iova(0), {again, 0, 4 * page}, read_write));
  std::byte byte;
  ASSERT_TRUE(port_->read(Iova(page), &byte, 1).ok());
  EXPECT_EQ(byte, std::byte{31});
  map_over(program, 0, 4, 60);
  ASSERT_TRUE(port_->read(Iova(page), &byte, 1).ok());
  EXPECT_EQ(byte, std::byte{31});
  ASSERT_TRUE(port_->read(Iova(0), &byte, 1).ok());
  EXPECT_EQ(byte, std::byte{1});
  for (std::uint64_t n = 0; n < 4; n++) EXPECT_TRUE(device_sees(n, 1)) << n;
  // Page 3 is one page behind both.
  ASSERT_TRUE(device_writes(3, 5));
  ASSERT_TRUE(port_->read(Iova(3 * page), &byte, 1).ok());
  EXPECT_EQ(byte, std::byte{8});
  for (std::uint64_t n = 0; n < 4; n++) EXPECT_TRUE(program.holds(n, 60)) << n;
}

TEST_F(Relocated, TheMappingStaysBehindEmpty) {
  ProgramMemory program(8);
  program.fill(1);
  pin(program);
  ASSERT_TRUE(relocations_.move_aside(program.at(2), 3 * page));
  for (std::uint64_t n = 2; n < 5; n++) EXPECT_TRUE(ProgramMemory::all(program.at(n), 0)) << n;
  for (std::uint64_t n = 0; n < 8; n++) EXPECT_TRUE(device_sees(n, 1)) << n;
}

TEST_F(Relocated, WhatMovedIsUnmappedWithTheLastPin) {
  ProgramMemory program(8);
  program.fill(1);
  auto const pages = pin(program);
  unmap(program, 0, 8);
  HostAddress const moved = pages->host_address(0);
  EXPECT_TRUE(memory_->reserve().contains(moved.value));
  EXPECT_TRUE(memory_->locate(moved.value, Access::both()));
  EXPECT_EQ(account_->charged(), 8u);
  ASSERT_TRUE(space_->unmap({first_iova, first_iova + 8 * page - 1}));
  EXPECT_FALSE(memory_->locate(moved.value, Access::reading()));
  EXPECT_NE(::msync(memory_->pointer(moved), page, MS_ASYNC) == 0 && ::madvise(memory_->pointer(moved), page, 22) == 0, true);
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_FALSE(relocations_.any());
  EXPECT_TRUE(device_faults(0));
}

TEST_F(Relocated, PinnedAnewItIsWhatTheProgramHasThereNow) {
  ProgramMemory program(8);
  program.fill(1);
  auto const pages = pin(program);
  map_over(program, 2, 4, 40);
  EXPECT_TRUE(device_sees(3, 1));
  ASSERT_TRUE(space_->detach_domain(*domain_));
  ASSERT_TRUE(space_->attach_domain(domain_));
  EXPECT_TRUE(device_sees(1, 1));
  EXPECT_TRUE(device_sees(3, 40));
  ASSERT_TRUE(device_writes(3, 7));
  EXPECT_TRUE(program.holds(3, 7));
  EXPECT_EQ(memory_->pointer(pages->host_address(0)), program.at(0));
}

TEST_F(Relocated, APinOfPartKeepsThatPart) {
  ProgramMemory program(8);
  program.fill(1);
  auto const pages = pages_of(program);
  ASSERT_TRUE(space_->map(iova(0), {pages, 0, 4 * page}, read_write));
  ASSERT_TRUE(space_->map(iova(4), {pages, 4 * page, 4 * page}, read_write));
  map_over(program, 0, 8, 40);
  ASSERT_TRUE(space_->unmap({iova(0).value, iova(4).value - 1}));
  for (std::uint64_t n = 4; n < 8; n++) EXPECT_TRUE(device_sees(n, 1)) << n;
  ASSERT_TRUE(space_->map(iova(0), {pages, 0, 4 * page}, read_write));
  EXPECT_TRUE(device_sees(0, 40));
}

TEST_F(Relocated, WhatIsNotPinnedStays) {
  ProgramMemory program(4);
  program.fill(1);
  ASSERT_TRUE(space_->detach_domain(*domain_));
  pin(program);
  EXPECT_FALSE(relocations_.any());
  map_over(program, 0, 4, 20);
  ASSERT_TRUE(space_->attach_domain(domain_));
  EXPECT_TRUE(device_sees(0, 20));
}

TEST_F(Relocated, AllAddressSpacesAndDomainsSeeTheSamePages) {
  ProgramMemory program(8);
  program.fill(1);
  pin(program);
  auto const other = *IoAddressSpace::create();
  ASSERT_TRUE(relocations_.add(other));
  auto const second = *PagingDomain::create(host_, {.format = FormatName::amd_v1});
  auto const third = *PagingDomain::create(host_, {.format = FormatName::arm_stage2});
  ASSERT_TRUE(space_->attach_domain(second));
  ASSERT_TRUE(other->attach_domain(third));
  ASSERT_TRUE(other->copy(*space_, {first_iova, first_iova + 8 * page - 1}, Iova(0x5000), read_write));
  map_over(program, 1, 6, 90);
  auto const fourth = *PagingDomain::create(host_, {});
  ASSERT_TRUE(other->attach_domain(fourth));
  for (std::uint64_t n = 0; n < 8; n++) {
    auto const output = [&](PagingDomain const& domain, std::uint64_t at) {
      Translation const t = domain.translate(at, Access::both(), Update::no);
      EXPECT_TRUE(t.ok());
      return t.output;
    };
    EXPECT_TRUE(device_sees(n, 1)) << n;
    std::uint64_t const there = output(*domain_, iova(n).value);
    EXPECT_EQ(output(*second, iova(n).value), there);
    EXPECT_EQ(output(*third, 0x5000 + n * page), there);
    EXPECT_EQ(output(*fourth, 0x5000 + n * page), there);
  }
  EXPECT_EQ(account_->charged(), 8u);
}

TEST_F(Relocated, SeveralMappingsMoveEachByItself) {
  ProgramMemory program(12);
  program.map(3, 2, MAP_SHARED | MAP_ANONYMOUS);
  program.map(8, 2, MAP_SHARED | MAP_ANONYMOUS);
  program.fill(1);
  pin(program);
  unmap(program, 0, 12);
  for (std::uint64_t n = 0; n < 12; n++) {
    EXPECT_TRUE(device_sees(n, 1)) << n;
    EXPECT_TRUE(device_writes(n, 2)) << n;
    EXPECT_TRUE(device_sees(n, 2)) << n;
  }
}

TEST_F(Relocated, SharedPagesStayShared) {
  int const descriptor = ::memfd_create("moved", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(descriptor, 4 * page), 0);
  ProgramMemory program(4), other(4);
  program.map(0, 4, MAP_SHARED, descriptor);
  other.map(0, 4, MAP_SHARED, descriptor);
  program.fill(1);
  pin(program);
  ASSERT_TRUE(relocations_.move_aside(program.at(0), 4 * page, Relocations::Way::move_private));
  EXPECT_TRUE(program.holds(0, 1));
  unmap(program, 0, 4);
  EXPECT_TRUE(device_sees(2, 1));
  ASSERT_TRUE(device_writes(2, 33));
  EXPECT_TRUE(other.holds(2, 33));
  ::close(descriptor);
}

TEST_F(Relocated, WhatIsCutOutOfAFileIsKeptAsACopy) {
  int const descriptor = ::memfd_create("moved", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(descriptor, 4 * page), 0);
  ProgramMemory program(4);
  program.map(0, 4, MAP_SHARED, descriptor);
  program.fill(1);
  pin(program);
  ASSERT_TRUE(relocations_.move_aside(program.at(1), 2 * page, Relocations::Way::copy));
  ASSERT_EQ(::madvise(program.at(1), 2 * page, MADV_REMOVE), 0);
  for (std::uint64_t n = 0; n < 4; n++) EXPECT_TRUE(device_sees(n, 1)) << n;
  ASSERT_TRUE(device_writes(1, 5));
  ASSERT_TRUE(device_writes(3, 5));
  EXPECT_TRUE(ProgramMemory::all(program.at(1), 0));
  EXPECT_TRUE(program.holds(3, 5));
  ::close(descriptor);
}

TEST_F(Relocated, RemappedPagesGoWithTheProgram) {
  ProgramMemory program(8), elsewhere(8);
  program.fill(1);
  pin(program);
  void* const moved = relocations_.follow(program.at(2), 4 * page, [&]() -> void* {
    void* const got = ::mremap(program.at(2), 4 * page, 4 * page, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere.at(0));
    return got == MAP_FAILED ? nullptr : got;
  });
  ASSERT_EQ(moved, elsewhere.at(0));
  for (std::uint64_t n = 0; n < 8; n++) EXPECT_TRUE(device_sees(n, 1)) << n;
  ASSERT_TRUE(device_writes(3, 8));
  EXPECT_TRUE(ProgramMemory::all(elsewhere.at(1), 11));
  program.map(2, 4);
  program.fill(200, 2, 4);
  EXPECT_TRUE(device_sees(3, 8));
  // From there, they can be taken away again.
  EXPECT_TRUE(relocations_.concerns(elsewhere.at(1), 1));
  map_over(elsewhere, 0, 8, 77);
  EXPECT_TRUE(device_sees(2, 1));
  EXPECT_TRUE(device_sees(3, 8));
  ASSERT_TRUE(device_writes(3, 3));
  EXPECT_TRUE(elsewhere.holds(1, 77));
  EXPECT_TRUE(program.holds(3, 200));
  ASSERT_TRUE(space_->unmap_all());
  EXPECT_FALSE(relocations_.any());
}

TEST_F(Relocated, ARemappingThatFailsChangesNothing) {
  ProgramMemory program(4);
  program.fill(1);
  pin(program);
  EXPECT_EQ(relocations_.follow(program.at(0), 4 * page,
                                [&]() -> void* {
                                  errno = EFAULT;
                                  return nullptr;
                                }),
            nullptr);
  EXPECT_EQ(errno, EFAULT);
  ASSERT_TRUE(device_writes(3, 9));
  EXPECT_TRUE(program.holds(3, 9));
}

TEST_F(Relocated, WhatWasReplacedUnseenIsLostAndNotTouched) {
  ProgramMemory program(8);
  program.fill(1);
  auto const pages = pin(program);
  program.map(2, 2);
  program.fill(60, 2, 2);
  relocations_.lose(program.at(2), 2 * page);
  EXPECT_TRUE(device_sees(1, 1));
  EXPECT_TRUE(device_faults(2));
  EXPECT_FALSE(device_writes(3, 1));
  EXPECT_TRUE(device_sees(4, 1));
  EXPECT_TRUE(program.holds(2, 60));
  EXPECT_TRUE(program.holds(3, 60));
  // Nor by domains that come later, but by who pins anew.
  auto const late = *PagingDomain::create(host_, {});
  ASSERT_TRUE(space_->attach_domain(late));
  EXPECT_FALSE(late->translate(iova(2).value, Access::reading(), Update::no).ok());
  ASSERT_TRUE(space_->unmap_all());
  ASSERT_TRUE(space_->map(iova(0), {pages, 0, 8 * page}, read_write));
  EXPECT_TRUE(device_sees(2, 60));
}

TEST_F(Relocated, APinnedHoleIsLost) {
  ProgramMemory program(8);
  program.fill(1);
  pin(program);
  ::munmap(program.at(3), 2 * page);
  ASSERT_TRUE(relocations_.move_aside(program.at(0), 8 * page));
  program.map(0, 8);
  program.fill(50);
  EXPECT_TRUE(device_sees(2, 1));
  EXPECT_TRUE(device_faults(3));
  EXPECT_TRUE(device_faults(4));
  EXPECT_TRUE(device_sees(5, 1));
}

// A user page table, and what it leads to, lie in the memory that moves.
TEST_F(Relocated, SecondLevelsFollow) {
  ProgramMemory program(64);
  pin(program);
  Range const tables{iova(32).value, iova(64).value - 1}, data{0, 16 * page - 1};
  UserTable user({.format = FormatName::x86_64, .levels = 4}, *domain_, tables);
  ASSERT_TRUE(user.map(data, iova(0).value));
  program.fill(1, 0, 16);
  constexpr Pasid nested = 1, shadow = 2;
  ASSERT_TRUE(device_->attach(*NestedDomain::create(domain_, user.description()), nested));
  auto const composed = *ShadowDomain::create(domain_, user.description());
  ASSERT_TRUE(composed->refresh(Range::all()));
  ASSERT_TRUE(device_->attach(composed, shadow));
  auto const sees = [&](Pasid pasid, unsigned what) {
    std::vector<std::byte> bytes(page);
    for (std::uint64_t n = 0; n < 16; n++) {
      if (!port_->read(Iova(n * page), bytes.data(), page, pasid).ok()) return false;
      if (!ProgramMemory::all(bytes.data(), (n + what) & 0xff)) return false;
    }
    return true;
  };
  for (std::uint64_t const first : {0, 32}) {
    map_over(program, first, 32, 200);
    EXPECT_TRUE(sees(nested, 1)) << first;
    EXPECT_TRUE(sees(shadow, 1)) << first;
  }
}

// Each allocation fails once: it is refused and nothing has changed, or what could not be kept makes DMA fault.
TEST_F(Relocated, WithoutMemoryNothingIsTouchedThatIsNotPinned) {
  unsigned refused = 0;
  for (std::uint64_t successes = 0;; successes++) {
    ProgramMemory program(8);
    program.map(3, 2, MAP_SHARED | MAP_ANONYMOUS);
    program.fill(1);
    pin(program);
    FailingNew failing(successes);
    auto const moved = relocations_.move_aside(program.at(1), 6 * page);
    failing.allow();
    if (!moved) {
      refused++;
      ASSERT_EQ(moved.error().code, ENOMEM);
      for (std::uint64_t n = 0; n < 8; n++) ASSERT_TRUE(program.holds(n, 1) && device_sees(n, 1)) << successes << " " << n;
    } else {
      program.map(1, 6);
      program.fill(90, 1, 6);
      for (std::uint64_t n = 0; n < 8; n++) {
        bool const home = n == 0 || n == 7;
        ASSERT_TRUE(device_sees(n, 1) || (!home && failing.failed() && device_faults(n))) << successes << " " << n;
        (void)device_writes(n, 2);
        ASSERT_TRUE(program.holds(n, home ? 2 : 90)) << successes << " " << n;
      }
    }
    ASSERT_TRUE(space_->unmap_all());
    ASSERT_FALSE(relocations_.any());
    ASSERT_EQ(account_->charged(), 0u);
    if (moved && !failing.failed()) break;
  }
  EXPECT_GT(refused, 10u);
}

TEST_F(Relocated, WhatMovedCountsAsWritten) {
  auto const tracking = *PagingDomain::create(host_, {.format = FormatName::amd_v1, .dirty_updates = true});
  ASSERT_TRUE(tracking->shape().tracks_dirty);
  ASSERT_TRUE(space_->attach_domain(tracking));
  ProgramMemory program(8);
  pin(program);
  map_over(program, 2, 3, 1);
  std::vector<Range> dirty;
  ASSERT_TRUE(
      tracking->read_dirty({first_iova, first_iova + 8 * page - 1}, Clear::no, [&](Range range) { dirty.push_back(range); }));
  std::uint64_t bytes = 0;
  for (Range const range : dirty) bytes += range.length();
  EXPECT_EQ(bytes, 3 * page);
}

TEST_F(Relocated, NotInsideAGuard) {
  ProgramMemory program(4);
  pin(program);
  Port::Guard const guard(*port_);
  EXPECT_EQ(relocations_.move_aside(program.at(0), page).error().code, EDEADLK);
}

}  // namespace
}  // namespace swiommu

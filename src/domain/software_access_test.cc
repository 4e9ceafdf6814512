#include "swiommu/domain/software_access.h"

#include <sys/mman.h>

#include <cstring>
#include <optional>

#include "failing_new.h"
#include "io_address_space_fixture.h"

namespace swiommu {
namespace {

class SoftwareAccessTest : public IoAddressSpaceTest {
 protected:
  using Use = SoftwareAccess::Use;

  // Unpins all that it was asked for.
  std::shared_ptr<SoftwareAccess> pinner() {
    auto made = SoftwareAccess::create(Use::pins, [this](Range iovas) {
      asked_.push_back(iovas);
      std::erase_if(held_, [&](Range held) {
        if (!held.overlaps(iovas)) return false;
        access_->unpin(held.start, held.length());
        return true;
      });
    });
    access_ = *made;
    return access_;
  }
  int pin(std::uint64_t iova, std::uint64_t length, bool write = false) {
    auto const slices = access_->pin(iova, length, write);
    if (slices) held_.push_back({iova, iova + length - 1});
    return code_of(slices);
  }
  static std::span<std::byte const> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

  std::shared_ptr<SoftwareAccess> access_;
  std::vector<Range> asked_, held_;
};

TEST_F(SoftwareAccessTest, PinsWhatIsMappedOnceWithTheDomains) {
  auto const pages = memory(8);
  auto const d = domain();
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, page, 4 * page}, read_write));
  ASSERT_TRUE(space_->map(Iova(0x14000), {pages, 6 * page, 2 * page}, read_write));
  ASSERT_TRUE(pinner()->attach(space_));
  EXPECT_EQ(account_->charged(), 0u);
  auto const slices = access_->pin(0x11000, 4 * page, true);
  ASSERT_TRUE(slices);
  ASSERT_EQ(slices->size(), 2u);
  EXPECT_EQ((*slices)[0].pages, pages);
  EXPECT_EQ((*slices)[0].offset, 2 * page);
  EXPECT_EQ((*slices)[0].length, 3 * page);
  EXPECT_EQ((*slices)[1].offset, 6 * page);
  EXPECT_EQ((*slices)[1].length, page);
  EXPECT_EQ(account_->charged(), 4u);
  ASSERT_TRUE(space_->attach_domain(d));
  EXPECT_EQ(account_->charged(), 6u);
  ASSERT_TRUE(space_->detach_domain(*d));
  EXPECT_EQ(account_->charged(), 4u) << "what software has pinned stays pinned";
  access_->unpin(0x11000, 3 * page);
  EXPECT_EQ(account_->charged(), 4u) << "only exactly what was pinned";
  access_->unpin(0x11000, 4 * page);
  EXPECT_EQ(account_->charged(), 0u);
  access_->unpin(0x11000, 4 * page);
  EXPECT_EQ(account_->charged(), 0u);
}

TEST_F(SoftwareAccessTest, TheSameRangeIsPinnedAsOftenAsAsked) {
  auto const pages = memory(2);
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 2 * page}, read_write));
  ASSERT_TRUE(pinner()->attach(space_));
  ASSERT_TRUE(access_->pin(0x10000, page, false));
  ASSERT_TRUE(access_->pin(0x10000, page, false));
  EXPECT_EQ(account_->charged(), 1u);
  access_->unpin(0x10000, page);
  EXPECT_EQ(account_->charged(), 1u);
  access_->unpin(0x10000, page);
  EXPECT_EQ(account_->charged(), 0u);
}

TEST_F(SoftwareAccessTest, RefusesToPinWhatItMayNot) {
  auto const pages = memory(8);
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 2 * page}, read_only));
  ASSERT_TRUE(space_->map(Iova(0x12000), {pages, 2 * page, page}, {Access{.read = false, .write = true}}));
  pinner();
  EXPECT_EQ(pin(0x10000, 0), EINVAL);
  EXPECT_EQ(pin(~std::uint64_t{0}, 2), EOVERFLOW);
  EXPECT_EQ(pin(0x10000, page), ENOENT) << "attached to nothing";
  ASSERT_TRUE(access_->attach(space_));
  EXPECT_EQ(pin(0x10000, page, true), EPERM);
  EXPECT_EQ(pin(0x12000, page, false), EPERM);
  EXPECT_EQ(pin(0x10000, 3 * page, false), EPERM) << "the second area";
  EXPECT_EQ(pin(0x12000, 2 * page, true), ENOENT) << "a hole behind";
  EXPECT_EQ(pin(0xf000, 2 * page), ENOENT) << "a hole in front";
  EXPECT_EQ(pin(0x10800, page), EINVAL) << "not at a page of memory";
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_EQ(pin(0x10000, 100), 0) << "the end may be anywhere";
  auto const copier = *SoftwareAccess::create(Use::copies);
  ASSERT_TRUE(copier->attach(space_));
  EXPECT_EQ(code_of(copier->pin(0x10000, page, false)), EINVAL);
}

TEST_F(SoftwareAccessTest, AnAreaThatEndsInAPageIsNotFollowedByAnother) {
  auto const pages = memory(8);
  ASSERT_TRUE(pinner()->attach(space_));
  ASSERT_TRUE(access_->detach());
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 0x800}, read_only));
  ASSERT_TRUE(space_->map(Iova(0x10800), {pages, page, page}, read_only));
  EXPECT_EQ(code_of(access_->attach(space_)), EADDRINUSE) << "not aligned to the host's pages";
  EXPECT_EQ(*space_->alignment(), 1u);
}

TEST_F(SoftwareAccessTest, RaisesTheAlignmentWhileAttached) {
  auto const pages = memory(8);
  ASSERT_TRUE(pinner()->attach(space_));
  auto const copier = *SoftwareAccess::create(Use::copies), locker = *SoftwareAccess::create(Use::locks);
  EXPECT_EQ(*space_->alignment(), page);
  EXPECT_EQ(code_of(space_->map(Iova(0x10800), {pages, 0, page}, read_write)), EINVAL);
  ASSERT_TRUE(access_->detach());
  ASSERT_TRUE(copier->attach(space_));
  EXPECT_EQ(*space_->alignment(), 1u);
  ASSERT_TRUE(locker->attach(space_));
  EXPECT_EQ(*space_->alignment(), page);
  ASSERT_TRUE(locker->detach());
  EXPECT_EQ(*space_->alignment(), 1u);
}

TEST_F(SoftwareAccessTest, UnmappingAsksForTheMemoryBack) {
  auto const pages = memory(8);
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 2 * page}, read_write));
  ASSERT_TRUE(space_->map(Iova(0x20000), {pages, 2 * page, 2 * page}, read_write));
  ASSERT_TRUE(pinner()->attach(space_));
  ASSERT_EQ(pin(0x10000, page), 0);
  ASSERT_EQ(pin(0x20000, page), 0);
  EXPECT_EQ(code_of(space_->unmap({0x20000, 0x20fff})), ENOENT);
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(*space_->unmap({0x20000, 0x21fff}), 2 * page);
  EXPECT_EQ(asked_, (std::vector<Range>{{0x20000, 0x21fff}}));
  EXPECT_EQ(account_->charged(), 1u);
  EXPECT_EQ(*space_->unmap_all(), 2 * page);
  EXPECT_EQ(account_->charged(), 0u);
}

TEST_F(SoftwareAccessTest, AnAreaThatIsBeingUnmappedCannotBePinned) {
  auto const pages = memory(2);
  int pinned_meanwhile = 0, read_meanwhile = 0;
  std::shared_ptr<SoftwareAccess> access;
  access = *SoftwareAccess::create(Use::pins, [&](Range) {
    std::byte byte{};
    pinned_meanwhile = code_of(access->pin(0x10000, page, false));
    read_meanwhile = code_of(access->read(0x10000, {&byte, 1}));
    access->unpin(0x10000, page);
  });
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, page}, read_write));
  ASSERT_TRUE(access->attach(space_));
  ASSERT_TRUE(access->pin(0x10000, page, false));
  EXPECT_TRUE(space_->unmap_all());
  EXPECT_EQ(pinned_meanwhile, EINVAL);
  EXPECT_EQ(read_meanwhile, EINVAL);
}

TEST_F(SoftwareAccessTest, WhatIsMappedBelowDuringTheCallBackStays) {
  auto const pages = memory(8);
  std::shared_ptr<SoftwareAccess> access;
  access = *SoftwareAccess::create(Use::pins, [&](Range) {
    EXPECT_TRUE(space_->map(Iova(0x10000), {pages, 4 * page, page}, read_write));
    access->unpin(0x20000, page);
  });
  for (std::uint64_t const iova : {0x10000, 0x20000}) ASSERT_TRUE(space_->map(Iova(iova), {pages, 0, page}, read_write));
  ASSERT_TRUE(access->attach(space_));
  ASSERT_TRUE(access->pin(0x20000, page, false));
  EXPECT_EQ(*space_->unmap({0x10000, 0x2ffff}), 2 * page);
  ASSERT_EQ(space_->areas(Range::all())->size(), 1u);
  EXPECT_EQ(space_->areas(Range::all())->front().offset, 4 * page);
}

TEST_F(SoftwareAccessTest, WhoNeverLetsGoIsAskedAHundredTimes) {
  auto const pages = memory(2);
  int asked = 0;
  auto const access = *SoftwareAccess::create(Use::pins, [&](Range) { asked++; });
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, page}, read_write));
  ASSERT_TRUE(access->attach(space_));
  ASSERT_TRUE(access->pin(0x10000, page, false));
  EXPECT_EQ(code_of(space_->unmap_all()), EDEADLK);
  EXPECT_EQ(asked, 101);
  EXPECT_TRUE(access->pin(0x10000, page, false)) << "it stays usable";
  access->unpin(0x10000, page);
  access->unpin(0x10000, page);
  EXPECT_TRUE(space_->unmap_all());
}

TEST_F(SoftwareAccessTest, LocksForbidUnmapping) {
  auto const pages = memory(8);
  auto const locker = *SoftwareAccess::create(Use::locks, [](Range) { ADD_FAILURE() << "nobody asks"; });
  for (std::uint64_t const iova : {0x10000, 0x20000, 0x30000})
    ASSERT_TRUE(space_->map(Iova(iova), {pages, 0, 2 * page}, read_write));
  ASSERT_TRUE(locker->attach(space_));
  ASSERT_TRUE(locker->pin(0x20000, page, false));
  EXPECT_EQ(code_of(space_->unmap({0x20000, 0x21fff})), EBUSY);
  EXPECT_EQ(code_of(space_->unmap({0x20000, 0x20fff})), EBUSY) << "before it is seen that the range is too small";
  EXPECT_EQ(code_of(space_->unmap({0x10000, 0x3ffff})), EBUSY);
  EXPECT_EQ(space_->areas(Range::all())->size(), 3u);
  auto const unmapped = space_->unmap_in_order({0x10000, 0x3ffff});
  EXPECT_EQ(code_of(unmapped.done), EBUSY);
  EXPECT_EQ(unmapped.bytes, 2 * page) << "what is below goes";
  locker->unpin(0x20000, page);
  EXPECT_EQ(*space_->unmap_all(), 4 * page);
}

TEST_F(SoftwareAccessTest, DetachingAndReplacingGiveAllBack) {
  auto const pages = memory(8);
  auto const other = *IoAddressSpace::create();
  for (auto const& each : {space_, other}) ASSERT_TRUE(each->map(Iova(0x10000), {pages, 0, 2 * page}, read_write));
  EXPECT_EQ(code_of(pinner()->detach()), ENOENT);
  EXPECT_EQ(code_of(access_->replace(other)), ENOENT);
  ASSERT_TRUE(access_->attach(space_));
  EXPECT_EQ(code_of(access_->attach(other)), EINVAL);
  ASSERT_EQ(pin(0x10000, page), 0);
  ASSERT_TRUE(access_->replace(space_)) << "the same one";
  EXPECT_TRUE(asked_.empty());
  ASSERT_TRUE(access_->replace(other));
  EXPECT_EQ(asked_, (std::vector<Range>{Range::all()}));
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_EQ(*space_->alignment(), 1u);
  EXPECT_EQ(access_->space(), other);
  ASSERT_TRUE(access_->pin(0x10000, page, false)) << "not known to the call back";
  ASSERT_TRUE(access_->detach());
  EXPECT_EQ(account_->charged(), 0u);
  ASSERT_TRUE(access_->attach(other));
  ASSERT_TRUE(access_->pin(0x10000, page, false));
  access_.reset();
  EXPECT_EQ(account_->charged(), 0u) << "with the object";
  EXPECT_TRUE(other->unmap_all());
}

TEST_F(SoftwareAccessTest, AReplacementThatIsRefusedLeavesItWhereItWas) {
  auto const pages = memory(8);
  auto const other = *IoAddressSpace::create();
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 2 * page}, read_write));
  ASSERT_TRUE(other->map(Iova(0x800), {pages, 0, 0x100}, read_write));
  ASSERT_TRUE(pinner()->attach(space_));
  ASSERT_EQ(pin(0x10000, page), 0);
  EXPECT_EQ(code_of(access_->replace(other)), EADDRINUSE);
  EXPECT_EQ(access_->space(), space_);
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(account_->charged(), 1u);
  EXPECT_EQ(pin(0x11000, page), 0);
}

TEST_F(SoftwareAccessTest, CopiesAcrossAreasAtAnyByte) {
  auto const pages = memory(8);
  auto const copier = *SoftwareAccess::create(Use::copies);
  ASSERT_TRUE(space_->map(Iova(0x10001), {pages, 0x123, 0x10}, read_write));
  ASSERT_TRUE(space_->map(Iova(0x10011), {pages, 3 * page, 0x20}, read_write));
  std::byte out[8] = {};
  EXPECT_EQ(code_of(copier->read(0x10001, out)), ENOENT);
  ASSERT_TRUE(copier->attach(space_));
  ASSERT_TRUE(copier->write(0x1000d, bytes("abcdefgh")));
  EXPECT_EQ(std::memcmp(pages->backing().pointer(0x12f), "abcd", 4), 0);
  EXPECT_EQ(std::memcmp(pages->backing().pointer(3 * page), "efgh", 4), 0);
  ASSERT_TRUE(copier->read(0x1000d, out));
  EXPECT_EQ(std::memcmp(out, "abcdefgh", 8), 0);
  EXPECT_EQ(account_->charged(), 0u);
}

TEST_F(SoftwareAccessTest, RefusesToCopyWhatItMayNot) {
  auto const pages = memory(8);
  auto const copier = *SoftwareAccess::create(Use::copies);
  ASSERT_TRUE(copier->attach(space_));
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, page}, read_only));
  ASSERT_TRUE(space_->map(Iova(0x11000), {pages, page, page}, {Access{.read = false, .write = true}}));
  std::byte out[16] = {};
  EXPECT_EQ(code_of(copier->read(0x10000, {})), EINVAL);
  EXPECT_EQ(code_of(copier->read(~std::uint64_t{0}, out)), EOVERFLOW);
  EXPECT_EQ(code_of(copier->read(0x11000, out)), EPERM);
  EXPECT_EQ(code_of(copier->write(0x10000, out)), EPERM);
  EXPECT_EQ(code_of(copier->read(0x10ff8, out)), EPERM);
  EXPECT_EQ(code_of(copier->read(0xfff8, out)), ENOENT);
  EXPECT_EQ(code_of(copier->write(0x11ff8, out)), ENOENT);
}

TEST_F(SoftwareAccessTest, FindsOutWhenMemoryIsNotThere) {
  void* const data = ::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto const pages = std::make_shared<Pages>(*UserMemory::create(*host_memory_, data, 2 * page, true), account_);
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 2 * page}, read_write));
  ASSERT_TRUE(pinner()->attach(space_));
  std::byte out[16] = {};
  ASSERT_TRUE(access_->write(0x10ff8, out));
  ::munmap(static_cast<std::byte*>(data) + page, page);
  EXPECT_EQ(code_of(access_->write(0x10ff8, out)), EFAULT);
  EXPECT_EQ(code_of(access_->read(0x11000, out)), EFAULT);
  EXPECT_EQ(pin(0x11000, page), EFAULT);
  EXPECT_EQ(pin(0x10000, 2 * page), EFAULT);
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_EQ(pin(0x10000, page), 0);
  access_->unpin(0x10000, page);
  ::munmap(data, page);
}

TEST_F(SoftwareAccessTest, FailsCleanlyWithoutMemory) {
  auto const pages = memory(8);
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 2 * page}, read_write));
  ASSERT_TRUE(space_->map(Iova(0x12000), {pages, 4 * page, 2 * page}, read_write));
  pinner();
  auto const sweep = [&](auto call, auto check) {
    for (std::uint64_t n = 0;; n++) {
      FailingNew failing(n);
      auto const result = call();
      failing.allow();
      ASSERT_EQ(code_of(result), failing.failed() ? ENOMEM : 0);
      if (result) return;
      check();
    }
  };
  sweep([&] { return access_->attach(space_); }, [&] { ASSERT_EQ(*space_->alignment(), 1u); });
  sweep([&] { return access_->pin(0x11000, 2 * page, true); }, [&] { ASSERT_EQ(account_->charged(), 0u); });
  EXPECT_EQ(account_->charged(), 2u);
  ASSERT_TRUE(access_->detach());
}

}  // namespace
}  // namespace swiommu

#include "swiommu/domain/io_address_space.h"

#include <sys/mman.h>

#include <thread>

#include "io_address_space_fixture.h"

namespace swiommu {
namespace {

// Expects the code, and that nothing has changed.
#define EXPECT_REFUSED(code, call, ...)                  \
  do {                                                   \
    Seen const before = look(*space_, {__VA_ARGS__});    \
    EXPECT_EQ(code_of(call), code);                      \
    EXPECT_TRUE(look(*space_, {__VA_ARGS__}) == before); \
  } while (false)

TEST_F(IoAddressSpaceTest, PinsNothingAndLooksAtNoMemoryUntilADomainIsAttached) {
  std::uint64_t const length = 4 * page;
  void* const data = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto const pages = std::make_shared<Pages>(*UserMemory::create(*host_memory_, data, length, true), account_);
  ::munmap(data, length);
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, length}, read_write));
  EXPECT_EQ(account_->charged(), 0u);
  auto const d = domain();
  EXPECT_REFUSED(EFAULT, space_->attach_domain(d), d);
  EXPECT_EQ(space_->iova_ranges()->size(), 1u);
  EXPECT_EQ(code_of(space_->detach_domain(*d)), ENOENT);
}

TEST_F(IoAddressSpaceTest, AttachingMapsEveryAreaAndDetachingUnpins) {
  auto const pages = memory(8);
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, page, 2 * page}, read_only));
  auto const a = domain(), b = domain({.format = FormatName::amd_v1});
  ASSERT_TRUE(space_->attach_domain(a));
  ASSERT_TRUE(space_->attach_domain(b));
  EXPECT_EQ(account_->charged(), 2u);
  ASSERT_TRUE(space_->map(Iova(0x20000), {pages, 2 * page, 2 * page}, read_write));
  EXPECT_EQ(account_->charged(), 3u);
  for (auto const& d : {a, b}) {
    EXPECT_EQ(d->translate(0x11234, Access::reading(), Update::no).output, pages->host_address(2 * page + 0x234).value);
    EXPECT_EQ(d->translate(0x11234, Access::writing(), Update::no).reason, Reason::permission);
    EXPECT_EQ(d->translate(0x20000, Access::writing(), Update::no).output, pages->host_address(2 * page).value);
    EXPECT_EQ(d->translate(0x12000, Access::reading(), Update::no).reason, Reason::not_mapped);
  }
  EXPECT_REFUSED(EEXIST, space_->attach_domain(a), a, b);
  ASSERT_TRUE(space_->detach_domain(*a));
  EXPECT_TRUE(leaves(*a).empty());
  EXPECT_EQ(leaves(*b).size(), 4u);
  EXPECT_EQ(account_->charged(), 3u);
  ASSERT_TRUE(space_->detach_domain(*b));
  EXPECT_TRUE(leaves(*b).empty());
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_EQ(*space_->alignment(), 1u);
  EXPECT_EQ(space_->areas(Range::all())->size(), 2u);
}

TEST_F(IoAddressSpaceTest, RefusesBadMappings) {
  auto const pages = memory(8);
  auto const readable = std::make_shared<Pages>(*[&] {
    auto const file = *SharedMemory::create(*host_memory_, page);
    return SharedMemory::map(*host_memory_, file->descriptor(), 0, page, false);
  }());
  auto const d = domain();
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 2 * page}, read_write));
  auto const refused = [&](int code, std::uint64_t iova, PagesSlice const& slice, Attributes attributes) {
    EXPECT_REFUSED(code, space_->map(Iova(iova), slice, attributes), d);
  };
  for (bool const attached : {false, true}) {
    if (attached) {
      ASSERT_TRUE(space_->attach_domain(d));
    }
    refused(EINVAL, 0x20000, {nullptr, 0, page}, read_write);
    refused(EINVAL, 0x20000, {pages, 0, 0}, read_write);
    refused(ERANGE, 0x20000, {pages, 7 * page, 2 * page}, read_write);
    refused(ERANGE, 0x20000, {pages, 9 * page, page}, read_write);
    refused(ERANGE, 0x20000, {pages, page, ~std::uint64_t{0} & ~(page - 1)}, read_write);
    refused(EPERM, 0x20000, {readable, 0, page}, read_write);
    refused(EEXIST, 0xf000, {pages, 0, 2 * page}, read_write);
    refused(EEXIST, 0x11000, {pages, 0, 2 * page}, read_write);
    refused(EOVERFLOW, 0 - page, {pages, 0, 2 * page}, read_write);
  }
  refused(EINVAL, 0x20000, {pages, 0, page}, {});
  refused(EINVAL, 0x20800, {pages, 0, page}, read_write);
  refused(EINVAL, 0x20000, {pages, 0, page / 2}, read_write);
  refused(EINVAL, 0x20000, {pages, page / 2, page}, read_write);
  refused(EINVAL, std::uint64_t{1} << 50, {pages, 0, page}, read_write);
  EXPECT_TRUE(space_->map(Iova(0x20000), {readable, 0, page}, read_only));
}

TEST_F(IoAddressSpaceTest, UnmapsWholeAreasOnly) {
  auto const pages = memory(8);
  auto const d = domain();
  ASSERT_TRUE(space_->attach_domain(d));
  EXPECT_REFUSED(ENOENT, space_->unmap(Range::all()), d);
  EXPECT_EQ(*space_->unmap_all(), 0u);
  for (std::uint64_t const iova : {0x10000, 0x14000, 0x16000})
    ASSERT_TRUE(space_->map(Iova(iova), {pages, 0, 2 * page}, read_write));
  EXPECT_REFUSED(ENOENT, space_->unmap({0x11000, 0x20000}), d);
  EXPECT_REFUSED(ENOENT, space_->unmap({0x0, 0x16fff}), d);
  EXPECT_REFUSED(ENOENT, space_->unmap({0x10001, 0x10002}), d);
  EXPECT_REFUSED(ENOENT, space_->unmap({0x12000, 0x13fff}), d);
  EXPECT_REFUSED(EINVAL, space_->unmap({0x13fff, 0x12000}), d);
  EXPECT_EQ(*space_->unmap({0xf000, 0x15fff}), 4 * page) << "the hole does not count";
  EXPECT_EQ(leaves(*d), (std::vector<Mapping>{{0x16000, 0x16fff, pages->host_address(0).value},
                                              {0x17000, 0x17fff, pages->host_address(page).value}}));
  EXPECT_EQ(pages->pinned(), 2u);
  EXPECT_EQ(*space_->unmap_all(), 2 * page);
  EXPECT_TRUE(leaves(*d).empty());
  EXPECT_EQ(pages->pinned(), 0u);
}

TEST_F(IoAddressSpaceTest, SparesWhatOthersHaveMappedInReservedRanges) {
  auto const pages = memory(8);
  auto const d = domain();
  ASSERT_TRUE(space_->attach_domain(d));
  Range const doorbell{0x12000, 0x12fff};
  ASSERT_TRUE(space_->reserve({&doorbell, 1}, this));
  ASSERT_TRUE(d->map(doorbell, HostAddress(0x5000), read_write));
  for (std::uint64_t const iova : {0x10000, 0x13000, 0x18000})
    ASSERT_TRUE(space_->map(Iova(iova), {pages, 0, 2 * page}, read_write));
  EXPECT_EQ(*space_->unmap_all(), 6 * page);
  EXPECT_EQ(leaves(*d), (std::vector<Mapping>{{0x12000, 0x12fff, 0x5000}}));
}

TEST_F(IoAddressSpaceTest, ACopySharesThePinsOfItsSource) {
  auto const pages = memory(16);
  auto const other = *IoAddressSpace::create();
  auto const a = domain(), b = domain();
  ASSERT_TRUE(space_->attach_domain(a));
  ASSERT_TRUE(other->attach_domain(b));
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 4 * page}, read_only));
  ASSERT_TRUE(space_->map(Iova(0x14000), {pages, 8 * page, 4 * page}, read_only));
  ASSERT_TRUE(other->copy(*space_, {0x12000, 0x15fff}, Iova(0x100000), read_write));
  EXPECT_EQ(other->areas(Range::all())->size(), 2u);
  EXPECT_EQ(account_->charged(), 8u);
  EXPECT_EQ(b->translate(0x102000, Access::writing(), Update::no).output, pages->host_address(8 * page).value);
  EXPECT_REFUSED(ENOENT, space_->copy(*space_, {0x12000, 0x18fff}, Iova(0x100000), read_write), a);
  EXPECT_REFUSED(ENOENT, space_->copy(*space_, {0xf000, 0x10fff}, Iova(0x100000), read_write), a);
  EXPECT_REFUSED(EEXIST, space_->copy(*space_, {0x10000, 0x17fff}, Iova(0xc000), read_write), a);
  EXPECT_REFUSED(EINVAL, space_->copy(*space_, {0x10800, 0x17fff}, Iova(0x100000), read_write), a);
  EXPECT_REFUSED(EINVAL, space_->copy(*space_, {0x17fff, 0x10000}, Iova(0x100000), read_write), a);
  ASSERT_TRUE(space_->copy(*space_, {0x10000, 0x17fff}, Iova(0x200000), read_write));
  EXPECT_EQ(account_->charged(), 8u);
  ASSERT_TRUE(space_->unmap_all());
  EXPECT_EQ(account_->charged(), 4u);
  EXPECT_EQ(b->translate(0x100000, Access::writing(), Update::no).output, pages->host_address(2 * page).value);
  ASSERT_TRUE(other->detach_domain(*b));
  EXPECT_EQ(account_->charged(), 0u);
}

TEST_F(IoAddressSpaceTest, ReservedAndAllowedRangesKeepOutOfEachOtherAndOfAreas) {
  auto const pages = memory(8);
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, page}, read_write));
  auto const reserve = [&](std::vector<Range> const& ranges, void const* owner) { return space_->reserve(ranges, owner); };
  int owners[2] = {};
  EXPECT_REFUSED(EADDRINUSE, reserve({{0x0, 0xfff}, {0x10fff, 0x20000}}, &owners[0]));
  EXPECT_REFUSED(EINVAL, reserve({{0x0, 0xfff}, {0x9000, 0x8000}}, &owners[0]));
  ASSERT_TRUE(reserve({{0x20000, 0x2ffff}, {0x28000, 0x3ffff}}, &owners[0]));
  ASSERT_TRUE(reserve({{0x30000, 0x4ffff}}, &owners[1]));
  EXPECT_EQ(*space_->iova_ranges(), (std::vector<Range>{{0, 0x1ffff}, {0x50000, ~std::uint64_t{0}}}));
  EXPECT_REFUSED(EINVAL, space_->map(Iova(0x1f000), {pages, 0, 2 * page}, read_write));
  auto const allow = [&](std::vector<Range> const& ranges) { return space_->allow(ranges); };
  EXPECT_REFUSED(EADDRINUSE, allow({{0x1000, 0x1fff}, {0x4ffff, 0x60000}}));
  EXPECT_REFUSED(EINVAL, allow({{0x1000, 0x1fff}, {0x1fff, 0x2fff}}));
  EXPECT_REFUSED(EINVAL, allow({{0x1fff, 0x1000}}));
  ASSERT_TRUE(allow({{0x60000, 0x6ffff}, {0x1000, 0x1fff}}));
  EXPECT_REFUSED(EADDRINUSE, reserve({{0x6ffff, 0x6ffff}}, &owners[1]));
  EXPECT_TRUE(space_->map(Iova(0x70000), {pages, 0, page}, read_write)) << "a fixed place need not be allowed";
  ASSERT_TRUE(space_->release(&owners[0]));
  EXPECT_EQ(*space_->iova_ranges(), (std::vector<Range>{{0, 0x2ffff}, {0x50000, ~std::uint64_t{0}}}));
  ASSERT_TRUE(space_->release(&owners[1]));
  EXPECT_EQ(*space_->iova_ranges(), std::vector<Range>{Range::all()});
  ASSERT_TRUE(allow({}));
  EXPECT_TRUE(reserve({{0x60000, 0x6ffff}}, &owners[1]));
}

TEST_F(IoAddressSpaceTest, ReservesWhatADomainCannotTranslate) {
  auto const d = domain({.format = FormatName::x86_64, .levels = 4}, {.aperture = {0x10000, ~std::uint64_t{0} - 0x10000}});
  ASSERT_TRUE(space_->attach_domain(d));
  std::vector<Range> const usable{{0x10000, 0x7fffffffffff}, {0xffff800000000000, 0xfffffffffffeffff}};
  EXPECT_EQ(*space_->iova_ranges(), usable);
  auto const pages = memory(4);
  ASSERT_TRUE(space_->map(Iova(0x7fffffffe000), {pages, 0, 2 * page}, read_write));
  ASSERT_TRUE(space_->map(Iova(0xffff800000000000), {pages, 2 * page, 2 * page}, read_write));
  auto const narrow = domain({.levels = 3});
  EXPECT_REFUSED(EADDRINUSE, space_->attach_domain(narrow), d, narrow);
  EXPECT_EQ(*space_->unmap_all(), 4 * page);
  ASSERT_TRUE(space_->attach_domain(narrow));
  EXPECT_EQ(*space_->iova_ranges(), (std::vector<Range>{{0x10000, 0x7fffffffff}}));
  ASSERT_TRUE(space_->detach_domain(*d));
  EXPECT_EQ(*space_->iova_ranges(), (std::vector<Range>{{0, 0x7fffffffff}}));
}

TEST_F(IoAddressSpaceTest, TheAlignmentIsThatOfTheLargestSmallestPage) {
  auto const pages = memory(64);
  auto const small = domain(), large = domain({.format = FormatName::arm_stage2, .granule_lg2 = 16});
  ASSERT_TRUE(space_->map(Iova(0x10800), {pages, 0x123, 0x400}, read_write)) << "without domains any byte will do";
  EXPECT_REFUSED(EADDRINUSE, space_->attach_domain(small), small);
  ASSERT_TRUE(space_->unmap_all());
  ASSERT_TRUE(space_->map(Iova(0x20000), {pages, page, 0x10000}, read_write));
  ASSERT_TRUE(space_->attach_domain(small));
  EXPECT_EQ(*space_->alignment(), page);
  EXPECT_REFUSED(EADDRINUSE, space_->attach_domain(large), small, large);  // the memory is not aligned
  ASSERT_TRUE(space_->unmap_all());
  ASSERT_TRUE(space_->map(Iova(0x20000), {pages, 0x10000, 0x10000}, read_write));
  ASSERT_TRUE(space_->attach_domain(large));
  EXPECT_EQ(*space_->alignment(), 0x10000u);
  EXPECT_REFUSED(EINVAL, space_->map(Iova(0x31000), {pages, 0, 0x10000}, read_write), small, large);
  ASSERT_TRUE(space_->detach_domain(*large));
  EXPECT_EQ(*space_->alignment(), page);
}

TEST_F(IoAddressSpaceTest, PinsEveryPageThatHoldsAByteOfAnArea) {
  auto const pages = memory(8);
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, page, page}, read_write));
  ASSERT_TRUE(space_->map(Iova(0x20000), {pages, 4 * page, 3 * page}, read_write));
  auto const d = domain();
  ASSERT_TRUE(space_->attach_domain(d));
  EXPECT_EQ(pages->pinned(), 4u);
}

TEST_F(IoAddressSpaceTest, ADomainThatRefusesALateAreaIsLeftEmpty) {
  auto const pages = memory(8);
  auto const d = domain();
  ASSERT_TRUE(d->map({0x30000, 0x30fff}, HostAddress(0x7000), read_write));
  for (std::uint64_t const iova : {0x10000, 0x20000, 0x2f000})
    ASSERT_TRUE(space_->map(Iova(iova), {pages, 0, 2 * page}, read_write));
  EXPECT_REFUSED(EEXIST, space_->attach_domain(d), d);
  EXPECT_EQ(leaves(*d).size(), 1u);
  EXPECT_EQ(account_->charged(), 0u);
}

TEST_F(IoAddressSpaceTest, MapsIntoAllDomainsOrNone) {
  auto const pages = memory(8);
  auto const a = domain(), narrow = domain({.output_bits = 32}), b = domain();
  for (auto const& d : {a, narrow, b}) ASSERT_TRUE(space_->attach_domain(d));
  std::uint64_t const length = 2 * page;
  void* const data = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  {
    auto const far = std::make_shared<Pages>(*UserMemory::create(*host_memory_, data, length, true), account_);
    EXPECT_REFUSED(ERANGE, space_->map(Iova(0x10000), {far, 0, length}, read_write), a, narrow, b);
    EXPECT_EQ(account_->charged(), 0u);
  }
  ::munmap(data, length);
  ASSERT_TRUE(account_->charge(995));
  EXPECT_REFUSED(ENOMEM, space_->map(Iova(0x10000), {pages, 0, 6 * page}, read_write), a, narrow, b);
  EXPECT_TRUE(space_->map(Iova(0x10000), {pages, 0, 5 * page}, read_write));
}

TEST_F(IoAddressSpaceTest, RefusesEverythingInsideAGuard) {
  auto const pages = memory(8);
  auto const d = domain(), other = domain();
  ASSERT_TRUE(space_->attach_domain(d));
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, page}, read_write));
  Seen const before = look(*space_, {d, other});
  Range const range{0x20000, 0x2ffff};
  Epoch epoch(host_.grace);
  epoch.enter();
  EXPECT_EQ(code_of(space_->map(Iova(0x20000), {pages, 0, page}, read_write)), EDEADLK);
  EXPECT_EQ(code_of(space_->map_anywhere({pages, 0, page}, read_write)), EDEADLK);
  EXPECT_EQ(code_of(space_->copy(*space_, {0x10000, 0x10fff}, Iova(0x20000), read_write)), EDEADLK);
  EXPECT_EQ(code_of(space_->copy_anywhere(*space_, {0x10000, 0x10fff}, read_write)), EDEADLK);
  EXPECT_EQ(code_of(space_->unmap({0x10000, 0x10fff})), EDEADLK);
  EXPECT_EQ(code_of(space_->unmap_all()), EDEADLK);
  EXPECT_EQ(code_of(space_->attach_domain(other)), EDEADLK);
  EXPECT_EQ(code_of(space_->detach_domain(*d)), EDEADLK);
  EXPECT_EQ(code_of(space_->reserve({&range, 1}, this)), EDEADLK);
  EXPECT_EQ(code_of(space_->release(d.get())), EDEADLK);
  EXPECT_EQ(code_of(space_->allow({&range, 1})), EDEADLK);
  EXPECT_EQ(code_of(space_->iova_ranges()), EDEADLK);
  EXPECT_EQ(code_of(space_->alignment()), EDEADLK);
  EXPECT_EQ(code_of(space_->areas(range)), EDEADLK);
  epoch.leave();
  EXPECT_TRUE(look(*space_, {d, other}) == before);
  EXPECT_TRUE(space_->reserve({&range, 1}, this)) << "nothing was allowed";
}

TEST_F(IoAddressSpaceTest, UnpinsOnlyWhenDmaIsOver) {
  auto const pages = memory(8);
  auto const d = domain();
  ASSERT_TRUE(space_->attach_domain(d));
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, page}, read_write));
  Epoch epoch(host_.grace);
  ASSERT_TRUE(d->add_listener(epoch));
  epoch.enter();
  std::thread unmapper([&] { EXPECT_TRUE(space_->unmap_all()); });
  while (d->translate(0x10000, Access::reading(), Update::no).ok()) std::this_thread::yield();
  for (int i = 0; i < 100; i++) {
    EXPECT_EQ(pages->pinned(), 1u);
    std::this_thread::yield();
  }
  epoch.leave();
  unmapper.join();
  EXPECT_EQ(pages->pinned(), 0u);
  d->remove_listener(epoch);
}

TEST_F(IoAddressSpaceTest, UnmapsAndUnpinsWhenItDies) {
  auto const pages = memory(8);
  auto const a = domain(), b = domain();
  ASSERT_TRUE(space_->attach_domain(a));
  ASSERT_TRUE(space_->attach_domain(b));
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, page}, read_write));
  space_.reset();
  EXPECT_TRUE(leaves(*a).empty());
  EXPECT_TRUE(leaves(*b).empty());
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_EQ(pages.use_count(), 1);
}

TEST_F(IoAddressSpaceTest, ManyThreadsMayUseIt) {
  auto const pages = memory(64);
  auto const other = *IoAddressSpace::create();
  auto const fixed = domain();
  ASSERT_TRUE(other->attach_domain(fixed));
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 3; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; i++) {
        std::uint64_t const iova = 0x100000 * (t + 1);
        EXPECT_TRUE(space_->map(Iova(iova), {pages, t * page, 2 * page}, read_write));
        auto const copied = other->copy_anywhere(*space_, {iova, iova + 2 * page - 1}, read_write);
        ASSERT_TRUE(copied);
        EXPECT_TRUE(other->copy(*other, {copied->value, copied->value + page - 1}, Iova(iova), read_write));
        EXPECT_TRUE(space_->unmap({iova, iova + 2 * page - 1}));
        EXPECT_TRUE(other->unmap({iova, iova + page - 1}));
        EXPECT_TRUE(other->unmap({copied->value, copied->value + 2 * page - 1}));
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 100; i++) {
      auto const passing = domain();
      EXPECT_TRUE(space_->attach_domain(passing));
      EXPECT_TRUE(space_->iova_ranges());
      EXPECT_TRUE(space_->detach_domain(*passing));
      EXPECT_TRUE(leaves(*passing).empty());
    }
  });
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(leaves(*fixed).empty());
  EXPECT_EQ(account_->charged(), 0u);
}

}  // namespace
}  // namespace swiommu

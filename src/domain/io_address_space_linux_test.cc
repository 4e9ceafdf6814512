// What the front end needs of I/O address spaces besides: no large leaves, cuts, unmapping in order, buffers that are revoked.
#include <sys/mman.h>

#include "io_address_space_fixture.h"
#include "swiommu/domain/software_access.h"

namespace swiommu {
namespace {

// Memory that says of itself what its pages are.
class PagedMemory final : public Backing {
 public:
  PagedMemory(HostAddressSpace& space, std::unique_ptr<SharedMemory> under, unsigned page_size_lg2)
      : Backing(space, under->host_address(0), under->length(), true), under_(std::move(under)), page_size_lg2_(page_size_lg2) {}
  [[nodiscard]] unsigned page_size_lg2() const override { return page_size_lg2_; }

 private:
  std::unique_ptr<SharedMemory> const under_;
  unsigned const page_size_lg2_;
};

class IoAddressSpaceLinuxTest : public IoAddressSpaceTest {
 protected:
  static constexpr std::uint64_t mega = std::uint64_t{1} << 20;
  std::shared_ptr<Pages> paged(std::uint64_t length, unsigned page_size_lg2) {
    return std::make_shared<Pages>(
        std::make_unique<PagedMemory>(*host_memory_, *SharedMemory::create(*host_memory_, length), page_size_lg2), account_);
  }
  std::shared_ptr<Pages> buffer(std::uint64_t pages) {
    return std::make_shared<Pages>(*SharedMemory::create(*host_memory_, pages * page), nullptr,
                                   Origin{.kind = Origin::Kind::device, .address = 0, .process = 7});
  }
  Result<void> cut(std::vector<std::uint64_t> const& lasts) { return space_->cut(lasts); }
  std::vector<std::pair<Range, std::uint64_t>> areas() const {  // iovas, offset of the memory
    std::vector<std::pair<Range, std::uint64_t>> found;
    auto const all = *space_->areas(Range::all());
    for (Area const& area : all) found.emplace_back(area.iovas, area.offset);
    return found;
  }

 private:
  void SetUp() override { account_ = std::make_shared<Account>(5000); }
};

TEST_F(IoAddressSpaceLinuxTest, WithoutHugePagesAllLeavesAreSmall) {
  auto const pages = memory(1024);
  auto const small = domain(), sub_page = domain({.format = FormatName::amd_v1});
  ASSERT_TRUE(space_->attach_domain(small));
  ASSERT_TRUE(space_->map(Iova(4 * mega), {pages, 0, 4 * mega}, read_write));
  EXPECT_EQ(leaves(*small).size(), 2u);
  EXPECT_EQ(code_of(space_->allow_huge_pages(false)), EINVAL) << "mapped already";
  ASSERT_TRUE(space_->allow_huge_pages(true));
  ASSERT_TRUE(space_->unmap_all());
  ASSERT_TRUE(space_->allow_huge_pages(false));
  ASSERT_TRUE(space_->map(Iova(4 * mega), {pages, 0, 4 * mega}, read_write));
  ASSERT_TRUE(space_->attach_domain(sub_page));
  for (auto const& d : {small, sub_page}) EXPECT_EQ(leaves(*d).size(), 1024u);
  ASSERT_TRUE(space_->allow_huge_pages(false)) << "is so already";
  ASSERT_TRUE(space_->allow_huge_pages(true));
  ASSERT_TRUE(space_->map(Iova(8 * mega), {pages, 0, 4 * mega}, read_write));
  EXPECT_EQ(leaves(*small).size(), 1026u);
}

TEST_F(IoAddressSpaceLinuxTest, LeavesStayWithinThePagesOfTheHostIfAsked) {
  space_ = *IoAddressSpace::create({.within_host_pages = true});
  auto const d = domain();
  ASSERT_TRUE(space_->attach_domain(d));
  ASSERT_TRUE(space_->map(Iova(4 * mega), {memory(512), 0, 2 * mega}, read_write));
  EXPECT_EQ(leaves(*d).size(), 512u);
  ASSERT_TRUE(space_->map(Iova(8 * mega), {paged(2 * mega, 21), 0, 2 * mega}, read_write));
  EXPECT_EQ(leaves(*d).size(), 513u);
}

TEST_F(IoAddressSpaceLinuxTest, UnmapsInOrderUntilAnError) {
  auto const pages = memory(8);
  auto const d = domain();
  ASSERT_TRUE(space_->attach_domain(d));
  for (std::uint64_t const iova : {0x10000, 0x14000, 0x18000})
    ASSERT_TRUE(space_->map(Iova(iova), {pages, 0, 2 * page}, read_write));
  auto const nothing = space_->unmap_in_order({0x20000, 0x2ffff});
  EXPECT_TRUE(nothing.done);
  EXPECT_EQ(nothing.bytes, 0u);
  EXPECT_EQ(code_of(space_->unmap_in_order({2, 1}).done), EINVAL);
  auto const part = space_->unmap_in_order({0, 0x18fff});
  EXPECT_EQ(code_of(part.done), ENOENT);
  EXPECT_EQ(part.bytes, 4 * page);
  EXPECT_EQ(leaves(*d).size(), 2u);
  EXPECT_EQ(code_of(space_->unmap_in_order({0x19000, ~std::uint64_t{0}}).done), ENOENT);
  EXPECT_EQ(areas().size(), 1u);
}

TEST_F(IoAddressSpaceLinuxTest, CutsAreasInTwo) {
  auto const pages = memory(16);
  auto const d = domain(), late = domain({.format = FormatName::amd_v1});
  ASSERT_TRUE(space_->allow_huge_pages(false));
  ASSERT_TRUE(space_->attach_domain(d));
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 2 * page, 8 * page}, read_write));
  Seen const before = look(*space_, {d});
  ASSERT_TRUE(cut({0xffff, 0x10000, 0x17fff, 0x18000})) << "outside, or at an end";
  EXPECT_TRUE(look(*space_, {d}) == before);
  ASSERT_TRUE(cut({0x11fff, 0x13fff}));
  EXPECT_EQ(areas(), (std::vector<std::pair<Range, std::uint64_t>>{
                         {{0x10000, 0x11fff}, 2 * page}, {{0x12000, 0x13fff}, 4 * page}, {{0x14000, 0x17fff}, 6 * page}}));
  EXPECT_EQ(leaves(*d), before.domains[0]);
  EXPECT_EQ(account_->charged(), 8u);
  ASSERT_TRUE(space_->attach_domain(late));
  EXPECT_EQ(*space_->unmap({0x12000, 0x13fff}), 2 * page);
  EXPECT_EQ(account_->charged(), 6u);
  ASSERT_TRUE(space_->detach_domain(*d));
  ASSERT_TRUE(space_->detach_domain(*late));
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_EQ(*space_->unmap_all(), 6 * page);
}

TEST_F(IoAddressSpaceLinuxTest, RefusesCuts) {
  auto const pages = memory(16);
  auto const d = domain();
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 8 * page}, read_write));
  EXPECT_TRUE(cut({0x10122})) << "without a domain any byte will do";
  ASSERT_TRUE(space_->unmap_all());
  ASSERT_TRUE(space_->attach_domain(d));
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 8 * page}, read_write));
  EXPECT_EQ(code_of(cut({0x11fff})), EINVAL) << "there may be large leaves";
  EXPECT_EQ(code_of(cut({0x11ffe})), EINVAL);
  ASSERT_TRUE(space_->unmap_all());
  ASSERT_TRUE(space_->allow_huge_pages(false));
  ASSERT_TRUE(space_->map(Iova(0x10000), {pages, 0, 8 * page}, read_write));
  auto const access = *SoftwareAccess::create(SoftwareAccess::Use::pins);
  ASSERT_TRUE(access->attach(space_));
  ASSERT_TRUE(access->pin(0x10000, page, false));
  EXPECT_EQ(code_of(cut({0x13fff})), EINVAL) << "software has pinned some of it";
  access->unpin(0x10000, page);
  EXPECT_TRUE(cut({0x13fff}));
  ASSERT_TRUE(space_->map(Iova(0x40000), {buffer(4), 0, 4 * page}, read_write));
  EXPECT_EQ(code_of(cut({0x41fff})), EOPNOTSUPP);
}

TEST_F(IoAddressSpaceLinuxTest, ARevokedBufferIsGoneFromAllDomainsForGood) {
  auto const taken = buffer(4), other = buffer(4);
  auto const a = domain(), b = domain(), late = domain();
  auto const copy = *IoAddressSpace::create();
  ASSERT_TRUE(space_->attach_domain(a));
  ASSERT_TRUE(copy->attach_domain(b));
  ASSERT_TRUE(space_->map(Iova(0x10000), {taken, 0, 4 * page}, read_write));
  ASSERT_TRUE(space_->map(Iova(0x14000), {other, 0, 4 * page}, read_write));
  ASSERT_TRUE(copy->copy(*space_, {0x11000, 0x11fff}, Iova(0x20000), read_write));
  taken->revoke();
  EXPECT_EQ(leaves(*a).size(), 4u);
  EXPECT_TRUE(leaves(*b).empty());
  EXPECT_EQ(areas().size(), 2u) << "the areas stay";
  ASSERT_TRUE(space_->attach_domain(late));
  EXPECT_EQ(leaves(*late).size(), 4u);
  ASSERT_TRUE(copy->copy(*space_, {0x10000, 0x13fff}, Iova(0x30000), read_write));
  EXPECT_TRUE(leaves(*b).empty());
  EXPECT_EQ(*space_->unmap({0x10000, 0x13fff}), 4 * page);
  EXPECT_EQ(leaves(*a).size(), 4u);
  taken->revoke();
  EXPECT_EQ(*copy->unmap_all(), 5 * page);
}

TEST_F(IoAddressSpaceLinuxTest, SoftwareDoesNotUseBuffersOfDevices) {
  ASSERT_TRUE(space_->map(Iova(0x10000), {buffer(1), 0, page}, read_write));
  auto const access = *SoftwareAccess::create(SoftwareAccess::Use::pins);
  ASSERT_TRUE(access->attach(space_));
  std::byte byte{};
  EXPECT_EQ(code_of(access->pin(0x10000, page, false)), EINVAL);
  EXPECT_EQ(code_of(access->read(0x10000, {&byte, 1})), EINVAL);
  EXPECT_EQ(code_of(access->write(0x10000, {&byte, 1})), EINVAL);
}

TEST_F(IoAddressSpaceLinuxTest, PageSizesAreThoseOfAllDomains) {
  EXPECT_EQ(*space_->page_sizes(), ~std::uint64_t{0});
  ASSERT_TRUE(space_->attach_domain(domain()));
  EXPECT_EQ(*space_->page_sizes(), bit(12) | bit(21) | bit(30));
  ASSERT_TRUE(space_->attach_domain(domain({.format = FormatName::arm_stage2, .granule_lg2 = 16})));
  EXPECT_EQ(*space_->page_sizes(), bit(21)) << "64 KiB, 2 MiB, 512 MiB";
}

}  // namespace
}  // namespace swiommu

#include <vector>

#include "iommufd_fixture.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint64_t largest = ~std::uint64_t{0};

class Type1Test : public IommufdTest {
 protected:
  // What the ioctl returns, or the negative errno.
  int raw(std::uint32_t request, std::uint64_t argument) {
    auto const result = file_->ioctl(caller_, request, argument);
    words_ = result ? "" : result.error().about;
    return result ? static_cast<int>(*result) : -result.error().code;
  }
  template <class Structure>
  int raw_with(std::uint32_t request, Structure& structure) {
    return raw(request, std::bit_cast<std::uint64_t>(&structure));
  }
  std::uint32_t choose_ioas() {
    std::uint32_t const id = new_ioas();
    iommu_vfio_ioas arguments{.size = sizeof arguments, .ioas_id = id, .op = IOMMU_VFIO_IOAS_SET, .__reserved = 0};
    EXPECT_EQ(call(IOMMU_VFIO_IOAS, arguments), 0);
    return id;
  }
  int map_dma(void const* memory, std::uint64_t size, std::uint64_t iova, std::uint32_t flags = 3) {
    vfio_iommu_type1_dma_map arguments{
        .argsz = sizeof arguments, .flags = flags, .vaddr = std::bit_cast<std::uint64_t>(memory), .iova = iova, .size = size};
    return raw_with(VFIO_IOMMU_MAP_DMA, arguments);
  }
  struct Unmap {
    std::uint32_t argsz, flags;
    std::uint64_t iova, size;
  };
  int unmap_dma(std::uint64_t iova, std::uint64_t size, std::uint32_t flags = 0) {
    Unmap arguments{sizeof arguments, flags, iova, size};
    int const code = raw_with(VFIO_IOMMU_UNMAP_DMA, arguments);
    unmapped_ = arguments.size;
    return code;
  }
  std::vector<Range> areas(std::uint32_t id) {
    std::vector<Range> found;
    auto const all = *ioas(id)->space().areas(Range::all());
    for (Area const& area : all) found.push_back(area.iovas);
    return found;
  }

  std::uint64_t unmapped_ = 0;
};

TEST_F(Type1Test, AnswersWithoutAnIoasWhatNeedsNone) {
  EXPECT_EQ(raw(VFIO_GET_API_VERSION, 0), 0);
  for (std::uint32_t const yes : {VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_UNMAP_ALL})
    EXPECT_EQ(raw(VFIO_CHECK_EXTENSION, yes), 1);
  for (std::uint32_t const no : {VFIO_TYPE1_NESTING_IOMMU, VFIO_UPDATE_VADDR, VFIO_NOIOMMU_IOMMU, 99})
    EXPECT_EQ(raw(VFIO_CHECK_EXTENSION, no), 0);
  EXPECT_EQ(raw(VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), -ENODEV);
  EXPECT_EQ(raw(VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), -ENODEV);
  EXPECT_EQ(raw(VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU), -EINVAL);
  EXPECT_EQ(raw(VFIO_SET_IOMMU, 0), -EINVAL);
  choose_ioas();
  EXPECT_EQ(raw(VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 1) << "nothing is attached that is not coherent";
  EXPECT_EQ(raw(VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
}

TEST_F(Type1Test, HasNoOtherIoctls) {
  EXPECT_EQ(raw(VFIO_IOMMU_DIRTY_PAGES, 0), -ENOTTY);
  EXPECT_EQ(raw(VFIO_IOMMU_ENABLE, 0), -ENOTTY);
  EXPECT_EQ(raw(0x3bff, 0), -ENOTTY);
  EXPECT_EQ(raw(0x1264, 0), -ENOTTY) << "the type belongs to the number";
}

TEST_F(Type1Test, MapFindsWhatIsWrongInLinuxOrder) {
  auto* const data = memory(4 * page);
  EXPECT_EQ(raw(VFIO_IOMMU_MAP_DMA, 0), -EFAULT);
  vfio_iommu_type1_dma_map arguments{.argsz = 31, .flags = 3, .vaddr = 0, .iova = 0, .size = 0};
  EXPECT_EQ(raw_with(VFIO_IOMMU_MAP_DMA, arguments), -EINVAL);
  EXPECT_EQ(map_dma(data, page, 0, VFIO_DMA_MAP_FLAG_VADDR), -EINVAL);
  EXPECT_EQ(map_dma(data, page, 0), -ENODEV);
  std::uint32_t const id = choose_ioas();
  EXPECT_EQ(map_dma(std::bit_cast<void*>(largest), 2, 0), -EOVERFLOW);
  EXPECT_EQ(map_dma(data, 0, 0), -EINVAL);
  EXPECT_EQ(map_dma(data, page, 0), 0) << "at 0, where it was asked for";
  EXPECT_EQ(map_dma(data, page, 0), -EEXIST);
  EXPECT_EQ(map_dma(data, page, 0x10000, 0), 0) << "without rights";
  ASSERT_TRUE(ioas(id)->space().unmap_all());
  ASSERT_TRUE(ioas(id)->space().attach_domain(PagingDomain::create(engine_->host(), {}).value()));
  EXPECT_EQ(map_dma(data, page, 0x10000, 0), -EINVAL) << "the page table refuses that";
  arguments = {.argsz = 1000, .flags = 1, .vaddr = std::bit_cast<std::uint64_t>(data), .iova = 0, .size = page};
  EXPECT_EQ(raw_with(VFIO_IOMMU_MAP_DMA, arguments), 0) << "argsz may be larger";
}

TEST_F(Type1Test, UnmapFindsWhatIsWrongInLinuxOrder) {
  EXPECT_EQ(raw(VFIO_IOMMU_UNMAP_DMA, 0), -EFAULT);
  Unmap arguments{23, 0, 0, 0};
  EXPECT_EQ(raw_with(VFIO_IOMMU_UNMAP_DMA, arguments), -EINVAL);
  EXPECT_EQ(unmap_dma(0, page, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP), -EINVAL);
  EXPECT_EQ(unmap_dma(0, page), -ENODEV);
  choose_ioas();
  EXPECT_EQ(unmap_dma(0, page, VFIO_DMA_UNMAP_FLAG_ALL), -EINVAL);
  EXPECT_EQ(unmap_dma(page, 0, VFIO_DMA_UNMAP_FLAG_ALL), -EINVAL);
  EXPECT_EQ(unmapped_, 0u);
  EXPECT_EQ(unmap_dma(page, 0), -EINVAL);
  EXPECT_EQ(unmap_dma(largest, 2), -EOVERFLOW);
  EXPECT_EQ(unmapped_, 0u) << "written back all the same";
  EXPECT_EQ(unmap_dma(page, page), 0) << "nothing there is no error";
  EXPECT_EQ(unmapped_, 0u);
}

TEST_F(Type1Test, UnmapsAllAndSaysHowMuch) {
  choose_ioas();
  auto* const data = memory(4 * page);
  ASSERT_EQ(map_dma(data, 2 * page, 0x10000), 0);
  ASSERT_EQ(map_dma(data, page, 0x40000), 0);
  EXPECT_EQ(unmap_dma(0x10000, page), -ENOENT) << "version 2 cuts nothing";
  EXPECT_EQ(unmap_dma(0x40000, 2 * page), 0);
  EXPECT_EQ(unmapped_, page);
  EXPECT_EQ(unmap_dma(0, 0, VFIO_DMA_UNMAP_FLAG_ALL), 0);
  EXPECT_EQ(unmapped_, 2 * page);
  EXPECT_EQ(unmap_dma(0, 0, VFIO_DMA_UNMAP_FLAG_ALL), 0);
}

TEST_F(Type1Test, Version1CutsWhatItUnmaps) {
  std::uint32_t const id = choose_ioas();
  caller_.capabilities.clear();
  ASSERT_EQ(raw(VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
  auto const domain = PagingDomain::create(engine_->host(), {}).value();
  ASSERT_TRUE(ioas(id)->space().attach_domain(domain));
  auto* const data = memory(8 * page);
  ASSERT_EQ(map_dma(data, 8 * page, 0x10000), 0);
  EXPECT_EQ(unmap_dma(0x12000, 2 * page), 0);
  EXPECT_EQ(unmapped_, 2 * page);
  EXPECT_EQ(areas(id), (std::vector<Range>{{0x10000, 0x11fff}, {0x14000, 0x17fff}}));
  EXPECT_EQ(caller_.process()->pinned_pages, 6u);
  EXPECT_TRUE(domain->translate(0x11000, Access::reading(), Update::no).ok());
  EXPECT_FALSE(domain->translate(0x12000, Access::reading(), Update::no).ok());
  EXPECT_EQ(engine_->addresses().pointer(HostAddress(domain->translate(0x15000, Access::reading(), Update::no).output)),
            data + 5 * page);
  EXPECT_EQ(unmap_dma(0x16800, page), -EINVAL) << "not aligned";
  EXPECT_EQ(unmap_dma(0x10000, page), 0);
  EXPECT_EQ(areas(id), (std::vector<Range>{{0x11000, 0x11fff}, {0x14000, 0x17fff}}));
  EXPECT_EQ(unmap_dma(0x8000, 0xa000), 0);
  EXPECT_EQ(unmapped_, page) << "with a hole in front";
  EXPECT_EQ(unmap_dma(0, 0, VFIO_DMA_UNMAP_FLAG_ALL), 0);
  EXPECT_EQ(caller_.process()->pinned_pages, 0u);
}

TEST_F(Type1Test, Version1IsRefusedOnceSomethingIsMappedInADomain) {
  std::uint32_t const id = choose_ioas();
  ASSERT_TRUE(ioas(id)->space().attach_domain(PagingDomain::create(engine_->host(), {}).value()));
  ASSERT_EQ(map_dma(memory(page), page, 0), 0);
  EXPECT_EQ(raw(VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), -EINVAL);
}

struct Info {
  vfio_iommu_type1_info head;
  vfio_iommu_type1_info_dma_avail left;
  std::uint32_t pad;
  struct {
    vfio_info_cap_header header;
    std::uint32_t count, reserved;
    vfio_iova_range ranges[2];
  } iovas;
};
static_assert(sizeof(Info) == 24 + 16 + 16 + 32);

TEST_F(Type1Test, TellsWhatFits) {
  std::uint32_t const id = choose_ioas();
  Range const reserved{0x1000, 0x1fff};
  ASSERT_TRUE(ioas(id)->space().reserve({&reserved, 1}, this));
  auto const ask = [&](std::uint32_t room) {
    Info info;
    std::memset(&info, 0x55, sizeof info);
    info.head.argsz = room;
    EXPECT_EQ(raw_with(VFIO_IOMMU_GET_INFO, info), 0);
    return info;
  };
  auto const untouched = [](auto const& part) {
    auto const bytes = std::as_bytes(std::span(&part, 1));
    return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0x55}; });
  };
  Info info = ask(sizeof info);
  EXPECT_EQ(info.head.argsz, sizeof info);
  EXPECT_EQ(info.head.flags, 3u);
  EXPECT_EQ(info.head.iova_pgsizes, largest & ~std::uint64_t{0xfff});
  EXPECT_EQ(info.head.cap_offset, 24u);
  EXPECT_EQ(info.left.header.id, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
  EXPECT_EQ(info.left.header.version, 1u);
  EXPECT_EQ(info.left.header.next, 40u);
  EXPECT_EQ(info.left.avail, ~0u);
  EXPECT_EQ(info.iovas.header.id, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
  EXPECT_EQ(info.iovas.header.next, 0u);
  EXPECT_EQ(info.iovas.count, 2u);
  EXPECT_EQ(info.iovas.ranges[0].end, 0xfffu);
  EXPECT_EQ(info.iovas.ranges[1].start, 0x2000u);

  info = ask(16);
  EXPECT_EQ(info.head.argsz, sizeof info);
  EXPECT_EQ(info.head.cap_offset, 0x55555555u) << "no byte beyond the caller's";
  EXPECT_TRUE(untouched(info.left));
  info = ask(24);
  EXPECT_EQ(info.head.cap_offset, 0u);
  EXPECT_TRUE(untouched(info.left));
  info = ask(24 + 12);
  EXPECT_EQ(info.left.avail, ~0u);
  EXPECT_EQ(info.left.header.next, 0u) << "no room for the next";
  info = ask(24 + 16 + 32);
  EXPECT_EQ(info.head.cap_offset, 0u);
  EXPECT_EQ(info.left.header.next, 40u);
  EXPECT_EQ(info.iovas.ranges[0].end, 0xfffu) << "an entry fits";
  EXPECT_TRUE(untouched(info.iovas.header));
  EXPECT_TRUE(untouched(info.iovas.ranges[1]));
}

TEST_F(Type1Test, RefusesBadQuestions) {
  Info info{};
  info.head.argsz = 15;
  EXPECT_EQ(raw_with(VFIO_IOMMU_GET_INFO, info), -EINVAL);
  EXPECT_EQ(raw(VFIO_IOMMU_GET_INFO, 0), -EFAULT);
  info.head.argsz = sizeof info;
  EXPECT_EQ(raw_with(VFIO_IOMMU_GET_INFO, info), -ENODEV);
  choose_ioas();
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(raw_with(VFIO_IOMMU_GET_INFO, info), -EFAULT);
}

TEST_F(Type1Test, PageSizesAreThoseThatAllDomainsHave) {
  std::uint32_t const id = choose_ioas();
  ASSERT_TRUE(ioas(id)->space().attach_domain(PagingDomain::create(engine_->host(), {}).value()));
  vfio_iommu_type1_info info{};
  info.argsz = sizeof info;
  ASSERT_EQ(raw_with(VFIO_IOMMU_GET_INFO, info), 0);
  EXPECT_EQ(info.iova_pgsizes, (std::uint64_t{1} << 12) | (std::uint64_t{1} << 21) | (std::uint64_t{1} << 30));
}

}  // namespace
}  // namespace swiommu::iommufd

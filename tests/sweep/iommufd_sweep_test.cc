// Scripted sequences of ioctls in which every allocation fails once: the answer is ENOMEM, nothing that can be seen has changed,
// ids are given as if nothing had happened, and nothing is lost.
#include <fcntl.h>

#include <functional>

#include "failing_new.h"
#include "iommufd_fixture.h"

namespace swiommu::iommufd {
namespace {

class IommufdSweep : public IommufdTest {
 protected:
  IommufdSweep() { caller_.capabilities = {Capability::sys_resource}; }

  // All that a program can find out.
  struct State {
    std::vector<std::uint32_t> objects;
    std::vector<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>> areas;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    std::vector<std::uint64_t> numbers;
    bool operator==(State const&) const = default;
  };
  State state() {
    State now;
    Lock const lock(file().mutex());
    file().objects().for_each<Ioas>([&](std::shared_ptr<Ioas> const& each) {
      now.objects.push_back(each->id());
      IoAddressSpace const& space = each->space();
      auto const areas = *space.areas(Range::all());
      for (Area const& area : areas) now.areas.emplace_back(area.iovas.start, area.iovas.last, area.pages->pinned());
      auto const ranges = *space.iova_ranges();
      for (Range const range : ranges) now.ranges.emplace_back(range.start, range.last);
      now.numbers.push_back(*space.alignment());
      now.numbers.push_back(space.huge_pages());
      now.numbers.push_back(each->users());
    });
    auto const compatibility = file().compatibility_ioas();
    now.numbers.push_back(compatibility ? compatibility->id() : 0);
    for (FakeCaller* caller : {&caller_, &other_}) {
      auto const process = caller->process();
      for (std::uint64_t const count :
           {process->pinned_pages.load(), process->locked_pages.load(), process->user->locked_pages.load()})
        now.numbers.push_back(count);
    }
    return now;
  }

  // The ioctl, with one allocation more each time, first from the heap and then for tables, until it succeeds.
  template <class Structure>
  void sweep(std::uint32_t request, Structure const& structure, Caller* caller = nullptr) {
    SCOPED_TRACE(testing::Message() << "ioctl " << std::hex << request);
    State const before = state();
    for (std::uint64_t n = 0;; n++) {
      ASSERT_LT(n, 10'000u);
      Structure given = structure;
      FailingNew failing(n);
      auto const result = file_->ioctl(caller != nullptr ? *caller : caller_, request, std::bit_cast<std::uint64_t>(&given));
      bool const failed = failing.failed();
      failing.allow();
      if (result) {
        ASSERT_FALSE(failed) << "allocation " << n;
        break;
      }
      ASSERT_EQ(result.error().code, ENOMEM) << "allocation " << n << ": " << result.error().about;
      ASSERT_EQ(std::memcmp(&given, &structure, sizeof given), 0) << "allocation " << n << ": written back";
      ASSERT_TRUE(state() == before) << "allocation " << n;
    }
  }
  // The same for tables, of a call that has succeeded and been taken back.
  template <class Structure>
  void sweep_tables(std::uint32_t request, Structure const& structure) {
    State const before = state();
    for (std::uint64_t n = 0;; n++) {
      ASSERT_LT(n, 1000u);
      Structure given = structure;
      engine_->host().tables->fail_after(n);
      int const code = call(request, given);
      engine_->host().tables->fail_after(TableAllocator::never);
      if (code == 0) {
        EXPECT_GT(n, 0u);
        return;
      }
      ASSERT_EQ(code, ENOMEM);
      ASSERT_TRUE(state() == before) << "table " << n;
    }
  }
  void attach(std::uint32_t id) {
    domains_.push_back(PagingDomain::create(engine_->host(), {}).value());
    ASSERT_TRUE(ioas(id)->space().attach_domain(domains_.back()));
  }
  void TearDown() override {
    IommufdTest::TearDown();
    EXPECT_EQ(caller_.process()->pinned_pages, 0u);
    EXPECT_EQ(other_.process()->pinned_pages, 0u);
    for (auto const& domain : domains_)
      domain->visit(domain->shape().lower, [](Leaf const&) { return ADD_FAILURE() << "a leaf is left", false; });
    domains_.clear();
    EXPECT_EQ(engine_->host().tables->bytes_in_use(), 0u);
  }

  iommu_ioas_alloc const alloc_{.size = sizeof alloc_, .flags = 0, .out_ioas_id = 0};
  FakeCaller other_{*engine_, 1001, 501};
  std::vector<std::shared_ptr<PagingDomain>> domains_;
};

TEST_F(IommufdSweep, MakingMappingCopyingAndUnmapping) {
  sweep(IOMMU_IOAS_ALLOC, alloc_);
  sweep(IOMMU_IOAS_ALLOC, alloc_);
  EXPECT_EQ(state().objects, (std::vector<std::uint32_t>{1, 2}));
  attach(1);
  attach(2);
  auto* const data = memory(16 * page);
  sweep(IOMMU_IOAS_MAP, map_of(1, data, 8 * page, 0x10000));
  sweep(IOMMU_IOAS_MAP, map_of(1, data + 8 * page, 4 * page, 0x18000));
  sweep(IOMMU_IOAS_MAP, map_of(1, data, 8 * page, 0, read_write));
  sweep(IOMMU_IOAS_COPY, iommu_ioas_copy{.size = sizeof(iommu_ioas_copy),
                                         .flags = fixed | read_write,
                                         .dst_ioas_id = 2,
                                         .src_ioas_id = 1,
                                         .length = 8 * page,
                                         .dst_iova = 0x40000000,
                                         .src_iova = 0x14000});
  sweep(IOMMU_IOAS_UNMAP, iommu_ioas_unmap{.size = sizeof(iommu_ioas_unmap), .ioas_id = 1, .iova = 0x10000, .length = 12 * page});
  sweep(IOMMU_IOAS_UNMAP,
        iommu_ioas_unmap{.size = sizeof(iommu_ioas_unmap), .ioas_id = 1, .iova = 0, .length = ~std::uint64_t{0}});
  sweep(IOMMU_DESTROY, iommu_destroy{.size = sizeof(iommu_destroy), .id = 1});
  sweep(IOMMU_IOAS_ALLOC, alloc_);
  EXPECT_EQ(state().objects, (std::vector<std::uint32_t>{1, 2})) << "no id was lost";
}

TEST_F(IommufdSweep, TablesOfMapping) {
  ASSERT_EQ(new_ioas(), 1u);
  attach(1);
  attach(1);
  auto* const data = memory(16 * page);
  sweep_tables(IOMMU_IOAS_MAP, map_of(1, data, 16 * page, (std::uint64_t{1} << 30) - 8 * page));
  sweep_tables(IOMMU_IOAS_COPY, iommu_ioas_copy{.size = sizeof(iommu_ioas_copy),
                                                .flags = fixed | read_write,
                                                .dst_ioas_id = 1,
                                                .src_ioas_id = 1,
                                                .length = 16 * page,
                                                .dst_iova = std::uint64_t{1} << 38,
                                                .src_iova = (std::uint64_t{1} << 30) - 8 * page});
}

TEST_F(IommufdSweep, RangesAndOptions) {
  ASSERT_EQ(new_ioas(), 1u);
  std::array<iommu_iova_range, 3> ranges{{{0x1000, 0x1fff}, {0x4000, 0x4fff}, {0x9000, 0x9fff}}};
  auto const array = std::bit_cast<std::uint64_t>(ranges.data());
  sweep(IOMMU_IOAS_ALLOW_IOVAS,
        iommu_ioas_allow_iovas{
            .size = sizeof(iommu_ioas_allow_iovas), .ioas_id = 1, .num_iovas = 3, .__reserved = 0, .allowed_iovas = array});
  sweep(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges{.size = sizeof(iommu_ioas_iova_ranges),
                                                       .ioas_id = 1,
                                                       .num_iovas = 3,
                                                       .__reserved = 0,
                                                       .allowed_iovas = array,
                                                       .out_iova_alignment = 0});
  sweep(IOMMU_OPTION, iommu_option{.size = sizeof(iommu_option),
                                   .option_id = IOMMU_OPTION_HUGE_PAGES,
                                   .op = IOMMU_OPTION_OP_SET,
                                   .__reserved = 0,
                                   .object_id = 1,
                                   .val64 = 0});
  sweep(IOMMU_VFIO_IOAS,
        iommu_vfio_ioas{.size = sizeof(iommu_vfio_ioas), .ioas_id = 1, .op = IOMMU_VFIO_IOAS_SET, .__reserved = 0});
}

TEST_F(IommufdSweep, Type1) {
  ASSERT_EQ(new_ioas(), 1u);
  iommu_vfio_ioas choose{.size = sizeof choose, .ioas_id = 1, .op = IOMMU_VFIO_IOAS_SET, .__reserved = 0};
  ASSERT_EQ(call(IOMMU_VFIO_IOAS, choose), 0);
  ASSERT_TRUE(file_->ioctl(caller_, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
  attach(1);
  auto* const data = memory(16 * page);
  sweep(VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map{.argsz = sizeof(vfio_iommu_type1_dma_map),
                                                     .flags = 3,
                                                     .vaddr = std::bit_cast<std::uint64_t>(data),
                                                     .iova = 0x10000,
                                                     .size = 16 * page});
  struct Info {
    vfio_iommu_type1_info head;
    std::uint64_t rest[20];
  };
  sweep(VFIO_IOMMU_GET_INFO,
        Info{.head = {.argsz = sizeof(Info), .flags = 0, .iova_pgsizes = 0, .cap_offset = 0, .pad = 0}, .rest = {}});
}

TEST_F(IommufdSweep, FilesAndTheirNextProcess) {
  ASSERT_EQ(new_ioas(), 1u);
  attach(1);
  int const memfd = ::memfd_create("test", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(memfd, 8 * page), 0);
  for (std::uint64_t const start : {std::uint64_t{0}, 4 * page}) {
    sweep(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file{.size = sizeof(iommu_ioas_map_file),
                                                   .flags = fixed | read_write,
                                                   .ioas_id = 1,
                                                   .fd = memfd,
                                                   .start = start,
                                                   .length = 4 * page,
                                                   .iova = 0x100000 + start});
  }
  ::close(memfd);
  sweep(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process{.size = sizeof(iommu_ioas_change_process), .__reserved = 0},
        &other_);
  EXPECT_EQ(other_.process()->pinned_pages, 8u);
}

}  // namespace
}  // namespace swiommu::iommufd

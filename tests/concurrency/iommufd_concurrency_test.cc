// Random calls from eight threads, on one /dev/iommu and on several, with devices doing DMA, asking for pages and reporting
// events.
#include <atomic>
#include <random>
#include <thread>

#include "conformance/effort.h"
#include "iommufd_device_fixture.h"

namespace swiommu::iommufd {
namespace {

constexpr unsigned threads = 8;
constexpr unsigned steps = 2000;
constexpr std::uint64_t page_size = 4096, pages = 16;

// One thread of a program: a device of its own, memory of its own, and ids that may be anybody's.
class Worker {
 public:
  Worker(Engine& engine, std::shared_ptr<OpenFile> file, std::shared_ptr<TestDriver> driver, std::span<std::byte> memory,
         std::uint64_t seed)
      : caller_(engine), file_(std::move(file)), memory_(memory), random_(seed) {
    caller_.most_descriptors = 16;
    auto device = Device::create(engine.host(), {.pasid_bits = 4}).value();
    physical_ = PhysicalDevice::create(std::move(device), std::move(driver), {.capabilities = {.dirty_tracking = true}}).value();
    device_ = BoundDevice::bind(file_, physical_).value();
  }

  void run() {
    std::atomic<bool> stop = false;
    std::jthread const dma([&, random = random_] { do_dma(stop, random); });
    for (unsigned n = 0; n < conformance::effort(steps); n++) step();
    stop = true;
  }

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  std::uint32_t id() { return 1 + below(40); }
  std::optional<Pasid> pasid() { return below(3) == 0 ? std::optional<Pasid>(1 + below(3)) : std::nullopt; }
  std::uint64_t iova() { return 0x100000 + below(64) * page_size; }
  template <class Structure>
  bool call(std::uint32_t request, Structure& structure) {
    structure.size = sizeof structure;
    return file_->ioctl(caller_, request, std::bit_cast<std::uint64_t>(&structure)).has_value();
  }

  void step() {
    switch (below(20)) {
      case 0: return alloc_ioas();
      case 1:
      case 2: return map();
      case 3: return unmap();
      case 4: return alloc_hwpt();
      case 5:
      case 6: return attach();
      case 7: return replace();
      case 8: return device_->detach(pasid());
      case 9:
      case 10: return destroy();
      case 11: return dirty();
      case 12: return alloc_fault_queue();
      case 13: return use_descriptors();
      case 14: return alloc_viommu();
      case 15: return alloc_vdevice();
      case 16: return alloc_event_queue();
      case 17: return report_event();
      case 18: return invalidate();
      default: return information();
    }
  }
  void alloc_ioas() {
    iommu_ioas_alloc arguments{};
    call(IOMMU_IOAS_ALLOC, arguments);
  }
  void map() {
    iommu_ioas_map arguments{};
    arguments.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
    arguments.ioas_id = id();
    arguments.user_va = std::bit_cast<std::uint64_t>(memory_.data());
    arguments.length = (1 + below(pages)) * page_size;
    arguments.iova = iova();
    call(IOMMU_IOAS_MAP, arguments);
  }
  void unmap() {
    iommu_ioas_unmap arguments{};
    arguments.ioas_id = id();
    arguments.length = ~std::uint64_t{0};
    call(IOMMU_IOAS_UNMAP, arguments);
  }
  void alloc_hwpt() {
    TestHwptData const data{.root = iova(), .reserved = 0};
    iommu_hwpt_alloc arguments{};
    arguments.dev_id = device_->id();
    arguments.pt_id = id();
    arguments.flags = below(16);
    arguments.fault_id = id();
    if (below(2) == 0) {
      arguments.flags &= IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
      arguments.data_type = test_hwpt_type;
      arguments.data_len = sizeof data;
      arguments.data_uptr = std::bit_cast<std::uint64_t>(&data);
    }
    call(IOMMU_HWPT_ALLOC, arguments);
  }
  void attach() {
    std::uint32_t pt = id();
    std::ignore = device_->attach(pt, pasid());
  }
  void replace() {
    std::uint32_t pt = id();
    std::ignore = device_->replace(pt, pasid());
  }
  void destroy() {
    iommu_destroy arguments{};
    arguments.id = id();
    call(IOMMU_DESTROY, arguments);
  }
  void dirty() {
    iommu_hwpt_set_dirty_tracking set{};
    set.hwpt_id = id();
    set.flags = 1;
    call(IOMMU_HWPT_SET_DIRTY_TRACKING, set);
    std::uint64_t bits[2] = {};
    iommu_hwpt_get_dirty_bitmap get{};
    get.hwpt_id = id();
    get.iova = 0x100000;
    get.length = 64 * page_size;
    get.page_size = page_size;
    get.data = std::bit_cast<std::uint64_t>(&bits[0]);
    call(IOMMU_HWPT_GET_DIRTY_BITMAP, get);
  }
  void alloc_fault_queue() {
    iommu_fault_alloc arguments{};
    call(IOMMU_FAULT_QUEUE_ALLOC, arguments);
  }
  // Reads and answers whatever there is, and closes one.
  void use_descriptors() {
    std::array<std::byte, 400> bytes;
    for (auto const& [descriptor, opened] : caller_.files()) {
      std::ignore = opened->readable();
      auto const read = opened->read(caller_, std::bit_cast<std::uint64_t>(bytes.data()), bytes.size());
      if (!read || *read < sizeof(iommu_hwpt_pgfault)) continue;
      iommu_hwpt_page_response const response{.cookie = 1 + below(3), .code = 0};
      std::ignore = opened->write(caller_, std::bit_cast<std::uint64_t>(&response), sizeof response);
    }
    if (below(2) == 0 && !caller_.files().empty()) caller_.uninstall(caller_.files().begin()->first);
  }
  void alloc_viommu() {
    iommu_viommu_alloc arguments{};
    arguments.type = test_viommu_type;
    arguments.dev_id = device_->id();
    arguments.hwpt_id = id();
    call(IOMMU_VIOMMU_ALLOC, arguments);
  }
  void alloc_vdevice() {
    iommu_vdevice_alloc arguments{};
    arguments.viommu_id = id();
    arguments.dev_id = device_->id();
    arguments.virt_id = below(100);
    call(IOMMU_VDEVICE_ALLOC, arguments);
  }
  void alloc_event_queue() {
    iommu_veventq_alloc arguments{};
    arguments.viommu_id = id();
    arguments.type = 1 + below(2);
    arguments.veventq_depth = 2;
    call(IOMMU_VEVENTQ_ALLOC, arguments);
  }
  void report_event() {
    std::shared_ptr<Viommu> viommu;
    auto& file = static_cast<File&>(*file_);
    {
      Lock const lock(file.mutex());
      if (auto const found = file.objects().find<Viommu>(id())) viommu = *found;
    }
    if (!viommu) return;
    std::array<std::byte, 8> const event{};
    std::ignore = viommu->report_event(1 + below(2), event);
    Lock const lock(file.mutex());
    viommu = nullptr;  // perhaps the last reference
  }
  void invalidate() {
    TestInvalidation const entry{.value = 1, .status = 0};
    iommu_hwpt_invalidate arguments{};
    arguments.hwpt_id = id();
    arguments.data_uptr = std::bit_cast<std::uint64_t>(&entry);
    arguments.data_type = test_invalidation_type;
    arguments.entry_len = sizeof entry;
    arguments.entry_num = 1;
    call(IOMMU_HWPT_INVALIDATE, arguments);
  }
  void information() {
    iommu_hw_info arguments{};
    arguments.dev_id = id();
    call(IOMMU_GET_HW_INFO, arguments);
  }

  // Several devices may have the same memory: what each of them does there is atomic.
  void do_dma(std::atomic<bool> const& stop, std::mt19937_64 random) {
    auto const port = physical_->device()->open_port().value();
    while (!stop) {
      std::uint64_t const word = random();
      Iova const at(0x100000 + random() % (64 * page_size) / 8 * 8);
      auto const pasid = random() % 2 == 0 ? std::optional<Pasid>(1 + random() % 3) : std::nullopt;
      std::ignore = random() % 2 == 0 ? port->fetch_add(at, word, pasid) : port->swap(at, word, pasid);
      if (random() % 16 == 0)
        std::ignore = physical_->report({.pasid = pasid, .group = 1, .last = random() % 2 == 0, .iova = at.value});
    }
  }

  FakeCaller caller_;
  std::shared_ptr<OpenFile> const file_;
  std::span<std::byte> const memory_;
  std::mt19937_64 random_;
  std::shared_ptr<PhysicalDevice> physical_;
  std::unique_ptr<BoundDevice> device_;
};

void run(unsigned files) {
  SCOPED_TRACE("SWIOMMU_SEED=" + std::to_string(conformance::seed()));
  auto const engine = Engine::create({}).value();
  auto const driver = std::make_shared<TestDriver>();
  driver->addresses = &engine->addresses();
  constexpr std::uint64_t bytes = threads * pages * page_size;
  auto* const memory =
      static_cast<std::byte*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(static_cast<void*>(memory), MAP_FAILED);
  auto const process = engine->processes().find(1000, 500).value();
  {
    std::vector<std::shared_ptr<OpenFile>> opened;
    for (unsigned n = 0; n < files; n++) opened.push_back(engine->open().value());
    std::vector<std::unique_ptr<Worker>> workers;
    for (unsigned n = 0; n < threads; n++) {
      std::span const part(memory + n * pages * page_size, pages * page_size);
      workers.push_back(std::make_unique<Worker>(*engine, opened[n % files], driver, part, conformance::seed() + n));
    }
    std::vector<std::jthread> running;
    for (auto& worker : workers) running.emplace_back([&worker] { worker->run(); });
    running.clear();
    workers.clear();
    std::weak_ptr<OpenFile> const last = opened.back();
    opened.clear();
    EXPECT_TRUE(last.expired());
  }
  EXPECT_EQ(process->pinned_pages, 0u);
  ::munmap(memory, bytes);
}

TEST(IommufdConcurrency, RandomCallsOnOneFile) { run(1); }
TEST(IommufdConcurrency, RandomCallsOnSeveralFiles) { run(4); }

}  // namespace
}  // namespace swiommu::iommufd

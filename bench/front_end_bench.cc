// What ioctls cost where the engine is: a call that does next to nothing, mapping, a new anchor. A device of the VT-d profile is
// attached.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <bit>
#include <cstring>
#include <string>

#include "fake_caller.h"
#include "swiommu/iommufd/bound_device.h"
#include "swiommu/iommufd/make_driver.h"
#include "swiommu/iommufd/physical_device.h"
#include "swiommu/profile/load_profile.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint32_t read_write = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
constexpr std::uint64_t base = std::uint64_t{1} << 32;

// An opened /dev/iommu, one IOAS, a nesting parent on it, and a device that is attached to the parent.
class World {
 public:
  World() {
    auto driver = *make_driver(*load_profile("intel-vtd"));
    auto device = *Device::create(engine_->host(), {.requester_id = 0x28});
    device_ = *PhysicalDevice::create(device, driver, {});
    bound_ = std::move(*BoundDevice::bind(file_, device_));
    iommu_ioas_alloc alloc{.size = sizeof alloc, .flags = 0, .out_ioas_id = 0};
    call(IOMMU_IOAS_ALLOC, alloc);
    ioas_ = alloc.out_ioas_id;
    std::uint32_t pt = ioas_;
    if (!bound_->attach(pt)) failed_ = true;
  }

  template <class Structure>
  bool call(std::uint32_t request, Structure& structure) {
    auto const done = file_->ioctl(caller_, request, std::bit_cast<std::uint64_t>(&structure));
    if (!done) problem_ = done.error().message();
    return done.has_value();
  }
  [[nodiscard]] std::uint32_t ioas() const { return ioas_; }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::string const& problem() const { return problem_; }

 private:
  class MemcpyCaller final : public FakeCaller {
   public:
    using FakeCaller::FakeCaller;
    bool copy_in(std::uint64_t from, std::span<std::byte> to) override {
      std::memcpy(to.data(), std::bit_cast<void*>(from), to.size());
      return true;
    }
    bool copy_out(std::uint64_t to, std::span<std::byte const> from) override {
      std::memcpy(std::bit_cast<void*>(to), from.data(), from.size());
      return true;
    }
  };

  std::shared_ptr<Engine> const engine_ = *Engine::create(Profile{});
  std::shared_ptr<OpenFile> const file_ = *engine_->open();
  MemcpyCaller caller_{*engine_};
  std::shared_ptr<PhysicalDevice> device_;
  std::unique_ptr<BoundDevice> bound_;
  std::uint32_t ioas_ = 0;
  bool failed_ = false;
  std::string problem_;
};

void trivial_ioctl(benchmark::State& state) {
  World world;
  iommu_option arguments{.size = sizeof arguments, .option_id = IOMMU_OPTION_RLIMIT_MODE, .op = IOMMU_OPTION_OP_GET};
  for (auto _ : state)
    if (!world.call(IOMMU_OPTION, arguments)) return state.SkipWithError(world.problem().c_str());
}
BENCHMARK(trivial_ioctl);

void map_and_unmap_4k(benchmark::State& state) {
  World world;
  void* const data = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  iommu_ioas_map map{.size = sizeof map, .flags = read_write, .ioas_id = world.ioas()};
  map.user_va = std::bit_cast<std::uint64_t>(data);
  map.length = 4096;
  map.iova = base;
  for (auto _ : state) {
    iommu_ioas_unmap unmap{.size = sizeof unmap, .ioas_id = world.ioas(), .iova = base, .length = 4096};
    if (world.failed() || !world.call(IOMMU_IOAS_MAP, map) || !world.call(IOMMU_IOAS_UNMAP, unmap))
      return state.SkipWithError(world.problem().c_str());
  }
  ::munmap(data, 4096);
}
BENCHMARK(map_and_unmap_4k);

// `state.range(0)` GiB of a populated memfd; times are of MAP_FILE alone.
void map_file(benchmark::State& state) {
  World world;
  std::uint64_t const length = static_cast<std::uint64_t>(state.range(0)) << 30;
  int const file = ::memfd_create("bench", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(length)) != 0) return state.SkipWithError("memfd");
  void* const data = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  iommu_ioas_map_file map{.size = sizeof map, .flags = read_write, .ioas_id = world.ioas()};
  map.fd = file;
  map.length = length;
  map.iova = base;
  for (auto _ : state) {
    if (world.failed() || !world.call(IOMMU_IOAS_MAP_FILE, map)) return state.SkipWithError(world.problem().c_str());
    state.PauseTiming();
    iommu_ioas_unmap unmap{.size = sizeof unmap, .ioas_id = world.ioas(), .iova = base, .length = length};
    world.call(IOMMU_IOAS_UNMAP, unmap);
    state.ResumeTiming();
  }
  ::munmap(data, length);
  ::close(file);
}
BENCHMARK(map_file)->Arg(1)->Arg(4)->Unit(benchmark::kMicrosecond)->Iterations(5);

}  // namespace
}  // namespace swiommu::iommufd

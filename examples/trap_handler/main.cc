// Two drivers of the same memory. The VMM thread maps it, with the ioctls of /dev/iommu, and does nothing else. It hands the
// paging domain over to a trap thread (trap_thread.c), which serves the guest's instructions: it alone has to do with the anchor
// and the I/O page table of the guest's function. Meanwhile the VMM thread maps and unmaps other memory.
#include <swiommu/device/port.h>
#include <swiommu/hardware/zpci_guest_function.h>
#include <swiommu/iommufd/handed_domain.h>
#include <swiommu/uapi/iommufd.h>
#include <sys/mman.h>

#include <atomic>
#include <bit>
#include <cstdio>
#include <thread>
#include <vector>

#include "own_process.h"
#include "trap_thread.h"

namespace {

constexpr std::uint64_t memory_size = 16 << 20;

// The VMM's side of /dev/iommu.
class Vmm {
 public:
  explicit Vmm(std::shared_ptr<swiommu::iommufd::Engine> engine)
      : engine_(std::move(engine)), process_(*engine_), file_(engine_->open().value()) {
    iommu_ioas_alloc alloc{};
    alloc.size = sizeof alloc;
    call(IOMMU_IOAS_ALLOC, alloc);
    ioas_ = alloc.out_ioas_id;
  }

  void map(void const* memory, std::uint64_t length, std::uint64_t guest_address) {
    iommu_ioas_map arguments{};
    arguments.size = sizeof arguments;
    arguments.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
    arguments.ioas_id = ioas_;
    arguments.user_va = std::bit_cast<std::uint64_t>(memory);
    arguments.length = length;
    arguments.iova = guest_address;
    call(IOMMU_IOAS_MAP, arguments);
  }
  void unmap(std::uint64_t guest_address, std::uint64_t length) {
    iommu_ioas_unmap arguments{};
    arguments.size = sizeof arguments;
    arguments.ioas_id = ioas_;
    arguments.iova = guest_address;
    arguments.length = length;
    call(IOMMU_IOAS_UNMAP, arguments);
  }
  [[nodiscard]] std::shared_ptr<swiommu::PagingDomain> hand_over() const {
    return swiommu::iommufd::hand_out_domain(file_, ioas_).value();
  }

 private:
  template <class Arguments>
  void call(std::uint32_t request, Arguments& arguments) {
    file_->ioctl(process_, request, std::bit_cast<std::uint64_t>(&arguments)).value();
  }

  std::shared_ptr<swiommu::iommufd::Engine> engine_;
  OwnProcess process_;
  std::shared_ptr<swiommu::iommufd::OpenFile> file_;
  std::uint32_t ioas_ = 0;
};

// The function's DMA. A fault stops the function, as hardware does by itself.
struct CopyEngine {
  swiommu::zpci::GuestFunction& function;
  swiommu::Port& port;

  bool copy(std::uint64_t from, std::uint64_t to, std::size_t length) {
    std::vector<std::byte> buffer(length);
    swiommu::DmaResult result = port.read(swiommu::Iova(from), buffer.data(), length);
    if (result.ok()) result = port.write(swiommu::Iova(to), buffer.data(), length);
    if (result.ok()) return true;
    std::printf("DMA: %s; event %d\n", describe(*result.fault).c_str(), static_cast<int>(function.report(*result.fault)));
    return false;
  }
};

int copy(void* device, std::uint64_t from, std::uint64_t to, std::size_t length) {
  return static_cast<CopyEngine*>(device)->copy(from, to, length) ? 0 : 1;
}

}  // namespace

int main() {
  auto const engine = swiommu::iommufd::Engine::create({}).value();
  void* const memory = ::mmap(nullptr, 2 * memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  int status = 1;
  {
    Vmm vmm(engine);
    vmm.map(memory, memory_size, 0);
    auto const device = swiommu::Device::create(engine->host()).value();
    auto const function = swiommu::zpci::GuestFunction::create(vmm.hand_over(), device, {}).value();

    std::atomic<bool> finished = false;
    std::thread trap_thread([&] {
      auto const port = device->open_port().value();
      CopyEngine engine_of_device{*function, *port};
      machine const guest{swiommu::zpci::intercepts(*function), static_cast<unsigned char*>(memory), &engine_of_device, &copy};
      status = run_guest(&guest);
      finished = true;
    });
    auto* const other = static_cast<std::byte*>(memory) + memory_size;
    do {
      vmm.map(other, memory_size, memory_size);
      vmm.unmap(memory_size, memory_size);
    } while (!finished);
    trap_thread.join();
  }
  ::munmap(memory, 2 * memory_size);
  std::puts(status == 0 ? "the guest is content" : "the guest did not get what it should");
  return status;
}

#include "vfio/devices/register_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace swiommu::vfio {

class RegisterMemory::Mapping final : public iommufd::MappableMemory {
 public:
  Mapping(std::shared_ptr<RegisterMemory> memory, bool acts, std::function<void()> wake)
      : memory_(std::move(memory)), acts_(acts), wake_(std::move(wake)) {
    Mapping::accessed_by_calls(false);
  }
  ~Mapping() override { Mapping::accessed_by_calls(true); }
  Mapping(Mapping const&) = delete;
  Mapping& operator=(Mapping const&) = delete;
  [[nodiscard]] int descriptor() const override { return memory_->file_.get(); }
  [[nodiscard]] std::uint64_t offset() const override { return 0; }
  [[nodiscard]] bool acts() const override { return acts_; }
  void accessed_by_calls(bool all) override {
    if (counted_.exchange(!all) == !all) return;
    if (all) {
      memory_->mappings_.fetch_sub(1);
    } else {
      memory_->mappings_.fetch_add(1);
      wake_();
    }
  }

 private:
  std::shared_ptr<RegisterMemory> const memory_;
  bool const acts_;
  std::function<void()> const wake_;
  std::atomic<bool> counted_ = false;
};

Result<std::shared_ptr<RegisterMemory>> RegisterMemory::create(std::uint64_t length) {
  return guarded([&]() -> Result<std::shared_ptr<RegisterMemory>> {
    Descriptor file(::memfd_create("swiommu-registers", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    // Sealed: whoever maps it could shorten it under our feet.
    if (file.get() < 0 || ::ftruncate(file.get(), static_cast<off_t>(length)) != 0 ||
        ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
      return fail(errno, "cannot make a memfd for the registers of a device");
    void* const at = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (at == MAP_FAILED) return fail(errno, "cannot map the registers of a device");
    auto* const made = new (std::nothrow) RegisterMemory(std::move(file), static_cast<std::byte*>(at), length);
    if (made == nullptr) {
      ::munmap(at, length);
      return out_of_memory();
    }
    return std::shared_ptr<RegisterMemory>(made);
  });
}

RegisterMemory::~RegisterMemory() { ::munmap(bytes_, length_); }

void RegisterMemory::clear(std::uint64_t from) {
  for (std::uint64_t at = from; at < length_; at += sizeof(std::uint64_t))
    word<std::uint64_t>(at).store(0, std::memory_order_relaxed);
}

Result<std::shared_ptr<iommufd::MappableMemory>> RegisterMemory::map(std::shared_ptr<RegisterMemory> memory, bool acts,
                                                                     std::function<void()> wake) {
  return guarded([&]() -> Result<std::shared_ptr<iommufd::MappableMemory>> {
    return std::make_shared<Mapping>(std::move(memory), acts, std::move(wake));
  });
}

}  // namespace swiommu::vfio

#include "vfio/devices/register_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace swiommu::vfio {

class RegisterMemory::Mapping final : public iommufd::MappableMemory {
 public:
  explicit Mapping(std::shared_ptr<RegisterMemory> memory) : memory_(std::move(memory)) { memory_->mappings_.fetch_add(1); }
  ~Mapping() override { memory_->mappings_.fetch_sub(1); }
  Mapping(Mapping const&) = delete;
  Mapping& operator=(Mapping const&) = delete;
  [[nodiscard]] int descriptor() const override { return memory_->file_.get(); }
  [[nodiscard]] std::uint64_t offset() const override { return 0; }

 private:
  std::shared_ptr<RegisterMemory> const memory_;
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

Result<std::shared_ptr<iommufd::MappableMemory>> RegisterMemory::map(std::shared_ptr<RegisterMemory> memory) {
  return guarded(
      [&]() -> Result<std::shared_ptr<iommufd::MappableMemory>> { return std::make_shared<Mapping>(std::move(memory)); });
}

}  // namespace swiommu::vfio

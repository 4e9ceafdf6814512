#include "vfio/devices/ioat/register_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace swiommu::vfio::ioat {

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

Result<std::shared_ptr<RegisterMemory>> RegisterMemory::create(std::uint64_t bytes) {
  return guarded([&]() -> Result<std::shared_ptr<RegisterMemory>> {
    swiommu::Descriptor file(::memfd_create("swiommu-ioat-registers", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    // Sealed: whoever maps it could shorten it under our feet.
    if (file.get() < 0 || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0 ||
        ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
      return fail(errno, "cannot make a memfd for the registers of an I/OAT engine");
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (at == MAP_FAILED) return fail(errno, "cannot map the registers of an I/OAT engine");
    auto* const made = new (std::nothrow) RegisterMemory(std::move(file), static_cast<std::uint64_t*>(at), bytes);
    if (made == nullptr) {
      ::munmap(at, bytes);
      return out_of_memory();
    }
    return std::shared_ptr<RegisterMemory>(made);
  });
}

RegisterMemory::~RegisterMemory() { ::munmap(words_, bytes_); }

void RegisterMemory::clear() {
  for (std::uint64_t at = 0; at < bytes_; at += sizeof(std::uint64_t)) word(at).store(0, std::memory_order_relaxed);
}

Result<std::shared_ptr<iommufd::MappableMemory>> RegisterMemory::map(std::shared_ptr<RegisterMemory> memory) {
  return guarded(
      [&]() -> Result<std::shared_ptr<iommufd::MappableMemory>> { return std::make_shared<Mapping>(std::move(memory)); });
}

}  // namespace swiommu::vfio::ioat

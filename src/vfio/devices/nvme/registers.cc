#include "vfio/devices/nvme/registers.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace swiommu::vfio::nvme {
namespace {

constexpr std::uint32_t version = 0x00010400;  // 3.1.2

}  // namespace

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
    Descriptor file(::memfd_create("swiommu-nvme-registers", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    // Sealed: whoever maps it could shorten it under our feet.
    if (file.get() < 0 || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0 ||
        ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
      return fail(errno, "cannot make a memfd for the registers of an NVMe controller");
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (at == MAP_FAILED) return fail(errno, "cannot map the registers of an NVMe controller");
    auto* const made = new (std::nothrow) RegisterMemory(std::move(file), static_cast<std::uint32_t*>(at), bytes);
    if (made == nullptr) {
      ::munmap(at, bytes);
      return out_of_memory();
    }
    return std::shared_ptr<RegisterMemory>(made);
  });
}

RegisterMemory::~RegisterMemory() { ::munmap(words_, bytes_); }

void RegisterMemory::clear(std::uint64_t from) {
  for (std::uint64_t at = from; at < bytes_; at += sizeof(std::uint32_t)) word(at).store(0, std::memory_order_relaxed);
}

Result<std::shared_ptr<iommufd::MappableMemory>> RegisterMemory::map(std::shared_ptr<RegisterMemory> memory) {
  return guarded(
      [&]() -> Result<std::shared_ptr<iommufd::MappableMemory>> { return std::make_shared<Mapping>(std::move(memory)); });
}

std::uint32_t Registers::read(std::uint64_t at) const {
  switch (at) {
    case offset::cap: return static_cast<std::uint32_t>(capabilities_);
    case offset::cap + 4: return static_cast<std::uint32_t>(capabilities_ >> 32);
    case offset::vs: return version;
    case offset::csts: return status();
    // read by nobody: their values are the vendor's business, and what lies between is reserved
    case offset::cc:
    case offset::aqa:
    case offset::asq:
    case offset::asq + 4:
    case offset::acq:
    case offset::acq + 4: return raw(at);
    default: return at >= offset::doorbells ? raw(at) : 0;
  }
}

void Registers::set_status(std::uint32_t status) {
  status_.store(status, std::memory_order_release);
  store(offset::csts, status);
}

void Registers::add_status(std::uint32_t bits) {
  std::uint32_t const before = status_.fetch_or(bits, std::memory_order_acq_rel);
  store(offset::csts, before | bits);
}

void Registers::publish() {
  for (std::uint64_t const at : {offset::cap, offset::cap + 4, offset::vs, offset::csts})
    if (std::uint32_t const value = read(at); raw(at) != value) store(at, value);
}

void Registers::reset() {
  status_.store(0, std::memory_order_release);
  memory_->clear(0);
  publish();
}

}  // namespace swiommu::vfio::nvme

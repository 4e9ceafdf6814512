#include "vfio/devices/nvme/registers.h"

namespace swiommu::vfio::nvme {
std::uint32_t Registers::read(std::uint64_t at) const {
  switch (at) {
    case offset::cap: return static_cast<std::uint32_t>(capabilities_);
    case offset::cap + 4: return static_cast<std::uint32_t>(capabilities_ >> 32);
    case offset::vs: return specification_version;
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

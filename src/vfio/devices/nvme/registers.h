// The registers of BAR 0, in memory that programs may map. NVM Express 1.4, 3.1.
//
// What the host writes lies in that memory alone, so it makes no difference whether it came by a call or by a mapping. What the
// host only reads is kept apart and put there again: a mapping can write everywhere.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "vfio/devices/register_memory.h"

namespace swiommu::vfio::nvme {

namespace offset {
inline constexpr std::uint32_t cap = 0x00, vs = 0x08, intms = 0x0c, intmc = 0x10, cc = 0x14, csts = 0x1c, aqa = 0x24, asq = 0x28,
                               acq = 0x30, doorbells = 0x1000;
}

inline constexpr std::uint32_t specification_version = 0x00010400;  // 3.1.2

// CC, 3.1.5.
struct Configuration {
  std::uint32_t word = 0;
  [[nodiscard]] bool enabled() const { return (word & 1) != 0; }
  [[nodiscard]] unsigned command_set() const { return word >> 4 & 7; }
  [[nodiscard]] unsigned page_size_lg2() const { return 12 + (word >> 7 & 15); }
  [[nodiscard]] unsigned arbitration() const { return word >> 11 & 7; }
  [[nodiscard]] unsigned shutdown() const { return word >> 14 & 3; }
  [[nodiscard]] unsigned submission_entry_lg2() const { return word >> 16 & 15; }
  [[nodiscard]] unsigned completion_entry_lg2() const { return word >> 20 & 15; }
};

// CSTS, 3.1.6.
namespace csts {
inline constexpr std::uint32_t ready = 1, fatal = 2, shutdown_complete = 2 << 2;
}

inline constexpr unsigned largest_page_size_lg2 = 16;  // CAP.MPSMAX

// Threads: any.
class Registers {
 public:
  Registers(std::shared_ptr<RegisterMemory> memory, std::uint64_t capabilities)
      : memory_(std::move(memory)), capabilities_(capabilities) {
    reset();
  }

  [[nodiscard]] std::shared_ptr<RegisterMemory> const& memory() const { return memory_; }
  // A register of the host's, as a call reads it; INTMS and INTMC are left to who keeps the mask.
  [[nodiscard]] std::uint32_t read(std::uint64_t offset) const;
  [[nodiscard]] std::uint32_t raw(std::uint64_t offset) const {
    return memory_->word<std::uint32_t>(offset).load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t raw_wide(std::uint64_t offset) const {
    return raw(offset) | static_cast<std::uint64_t>(raw(offset + 4)) << 32;
  }
  void store(std::uint64_t offset, std::uint32_t value) {
    memory_->word<std::uint32_t>(offset).store(value, std::memory_order_seq_cst);
  }

  [[nodiscard]] Configuration configuration() const { return {raw(offset::cc)}; }
  [[nodiscard]] std::uint32_t status() const { return status_.load(std::memory_order_acquire); }
  // Commands are run.
  [[nodiscard]] bool running() const { return (status() & (csts::ready | csts::fatal)) == csts::ready; }
  void set_status(std::uint32_t status);
  void add_status(std::uint32_t bits);

  // Puts what is only read where a mapping shows it.
  void publish();
  // As at first.
  void reset();

 private:
  std::shared_ptr<RegisterMemory> const memory_;
  std::uint64_t const capabilities_;
  std::atomic<std::uint32_t> status_ = 0;
};

// A doorbell register. 3.1.24, 3.1.25; CAP.DSTRD is 0.
class Doorbell {
 public:
  enum class Of : std::uint8_t { submission_tail = 0, completion_head = 1 };
  Doorbell(Registers& registers, Of of, std::uint16_t queue)
      : registers_(registers), offset_(offset::doorbells + 8u * queue + 4u * static_cast<unsigned>(of)) {}
  [[nodiscard]] std::uint32_t load() const { return registers_.raw(offset_); }
  void store(std::uint32_t value) { registers_.store(offset_, value); }
  // Takes back a value that is refused, unless another has come meanwhile.
  void take_back(std::uint32_t refused, std::uint32_t valid) {
    registers_.memory()->word<std::uint32_t>(offset_).compare_exchange_strong(refused, valid);
  }

 private:
  Registers& registers_;
  std::uint32_t const offset_;
};

}  // namespace swiommu::vfio::nvme

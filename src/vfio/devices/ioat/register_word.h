// Eight bytes of the register memory, with what was put there last: what differs from that, a program has written through a
// mapping. To be noticed, what it may write again has to be put there in a form that it does not write.
#pragma once
#include <array>
#include <cstdint>

#include "vfio/devices/register_memory.h"

namespace swiommu::vfio::ioat {

// Threads: one at a time; programs write into the memory meanwhile.
class RegisterWord {
 public:
  // Masks of the registers in the word that can be written, 0 for none. All others come back.
  using Fields = std::array<std::uint64_t, 3>;
  struct Write {
    std::uint64_t value = 0;
    std::uint64_t fields = 0;  // that were written
  };

  RegisterWord(RegisterMemory const& memory, std::uint64_t offset, Fields const& fields)
      : memory_(memory), offset_(offset), fields_(fields) {}

  [[nodiscard]] std::uint64_t raw() const { return memory_.word<std::uint64_t>(offset_).load(std::memory_order_acquire); }

  // What was written through a mapping since anything was put.
  [[nodiscard]] Write written() const {
    std::uint64_t const value = raw();
    return {value, differing(value, shown_)};
  }
  // Puts a value where nothing was written.
  void show(std::uint64_t value) { replace(shown_, value); }
  // Puts a value in place of a write as well, unless another has come meanwhile.
  void take(Write const& write, std::uint64_t value) { replace((shown_ & ~write.fields) | (write.value & write.fields), value); }
  // Puts back what cannot be written.
  void restore() {
    if (raw() != shown_) show(shown_);
  }
  void reset(std::uint64_t value) {
    memory_.word<std::uint64_t>(offset_).store(value);
    shown_ = value;
  }

 private:
  [[nodiscard]] std::uint64_t differing(std::uint64_t left, std::uint64_t right) const {
    std::uint64_t fields = 0;
    for (std::uint64_t const each : fields_)
      if (((left ^ right) & each) != 0) fields |= each;
    return fields;
  }
  void replace(std::uint64_t seen, std::uint64_t value) {
    std::uint64_t now = raw();
    for (;;) {
      std::uint64_t const kept = differing(now, seen);
      if (memory_.word<std::uint64_t>(offset_).compare_exchange_weak(now, (now & kept) | (value & ~kept))) break;
    }
    shown_ = value;
  }

  RegisterMemory const& memory_;
  std::uint64_t const offset_;
  Fields const fields_;
  std::uint64_t shown_ = 0;
};

}  // namespace swiommu::vfio::ioat

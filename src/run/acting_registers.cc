#include "run/acting_registers.h"

#include <bit>
#include <cstring>

#include "run/own_caller.h"
#include "run/owner.h"
#include "swiommu/memory/file_memory.h"

namespace swiommu::run {

void ActingRegisters::read(std::uint64_t offset, std::span<std::byte> to) const {
  OwnCaller caller(owner_);
  auto const done = file_->read_at(caller, std::bit_cast<std::uint64_t>(to.data()), to.size(), offset);
  std::size_t const good = done ? *done : 0;
  std::memset(to.data() + good, 0xff, to.size() - good);
}

Result<std::unique_ptr<Backing>> ActingRegisters::memory(std::uint64_t offset, std::uint64_t length, bool writable) const {
  return FileMemory::create(owner_.engine().addresses(), memory_->descriptor(), memory_->offset() + (offset - offset_), length,
                            writable);
}

void ActingRegisters::write(std::uint64_t offset, std::span<std::byte const> from) const {
  OwnCaller caller(owner_);
  static_cast<void>(file_->write_at(caller, std::bit_cast<std::uint64_t>(from.data()), from.size(), offset));
}

}  // namespace swiommu::run

#include "run/acting_registers.h"

#include <bit>
#include <cstring>

#include "run/own_caller.h"

namespace swiommu::run {

void ActingRegisters::read(std::uint64_t offset, std::span<std::byte> to) const {
  OwnCaller caller(owner_);
  auto const done = file_->read_at(caller, std::bit_cast<std::uint64_t>(to.data()), to.size(), offset);
  std::size_t const good = done ? *done : 0;
  std::memset(to.data() + good, 0xff, to.size() - good);
}

void ActingRegisters::write(std::uint64_t offset, std::span<std::byte const> from) const {
  OwnCaller caller(owner_);
  static_cast<void>(file_->write_at(caller, std::bit_cast<std::uint64_t>(from.data()), from.size(), offset));
}

}  // namespace swiommu::run

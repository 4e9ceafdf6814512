#include "run/own_holding.h"

#include <sys/mman.h>

#include "run/acting_registers.h"
#include "run/file_mappings.h"
#include "run/kernel_call.h"
#include "run/logged_call.h"
#include "run/own_caller.h"
#include "run/owner.h"
#include "run/register_faults.h"

namespace swiommu::run {
namespace {

long outcome(Result<std::uint64_t> const& result) { return result ? static_cast<long>(*result) : -result.error().code; }

}  // namespace

OwnHolding::~OwnHolding() {
  file_.reset();
  owner_.release_if_unheld(id());
}

long OwnHolding::ioctl(int, std::uint32_t request, std::uint64_t argument) {
  OwnCaller caller(owner_);
  return outcome(logged_ioctl(file_->file(), caller, request, argument));
}

long OwnHolding::read(int descriptor, void* to, std::size_t length, std::optional<std::uint64_t> offset) {
  OwnCaller caller(owner_);
  auto const address = std::bit_cast<std::uint64_t>(to);
  auto const result =
      offset ? file_->file().read_at(caller, address, length, *offset) : file_->file().read(caller, address, length);
  file_->settle(descriptor);
  return outcome(result);
}

long OwnHolding::write(int, void const* from, std::size_t length, std::optional<std::uint64_t> offset) {
  OwnCaller caller(owner_);
  auto const address = std::bit_cast<std::uint64_t>(from);
  return outcome(offset ? file_->file().write_at(caller, address, length, *offset)
                        : file_->file().write(caller, address, length));
}

long OwnHolding::map(int, void* at, std::size_t length, int protection, int flags, std::uint64_t offset) {
  auto memory = file_->file().map(offset, length, protection, flags);
  if (!memory) return -memory.error().code;
  if ((*memory)->acts() && catch_register_faults()) return map_acting(std::move(*memory), at, length, protection, flags, offset);
  long const mapped = kernel_call(SYS_mmap, at, length, protection, flags, (*memory)->descriptor(), (*memory)->offset());
  if (mapped >= 0) file_mappings().add(static_cast<std::uint64_t>(mapped), length, {.kept = std::move(*memory)});
  return mapped;
}

long OwnHolding::map_acting(std::shared_ptr<iommufd::MappableMemory> memory, void* at, std::size_t length, int protection,
                            int flags, std::uint64_t offset) {
  int const descriptor = memory->descriptor();
  std::uint64_t const inside = memory->offset();
  auto const registers = guarded([&]() -> Result<std::shared_ptr<ActingRegisters>> {
    return std::make_shared<ActingRegisters>(owner_, file_->shared_file(), memory, offset);
  });
  if (!registers) return -registers.error().code;
  long const mapped = kernel_call(SYS_mmap, at, length, PROT_NONE, flags, descriptor, inside);
  if (mapped < 0) return mapped;
  auto const start = static_cast<std::uint64_t>(mapped);
  if (!file_mappings().add(start, length, {*registers, registers->get(), protection, offset})) {
    (*registers)->let_go();
    kernel_call(SYS_mprotect, start, length, protection);
  }
  return mapped;
}

PinCounts OwnHolding::counts(int, pid_t pid) { return owner_.counts(pid); }

}  // namespace swiommu::run

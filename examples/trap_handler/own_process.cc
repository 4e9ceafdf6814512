#include "own_process.h"

#include <swiommu/memory/safe_copy.h>
#include <unistd.h>

#include <bit>

OwnProcess::OwnProcess(swiommu::iommufd::Engine& engine)
    : engine_(engine), process_(engine.processes().find(::getpid(), ::getuid()).value()) {}

bool OwnProcess::copy_in(std::uint64_t from, std::span<std::byte> to) {
  return swiommu::copy_from_doubtful(std::bit_cast<void*>(from), to);
}

bool OwnProcess::copy_out(std::uint64_t to, std::span<std::byte const> from) {
  return swiommu::copy_to_doubtful(std::bit_cast<void*>(to), from);
}

swiommu::Result<std::unique_ptr<swiommu::Backing>> OwnProcess::memory(std::uint64_t address, std::uint64_t length,
                                                                      bool writable) {
  return swiommu::UserMemory::create(engine_.addresses(), std::bit_cast<void*>(address), length, writable);
}

std::unexpected<swiommu::Error> OwnProcess::no_descriptors() { return swiommu::fail(EMFILE, "this program has no descriptors"); }

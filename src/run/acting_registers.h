// Registers of a device that the program has mapped, and that act when they are accessed. The program has no rights there: each
// of its accesses becomes a call.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "swiommu/iommufd/open_file.h"

namespace swiommu::run {

class Owner;

// Threads: any.
class ActingRegisters {
 public:
  ActingRegisters(Owner& owner, std::shared_ptr<iommufd::OpenFile> file, std::shared_ptr<iommufd::MappableMemory> memory)
      : owner_(owner), file_(std::move(file)), memory_(std::move(memory)) {
    memory_->accessed_by_calls(true);
  }

  // At an offset in the file. What cannot be read is ones, what cannot be written is lost, as on a bus where nobody answers.
  void read(std::uint64_t offset, std::span<std::byte> to) const;
  void write(std::uint64_t offset, std::span<std::byte const> from) const;
  // The program accesses it, from now on.
  void let_go() const { memory_->accessed_by_calls(false); }

 private:
  Owner& owner_;
  std::shared_ptr<iommufd::OpenFile> const file_;  // without its descriptors, which may all be closed
  std::shared_ptr<iommufd::MappableMemory> const memory_;
};

}  // namespace swiommu::run

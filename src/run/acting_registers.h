// Registers of a device that the program has mapped, and that act when they are accessed. The program has no rights there: each
// of its accesses becomes a call.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "swiommu/iommufd/open_file.h"
#include "swiommu/memory/backing.h"

namespace swiommu::run {

class Owner;

// Threads: any.
class ActingRegisters {
 public:
  // `offset`: where in the file the memory begins.
  ActingRegisters(Owner& owner, std::shared_ptr<iommufd::OpenFile> file, std::shared_ptr<iommufd::MappableMemory> memory,
                  std::uint64_t offset)
      : owner_(owner), file_(std::move(file)), memory_(std::move(memory)), offset_(offset) {
    memory_->accessed_by_calls(true);
  }

  // At an offset in the file. What cannot be read is ones, what cannot be written is lost, as on a bus where nobody answers.
  void read(std::uint64_t offset, std::span<std::byte> to) const;
  void write(std::uint64_t offset, std::span<std::byte const> from) const;
  // What is there for DMA: the memory that a program without faults would see. The device finds what is written there when it
  // looks for another reason. Errors as FileMemory::create().
  Result<std::unique_ptr<Backing>> memory(std::uint64_t offset, std::uint64_t length, bool writable) const;
  // The program accesses it, from now on.
  void let_go() const { memory_->accessed_by_calls(false); }

 private:
  Owner& owner_;
  std::shared_ptr<iommufd::OpenFile> const file_;  // without its descriptors, which may all be closed
  std::shared_ptr<iommufd::MappableMemory> const memory_;
  std::uint64_t const offset_;
};

}  // namespace swiommu::run

// The host's memory as one thread of the controller reaches it, and the places in it that a command names.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "swiommu/device/port.h"
#include "swiommu/vfio/device_model.h"
#include "vfio/devices/nvme/command.h"

namespace swiommu::vfio::nvme {

// Threads: one at a time, with a pass of the gate.
class HostMemory {
 public:
  // A run of bytes.
  struct Segment {
    std::uint64_t iova = 0, length = 0;
  };

  HostMemory(Slot& slot, std::unique_ptr<Port> port) : slot_(slot), port_(std::move(port)) {}

  // False: DMA met a fault, which has been reported.
  [[nodiscard]] bool read(std::uint64_t iova, std::span<std::byte> to);
  [[nodiscard]] bool write(std::uint64_t iova, std::span<std::byte const> from);
  // Makes the word visible after everything that was written before.
  [[nodiscard]] bool publish(std::uint64_t iova, std::uint32_t word);

  // Finds where the `length` bytes of a command lie (4.3, 4.4), for the two calls that follow it.
  Status locate(Command const& command, std::uint64_t length, unsigned page_size_lg2);
  [[nodiscard]] std::span<Segment const> segments() const { return segments_; }
  // Exactly as many bytes as were located.
  Status fetch(std::span<std::byte> to);
  Status store(std::span<std::byte const> from);

 private:
  Status follow_prps(Command const& command, std::uint64_t length, unsigned page_size_lg2);
  Status follow_sgl(Command const& command, std::uint64_t length);
  Status follow_list(std::uint64_t list, std::uint64_t left, unsigned page_size_lg2);
  void add(std::uint64_t iova, std::uint64_t length);

  Slot& slot_;
  std::unique_ptr<Port> const port_;
  std::vector<Segment> segments_;
  std::vector<std::uint64_t> entries_;  // of one page of a PRP list
};

}  // namespace swiommu::vfio::nvme

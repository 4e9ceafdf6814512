// The NVM command set. NVM Express 1.4, 6.
#pragma once
#include <cstddef>
#include <vector>

#include "vfio/devices/nvme/host_memory.h"
#include "vfio/devices/nvme/state.h"

namespace swiommu::vfio::nvme {

// Threads: one at a time.
class IoCommands {
 public:
  IoCommands(State& state, HostMemory& memory) : state_(state), memory_(memory), buffer_(state.largest_transfer()) {}
  Outcome run(Command const& command);

 private:
  // Blocks that a command names.
  struct Blocks {
    Namespace const& ns;
    std::uint64_t start = 0, count = 0;
    [[nodiscard]] std::uint64_t bytes() const { return count << ns.block_lg2(); }
  };
  Outcome run_on_blocks(Command const& command, Blocks const& blocks);
  Status transfer(Command const& command, Blocks const& blocks);
  Status read(Blocks const& blocks);
  Status write(Command const& command, Blocks const& blocks);
  Status compare(Blocks const& blocks);
  Status verify(Blocks const& blocks);
  Status write_zeroes(Command const& command, Blocks const& blocks);
  Status flush(std::uint32_t nsid);
  Status dataset_management(Command const& command);
  // What it writes must not wait for a Flush.
  [[nodiscard]] bool is_kept(Command const& command) const;
  [[nodiscard]] Status counted(Status status);

  State& state_;
  HostMemory& memory_;
  std::vector<std::byte> buffer_;
  std::vector<std::byte> other_;  // what a Compare compares with
};

}  // namespace swiommu::vfio::nvme

// The namespaces of an NVMe controller that is fuzzed, and what must be in them after each command.
#pragma once
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "disk_image.h"
#include "vfio/devices/nvme/command.h"

namespace swiommu::fuzzing {

// A command that is being run.
struct FetchedCommand {
  vfio::nvme::Command command;
  std::uint64_t place = 0;      // in memory
  std::uint64_t faults = 0;     // that the slot had been told of
  std::vector<std::byte> read;  // after the command: lists, and data at the end
};

struct FuzzedNamespace {
  DiskImage& image;
  unsigned block_lg2;
  bool read_only = false;
};

class NvmeDisks {
 public:
  explicit NvmeDisks(std::vector<FuzzedNamespace> namespaces) : namespaces_(std::move(namespaces)) {}

  void check() const {
    for (auto const& each : namespaces_) each.image.check();
  }

  // Has a Read written what it should until now?
  [[nodiscard]] bool matches(vfio::nvme::Command const& command, std::span<std::byte const> written) const {
    auto const named = blocks_of(command);
    return named && written.size() <= named->size() && std::memcmp(written.data(), named->data(), written.size()) == 0;
  }

  // The command has come to this, having written these bytes.
  void settle(FetchedCommand const& fetched, vfio::nvme::Status status, std::span<std::byte const> written) {
    using enum vfio::nvme::NvmOpcode;
    Command const& command = fetched.command;
    auto const opcode = static_cast<vfio::nvme::NvmOpcode>(command.opcode);
    require(written.empty() || (opcode == read && matches(command, written)));
    if (!status.ok() && (opcode != compare || status != vfio::nvme::status::compare_failure)) return;
    auto const named = blocks_of(command);
    if (opcode == flush) return;
    if (opcode == dataset_management) return deallocate(fetched);
    require(named.has_value());
    bool const changes = opcode == write || opcode == write_zeroes;
    require(!changes || may_change(command.nsid));
    if (opcode == read) return require(written.size() == named->size());
    if (opcode == compare) return require(std::ranges::equal(*named, last_read(fetched, named->size())) == status.ok());
    if (opcode == write) std::ranges::copy(last_read(fetched, named->size()), named->begin());
    if (opcode == write_zeroes) std::ranges::fill(*named, std::byte{0});
    require(changes || opcode == verify);
  }

  // What the command has done to the blocks that it names is not told; others are as they were.
  void take(FetchedCommand const& fetched) {
    using enum vfio::nvme::NvmOpcode;
    Command const& command = fetched.command;
    auto const opcode = static_cast<vfio::nvme::NvmOpcode>(command.opcode);
    if (!may_change(command.nsid)) return;
    if (opcode == write || opcode == write_zeroes) take(command.nsid, blocks_of(command));
    if (opcode == dataset_management && fetched.read.size() >= ranges_bytes(command))
      for_each_range(fetched,
                     [&](std::uint64_t start, std::uint64_t count) { take(command.nsid, blocks(command.nsid, start, count)); });
  }

 private:
  using Command = vfio::nvme::Command;
  using Blocks = std::optional<std::span<std::byte>>;

  // Nothing: there is no such namespace, or there are no such blocks.
  [[nodiscard]] Blocks blocks(std::uint32_t nsid, std::uint64_t start, std::uint64_t count) const {
    if (nsid == 0 || nsid > namespaces_.size()) return std::nullopt;
    auto const& ns = namespaces_[nsid - 1];
    std::uint64_t const all = ns.image.expected().size() >> ns.block_lg2;
    if (start > all || count > all - start) return std::nullopt;
    return ns.image.expected().subspan(start << ns.block_lg2, count << ns.block_lg2);
  }
  [[nodiscard]] Blocks blocks_of(Command const& c) const {
    return blocks(c.nsid, c.cdw10 | std::uint64_t{c.cdw11} << 32, std::uint64_t{c.cdw12 & 0xffff} + 1);
  }

  [[nodiscard]] bool may_change(std::uint32_t nsid) const {
    return nsid != 0 && nsid <= namespaces_.size() && !namespaces_[nsid - 1].read_only;
  }
  void take(std::uint32_t nsid, Blocks const& named) {
    DiskImage& image = namespaces_[nsid - 1].image;
    if (named) std::ranges::copy(image.bytes().subspan(named->data() - image.expected().data(), named->size()), named->begin());
  }

  static std::span<std::byte const> last_read(FetchedCommand const& fetched, std::size_t bytes) {
    require(fetched.read.size() >= bytes);
    return std::span(fetched.read).last(bytes);
  }
  static std::size_t ranges_bytes(Command const& command) { return 16 * ((command.cdw10 & 0xff) + 1); }
  static void for_each_range(FetchedCommand const& fetched, auto const& range) {
    auto ranges = last_read(fetched, ranges_bytes(fetched.command));
    for (; !ranges.empty(); ranges = ranges.subspan(16)) {
      std::uint32_t length = 0;
      std::uint64_t start = 0;
      std::memcpy(&length, &ranges[4], sizeof length);
      std::memcpy(&start, &ranges[8], sizeof start);
      range(start, length);
    }
  }
  void deallocate(FetchedCommand const& fetched) {
    Command const& command = fetched.command;
    if ((command.cdw11 & 4) == 0) return;
    require(may_change(command.nsid));
    for_each_range(fetched, [&](std::uint64_t start, std::uint64_t count) {
      auto const named = blocks(command.nsid, start, count);
      require(named.has_value());
      std::ranges::fill(*named, std::byte{0});
    });
  }

  std::vector<FuzzedNamespace> const namespaces_;
};

}  // namespace swiommu::fuzzing

#include "vfio/devices/nvme/io_commands.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace swiommu::vfio::nvme {
namespace {

NvmOpcode opcode_of(Command const& command) { return static_cast<NvmOpcode>(command.opcode); }

// 6.7.
struct DatasetRange {
  std::uint32_t attributes = 0, blocks = 0;
  std::uint64_t start = 0;
};
static_assert(sizeof(DatasetRange) == 16);
constexpr std::uint32_t deallocate = 4;  // of doubleword 11

constexpr std::uint32_t force_unit_access = 1u << 30;  // of doubleword 12

}  // namespace

Outcome IoCommands::run(Command const& command) {
  if (command.fused() || command.names() == Command::Names::reserved) return {status::invalid_field};
  switch (opcode_of(command)) {
    case NvmOpcode::flush: return {flush(command.nsid)};
    case NvmOpcode::dataset_management: return {dataset_management(command)};
    case NvmOpcode::write:
    case NvmOpcode::read:
    case NvmOpcode::compare:
    case NvmOpcode::write_zeroes:
    case NvmOpcode::verify: break;
    default: return {status::invalid_opcode};
  }
  Namespace const* const ns = find(state_.namespaces, command.nsid);
  if (ns == nullptr) return {status::invalid_namespace};
  Blocks const blocks{*ns, command.cdw10 | static_cast<std::uint64_t>(command.cdw11) << 32,
                      static_cast<std::uint64_t>(command.cdw12 & 0xffff) + 1};
  using namespace std::chrono;
  auto const before = steady_clock::now();
  Outcome outcome = run_on_blocks(command, blocks);
  outcome.lba = blocks.start;
  state_.health.busy_microseconds +=
      static_cast<std::uint64_t>(duration_cast<microseconds>(steady_clock::now() - before).count());
  return outcome;
}

// Protection information is ignored: no namespace is formatted with any (8.3).
Outcome IoCommands::run_on_blocks(Command const& command, Blocks const& blocks) {
  bool const moves = opcode_of(command) != NvmOpcode::write_zeroes && opcode_of(command) != NvmOpcode::verify;
  bool const changes = opcode_of(command) == NvmOpcode::write || opcode_of(command) == NvmOpcode::write_zeroes;
  if (moves && blocks.bytes() > buffer_.size()) return {status::invalid_field};
  if (opcode_of(command) == NvmOpcode::write && (command.cdw12 >> 20 & 15) != 0) return {status::invalid_field};  // a directive
  if (!blocks.ns.contains(blocks.start, blocks.count)) return {status::lba_out_of_range};
  if (changes && blocks.ns.read_only()) return {status::write_protected};
  // 6.9: what is read with FUA is committed before.
  if (!changes && (command.cdw12 & force_unit_access) != 0)
    if (Status const flushed = counted(blocks.ns.flush(blocks.start, blocks.count)); !flushed.ok()) return {flushed};
  switch (opcode_of(command)) {
    case NvmOpcode::write_zeroes: return {write_zeroes(command, blocks)};
    case NvmOpcode::verify: return {verify(blocks)};
    default: return {transfer(command, blocks)};
  }
}

Status IoCommands::transfer(Command const& command, Blocks const& blocks) {
  Status const located = memory_.locate(command, blocks.bytes(), state_.page_size_lg2);
  if (!located.ok()) return located;
  switch (opcode_of(command)) {
    case NvmOpcode::read: return read(blocks);
    case NvmOpcode::write: return write(command, blocks);
    default: return compare(blocks);
  }
}

Status IoCommands::counted(Status status) {
  if (status == status::unrecovered_read_error || status == status::write_fault) state_.health.media_errors++;
  return status;
}

Status IoCommands::read(Blocks const& blocks) {
  auto const bytes = std::span(buffer_).first(blocks.bytes());
  Status status = counted(blocks.ns.read(blocks.start, bytes));
  if (status.ok()) status = memory_.store(bytes);
  if (!status.ok()) return status;
  state_.health.reads++;
  state_.health.sectors_read += blocks.bytes() / 512;
  return status;
}

Status IoCommands::write(Command const& command, Blocks const& blocks) {
  auto const bytes = std::span(buffer_).first(blocks.bytes());
  // All of it before the first byte is written: a fault changes nothing.
  Status status = memory_.fetch(bytes);
  if (status.ok()) status = counted(blocks.ns.write(blocks.start, bytes, is_kept(command)));
  if (!status.ok()) return status;
  state_.health.writes++;
  state_.health.sectors_written += blocks.bytes() / 512;
  return status;
}

bool IoCommands::is_kept(Command const& command) const {
  return (command.cdw12 & force_unit_access) != 0 || !state_.features.write_cache();
}

Status IoCommands::compare(Blocks const& blocks) {
  auto const bytes = std::span(buffer_).first(blocks.bytes());
  if (Status const fetched = memory_.fetch(bytes); !fetched.ok()) return fetched;
  other_.resize(blocks.bytes());
  if (Status const read = counted(blocks.ns.read(blocks.start, other_)); !read.ok()) return read;
  state_.health.reads++;
  state_.health.sectors_read += blocks.bytes() / 512;
  return std::memcmp(bytes.data(), other_.data(), other_.size()) == 0 ? status::success : status::compare_failure;
}

Status IoCommands::verify(Blocks const& blocks) {
  std::uint64_t const piece = buffer_.size() >> blocks.ns.block_lg2();
  for (std::uint64_t done = 0; done < blocks.count; done += piece) {
    if (state_.gate.closed()) return status::internal_error;  // whoever closes it need not wait for all of it
    std::uint64_t const part = std::min(piece, blocks.count - done);
    auto const bytes = std::span(buffer_).first(part << blocks.ns.block_lg2());
    if (Status const read = counted(blocks.ns.read(blocks.start + done, bytes)); !read.ok()) return read;
  }
  return status::success;
}

Status IoCommands::write_zeroes(Command const& command, Blocks const& blocks) {
  return counted(blocks.ns.write_zeroes(blocks.start, blocks.count, is_kept(command)));
}

Status IoCommands::flush(std::uint32_t nsid) {
  if (nsid == every_namespace) return counted(state_.flush());
  Namespace const* const ns = find(state_.namespaces, nsid);
  return ns == nullptr ? status::invalid_namespace : counted(ns->flush());
}

Status IoCommands::dataset_management(Command const& command) {
  Namespace const* const ns = find(state_.namespaces, command.nsid);
  if (ns == nullptr) return status::invalid_namespace;
  std::vector<DatasetRange> ranges((command.cdw10 & 0xff) + 1);
  auto const bytes = std::as_writable_bytes(std::span(ranges));
  Status status = memory_.locate(command, bytes.size(), state_.page_size_lg2);
  if (status.ok()) status = memory_.fetch(bytes);
  if (!status.ok()) return status;
  if ((command.cdw11 & deallocate) == 0) return status::success;  // the other attributes are hints
  if (ns->read_only()) return status::write_protected;
  for (DatasetRange const& each : ranges)
    if (!ns->contains(each.start, each.blocks)) return status::lba_out_of_range;
  for (DatasetRange const& each : ranges) {
    if (state_.gate.closed()) return status::internal_error;  // as in verify()
    if (Status const done = counted(ns->deallocate(each.start, each.blocks)); !done.ok()) return done;
  }
  return status::success;
}

}  // namespace swiommu::vfio::nvme

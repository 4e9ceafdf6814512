#include "vfio/devices/nvme/host_memory.h"

namespace swiommu::vfio::nvme {

bool HostMemory::read(std::uint64_t iova, std::span<std::byte> to) {
  DmaResult const result = port_->read(Iova(iova), to.data(), to.size());
  if (!result.ok()) slot_.report(*result.fault);
  return result.ok();
}

bool HostMemory::write(std::uint64_t iova, std::span<std::byte const> from) {
  DmaResult const result = port_->write(Iova(iova), from.data(), from.size());
  if (!result.ok()) slot_.report(*result.fault);
  return result.ok();
}

bool HostMemory::publish(std::uint64_t iova, std::uint32_t word) {
  // An atomic operation orders it. It wants to read as well, which memory that is only written does not allow.
  if (auto const swapped = port_->swap<std::uint32_t>(Iova(iova), word); swapped && swapped->ok()) return true;
  return write(iova, std::as_bytes(std::span(&word, 1)));
}

Status HostMemory::locate(Command const& command, std::uint64_t length, unsigned page_size_lg2) {
  segments_.clear();
  if (length == 0) return status::success;
  switch (command.names()) {
    case Command::Names::prp: return follow_prps(command, length, page_size_lg2);
    case Command::Names::sgl:
    case Command::Names::sgl_with_metadata: return follow_sgl(command, length);
    default: return status::invalid_field;
  }
}

void HostMemory::add(std::uint64_t iova, std::uint64_t length) {
  // None goes on at 0 after the last page there is.
  if (iova != 0 && !segments_.empty() && segments_.back().iova + segments_.back().length == iova)
    segments_.back().length += length;
  else
    segments_.push_back({iova, length});
}

Status HostMemory::fetch(std::span<std::byte> to) {
  for (Segment const& each : segments_) {
    if (!read(each.iova, to.first(each.length))) return status::data_transfer_error;
    to = to.subspan(each.length);
  }
  return status::success;
}

Status HostMemory::store(std::span<std::byte const> from) {
  for (Segment const& each : segments_) {
    if (!write(each.iova, from.first(each.length))) return status::data_transfer_error;
    from = from.subspan(each.length);
  }
  return status::success;
}

}  // namespace swiommu::vfio::nvme

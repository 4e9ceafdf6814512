// Physical region pages: how a command names memory. NVM Express 1.4, 4.3.
#include <algorithm>

#include "swiommu/base/bits.h"
#include "vfio/devices/nvme/host_memory.h"

namespace swiommu::vfio::nvme {
namespace {

constexpr std::uint64_t entry_bytes = sizeof(std::uint64_t);

}  // namespace

Status HostMemory::follow_prps(Command const& command, std::uint64_t length, unsigned page_size_lg2) {
  if (command.prp1 % 4 != 0) return status::prp_offset_invalid;
  std::uint64_t const page = bit(page_size_lg2);
  std::uint64_t const first = std::min(length, page - (command.prp1 & (page - 1)));
  add(command.prp1, first);
  std::uint64_t const left = length - first;
  if (left == 0) return status::success;
  if (left > page) return follow_list(command.prp2, left, page_size_lg2);
  if (!is_aligned(command.prp2, page_size_lg2)) return status::prp_offset_invalid;
  add(command.prp2, left);
  return status::success;
}

// Each page of the list but the first has room for at least two entries, at least one of which names memory, so it ends.
Status HostMemory::follow_list(std::uint64_t list, std::uint64_t left, unsigned page_size_lg2) {
  if (list % entry_bytes != 0) return status::prp_offset_invalid;
  std::uint64_t const page = bit(page_size_lg2);
  while (true) {
    std::uint64_t const wanted = (left + page - 1) >> page_size_lg2;
    std::uint64_t const room = (page - (list & (page - 1))) / entry_bytes;
    bool const chained = wanted > room;
    entries_.resize(std::min(wanted, room));
    if (!read(list, std::as_writable_bytes(std::span(entries_)))) return status::data_transfer_error;
    for (std::size_t n = 0; n < entries_.size() - (chained ? 1 : 0); n++) {
      if (!is_aligned(entries_[n], page_size_lg2)) return status::prp_offset_invalid;
      std::uint64_t const part = std::min(left, page);
      add(entries_[n], part);
      left -= part;
    }
    if (!chained) return status::success;
    list = entries_.back();
    if (!is_aligned(list, page_size_lg2)) return status::prp_offset_invalid;
  }
}

}  // namespace swiommu::vfio::nvme

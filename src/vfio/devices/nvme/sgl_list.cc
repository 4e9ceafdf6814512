// Scatter gather lists: another way in which a command names memory. NVM Express 1.4, 4.4.
#include <bit>

#include "vfio/devices/nvme/host_memory.h"

namespace swiommu::vfio::nvme {
namespace {

struct SglDescriptor {
  enum class Type : std::uint8_t { data_block = 0, segment = 2, last_segment = 3 };

  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint8_t reserved[3] = {};
  std::uint8_t identifier = 0;

  [[nodiscard]] Type type() const { return static_cast<Type>(identifier >> 4); }
  [[nodiscard]] bool known() const {
    bool const address_follows = (identifier & 15) == 0;
    return address_follows && (type() == Type::data_block || type() == Type::segment || type() == Type::last_segment);
  }
};
static_assert(sizeof(SglDescriptor) == 16);

constexpr std::uint64_t most_descriptors = 2048;  // of a command, in all its segments

}  // namespace

Status HostMemory::follow_sgl(Command const& command, std::uint64_t length) {
  struct {
    std::uint64_t first, second;
  } const words{command.prp1, command.prp2};
  auto next = std::bit_cast<SglDescriptor>(words);
  std::vector<SglDescriptor> segment{next};
  bool is_last = false;
  for (std::uint64_t total = 1;; total += segment.size()) {
    bool goes_on = false;
    for (std::size_t n = 0; n < segment.size(); n++) {
      SglDescriptor const& each = segment[n];
      if (!each.known()) return status::sgl_descriptor_type_invalid;
      if (each.type() == SglDescriptor::Type::data_block) {
        if (each.length > length) return status::data_sgl_length_invalid;
        if (each.length != 0) add(each.address, each.length);
        length -= each.length;
        continue;
      }
      // the last descriptor of a segment that is not the last leads on
      if (is_last || n + 1 != segment.size()) return status::invalid_sgl_segment_descriptor;
      next = each;
      goes_on = true;
    }
    if (!goes_on) {
      bool const ended = is_last || total == 1;  // the command's own descriptor may be all there is
      if (!ended) return status::invalid_sgl_segment_descriptor;
      return length == 0 ? status::success : status::data_sgl_length_invalid;
    }
    is_last = next.type() == SglDescriptor::Type::last_segment;
    if (next.length == 0 || next.length % sizeof(SglDescriptor) != 0) return status::invalid_sgl_segment_descriptor;
    std::uint64_t const count = next.length / sizeof(SglDescriptor);
    if (count > most_descriptors - total) return status::invalid_number_of_sgl_descriptors;
    segment.resize(count);
    if (!read(next.address, std::as_writable_bytes(std::span(segment)))) return status::data_transfer_error;
  }
}

}  // namespace swiommu::vfio::nvme

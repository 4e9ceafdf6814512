// The entries of queues as they lie in the host's memory. NVM Express 1.4, 4.2 and 4.6.
#pragma once
#include <bit>
#include <cstdint>

#include "vfio/devices/nvme/status.h"

namespace swiommu::vfio::nvme {

static_assert(std::endian::native == std::endian::little, "entries are little-endian");

inline constexpr std::uint32_t every_namespace = 0xffffffff;

struct Command {
  std::uint8_t opcode = 0;
  std::uint8_t flags = 0;  // FUSE in bits 1:0, PSDT in bits 7:6
  std::uint16_t id = 0;
  std::uint32_t nsid = 0;
  std::uint32_t cdw2 = 0, cdw3 = 0;
  std::uint64_t metadata = 0;
  std::uint64_t prp1 = 0, prp2 = 0;
  std::uint32_t cdw10 = 0, cdw11 = 0, cdw12 = 0, cdw13 = 0, cdw14 = 0, cdw15 = 0;

  // FUSE: Identify says that there are no fused operations.
  [[nodiscard]] bool fused() const { return (flags & 3) != 0; }
  // PSDT: how memory is named.
  enum class Names : std::uint8_t { prp = 0, sgl = 1, sgl_with_metadata = 2, reserved = 3 };
  [[nodiscard]] Names names() const { return static_cast<Names>(flags >> 6); }
};
static_assert(sizeof(Command) == 64);

struct Completion {
  std::uint32_t result = 0, reserved = 0;
  std::uint16_t submission_head = 0, submission_queue = 0;
  std::uint16_t command = 0;
  std::uint16_t status = 0;  // the phase tag in bit 0
};
static_assert(sizeof(Completion) == 16);

// What running a command came to.
struct Outcome {
  Status status;
  std::uint32_t result = 0;  // doubleword 0 of the completion
  bool later = false;        // it stays outstanding
  std::uint64_t lba = 0;     // for the error log
};

// 5, figure 139.
enum class AdminOpcode : std::uint8_t {
  delete_submission_queue = 0x00,
  create_submission_queue = 0x01,
  get_log_page = 0x02,
  delete_completion_queue = 0x04,
  create_completion_queue = 0x05,
  identify = 0x06,
  abort = 0x08,
  set_features = 0x09,
  get_features = 0x0a,
  asynchronous_event_request = 0x0c,
};

// 6, figure 346.
enum class NvmOpcode : std::uint8_t {
  flush = 0x00,
  write = 0x01,
  read = 0x02,
  compare = 0x05,
  write_zeroes = 0x08,
  dataset_management = 0x09,
  verify = 0x0c,
};

}  // namespace swiommu::vfio::nvme

// An NVMe controller (NVM Express 1.4) whose namespaces are files.
//
// It has the mandatory commands, and Compare, Write Zeroes, Dataset Management and Verify; PRPs and SGLs; a volatile write cache,
// which is the system's. It has no metadata and protection information, fused operations, reservations, formatting, management of
// namespaces, firmware, or controller memory buffer.
//
//   auto model = make_nvme(slot, {.namespaces = {{.path = "disk.img", .block_size = 512}}});
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "swiommu/base/result.h"
#include "swiommu/vfio/device_model.h"

namespace swiommu::vfio {

struct NvmeNamespaceOptions {
  std::string path;                // a regular file or a block device
  std::uint32_t block_size = 512;  // or 4096
  bool read_only = false;
};

struct NvmeOptions {
  std::vector<NvmeNamespaceOptions> namespaces;  // namespace ids 1, 2, ...
  std::string serial = "1";                      // up to 20 characters of ASCII
  std::string model = "swiommu NVMe";            // up to 40
  unsigned io_queues = 64;                       // pairs, up to 1023
  std::uint32_t queue_entries = 4096;            // of the largest queue, 2 to 65536
  unsigned mdts = 7;                             // largest transfer: 4 KiB << mdts, 1 to 11
  unsigned io_threads = 2;                       // that share the I/O queues, 1 to 64
  std::string record;                            // a file that gets every change and flush (docs/vfio.md); none if empty
};

// EINVAL: an option is out of its bounds, or a file no multiple of its block size. The errno of open(2). ENOMEM, EAGAIN
// (threads). EEXIST: the record has entries already; EBUSY: another controller records there.
Result<std::unique_ptr<DeviceModel>> make_nvme(Slot& slot, NvmeOptions const& options);

}  // namespace swiommu::vfio

#include "vfio/devices/nvme/identify.h"

#include <fmt/format.h>

#include <string_view>

#include "vfio/devices/nvme/async_events.h"
#include "vfio/devices/nvme/error_log.h"
#include "vfio/devices/nvme/features.h"
#include "vfio/devices/nvme/registers.h"

namespace swiommu::vfio::nvme {
namespace {

// Figure 251.
void identify_controller(PciIdentity const& pci, NvmeOptions const& options, DataPage& page) {
  page.put(0, pci.vendor);
  page.put(2, pci.subsystem_vendor);
  page.put_text(4, 20, options.serial);
  page.put_text(24, 40, options.model);
  page.put_text(64, 8, firmware_revision);
  page.put(77, static_cast<std::uint8_t>(options.mdts));
  page.put(80, specification_version);
  page.put(92, std::uint32_t{1u << 8});  // OAES: a changed namespace list
  page.put(111, std::uint8_t{1});        // an I/O controller
  page.put(258, std::uint8_t{3});        // ACL, from 0
  page.put(259, static_cast<std::uint8_t>(AsyncEvents::most_requests - 1));
  page.put(260, std::uint8_t{3});  // FRMW: one slot, read only
  page.put(261, std::uint8_t{6});  // LPA: commands and effects; offsets and long lengths
  page.put(262, static_cast<std::uint8_t>(ErrorLog::entries - 1));
  page.put(264, std::uint8_t{1});  // AVSCC: vendor specific commands, were there any, have the usual format
  page.put(266, Features::warning_temperature);
  page.put(268, static_cast<std::uint16_t>(Features::warning_temperature + 10));
  page.put(512, std::uint8_t{0x66});  // SQES: 64 bytes
  page.put(513, std::uint8_t{0x44});  // CQES: 16 bytes
  page.put(516, static_cast<std::uint32_t>(options.namespaces.size()));
  page.put(520, std::uint16_t{0x9d});  // ONCS: Compare, Dataset Management, Write Zeroes, Select, Verify
  page.put(525, std::uint8_t{7});      // VWC: there is one; Flush takes every namespace
  page.put(530, std::uint8_t{1});      // NVSCC, as AVSCC
  page.put(536, std::uint32_t{1});     // SGLS: of any alignment, data blocks and segments only
  // 7.9: of a subsystem that has no name of its own.
  page.put_string(768, 256,
                  fmt::format("nqn.2014.08.org.nvmexpress:{:04x}{:04x}{:<20}{:<40}", pci.vendor, pci.subsystem_vendor,
                              options.serial, options.model));
  page.put(2048, std::uint16_t{100});  // power state 0: one watt at most
}

// Figure 247.
void identify_namespace(Namespace const& ns, DataPage& page) {
  for (std::size_t const at : {0, 8, 16}) page.put(at, ns.blocks());  // size, capacity, used
  page.put(33, std::uint8_t{9});  // DLFEAT: what is deallocated reads as zeros, by Write Zeroes too
  page.put(99, static_cast<std::uint8_t>(ns.read_only() ? 1 : 0));
  page.put(128, static_cast<std::uint32_t>(ns.block_lg2() << 16));  // format 0: no metadata
}

// An id that stays the same as long as serial number and model do (FNV-1a; RFC 9562, 5.8).
void put_uuid(std::size_t at, std::uint32_t nsid, NvmeOptions const& options, DataPage& page) {
  std::string const seed = fmt::format("{}/{}/{}", options.model, options.serial, nsid);
  for (std::size_t half = 0; half < 2; half++) {
    std::uint64_t hash = 0xcbf29ce484222325 + half;
    for (char const each : seed) hash = (hash ^ static_cast<unsigned char>(each)) * 0x100000001b3;
    page.put(at + 8 * half, hash);
  }
  auto const byte = [&](std::size_t n) { return std::to_integer<std::uint8_t>(page.span()[at + n]); };
  page.put(at + 6, static_cast<std::uint8_t>((byte(6) & 0x0f) | 0x80));
  page.put(at + 8, static_cast<std::uint8_t>((byte(8) & 0x3f) | 0x80));
}

}  // namespace

Status identify(Command const& command, PciIdentity const& pci, NvmeOptions const& options, Namespaces const& namespaces,
                DataPage& page) {
  Namespace const* const ns = find(namespaces, command.nsid);
  switch (command.cdw10 & 0xff) {  // CNS, figure 244
    case 0x00:
      if (ns == nullptr) return status::invalid_namespace;
      identify_namespace(*ns, page);
      return status::success;
    case 0x01: identify_controller(pci, options, page); return status::success;
    case 0x02: {
      if (command.nsid >= every_namespace - 1) return status::invalid_namespace;
      std::size_t at = 0;
      for (std::uint32_t nsid = command.nsid + 1; nsid <= namespaces.size() && at < DataPage::bytes; nsid++, at += 4)
        page.put(at, nsid);
      return status::success;
    }
    case 0x03:
      if (ns == nullptr) return status::invalid_namespace;
      page.put(0, std::uint8_t{3});  // a UUID
      page.put(1, std::uint8_t{16});
      put_uuid(4, command.nsid, options, page);
      return status::success;
    default: return status::invalid_field;
  }
}

}  // namespace swiommu::vfio::nvme

#include "vfio/sysfs.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "vfio/group.h"

namespace swiommu::vfio {
namespace {

using Kind = SysfsEntry::Kind;

// The device of the IOMMU, as its Linux driver names it.
std::string_view iommu_name(Hardware hardware) {
  switch (hardware) {
    case Hardware::intel_vtd: return "dmar0";
    case Hardware::amd: return "ivhd0";
    case Hardware::arm_smmuv3: return "smmu3.0x0000000009050000";
    case Hardware::riscv: return "riscv-iommu@3010000";
    case Hardware::s390_zpci: return "s390-iommu.1";
    case Hardware::kernel_selftest: return "selftest_iommu_dev.0";
  }
  return "iommu0";
}

char const* region_kind(ReservedIovas::Kind kind) {
  switch (kind) {
    case ReservedIovas::Kind::direct: return "direct";
    case ReservedIovas::Kind::direct_relaxable: return "direct-relaxable";
    case ReservedIovas::Kind::reserved: return "reserved";
    case ReservedIovas::Kind::hardware_msi:
    case ReservedIovas::Kind::software_msi: return "msi";
  }
  return "reserved";
}

class Listing {
 public:
  explicit Listing(Profile const& profile, PciBus::DeviceNumbers const& numbers)
      : iommu_(iommu_name(profile.hardware)), numbers_(numbers) {
    add("/sys/bus/pci/drivers/vfio-pci", Kind::folder, "");
    add("/sys/class/vfio-dev", Kind::folder, "");
    add("/sys/devices/virtual/iommu/" + iommu_, Kind::folder, "");
    add("/sys/class/iommu/" + iommu_, Kind::link, "../../devices/virtual/iommu/" + iommu_);
    text("/sys/devices/virtual/iommu/" + iommu_ + "/uevent", "");
    if (profile.hardware == Hardware::intel_vtd)
      for (auto const* const name : {"cap", "ecap"})
        text(fmt::format("/sys/devices/virtual/iommu/{}/intel-iommu/{}", iommu_, name),
             fmt::format("{:x}\n", profile.register_value(name)));
  }

  void add_function(PciFunction& function) {
    std::string const address = function.address().text();
    std::string const home = fmt::format("pci{:04x}:{:02x}/{}", function.address().segment, function.address().bus, address);
    std::string const at = "/sys/devices/" + home;
    link("/sys/bus/pci/devices/" + address, "../../../devices/" + home);
    link("/sys/bus/pci/drivers/vfio-pci/" + address, "../../../../devices/" + home);
    link(fmt::format("/sys/devices/virtual/iommu/{}/devices/{}", iommu_, address), "../../../../" + home);

    PciIdentity const& identity = function.description().identity;
    text(at + "/vendor", fmt::format("{:#06x}\n", identity.vendor));
    text(at + "/device", fmt::format("{:#06x}\n", identity.device));
    text(at + "/subsystem_vendor", fmt::format("{:#06x}\n", identity.subsystem_vendor));
    text(at + "/subsystem_device", fmt::format("{:#06x}\n", identity.subsystem));
    text(at + "/class", fmt::format("{:#08x}\n", identity.class_code));
    text(at + "/revision", fmt::format("{:#04x}\n", identity.revision));
    std::string const alias = fmt::format("pci:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{:02X}sc{:02X}i{:02X}", identity.vendor,
                                          identity.device, identity.subsystem_vendor, identity.subsystem,
                                          identity.class_code >> 16, identity.class_code >> 8 & 0xff, identity.class_code & 0xff);
    text(at + "/modalias", alias + "\n");
    text(at + "/uevent", fmt::format("DRIVER=vfio-pci\nPCI_CLASS={:X}\nPCI_ID={:04X}:{:04X}\nPCI_SUBSYS_ID={:04X}:{:04X}\n"
                                     "PCI_SLOT_NAME={}\nMODALIAS={}\n",
                                     identity.class_code, identity.vendor, identity.device, identity.subsystem_vendor,
                                     identity.subsystem, address, alias));
    text(at + "/irq", function.description().line ? "16\n" : "0\n");
    text(at + "/numa_node", "-1\n");
    text(at + "/driver_override", "vfio-pci\n");
    text(at + "/enable", "0\n");
    text(at + "/reset_method", function.description().extended ? "flr bus\n" : "bus\n");
    text(at + "/power_state", "D0\n");
    link(at + "/driver", "../../../bus/pci/drivers/vfio-pci");
    link(at + "/subsystem", "../../../bus/pci");
    link(at + "/iommu", "../../virtual/iommu/" + iommu_);
    link(at + "/iommu_group", fmt::format("../../../kernel/iommu_groups/{}", function.group()->number()));
    add(at + "/msi_irqs", Kind::folder, "");
    add_bars(at, function);
    add_configuration(at, function);
    add_cdev(at, home, function.number());
    add_group(home, address, function);
  }

  std::vector<SysfsEntry> take() { return std::move(entries_); }

 private:
  void add(std::string path, Kind kind, std::string contents, std::uint64_t size = 0) {
    entries_.push_back({std::move(path), kind, std::move(contents), size});
  }
  void text(std::string path, std::string contents) { add(std::move(path), Kind::text, std::move(contents)); }
  void link(std::string path, std::string target) { add(std::move(path), Kind::link, std::move(target)); }

  // First and last address and Linux' resource flags of each BAR, of the ROM, and of what only bridges and SR-IOV have.
  void add_bars(std::string const& at, PciFunction const& function) {
    constexpr unsigned lines = 13;
    constexpr std::uint64_t memory = 0x40200, prefetchable = 0x2000, wide = 0x100000;
    std::string resource;
    for (unsigned number = 0; number < lines; number++) {
      Bar const* const bar = number < 6 ? function.find_bar(number) : nullptr;
      if (bar == nullptr) {
        resource += fmt::format("{:#018x} {:#018x} {:#018x}\n", 0, 0, 0);
        continue;
      }
      std::uint64_t const start = function.bar_addresses()[number];
      std::uint64_t const kind = memory | (bar->prefetchable ? prefetchable | 8 : 0) | (bar->wide ? wide | 4 : 0);
      resource += fmt::format("{:#018x} {:#018x} {:#018x}\n", start, start + bar->bytes - 1, kind);
      add(fmt::format("{}/resource{}", at, number), Kind::memory, "", bar->bytes);
    }
    text(at + "/resource", std::move(resource));
  }

  void add_configuration(std::string const& at, PciFunction& function) {
    std::string bytes(function.configuration_size(), '\0');
    auto const space = std::as_writable_bytes(std::span(bytes));
    for (unsigned offset = 0; offset < space.size(); offset += 4) function.read_configuration(offset, space.subspan(offset, 4));
    text(at + "/config", std::move(bytes));
  }

  void add_cdev(std::string const& at, std::string const& home, unsigned number) {
    std::string const name = fmt::format("vfio{}", number), cdev = at + "/vfio-dev/" + name;
    text(cdev + "/dev", fmt::format("{}:{}\n", numbers_.devices_major, number));
    text(cdev + "/uevent", fmt::format("MAJOR={}\nMINOR={}\nDEVNAME=vfio/devices/{}\n", numbers_.devices_major, number, name));
    link(cdev + "/device", fmt::format("../../../{}", home.substr(home.find('/') + 1)));
    link(cdev + "/subsystem", "../../../../../class/vfio-dev");
    link("/sys/class/vfio-dev/" + name, "../../devices/" + home + "/vfio-dev/" + name);
  }

  void add_group(std::string const& home, std::string const& address, PciFunction const& function) {
    unsigned const number = function.group()->number();
    std::string const group = fmt::format("/sys/kernel/iommu_groups/{}", number);
    link(group + "/devices/" + address, "../../../../devices/" + home);
    if (!groups_.insert(number).second) return;
    text(group + "/type", "DMA\n");
    std::vector<ReservedIovas> reserved = function.physical()->reserved();
    std::ranges::sort(reserved, {}, [](ReservedIovas const& r) { return r.iovas.start; });
    std::string regions;
    for (auto const& [iovas, kind] : reserved)
      regions += fmt::format("{:#018x} {:#018x} {}\n", iovas.start, iovas.last, region_kind(kind));
    text(group + "/reserved_regions", std::move(regions));
    std::string const device = fmt::format("/sys/devices/virtual/vfio/{}", number);
    text(device + "/dev", fmt::format("{}:{}\n", numbers_.groups_major, number));
    text(device + "/uevent", fmt::format("MAJOR={}\nMINOR={}\nDEVNAME=vfio/{}\n", numbers_.groups_major, number, number));
    link(device + "/subsystem", "../../../../class/vfio");
    link(fmt::format("/sys/class/vfio/{}", number), fmt::format("../../devices/virtual/vfio/{}", number));
  }

  std::string const iommu_;
  PciBus::DeviceNumbers const numbers_;
  std::set<unsigned> groups_;
  std::vector<SysfsEntry> entries_;
};

}  // namespace

std::vector<SysfsEntry> list_sysfs(std::span<std::shared_ptr<PciFunction> const> functions, Profile const& profile,
                                   PciBus::DeviceNumbers const& numbers) {
  Listing listing(profile, numbers);
  for (auto const& function : functions) listing.add_function(*function);
  return listing.take();
}

}  // namespace swiommu::vfio

#include "swiommu/vfio/pci_bus.h"

#include "vfio/vfio_fixture.h"

namespace swiommu::vfio {
namespace {

class VfioBusTest : public VfioTest {
 protected:
  int error(Result<PciBus::Placed> const& placed) { return placed ? 0 : placed.error().code; }
  int refused(std::function<void(ModelDescription&)> const& change) {
    ModelDescription description = ToyModel::usual();
    change(description);
    return error(plug(description));
  }
  // Contents of a text file, or the target of a link.
  std::string say(std::string_view path) {
    auto const all = bus_->sysfs().value();
    for (SysfsEntry const& entry : all)
      if (entry.path == path) return entry.contents;
    return "nothing";
  }
};

TEST_F(VfioBusTest, NamesOfFunctionsAreThoseOfLinux) {
  PciAddress const address{.segment = 0x10, .bus = 0xab, .device = 0x1f, .function = 7};
  EXPECT_EQ(address.text(), "0010:ab:1f.7");
  EXPECT_EQ(PciAddress::parse("0010:ab:1f.7"), address);
  EXPECT_EQ(address.requester_id(), 0xabff);
  for (char const* wrong : {"", "0000:00:00", "0000:00:00.8", "0000:00:20.0", "0000:0:00.0", "0000:AB:00.0", "0000:00:00.0 ",
                            "+000:00:00.0", "00000:00:00.0", "0000-00:00.0", "0000:00:00.0x"})
    EXPECT_FALSE(PciAddress::parse(wrong)) << wrong;
}

TEST_F(VfioBusTest, FunctionsGetWhatIsFree) {
  EXPECT_EQ(plug().value(), (PciBus::Placed{{.bus = 1}, 0, 1}));
  PciAddress const third{.segment = 2, .bus = 3, .device = 4, .function = 5};
  EXPECT_EQ(plug(ToyModel::usual(), {.address = third, .group = 2}).value(), (PciBus::Placed{third, 1, 2}));
  EXPECT_EQ(plug().value(), (PciBus::Placed{{.bus = 2}, 2, 3}));
  EXPECT_EQ(error(plug(ToyModel::usual(), {.address = third})), EEXIST);
  EXPECT_EQ(error(plug(ToyModel::usual(), {.address = PciAddress{.device = 32}})), EINVAL);
  EXPECT_EQ(bus_->functions().size(), 3u);
  EXPECT_EQ(bus_->find_number(1)->address, third);
  EXPECT_EQ(bus_->find_address(third)->group, 2u);
  EXPECT_FALSE(bus_->find_number(3) || bus_->find_address({.bus = 9}));
  EXPECT_TRUE(bus_->has_group(3));
  EXPECT_FALSE(bus_->has_group(4));
}

TEST_F(VfioBusTest, ModelsThatAreNoFunctionsAreRefused) {
  EXPECT_EQ(refused([](auto& d) { d.bars[0].number = 5; }), EINVAL) << "no number for the upper half";
  EXPECT_EQ(refused([](auto& d) { d.bars[1].number = 1; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.bars[1].number = 100; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.bars[1].bytes = 0x800; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.bars[1].bytes = 0x3000; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.msix.bar = 1; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.msix.table_offset = 0xfff8; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.msix.table_offset = 0x8004; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.msix.pending_offset = 0x8008; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.msix.vectors = 2049; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.msi_vectors = 3; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.msi_vectors = 64; }), EINVAL);
  EXPECT_EQ(refused([](auto& d) { d.identity.class_code = 1u << 24; }), EINVAL);
  EXPECT_EQ(error(bus_->add({}, [](Slot&) -> Result<std::unique_ptr<DeviceModel>> { return fail(ENXIO, "no"); })), ENXIO);
  EXPECT_TRUE(bus_->functions().empty());
  EXPECT_FALSE(bus_->has_group(1));
  EXPECT_EQ(log_->living, 0);
}

TEST_F(VfioBusTest, OpensFilesByPath) {
  ASSERT_TRUE(plug());
  for (char const* path : {"/dev/iommu", "/dev/vfio/vfio", "/dev/vfio/1", "/dev/vfio/devices/vfio0"})
    EXPECT_TRUE(bus_->open(path)) << path;
  for (char const* path : {"/dev/vfio/2", "/dev/vfio/01", "/dev/vfio/", "/dev/vfio/devices/vfio1", "/dev/vfio/devices/vfio",
                           "/dev/vfio/devices/vfio0x", "/dev/vfio/99999999999", "/dev/null", ""})
    EXPECT_EQ(bus_->open(path).error().code, ENOENT) << path;
  EXPECT_STREQ(bus_->open("/dev/vfio/1").value()->name(), "/dev/vfio/1");
  EXPECT_STREQ(bus_->open("/dev/vfio/devices/vfio0").value()->name(), "/dev/vfio/devices/vfio0");
}

TEST_F(VfioBusTest, OtherFilesHaveNoOffsets) {
  EXPECT_EQ(file_->read_at(caller_, 0, 0, 0).error().code, EINVAL);
  EXPECT_EQ(file_->read_at(caller_, 0, 0, 1).error().code, ESPIPE);
  EXPECT_EQ(file_->write_at(caller_, 0, 0, 0).error().code, EINVAL);
  EXPECT_EQ(file_->write_at(caller_, 0, 0, 1).error().code, ESPIPE);
}

TEST_F(VfioBusTest, SysfsSaysWhatProgramsLookFor) {
  ASSERT_TRUE(plug());
  std::string const at = "/sys/devices/pci0000:01/0000:01:00.0";
  EXPECT_EQ(say("/sys/bus/pci/devices/0000:01:00.0"), "../../../devices/pci0000:01/0000:01:00.0");
  EXPECT_EQ(say(at + "/vendor"), "0x8086\n");
  EXPECT_EQ(say(at + "/device"), "0x1234\n");
  EXPECT_EQ(say(at + "/subsystem_device"), "0x1100\n");
  EXPECT_EQ(say(at + "/class"), "0x010802\n");
  EXPECT_EQ(say(at + "/revision"), "0x03\n");
  EXPECT_EQ(say(at + "/modalias"), "pci:v00008086d00001234sv00001AF4sd00001100bc01sc08i02\n");
  EXPECT_EQ(say(at + "/driver"), "../../../bus/pci/drivers/vfio-pci");
  EXPECT_EQ(say(at + "/iommu_group"), "../../../kernel/iommu_groups/1");
  EXPECT_EQ(say(at + "/vfio-dev/vfio0/dev"), "511:0\n");
  EXPECT_EQ(say("/sys/class/vfio-dev/vfio0"), "../../devices/pci0000:01/0000:01:00.0/vfio-dev/vfio0");
  EXPECT_EQ(say("/sys/class/iommu/dmar0"), "../../devices/virtual/iommu/dmar0");
  EXPECT_EQ(say("/sys/kernel/iommu_groups/1/type"), "DMA\n");
  EXPECT_EQ(say("/sys/kernel/iommu_groups/1/devices/0000:01:00.0"), "../../../../devices/pci0000:01/0000:01:00.0");
  EXPECT_EQ(say("/sys/kernel/iommu_groups/1/reserved_regions"), "0x00000000fee00000 0x00000000feefffff msi\n");
  EXPECT_EQ(say(at + "/config").size(), 4096u);
  EXPECT_EQ(say(at + "/config").substr(0, 4), "\x86\x80\x34\x12");
  std::string const resource = say(at + "/resource");
  EXPECT_EQ(std::ranges::count(resource, '\n'), 13);
  EXPECT_EQ(resource.substr(0, 57), "0x0000380000000000 0x000038000000ffff 0x000000000014220c\n");
  auto const all = bus_->sysfs().value();
  SysfsEntry const bar{at + "/resource2", SysfsEntry::Kind::memory, "", ToyModel::bar2_bytes};
  EXPECT_EQ(std::ranges::count(all, bar), 1);
}

TEST_F(VfioBusTest, LinksOfSysfsLeadSomewhere) {
  ASSERT_TRUE(plug());
  ASSERT_TRUE(plug());
  auto const all = bus_->sysfs({.devices_major = 1, .groups_major = 2}).value();
  std::set<std::string> known{"/sys/class/vfio", "/sys/bus/pci"};
  for (SysfsEntry const& entry : all) {
    EXPECT_TRUE(known.insert(entry.path).second) << entry.path << " is there twice";
    for (auto slash = entry.path.rfind('/'); slash > 4; slash = entry.path.rfind('/', slash - 1))
      known.insert(entry.path.substr(0, slash));
  }
  for (SysfsEntry const& entry : all) {
    if (entry.kind != SysfsEntry::Kind::link) continue;
    std::string at = entry.path.substr(0, entry.path.rfind('/')), target = entry.contents;
    while (target.starts_with("../")) {
      target.erase(0, 3);
      at.erase(at.rfind('/'));
    }
    EXPECT_TRUE(known.contains(at + "/" + target)) << entry.path << " -> " << entry.contents;
  }
}

}  // namespace
}  // namespace swiommu::vfio

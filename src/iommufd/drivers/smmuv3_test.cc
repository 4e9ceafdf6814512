#include "flat_memory.h"
#include "iommufd_device_fixture.h"
#include "user_table.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint64_t guest = 0x100000, iova = 0x7f000000, context_table = guest + 0x4000;
constexpr std::uint32_t virtual_stream = 0x33;

// S1P, S2P, TTF = VMSAv8-64, COHACC, HTTU = accessed and dirty, ASID16, VMID16
constexpr std::uint32_t idr0 = 3 | 2 << 2 | 1 << 4 | 2 << 6 | 1 << 12 | 1 << 18;
constexpr std::uint32_t idr1 = 16 | 8 << 6;      // 16 bits of StreamIDs, 8 of SubstreamIDs
constexpr std::uint32_t idr3 = 1 << 8 | 1 << 2;  // FWB, HAD
constexpr std::uint32_t idr5 = 5 | 1 << 4;       // 48 bits, 4 KiB

std::shared_ptr<Driver> smmu(std::uint32_t third = idr3) {
  return driver_of("arm-smmuv3", {{"idr0", idr0}, {"idr1", idr1}, {"idr3", third}, {"idr5", idr5}, {"iidr", 7}, {"aidr", 2}});
}

class SmmuDriverTest : public IommufdDeviceTest {
 protected:
  void SetUp() override {
    physical_ = new_physical({.driver = hardware_});
    device_ = bind(physical_);
    space_ = new_ioas();
    ASSERT_EQ(map(space_, memory_.data(0), 64 * page, guest), 0);
    parent_ = new_hwpt(*device_, space_, IOMMU_HWPT_ALLOC_NEST_PARENT);
    viommu_ = new_viommu(*device_, parent_, IOMMU_VIOMMU_TYPE_ARM_SMMUV3);
    memory_.data(1)[3] = std::byte{11};
    memory_.data(2)[3] = std::byte{22};
  }
  void TearDown() override {
    device_ = nullptr;
    IommufdDeviceTest::TearDown();
  }
  iommu_hwpt_alloc hwpt_with(iommu_hwpt_arm_smmuv3 const& data, std::uint32_t flags = 0) const {
    return nested_of(device_->id(), viommu_, data, flags, IOMMU_HWPT_DATA_ARM_SMMUV3);
  }
  int alloc(std::uint64_t word0, std::uint64_t word1 = 0, std::uint32_t* id = nullptr) {
    iommu_hwpt_arm_smmuv3 const data{{word0, word1}};
    auto arguments = hwpt_with(data);
    int const result = call(IOMMU_HWPT_ALLOC, arguments);
    if (id != nullptr) *id = arguments.out_hwpt_id;
    return result;
  }
  static constexpr std::uint64_t config(std::uint64_t value) { return 1 | value << 1; }

  // V, AA64, A, R, EPD1, IPS of 48 bits, one table of 48 bits with a granule of 4 KiB
  void write_context(std::uint64_t number, std::uint64_t root) {
    std::uint64_t const words[8]{16 | bit(30) | bit(31) | std::uint64_t{5} << 32 | bit(41) | bit(45) | bit(46), root, 0,
                                 0xff44ff0404ff4404};
    std::memcpy(memory_.data(4) + 64 * number, words, sizeof words);
  }
  int invalidate(std::initializer_list<std::array<std::uint64_t, 2>> commands, std::uint32_t* done = nullptr) {
    std::vector<std::array<std::uint64_t, 2>> const list(commands);
    auto arguments = invalidation_of(viommu_, list, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3);
    int const result = call(IOMMU_HWPT_INVALIDATE, arguments);
    if (done != nullptr) *done = arguments.entry_num;
    return result;
  }
  std::shared_ptr<OpenFile> new_event_queue() {
    iommu_veventq_alloc arguments{};
    arguments.size = sizeof arguments;
    arguments.viommu_id = viommu_;
    arguments.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3;
    arguments.veventq_depth = 4;
    EXPECT_EQ(call(IOMMU_VEVENTQ_ALLOC, arguments), 0) << words_;
    return caller_.open_file(static_cast<int>(arguments.out_veventq_fd));
  }
  std::byte read(Port& port, std::optional<Pasid> pasid = std::nullopt) {
    std::byte value{};
    return port.read(Iova(iova + 3), &value, 1, pasid).ok() ? value : std::byte{0xff};
  }

  FlatMemory memory_{64, guest};
  std::shared_ptr<Driver> hardware_ = smmu();
  std::shared_ptr<PhysicalDevice> physical_;
  std::unique_ptr<BoundDevice> device_;
  std::uint32_t space_ = 0, parent_ = 0, viommu_ = 0;
};

constexpr std::array<std::uint64_t, 2> all_tables{0x10, 0};
constexpr std::array<std::uint64_t, 2> context_of(std::uint32_t substream, std::uint64_t stream = virtual_stream) {
  return {0x05 | std::uint64_t{substream} << 12 | stream << 32, 1};
}

TEST_F(SmmuDriverTest, PagingFlags) {
  auto const flags = [&](std::uint32_t value) {
    auto arguments = hwpt_of(device_->id(), space_, value);
    return call(IOMMU_HWPT_ALLOC, arguments);
  };
  constexpr std::uint32_t parent = IOMMU_HWPT_ALLOC_NEST_PARENT, dirty = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
                          pasid = IOMMU_HWPT_ALLOC_PASID;
  for (std::uint32_t const good : {std::uint32_t{0}, parent, dirty, pasid, dirty | pasid}) EXPECT_EQ(flags(good), 0) << words_;
  for (std::uint32_t const bad : {parent | dirty, parent | pasid, parent | dirty | pasid}) EXPECT_EQ(flags(bad), EOPNOTSUPP);
  EXPECT_EQ(object<HwptPaging>(parent_)->domain()->limits().aperture, (Range{0, low_bits(48)}));
}

TEST_F(SmmuDriverTest, TellsItsRegistersAndReservesDoorbells) {
  iommu_hw_info_arm_smmuv3 info{};
  iommu_hw_info arguments{};
  arguments.size = sizeof arguments;
  arguments.dev_id = device_->id();
  arguments.data_len = sizeof info;
  arguments.data_uptr = std::bit_cast<std::uint64_t>(&info);
  ASSERT_EQ(call(IOMMU_GET_HW_INFO, arguments), 0);
  EXPECT_EQ(info.idr[5], idr5);
  EXPECT_EQ(info.iidr, 7u);
  EXPECT_EQ(info.aidr, 2u);
  std::uint32_t const space = new_ioas();
  ASSERT_EQ(attach(*device_, space), 0);
  EXPECT_EQ(ioas(space)->space().iova_ranges().value(), (std::vector<Range>{{0, 0x07ffffff}, {0x08100000, low_bits(48)}}));
}

TEST_F(SmmuDriverTest, NestedHwptsStandOnViommusOnly) {
  iommu_hwpt_arm_smmuv3 const data{{config(5) | context_table, 0}};
  auto arguments = hwpt_with(data);
  arguments.pt_id = parent_;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EOPNOTSUPP);
  arguments = hwpt_with(data, IOMMU_HWPT_ALLOC_PASID);
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EOPNOTSUPP);
  arguments = hwpt_with(data);
  arguments.data_type = IOMMU_HWPT_DATA_VTD_S1;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EINVAL);
  arguments = hwpt_with(data);
  arguments.data_len = 8;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EINVAL);
}

TEST_F(SmmuDriverTest, WhichBitsOfTheEntryAGuestMaySet) {
  EXPECT_EQ(alloc(config(5) | context_table), 0);
  EXPECT_EQ(alloc(config(4)), 0);
  EXPECT_EQ(alloc(config(0)), 0);
  EXPECT_EQ(alloc(config(6)), EIO);
  EXPECT_EQ(alloc(config(7)), EIO);
  EXPECT_EQ(alloc(config(5) | bit(52)), EIO);
  EXPECT_EQ(alloc(config(5), bit(30)), EIO);
  EXPECT_EQ(alloc(config(5), std::uint64_t{1} << 28), 0);
  EXPECT_EQ(alloc(config(5), std::uint64_t{2} << 28), EIO);
  EXPECT_EQ(alloc(~std::uint64_t{1}, ~std::uint64_t{0}), 0);  // not valid: nothing counts
}

TEST_F(SmmuDriverTest, TranslatingNeedsAVdeviceOthersDoNot) {
  std::uint32_t translate = 0, bypass = 0, abort = 0;
  ASSERT_EQ(alloc(config(5) | context_table, 0, &translate), 0);
  ASSERT_EQ(alloc(config(4), 0, &bypass), 0);
  ASSERT_EQ(alloc(0, 0, &abort), 0);
  EXPECT_EQ(attach(*device_, translate), ENOENT);
  ASSERT_EQ(attach(*device_, bypass), 0);
  auto const port = physical_->device()->open_port().value();
  std::byte value{};
  EXPECT_TRUE(port->read(Iova(guest + page + 3), &value, 1).ok());
  EXPECT_EQ(value, std::byte{11});
  ASSERT_EQ(replace(*device_, abort), 0);
  EXPECT_FALSE(port->read(Iova(guest + page + 3), &value, 1).ok());
  ASSERT_EQ(vdevice(viommu_, device_->id(), virtual_stream), 0);
  EXPECT_EQ(replace(*device_, translate), 0);
}

TEST_F(SmmuDriverTest, DmaFollowsTheContextDescriptorAndTheTable) {
  UserTable table({.format = FormatName::arm_stage1, .levels = 4, .granule_lg2 = 12, .input_bits = 48, .output_bits = 48},
                  memory_, {guest + 16 * page, guest + 40 * page - 1});
  UserTable second({.format = FormatName::arm_stage1, .levels = 4, .granule_lg2 = 12, .input_bits = 48, .output_bits = 48},
                   memory_, {guest + 40 * page, guest + 64 * page - 1});
  ASSERT_TRUE(table.map({iova, iova + page - 1}, guest + page));
  ASSERT_TRUE(second.map({iova, iova + page - 1}, guest + 2 * page));
  std::uint32_t hwpt = 0;
  ASSERT_EQ(alloc(config(5) | context_table, 0, &hwpt), 0);
  ASSERT_EQ(vdevice(viommu_, device_->id(), virtual_stream), 0);
  ASSERT_EQ(attach(*device_, hwpt), 0);
  auto const port = physical_->device()->open_port().value();
  EXPECT_EQ(read(*port), std::byte{0xff});  // there is no context descriptor yet
  write_context(0, table.description().root);
  ASSERT_EQ(invalidate({context_of(0)}), 0) << words_;
  EXPECT_EQ(read(*port), std::byte{11});
  write_context(0, second.description().root);
  EXPECT_EQ(read(*port), std::byte{11});  // cached
  ASSERT_EQ(invalidate({context_of(0)}), 0);
  EXPECT_EQ(read(*port), std::byte{22});
  ASSERT_TRUE(second.map({iova, iova + page - 1}, guest + page));
  EXPECT_EQ(read(*port), std::byte{22});  // cached
  ASSERT_EQ(invalidate({{0x12, iova}}), 0);
  EXPECT_EQ(read(*port), std::byte{11});
}

TEST_F(SmmuDriverTest, AContextDescriptorIsUsedAtOnceAndKeptUntilItsCommand) {
  UserTable table({.format = FormatName::arm_stage1, .levels = 4, .granule_lg2 = 12, .input_bits = 48, .output_bits = 48},
                  memory_, {guest + 16 * page, guest + 40 * page - 1});
  UserTable second({.format = FormatName::arm_stage1, .levels = 4, .granule_lg2 = 12, .input_bits = 48, .output_bits = 48},
                   memory_, {guest + 40 * page, guest + 64 * page - 1});
  ASSERT_TRUE(table.map({iova, iova + page - 1}, guest + page));
  ASSERT_TRUE(second.map({iova, iova + page - 1}, guest + 2 * page));
  std::uint32_t hwpt = 0;
  write_context(4, second.description().root);  // valid before the device is attached
  // S1CDMax = 4, linear; S1DSS = 2: DMA without a SubstreamID uses CD 0
  ASSERT_EQ(alloc(config(5) | context_table | std::uint64_t{4} << 59, 2, &hwpt), 0);
  ASSERT_EQ(vdevice(viommu_, device_->id(), virtual_stream), 0);
  ASSERT_EQ(attach(*device_, hwpt), 0);
  auto const port = physical_->device()->open_port().value();
  EXPECT_EQ(read(*port, 4), std::byte{22});
  EXPECT_EQ(read(*port, 3), std::byte{0xff});
  write_context(3, table.description().root);
  EXPECT_EQ(read(*port, 3), std::byte{11});
  EXPECT_EQ(read(*port), std::byte{0xff});
  EXPECT_EQ(read(*port, 16), std::byte{0xff});  // beyond S1CDMax
  write_context(3, second.description().root);
  EXPECT_EQ(read(*port, 3), std::byte{11});
  ASSERT_EQ(invalidate({context_of(4)}), 0) << words_;
  EXPECT_EQ(read(*port, 3), std::byte{11});
  ASSERT_EQ(invalidate({context_of(3)}), 0);
  EXPECT_EQ(read(*port, 3), std::byte{22});
  write_context(0, table.description().root);
  EXPECT_EQ(read(*port), std::byte{11});
  EXPECT_EQ(read(*port, 0), std::byte{0xff});  // S1DSS = 2 keeps it for DMA without one
  write_context(0, second.description().root);
  ASSERT_EQ(invalidate({context_of(0)}), 0);
  EXPECT_EQ(read(*port), std::byte{22});
  std::memset(memory_.data(4), 0, page);
  EXPECT_EQ(read(*port, 3), std::byte{22});
  ASSERT_EQ(invalidate({{0x06 | std::uint64_t{virtual_stream} << 32, 31}}), 0);
  EXPECT_EQ(read(*port, 3), std::byte{0xff});
  EXPECT_EQ(read(*port), std::byte{0xff});
  write_context(3, table.description().root);
  EXPECT_EQ(read(*port, 3), std::byte{11});
  device_->detach();
  EXPECT_EQ(read(*port, 3), std::byte{0xff});
}

TEST_F(SmmuDriverTest, FaultsOfContextsAreEventsToo) {
  std::uint32_t hwpt = 0;
  ASSERT_EQ(alloc(config(5) | context_table | std::uint64_t{4} << 59, 2, &hwpt), 0);
  ASSERT_EQ(vdevice(viommu_, device_->id(), virtual_stream), 0);
  ASSERT_EQ(attach(*device_, hwpt), 0);
  auto const queue = new_event_queue();
  auto const port = physical_->device()->open_port().value();
  auto const event_of = [&](std::optional<Pasid> pasid) {
    std::byte byte{};
    physical_->report(*port->read(Iova(iova), &byte, 1, pasid).fault);
    struct {
      iommufd_vevent_header header;
      iommu_vevent_arm_smmuv3 event;
    } record{};
    EXPECT_EQ(queue->read(caller_, std::bit_cast<std::uint64_t>(&record), sizeof record).value(), sizeof record);
    return record.event.evt[0];
  };
  std::uint64_t const stream = std::uint64_t{virtual_stream} << 32;
  EXPECT_EQ(event_of(std::nullopt), 0x0a | stream);  // C_BAD_CD
  EXPECT_EQ(event_of(3), 0x0a | bit(11) | std::uint64_t{3} << 12 | stream);
  EXPECT_EQ(event_of(0), 0x06 | bit(11) | stream);                             // F_STREAM_DISABLED: S1DSS
  EXPECT_EQ(event_of(16), 0x08 | bit(11) | std::uint64_t{16} << 12 | stream);  // C_BAD_SUBSTREAMID
  caller_.files().clear();
}

TEST_F(SmmuDriverTest, CommandsThatAGuestMayNotGive) {
  ASSERT_EQ(vdevice(viommu_, device_->id(), virtual_stream), 0);
  std::uint32_t done = 0;
  EXPECT_EQ(invalidate({all_tables, {0x11, 0}, {0x30, 0}, {0x13, iova}, context_of(0)}, &done), 0);
  EXPECT_EQ(done, 5u);
  EXPECT_EQ(invalidate({all_tables, {0x03, 0}, all_tables}, &done), EIO);  // CFGI_STE
  EXPECT_EQ(done, 1u);
  EXPECT_EQ(invalidate({all_tables, all_tables, context_of(0, 0x99)}, &done), EIO);
  EXPECT_EQ(done, 2u);
  EXPECT_EQ(invalidate({{0x40 | std::uint64_t{0x99} << 32, 0}}, &done), EIO);
  EXPECT_EQ(invalidate({}, &done), EINVAL);
  EXPECT_EQ(done, 0u);
}

TEST_F(SmmuDriverTest, EntriesMayBeLongerIfTheRestIsZero) {
  std::array<std::uint64_t, 6> words{0x10, 0, 0, 0x10, 0, 0};
  iommu_hwpt_invalidate arguments{};
  auto const run = [&] {
    arguments = {};
    arguments.size = sizeof arguments;
    arguments.hwpt_id = viommu_;
    arguments.data_uptr = std::bit_cast<std::uint64_t>(words.data());
    arguments.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
    arguments.entry_len = 24;
    arguments.entry_num = 2;
    return call(IOMMU_HWPT_INVALIDATE, arguments);
  };
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(arguments.entry_num, 2u);
  words[5] = 1;
  EXPECT_EQ(run(), E2BIG);
  EXPECT_EQ(arguments.entry_num, 0u);  // all are copied first
}

TEST_F(SmmuDriverTest, FaultsBecomeEventsOfTheGuest) {
  std::uint32_t hwpt = 0;
  ASSERT_EQ(alloc(config(5) | context_table, 0, &hwpt), 0);
  ASSERT_EQ(vdevice(viommu_, device_->id(), virtual_stream), 0);
  ASSERT_EQ(attach(*device_, hwpt), 0);
  auto const queue = new_event_queue();
  physical_->report(FaultRecord{.iova = iova, .access = Access::reading(), .reason = Reason::not_mapped});
  physical_->report(FaultRecord{.iova = iova, .access = Access::reading(), .reason = Reason::not_mapped, .depth = 1});
  struct {
    iommufd_vevent_header header;
    iommu_vevent_arm_smmuv3 event;
  } record{};
  ASSERT_EQ(queue->read(caller_, std::bit_cast<std::uint64_t>(&record), sizeof record).value(), sizeof record);
  EXPECT_EQ(record.event.evt[0], 0x10 | std::uint64_t{virtual_stream} << 32);
  EXPECT_EQ(record.event.evt[1] >> 35 & 1, 1u);
  EXPECT_EQ(record.event.evt[2], iova);
  EXPECT_FALSE(queue->readable());  // what the parent refuses is not the guest's business
  caller_.files().clear();
}

TEST_F(SmmuDriverTest, HardwareWithoutNesting) {
  auto const other = bind(new_physical({.driver = smmu(0)}));
  iommu_viommu_alloc arguments{};
  arguments.size = sizeof arguments;
  arguments.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
  arguments.dev_id = other->id();
  arguments.hwpt_id = parent_;
  EXPECT_EQ(call(IOMMU_VIOMMU_ALLOC, arguments), EOPNOTSUPP);
  auto const same = bind(new_physical({.driver = smmu()}));
  arguments.dev_id = same->id();
  EXPECT_EQ(call(IOMMU_VIOMMU_ALLOC, arguments), EINVAL);  // the parent belongs to another SMMU
}

}  // namespace
}  // namespace swiommu::iommufd

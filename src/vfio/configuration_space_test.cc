#include <vector>

#include "vfio/vfio_fixture.h"

namespace swiommu::vfio {
namespace {

class VfioConfigurationTest : public VfioTest {
 protected:
  std::shared_ptr<iommufd::OpenFile> device_ = new_device();

  template <class T>
  T at(std::uint64_t offset) {
    return config<T>(*device_, offset);
  }
  template <class T>
  void set(std::uint64_t offset, T value) {
    set_config<T>(*device_, offset, value);
  }
  // Offsets of the capabilities, by id.
  std::map<unsigned, unsigned> capabilities() {
    std::map<unsigned, unsigned> found;
    for (unsigned offset = at<std::uint8_t>(0x34); offset != 0; offset = at<std::uint8_t>(offset + 1))
      found[at<std::uint8_t>(offset)] = offset;
    return found;
  }
};

TEST_F(VfioConfigurationTest, HasAHeaderOfType0) {
  EXPECT_EQ(at<std::uint32_t>(0), 0x12348086u);
  EXPECT_EQ(at<std::uint16_t>(4), 2u) << "memory is enabled, and the function masters no bus";
  EXPECT_EQ(at<std::uint16_t>(6), 0x10u);
  EXPECT_EQ(at<std::uint32_t>(8), 0x01080203u);
  EXPECT_EQ(at<std::uint8_t>(0xe), 0u);
  EXPECT_EQ(at<std::uint32_t>(0x2c), 0x11001af4u);
  EXPECT_EQ(at<std::uint32_t>(0x30), 0u) << "no ROM";
  EXPECT_EQ(at<std::uint8_t>(0x3d), 1u);
}

TEST_F(VfioConfigurationTest, KeepsItsIdentity) {
  std::vector<std::uint8_t> before(0x40), after(0x40);
  for (unsigned n = 0; n < 0x40; n++) before[n] = at<std::uint8_t>(n);
  for (unsigned n = 0; n < 0x40; n++)
    if (n < 0x10 || n > 0x24) set<std::uint8_t>(n, static_cast<std::uint8_t>(~before[n]));
  std::vector<unsigned> changed;
  for (unsigned n = 0; n < 0x40; n++)
    if (at<std::uint8_t>(n) != before[n]) changed.push_back(n);
  EXPECT_EQ(changed, (std::vector<unsigned>{4, 5, 0xc, 0xd, 0x3c}));
  EXPECT_EQ(at<std::uint16_t>(4), 0x544u) << "what the command register of a PCI Express function has";
}

TEST_F(VfioConfigurationTest, BarsAreSizedByWritingOnes) {
  std::uint64_t const was = at<std::uint64_t>(0x10);
  EXPECT_EQ(was & 0xf, 0xcu) << "64 bits, prefetchable";
  EXPECT_EQ(was % ToyModel::bar0_bytes & ~0xfu, 0u);
  set<std::uint32_t>(0x10, ~0u);
  set<std::uint32_t>(0x14, ~0u);
  EXPECT_EQ(at<std::uint32_t>(0x10), 0xffff000cu);
  EXPECT_EQ(at<std::uint32_t>(0x14), ~0u);
  set<std::uint32_t>(0x18, ~0u);
  EXPECT_EQ(at<std::uint32_t>(0x18), 0xfffff000u) << "32 bits";
  for (unsigned other : {0x1cu, 0x20u, 0x24u, 0x30u}) {
    set<std::uint32_t>(other, ~0u);
    EXPECT_EQ(at<std::uint32_t>(other), 0u);
  }
  set<std::uint64_t>(0x10, 0x12345678'9abcdef0);
  EXPECT_EQ(at<std::uint64_t>(0x10), 0x12345678'9abc000c);
  std::uint32_t value = 0;
  EXPECT_TRUE(get(*device_, 0, value)) << "where a program says that the BAR is, is its own business";
}

TEST_F(VfioConfigurationTest, ListsItsCapabilities) {
  auto const found = capabilities();
  EXPECT_EQ(found.size(), 4u);
  ASSERT_TRUE(found.contains(1) && found.contains(5) && found.contains(0x10) && found.contains(0x11));
  EXPECT_EQ(at<std::uint16_t>(found.at(5) + 2), 0x86u) << "8 messages, 64 bits of address";
  EXPECT_EQ(at<std::uint16_t>(found.at(0x11) + 2), ToyModel::vectors - 1);
  EXPECT_EQ(at<std::uint32_t>(found.at(0x11) + 4), ToyModel::table);
  EXPECT_EQ(at<std::uint32_t>(found.at(0x11) + 8), ToyModel::pending);
  EXPECT_NE(at<std::uint32_t>(found.at(0x10) + 4) & 1u << 28, 0u) << "FLR";
  EXPECT_EQ(at<std::uint32_t>(0x100), 0x00010003u) << "Device Serial Number, and no more";
}

TEST_F(VfioConfigurationTest, AConventionalFunctionHasNothingExtended) {
  ModelDescription small = ToyModel::usual();
  small.extended = false;
  small.msix = {};
  small.msi_vectors = 0;
  small.line = false;
  device_ = new_device(small);
  EXPECT_EQ(capabilities().size(), 1u);
  EXPECT_EQ(at<std::uint8_t>(0x3d), 0u);
  std::uint32_t value = 0;
  EXPECT_EQ(get(*device_, region_offset(7) + 0x100, value).error().code, EFAULT);
}

TEST_F(VfioConfigurationTest, IsReadAndWrittenInAnyPieces) {
  std::array<std::uint8_t, 4096> whole{};
  ASSERT_EQ(get(*device_, region_offset(7), whole).value(), 4096u);
  for (unsigned offset : {0u, 1u, 2u, 3u, 5u, 0x33u}) {
    std::array<std::uint8_t, 13> part{};
    ASSERT_TRUE(get(*device_, region_offset(7) + offset, part));
    EXPECT_EQ(std::memcmp(part.data(), whole.data() + offset, part.size()), 0) << offset;
  }
  set<std::array<std::uint8_t, 3>>(0x3b, {9, 8, 7});
  EXPECT_EQ(at<std::uint8_t>(0x3b), 0u);
  EXPECT_EQ(at<std::uint8_t>(0x3c), 8u);
  EXPECT_EQ(at<std::uint8_t>(0x3d), 1u);
}

TEST_F(VfioConfigurationTest, EndsWithEfault) {
  std::array<std::uint8_t, 8> part{};
  EXPECT_EQ(get(*device_, region_offset(7) + 4096, part).error().code, EFAULT);
  EXPECT_EQ(get(*device_, region_offset(7) + 4092, part).error().code, EFAULT);
  EXPECT_EQ(put(*device_, region_offset(7) + 4095, std::uint16_t{0}).error().code, EFAULT);
  std::array<std::uint8_t, 4096> whole{};
  EXPECT_EQ(put(*device_, region_offset(7) + 4, whole).error().code, EFAULT);
  EXPECT_EQ(config<std::uint16_t>(*device_, 4), 2u) << "nothing is written";
  std::uint8_t byte = 0;
  EXPECT_EQ(device_->read_at(caller_, std::bit_cast<std::uint64_t>(&byte), 0, region_offset(7) + 5000).value(), 0u);
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(get(*device_, region_offset(7), byte).error().code, EFAULT);
}

TEST_F(VfioConfigurationTest, PowerStatesThatAreThere) {
  unsigned const control = capabilities().at(1) + 4;
  EXPECT_EQ(at<std::uint16_t>(control), 8u) << "D0, and nothing is lost on the way back";
  set<std::uint16_t>(control, 1);
  EXPECT_EQ(at<std::uint16_t>(control), 8u) << "there is no D1";
  set<std::uint16_t>(control, 3);
  EXPECT_EQ(at<std::uint16_t>(control), 11u);
  std::uint32_t value = 0;
  EXPECT_EQ(get(*device_, 0, value).error().code, EIO);
  set<std::uint16_t>(control, 2);
  EXPECT_EQ(at<std::uint16_t>(control), 11u);
  set<std::uint16_t>(control, 0);
  EXPECT_TRUE(get(*device_, 0, value));
}

TEST_F(VfioConfigurationTest, TheModelHearsOfBusMastering) {
  log_->masters.clear();
  set<std::uint16_t>(4, 6);
  set<std::uint16_t>(4, 6);
  set<std::uint8_t>(4, 2);
  set<std::uint8_t>(4, 4);
  EXPECT_EQ(log_->masters, (std::vector<bool>{true, false, true}));
  unsigned const control = capabilities().at(1) + 4;
  set<std::uint8_t>(control, 3);
  EXPECT_EQ(log_->masters.back(), false) << "in D3hot it does no DMA";
  set<std::uint8_t>(control, 0);
  EXPECT_EQ(log_->masters.back(), true);
}

TEST_F(VfioConfigurationTest, FlrResetsTheModelAndKeepsTheRest) {
  unsigned const control = capabilities().at(0x10) + 8;
  set_bus_master(*device_);
  set<std::uint32_t>(0x18, 0x12345000);
  ASSERT_TRUE(put(*device_, 0, std::uint64_t{0x55}));
  int const before = log_->resets;
  log_->masters.clear();
  set<std::uint16_t>(control, static_cast<std::uint16_t>(at<std::uint16_t>(control) | 0x8000));
  EXPECT_EQ(log_->resets, before + 1);
  EXPECT_EQ(log_->masters, (std::vector<bool>{false, true})) << "no DMA during the reset";
  EXPECT_EQ(at<std::uint16_t>(control), 0x2810u);
  EXPECT_EQ(at<std::uint16_t>(4), 6u);
  EXPECT_EQ(at<std::uint32_t>(0x18), 0x12345000u);
  std::uint64_t value = 1;
  ASSERT_TRUE(get(*device_, 0, value));
  EXPECT_EQ(value, 0u);
}

TEST_F(VfioConfigurationTest, MsiIsEnabledByTheIoctlFirst) {
  unsigned const control = capabilities().at(5) + 2;
  set<std::uint16_t>(control, 0x71);
  EXPECT_EQ(at<std::uint16_t>(control), 0x86u);
  ASSERT_EQ(set_events<4>(*device_, VFIO_PCI_MSI_IRQ_INDEX, 0, {new_event(), -1, -1, -1}), 0);
  set<std::uint16_t>(control, 0x71);
  EXPECT_EQ(at<std::uint16_t>(control), 0xa7u) << "4 messages are there";
  set<std::uint32_t>(control + 2, 0xfee00000);
  EXPECT_EQ(at<std::uint32_t>(control + 2), 0xfee00000u);
}

TEST_F(VfioConfigurationTest, MsixIsEnabledByTheIoctlOnly) {
  unsigned const control = capabilities().at(0x11) + 2;
  set<std::uint16_t>(control, 0xc000);
  EXPECT_EQ(at<std::uint16_t>(control), ToyModel::vectors - 1);
  ASSERT_EQ(set_events<1>(*device_, VFIO_PCI_MSIX_IRQ_INDEX, 0, {new_event()}), 0);
  EXPECT_EQ(at<std::uint16_t>(control), 0x8000u | (ToyModel::vectors - 1));
}

}  // namespace
}  // namespace swiommu::vfio

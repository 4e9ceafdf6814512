#include "vfio/devices/nvme/registers.h"

#include "vfio/devices/nvme/nvme_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

struct NvmeRegistersTest : NvmeTest {};

TEST_F(NvmeRegistersTest, DescribeTheFunction) {
  ModelDescription const& description = model->description();
  EXPECT_EQ(description.identity.class_code, 0x010802u);
  EXPECT_EQ(description.bars[0].bytes, 16384u);
  EXPECT_EQ(description.msix.vectors, 9u);
  EXPECT_NE(description.msix.bar, 0u) << "or accesses to its tables would reach the model";
}

TEST_F(NvmeRegistersTest, TellCapabilitiesAndVersion) {
  EXPECT_EQ(get(offset::vs), 0x00010400u);
  std::uint64_t const cap = get(offset::cap) | static_cast<std::uint64_t>(get(offset::cap + 4)) << 32;
  EXPECT_EQ(cap & 0xffff, 255u) << "entries of a queue, from 0";
  EXPECT_EQ(cap >> 16 & 1, 1u) << "queues in one piece";
  EXPECT_EQ(cap >> 32 & 15, 0u) << "doorbell stride";
  EXPECT_EQ(cap >> 37 & 1, 1u) << "the NVM command set";
  EXPECT_EQ(cap >> 48 & 15, 0u);
  EXPECT_EQ(cap >> 52 & 15, 4u);
}

TEST_F(NvmeRegistersTest, AreReadInAnyWidth) {
  std::uint64_t wide = 0;
  model->read_bar(0, offset::cap, std::as_writable_bytes(std::span(&wide, 1)));
  EXPECT_EQ(static_cast<std::uint32_t>(wide), get(offset::cap));
  std::uint16_t half = 0;
  model->read_bar(0, offset::vs + 2, std::as_writable_bytes(std::span(&half, 1)));
  EXPECT_EQ(half, 1);
  std::uint8_t byte = 0;
  model->read_bar(0, offset::vs + 1, std::as_writable_bytes(std::span(&byte, 1)));
  EXPECT_EQ(byte, 4);
}

TEST_F(NvmeRegistersTest, AreWrittenInAnyWidth) {
  set(offset::aqa, 0x00110022);
  std::byte const part[] = {std::byte{0x33}};
  model->write_bar(0, offset::aqa + 2, part);
  EXPECT_EQ(get(offset::aqa), 0x00330022u);
  set_wide(offset::asq, 0x123456789000);
  EXPECT_EQ(get(offset::asq), 0x56789000u);
  EXPECT_EQ(get(offset::asq + 4), 0x1234u);
}

TEST_F(NvmeRegistersTest, KeepWhatIsOnlyRead) {
  std::uint32_t const cap = get(offset::cap);
  for (std::uint64_t const at : {0x00, 0x08, 0x1c, 0x38, 0x40, 0xe00}) set(at, 0xffffffff);
  EXPECT_EQ(get(offset::cap), cap);
  EXPECT_EQ(get(offset::vs), 0x00010400u);
  EXPECT_EQ(get(offset::csts), 0u);
  EXPECT_EQ(get(0x38), 0u) << "no controller memory buffer";
  EXPECT_EQ(get(0xe00), 0u) << "no persistent memory region";
}

TEST_F(NvmeRegistersTest, MaskInterruptsBitByBit) {
  set(offset::intms, 0xf0);
  set(offset::intms, 0x0f);
  EXPECT_EQ(get(offset::intms), 0xffu);
  set(offset::intmc, 0x3c);
  EXPECT_EQ(get(offset::intms), 0xc3u);
  EXPECT_EQ(get(offset::intmc), 0xc3u);
}

TEST_F(NvmeRegistersTest, EnableAndDisable) {
  enable();
  disable();
  EXPECT_NE(get(offset::aqa), 0u) << "the admin queue's registers stay";
  enable();
  EXPECT_EQ(admin_status(command(AdminOpcode::get_features)), status::invalid_field);
}

TEST_F(NvmeRegistersTest, RefuseAConfigurationThatIsNotSupported) {
  for (std::uint32_t const wrong : {1u << 4, 5u << 7, 1u << 11}) {  // command set, page size, arbitration
    prepare();
    set(offset::cc, enabled | wrong);
    EXPECT_TRUE(await_status(csts::fatal, csts::fatal)) << std::hex << wrong;
    EXPECT_EQ(get(offset::csts) & csts::ready, 0u);
    set(offset::cc, 0);
    EXPECT_TRUE(await_status(csts::fatal, 0));
  }
  prepare();
  set(offset::aqa, 0);
  set(offset::cc, enabled);
  EXPECT_TRUE(await_status(csts::fatal, csts::fatal)) << "a queue of one entry";
}

TEST_F(NvmeRegistersTest, ShutDown) {
  enable();
  set(offset::cc, enabled | 1u << 14);
  EXPECT_TRUE(await_status(3u << 2, csts::shutdown_complete));
  disable();
  EXPECT_EQ(get(offset::csts), 0u);
  enable();
  EXPECT_EQ(get(offset::csts), csts::ready);
}

TEST_F(NvmeRegistersTest, AreResetWithTheFunction) {
  enable();
  set(offset::intms, 1);
  model->reset();
  for (std::uint64_t const at : {offset::cc, offset::csts, offset::aqa, offset::asq, offset::acq, offset::intms})
    EXPECT_EQ(get(at), 0u) << at;
  EXPECT_EQ(get(offset::vs), 0x00010400u);
  enable();
  EXPECT_EQ(admin_status(command(AdminOpcode::identify)), status::invalid_namespace);
}

TEST_F(NvmeRegistersTest, ADisableThatIsTakenBackAtOnceStillResets) {
  for (int round = 0; round < 50; round++) {
    next = page;
    enable();
    (void)create_pair(1, 4);
    set(offset::cc, enabled & ~1u);
    set(offset::cc, enabled);
    // CSTS.RDY may still be the one from before: only the second disable is sure to have come after the first.
    disable();
  }
  enable();
  EXPECT_EQ(admin_status(delete_queue(AdminOpcode::delete_submission_queue, 1)), status::invalid_queue_identifier);
}

}  // namespace
}  // namespace swiommu::vfio::nvme

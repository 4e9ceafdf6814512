#include "vfio/devices/nvme/admin_commands.h"

#include "vfio/devices/nvme/nvme_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

struct NvmeAdminCommandsTest : NvmeTest {
  void SetUp() override {
    NvmeTest::SetUp();
    enable();
  }
  Status identify(std::uint32_t structure, std::uint32_t nsid = 0) {
    Command c = command(AdminOpcode::identify);
    c.nsid = nsid;
    c.cdw10 = structure;
    c.prp1 = place;
    return admin_status(c);
  }
  Completion get_feature(std::uint32_t feature, std::uint32_t which = 0, std::uint32_t nsid = 0) {
    Command c = command(AdminOpcode::get_features);
    c.nsid = nsid;
    c.cdw10 = feature;
    c.cdw11 = which;
    return run(admin, c);
  }
  Completion set_feature(std::uint32_t feature, std::uint32_t value, std::uint32_t nsid = 0) {
    Command c = command(AdminOpcode::set_features);
    c.nsid = nsid;
    c.cdw10 = feature;
    c.cdw11 = value;
    return run(admin, c);
  }
  Status log(std::uint32_t page_id, std::uint32_t bytes, std::uint64_t at = 0, std::uint32_t nsid = 0) {
    Command c = command(AdminOpcode::get_log_page);
    c.nsid = nsid;
    c.cdw10 = ((bytes / 4 - 1) & 0xffff) << 16 | page_id;
    c.cdw11 = (bytes / 4 - 1) >> 16;
    c.cdw12 = static_cast<std::uint32_t>(at);
    c.cdw13 = static_cast<std::uint32_t>(at >> 32);
    c.prp1 = place;
    c.prp2 = place + page;
    return admin_status(c);
  }
  template <class T>
  T at(std::size_t offset) {
    T value;
    std::memcpy(&value, data(place + offset), sizeof value);
    return value;
  }
  std::uint64_t const place = allocate(2 * page);
};

TEST_F(NvmeAdminCommandsTest, IdentifyTellsOfTheController) {
  ASSERT_EQ(identify(1), status::success);
  EXPECT_EQ(std::memcmp(data(place + 4), "S1                  ", 20), 0);
  EXPECT_EQ(std::memcmp(data(place + 24), "swiommu NVMe ", 13), 0);
  EXPECT_EQ(at<std::uint8_t>(77), 6) << "MDTS";
  EXPECT_EQ(at<std::uint32_t>(80), 0x10400u);
  EXPECT_EQ(at<std::uint8_t>(512), 0x66);
  EXPECT_EQ(at<std::uint8_t>(513), 0x44);
  EXPECT_EQ(at<std::uint32_t>(516), 2u) << "namespaces";
  EXPECT_EQ(at<std::uint32_t>(536), 1u) << "SGLs";
  EXPECT_EQ(std::memcmp(data(place + 768), "nqn.2014.08.org.nvmexpress:", 27), 0);
}

TEST_F(NvmeAdminCommandsTest, IdentifyTellsOfNamespaces) {
  ASSERT_EQ(identify(0, 1), status::success);
  EXPECT_EQ(at<std::uint64_t>(0), blocks);
  EXPECT_EQ(at<std::uint64_t>(8), blocks);
  EXPECT_EQ(at<std::uint8_t>(130), 9) << "the logarithm of 512";
  ASSERT_EQ(identify(0, 2), status::success);
  EXPECT_EQ(at<std::uint8_t>(130), 12);
  for (std::uint32_t const nsid : {0u, 3u, every_namespace}) EXPECT_EQ(identify(0, nsid), status::invalid_namespace) << nsid;
}

TEST_F(NvmeAdminCommandsTest, IdentifyListsNamespacesAndTheirIds) {
  ASSERT_EQ(identify(2, 0), status::success);
  EXPECT_EQ(at<std::uint32_t>(0), 1u);
  EXPECT_EQ(at<std::uint32_t>(4), 2u);
  EXPECT_EQ(at<std::uint32_t>(8), 0u);
  ASSERT_EQ(identify(2, 1), status::success);
  EXPECT_EQ(at<std::uint32_t>(0), 2u);
  EXPECT_EQ(at<std::uint32_t>(4), 0u);
  EXPECT_EQ(identify(2, every_namespace), status::invalid_namespace);
  EXPECT_EQ(identify(2, every_namespace - 1), status::invalid_namespace);
  ASSERT_EQ(identify(3, 1), status::success);
  EXPECT_EQ(at<std::uint16_t>(0), 0x1003) << "a UUID of 16 bytes";
  auto const first = at<std::array<std::uint8_t, 16>>(4);
  EXPECT_EQ(at<std::uint32_t>(20), 0u) << "the end";
  ASSERT_EQ(identify(3, 2), status::success);
  EXPECT_NE((at<std::array<std::uint8_t, 16>>(4)), first);
  EXPECT_EQ(identify(3, 0), status::invalid_namespace);
  for (std::uint32_t const structure : {4u, 0x10u, 0x11u, 0x12u, 0x13u, 0xffu})
    EXPECT_EQ(identify(structure), status::invalid_field) << structure;
}

TEST_F(NvmeAdminCommandsTest, FeaturesKeepWhatIsSetUntilTheReset) {
  EXPECT_EQ(get_feature(6).result, 1u) << "a write cache";
  for (auto const& [feature, value] : std::initializer_list<std::pair<std::uint32_t, std::uint32_t>>{
           {1, 0x01020303}, {2, 0x40}, {6, 0}, {8, 0x1234}, {0xa, 1}, {0xb, 0x102}}) {
    EXPECT_EQ(status_of(set_feature(feature, value)), status::success) << feature;
    EXPECT_EQ(get_feature(feature).result, value) << feature;
    EXPECT_NE(get_feature(feature | 1 << 8).result, value) << "the default of " << feature;
    EXPECT_EQ(get_feature(feature | 3 << 8).result, 4u) << "changeable, not saveable: " << feature;
  }
  EXPECT_EQ(status_of(set_feature(9, 1 << 16 | 3)), status::success);
  EXPECT_EQ(get_feature(9, 3).result, 0x10003u);
  EXPECT_EQ(get_feature(9, 4).result, 4u);
  disable();
  enable();
  EXPECT_EQ(get_feature(6).result, 1u);
}

TEST_F(NvmeAdminCommandsTest, FeaturesRefuseWhatThereIsNot) {
  for (std::uint32_t const feature : {0u, 3u, 0xcu, 0xfu, 0x10u, 0x80u, 0xffu}) {
    EXPECT_EQ(status_of(get_feature(feature)), status::invalid_field) << feature;
    EXPECT_EQ(status_of(set_feature(feature, 0)), status::invalid_field) << feature;
  }
  EXPECT_EQ(status_of(set_feature(6 | 1u << 31, 1)), status::feature_not_saveable);
  EXPECT_EQ(status_of(set_feature(6, 1, 1)), status::feature_not_of_namespace);
  EXPECT_EQ(status_of(set_feature(2, 1)), status::invalid_field) << "a power state";
  EXPECT_EQ(status_of(set_feature(9, 9)), status::invalid_field) << "a vector";
  EXPECT_EQ(status_of(get_feature(9, 9)), status::invalid_field);
  EXPECT_EQ(status_of(get_feature(6 | 4 << 8)), status::invalid_field) << "a selection";
}

TEST_F(NvmeAdminCommandsTest, ErrorRecoveryIsOfANamespace) {
  EXPECT_EQ(status_of(set_feature(5, 7, 2)), status::success);
  EXPECT_EQ(get_feature(5, 0, 2).result, 7u);
  EXPECT_EQ(get_feature(5, 0, 1).result, 0u);
  EXPECT_EQ(status_of(set_feature(5, 9, every_namespace)), status::success);
  EXPECT_EQ(get_feature(5, 0, 1).result, 9u);
  EXPECT_EQ(status_of(set_feature(5, 1 << 16, 1)), status::invalid_field);
  EXPECT_EQ(status_of(set_feature(5, 1, 3)), status::invalid_namespace);
  EXPECT_EQ(status_of(get_feature(5, 0, 0)), status::invalid_namespace);
}

TEST_F(NvmeAdminCommandsTest, TheNumberOfQueuesIsToldBeforeThereAreAny) {
  EXPECT_EQ(set_feature(7, 3 << 16 | 3).result, 7u << 16 | 7u);
  EXPECT_EQ(get_feature(7).result, 7u << 16 | 7u);
  EXPECT_EQ(status_of(set_feature(7, 0xffff)), status::invalid_field);
  EXPECT_EQ(status_of(set_feature(7, 0xffff0000)), status::invalid_field);
  (void)create_pair(1);
  EXPECT_EQ(status_of(set_feature(7, 0)), status::command_sequence_error);
}

TEST_F(NvmeAdminCommandsTest, TheHealthLogCounts) {
  auto queue = create_pair(1);
  ASSERT_EQ(log(2, 512), status::success);
  EXPECT_EQ(at<std::uint8_t>(0), 0);
  EXPECT_EQ(at<std::uint16_t>(1), 308);
  EXPECT_EQ(at<std::uint64_t>(32), 0u);
  EXPECT_EQ(at<std::uint64_t>(176), 0u);
  for (int n = 0; n < 130; n++) ASSERT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 8, place)), status::success);
  ASSERT_EQ(status_of(queue, on_blocks(NvmOpcode::write, 1, 0, 8, place)), status::success);
  EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, blocks, 1, place)), status::lba_out_of_range);
  ASSERT_EQ(log(2, 512, 0, every_namespace), status::success);
  EXPECT_EQ(at<std::uint64_t>(32), 2u) << "1040 sectors are two thousands begun";
  EXPECT_EQ(at<std::uint64_t>(48), 1u);
  EXPECT_EQ(at<std::uint64_t>(64), 130u);
  EXPECT_EQ(at<std::uint64_t>(80), 1u);
  EXPECT_EQ(at<std::uint64_t>(176), 1u);
}

TEST_F(NvmeAdminCommandsTest, TheErrorLogTellsOfFailures) {
  auto queue = create_pair(1);
  Completion const failed = run(queue, on_blocks(NvmOpcode::read, 1, blocks, 1, place));
  EXPECT_EQ(status_of(failed), status::lba_out_of_range);
  EXPECT_NE(failed.status & 1 << 14, 0) << "more";
  EXPECT_NE(failed.status & 1 << 15, 0) << "do not retry";
  ASSERT_EQ(log(1, 4096), status::success);
  EXPECT_EQ(at<std::uint64_t>(0), 1u);
  EXPECT_EQ(at<std::uint16_t>(8), 1);
  EXPECT_EQ(at<std::uint16_t>(10), failed.command);
  EXPECT_EQ(at<std::uint16_t>(12), failed.status & ~1);
  EXPECT_EQ(at<std::uint64_t>(16), blocks);
  EXPECT_EQ(at<std::uint32_t>(24), 1u);
  EXPECT_EQ(at<std::uint64_t>(64), 0u);
  EXPECT_EQ(identify(0x77), status::invalid_field);
  ASSERT_EQ(log(1, 128), status::success);
  EXPECT_EQ(at<std::uint64_t>(0), 2u) << "the newest is first";
  EXPECT_EQ(at<std::uint16_t>(8), 0);
  EXPECT_EQ(at<std::uint64_t>(64), 1u);
  for (int n = 0; n < 100; n++) EXPECT_EQ(identify(0x77), status::invalid_field);
  ASSERT_EQ(log(1, 4096), status::success);
  EXPECT_EQ(at<std::uint64_t>(0), 102u);
  EXPECT_EQ(at<std::uint64_t>(63 * 64), 39u);
}

TEST_F(NvmeAdminCommandsTest, LogPagesAreReadInParts) {
  ASSERT_EQ(log(3, 512), status::success);
  EXPECT_EQ(at<std::uint8_t>(0), 1);
  EXPECT_EQ(std::memcmp(data(place + 8), "1.0     ", 8), 0);
  ASSERT_EQ(log(3, 8, 8), status::success);
  EXPECT_EQ(std::memcmp(data(place), "1.0     ", 8), 0);
  ASSERT_EQ(log(5, 4096), status::success);
  EXPECT_EQ(at<std::uint32_t>(6 * 4), 1u) << "Identify";
  EXPECT_EQ(at<std::uint32_t>(0xd * 4), 0u) << "namespace management";
  EXPECT_EQ(at<std::uint32_t>(1024 + 4), 3u) << "Write";
  ASSERT_EQ(log(4, 8192), status::success);
  EXPECT_EQ(at<std::uint32_t>(0), 0u);
  EXPECT_EQ(log(3, 8, 2), status::invalid_field);
  EXPECT_EQ(log(3, 8, 516), status::invalid_field);
  EXPECT_EQ(log(3, 8, ~std::uint64_t{3}), status::invalid_field);
  EXPECT_EQ(log(3, 1 << 20), status::invalid_field) << "more than MDTS";
  EXPECT_EQ(log(2, 512, 0, 1), status::invalid_field) << "not of one namespace";
  for (std::uint32_t const each : {0u, 6u, 0x80u, 0xffu}) EXPECT_EQ(log(each, 512), status::invalid_log_page) << each;
}

TEST_F(NvmeAdminCommandsTest, UnknownCommandsAreRefused) {
  for (unsigned opcode = 0; opcode < 256; opcode++) {
    if (opcode <= 0x0c && opcode != 0x03 && opcode != 0x07 && opcode != 0x0b) continue;
    EXPECT_EQ(admin_status({.opcode = static_cast<std::uint8_t>(opcode)}), status::invalid_opcode) << opcode;
  }
}

TEST_F(NvmeAdminCommandsTest, WhatIsGivenMayCrossAPage) {
  Command c = command(AdminOpcode::identify);
  c.cdw10 = 1;
  c.prp1 = place + page - 64;
  c.prp2 = allocate();
  ASSERT_EQ(admin_status(c), status::success);
  EXPECT_EQ(std::memcmp(data(place + page - 60), "S1 ", 3), 0);
  EXPECT_EQ(*data<std::uint8_t>(c.prp2 + 512 - 64), 0x66);
  c.prp2 += 8;
  EXPECT_EQ(admin_status(c), status::prp_offset_invalid);
}

}  // namespace
}  // namespace swiommu::vfio::nvme

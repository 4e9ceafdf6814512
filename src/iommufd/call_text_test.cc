#include "iommufd/call_text.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "iommufd/call_fields.h"
#include "iommufd/dispatch.h"
#include "iommufd/selftest/test_command.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/vfio_type1.h"

namespace swiommu::iommufd {
namespace {

template <class Structure>
std::span<std::byte const> bytes_of(Structure const& structure) {
  return std::as_bytes(std::span(&structure, 1));
}

template <class Structure>
std::string line(std::uint32_t request, Structure const& before, Structure const& after, Result<std::uint64_t> const& result) {
  return call_text({.request = request, .argument = 0x7ffe00001000, .before = bytes_of(before), .after = bytes_of(after)}, result)
      .value();
}
template <class Structure>
std::string line(std::uint32_t request, Structure const& structure, Result<std::uint64_t> const& result) {
  return line(request, structure, structure, result);
}

TEST(CallText, ShowsWhatWasAskedAndWhyItFailed) {
  iommu_ioas_map const map{
      .size = sizeof map, .flags = 7, .ioas_id = 1, .__reserved = 0, .user_va = 0x7f0000001000, .length = 0x2000, .iova = 0x1000};
  EXPECT_EQ(line(IOMMU_IOAS_MAP, map, fail(EEXIST, "overlaps area [0x0, 0x1fff]")),
            "IOMMU_IOAS_MAP {flags=FIXED_IOVA|WRITEABLE|READABLE, ioas_id=1, user_va=0x7f0000001000, length=0x2000, iova=0x1000} "
            "= -1 EEXIST: overlaps area [0x0, 0x1fff]");
  EXPECT_EQ(line(IOMMU_IOAS_MAP, map, 0),
            "IOMMU_IOAS_MAP {flags=FIXED_IOVA|WRITEABLE|READABLE, ioas_id=1, user_va=0x7f0000001000, length=0x2000, iova=0x1000} "
            "= 0");
}

TEST(CallText, ShowsOutputsOfCallsThatSucceeded) {
  iommu_ioas_alloc const before{.size = sizeof before, .flags = 0, .out_ioas_id = 99};
  iommu_ioas_alloc after = before;
  after.out_ioas_id = 1;
  EXPECT_EQ(line(IOMMU_IOAS_ALLOC, before, after, 0), "IOMMU_IOAS_ALLOC {flags=0x0, out_ioas_id=1} = 0");
  EXPECT_EQ(line(IOMMU_IOAS_ALLOC, before, fail(ENOMEM, "")), "IOMMU_IOAS_ALLOC {flags=0x0} = -1 ENOMEM");
  iommu_hw_info info{};
  info.size = sizeof info;
  info.dev_id = 3;
  info.data_len = 64;
  info.data_uptr = 0x5000;
  iommu_hw_info told = info;
  told.data_len = 24;
  told.out_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
  told.out_max_pasid_log2 = 20;
  told.out_capabilities = 9;
  EXPECT_EQ(line(IOMMU_GET_HW_INFO, info, told, 0),
            "IOMMU_GET_HW_INFO {flags=0, dev_id=3, data_len=64 => 24, data_uptr=0x5000, out_data_type=INTEL_VTD, "
            "out_max_pasid_log2=20, out_capabilities=DIRTY_TRACKING|PCI_ATS_NOT_SUPPORTED} = 0");
  iommu_fault_alloc queue{.size = sizeof queue, .flags = 0, .out_fault_id = 7, .out_fault_fd = static_cast<std::uint32_t>(-1)};
  EXPECT_EQ(line(IOMMU_FAULT_QUEUE_ALLOC, queue, 0), "IOMMU_FAULT_QUEUE_ALLOC {flags=0x0, out_fault_id=7, out_fault_fd=-1} = 0");
}

TEST(CallText, ShowsWhatWasChangedEvenIfTheCallFailed) {
  iommu_ioas_iova_ranges const before{
      .size = sizeof before, .ioas_id = 1, .num_iovas = 1, .__reserved = 0, .allowed_iovas = 0x4000, .out_iova_alignment = 5};
  iommu_ioas_iova_ranges after = before;
  after.num_iovas = 2;
  EXPECT_EQ(line(IOMMU_IOAS_IOVA_RANGES, before, after, fail(EMSGSIZE, "there are 2 ranges, and room for 1")),
            "IOMMU_IOAS_IOVA_RANGES {ioas_id=1, num_iovas=1 => 2, allowed_iovas=0x4000} = -1 EMSGSIZE: there are 2 ranges, and "
            "room for 1");
}

TEST(CallText, SaysWhatIsUnusual) {
  iommu_hwpt_alloc hwpt{};
  hwpt.size = sizeof hwpt;
  hwpt.dev_id = 1;
  hwpt.pt_id = 2;
  hwpt.out_hwpt_id = 5;
  EXPECT_EQ(line(IOMMU_HWPT_ALLOC, hwpt, 0), "IOMMU_HWPT_ALLOC {flags=0, dev_id=1, pt_id=2, out_hwpt_id=5, data_type=NONE} = 0");
  hwpt.flags = 0x105;
  hwpt.__reserved = 4;
  hwpt.data_type = 77;
  hwpt.data_len = 24;
  hwpt.data_uptr = 0x9000;
  hwpt.fault_id = 6;
  EXPECT_EQ(line(IOMMU_HWPT_ALLOC, hwpt, fail(EOPNOTSUPP, "")),
            "IOMMU_HWPT_ALLOC {flags=NEST_PARENT|FAULT_ID_VALID|0x100, dev_id=1, pt_id=2, __reserved=0x4, data_type=0x4d, "
            "data_len=24, data_uptr=0x9000, fault_id=6} = -1 EOPNOTSUPP");
}

TEST(CallText, ShowsAsMuchAsTheCallerSaysThatThereIs) {
  iommu_ioas_unmap unmap{.size = 12, .ioas_id = 1, .iova = 0x1000, .length = 0x1000};
  EXPECT_EQ(line(IOMMU_IOAS_UNMAP, unmap, fail(EINVAL, "too short")),
            "IOMMU_IOAS_UNMAP {size=12, ioas_id=1} = -1 EINVAL: too short");
  unmap.size = 4096;
  EXPECT_EQ(line(IOMMU_IOAS_UNMAP, unmap, fail(E2BIG, "too long")),
            "IOMMU_IOAS_UNMAP {size=4096, ioas_id=1, iova=0x1000, length=0x1000} = -1 E2BIG: too long");
  auto const part = [&](std::size_t count) {
    CallRecord record{.request = IOMMU_IOAS_UNMAP, .argument = 0xdead0};
    record.before = record.after = bytes_of(unmap).first(count);
    return call_text(record, fail(EFAULT, "")).value();
  };
  EXPECT_EQ(part(0), "IOMMU_IOAS_UNMAP 0xdead0 = -1 EFAULT");
  EXPECT_EQ(part(3), "IOMMU_IOAS_UNMAP 0xdead0 = -1 EFAULT");
  EXPECT_EQ(part(4), "IOMMU_IOAS_UNMAP {size=4096} = -1 EFAULT");
  EXPECT_EQ(part(20), "IOMMU_IOAS_UNMAP {size=4096, ioas_id=1, iova=0x1000} = -1 EFAULT");
}

TEST(CallText, ShowsRequestsThatItDoesNotKnow) {
  CallRecord const record{.request = 0x3b95, .argument = 0x7000};
  EXPECT_EQ(call_text(record, fail(ENOTTY, "there is no ioctl 0x3b95")).value(),
            "ioctl 0x3b95 0x7000 = -1 ENOTTY: there is no ioctl 0x3b95");
  EXPECT_EQ(call_text({.request = 0x5401}, fail(4000, "")).value(), "ioctl 0x5401 0x0 = -1 errno 4000");
}

TEST(CallText, IsOneLineWhateverTheErrorSays) {
  EXPECT_EQ(call_text({.request = 1}, fail(EIO, "a\nb\x7f")).value(), "ioctl 0x1 0x0 = -1 EIO: a?b?");
}

TEST(CallText, ShowsTheType1RequestsOfVfio) {
  EXPECT_EQ(call_text({.request = VFIO_GET_API_VERSION}, 0).value(), "VFIO_GET_API_VERSION = 0");
  EXPECT_EQ(call_text({.request = VFIO_CHECK_EXTENSION, .argument = VFIO_TYPE1v2_IOMMU}, 1).value(),
            "VFIO_CHECK_EXTENSION VFIO_TYPE1v2_IOMMU = 1");
  EXPECT_EQ(call_text({.request = VFIO_SET_IOMMU, .argument = 99}, fail(EINVAL, "")).value(), "VFIO_SET_IOMMU 0x63 = -1 EINVAL");
  vfio_iommu_type1_dma_map const map{
      .argsz = sizeof map, .flags = VFIO_DMA_MAP_FLAG_READ, .vaddr = 0x1000, .iova = 0x2000, .size = 0x3000};
  EXPECT_EQ(line(VFIO_IOMMU_MAP_DMA, map, 0),
            "VFIO_IOMMU_MAP_DMA {argsz=32, flags=READ, vaddr=0x1000, iova=0x2000, size=0x3000} = 0");
  vfio_iommu_type1_info const asked{.argsz = 16, .flags = 0, .iova_pgsizes = 0, .cap_offset = 0, .pad = 0};
  vfio_iommu_type1_info told = asked;
  told.argsz = 100;
  told.flags = 3;
  told.iova_pgsizes = 0x1000;
  EXPECT_EQ(line(VFIO_IOMMU_GET_INFO, asked, told, 0),
            "VFIO_IOMMU_GET_INFO {argsz=16 => 100, flags=PGSIZES|CAPS, iova_pgsizes=0x1000, cap_offset=0x0} = 0");
}

TEST(CallText, ShowsEachOperationOfTheSelftests) {
  selftest::TestCommand command{};
  command.size = sizeof command;
  command.operation = selftest::TestOperation::check_map;
  command.id = 4;
  command.check_map = {.iova = 0x1000, .length = 0x2000, .address = 0x3000};
  EXPECT_EQ(line(selftest_request, command, 0),
            "IOMMU_TEST_CMD {op=MD_CHECK_MAP, id=4, iova=0x1000, length=0x2000, uptr=0x3000} = 0");
  command.operation = selftest::TestOperation::dirty;
  command.dirty = {.flags = 0, .iova = 1, .length = 2, .page_size = 3, .address = 4, .out_count = 5};
  EXPECT_EQ(line(selftest_request, command, 0),
            "IOMMU_TEST_CMD {op=DIRTY, id=4, flags=0x0, iova=0x1, length=0x2, page_size=0x3, uptr=0x4, out_nr_dirty=5} = 0");
  command.operation = static_cast<selftest::TestOperation>(24);
  EXPECT_EQ(line(selftest_request, command, fail(EOPNOTSUPP, "")), "IOMMU_TEST_CMD {op=24, id=4} = -1 EOPNOTSUPP");
  for (std::uint32_t n = 1; n <= 23; n++) EXPECT_NE(find_test_operation(n), nullptr) << n;
}

TEST(CallText, TestOperationsHaveTheirFieldsWhereTheStructureHasThem) {
  using C = selftest::TestCommand;
  struct {
    std::uint32_t operation;
    char const* field;
    std::size_t offset;
  } const expected[] = {
      {1, "length", offsetof(C, add_reserved) + offsetof(C::AddReserved, length)},
      {2, "out_idev_id", offsetof(C, mock_domain) + offsetof(C::MockDomain, out_idev_id)},
      {4, "refs", offsetof(C, check_references) + offsetof(C::CheckReferences, references)},
      {5, "flags", offsetof(C, create_access) + offsetof(C::CreateAccess, flags)},
      {7, "uptr", offsetof(C, access_pages) + offsetof(C::AccessPages, address)},
      {7, "out_access_pages_id", offsetof(C, access_pages) + offsetof(C::AccessPages, out_item)},
      {8, "flags", offsetof(C, access_transfer) + offsetof(C::AccessTransfer, flags)},
      {12, "dev_flags", offsetof(C, mock_domain) + offsetof(C::MockDomain, flags)},
      {13, "out_nr_dirty", offsetof(C, dirty) + offsetof(C::Dirty, out_count)},
      {14, "iotlb", offsetof(C, cached) + offsetof(C::Cached, value)},
      {15, "addr", offsetof(C, page_request) + offsetof(C::PageRequest, iova)},
      {18, "pt_id", offsetof(C, pasid) + offsetof(C::PasidAttachment, pt_id)},
      {22, "open_flags", offsetof(C, dmabuf_get) + offsetof(C::DmabufGet, open_flags)},
      {23, "revoked", offsetof(C, dmabuf_revoke) + offsetof(C::DmabufRevoke, revoked)},
  };
  for (auto const& [operation, field, offset] : expected) {
    auto const fields = find_test_operation(operation)->fields;
    auto const found = std::ranges::find_if(fields, [&](CallField const& each) { return std::string_view(each.name) == field; });
    ASSERT_NE(found, fields.end()) << field;
    EXPECT_EQ(found->offset, offset) << field;
  }
}

TEST(CallText, KnowsEachCallAndEachOfItsBytes) {
  for (Operation const& operation : operations()) {
    auto const* const shape = find_call(operation.request);
    ASSERT_NE(shape, nullptr) << std::hex << operation.request;
    EXPECT_EQ(shape->bytes, operation.size) << shape->name;
    std::vector<bool> described(shape->bytes, false);
    for (std::size_t n = 0; n < 4; n++) described[n] = true;  // the size
    for (CallField const& field : shape->fields)
      for (std::size_t n = 0; n < field.bytes; n++) described.at(field.offset + n) = true;
    EXPECT_EQ(std::ranges::count(described, false), 0) << shape->name;
  }
}

TEST(CallText, GarbageMakesALineToo) {
  std::uint64_t state = 3;
  auto const random = [&] { return state = state * 6364136223846793005 + 1442695040888963407, state >> 33; };
  std::vector<std::byte> before(100), after(100);
  for (int n = 0; n < 20000; n++) {
    for (auto* const structure : {&before, &after})
      for (std::byte& each : *structure) each = static_cast<std::byte>(random());
    if (n % 2 == 0) before[1] = before[2] = before[3] = std::byte{0};
    CallRecord record{.request = static_cast<std::uint32_t>(0x3b60 + random() % 0x50), .argument = random()};
    record.before = std::span(before).first(random() % before.size());
    record.after = std::span(after).first(random() % after.size());
    auto const text = call_text(record, n % 3 == 0 ? Result<std::uint64_t>(0) : fail(EINVAL, "x"));
    ASSERT_TRUE(text);
    EXPECT_FALSE(text->empty());
    EXPECT_EQ(text->find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace swiommu::iommufd

#include "iommufd/selftest/kernel_version.h"
#include "iommufd/selftest/selftest_fixture.h"

namespace swiommu::iommufd::selftest {
namespace {

class SelftestHardwareTest : public SelftestFixture {
 protected:
  using SelftestFixture::SelftestFixture;

  long check(TestOperation operation, std::uint32_t id, std::uint32_t entry, std::uint32_t value) {
    auto c = command(operation, id);
    c.cached = {.entry = entry, .value = value};
    return test(c);
  }
  long check_iotlb(std::uint32_t hwpt, std::uint32_t entry, std::uint32_t value) {
    return check(TestOperation::check_iotlb, hwpt, entry, value);
  }
  long check_cache(std::uint32_t device, std::uint32_t entry, std::uint32_t value) {
    return check(TestOperation::check_device_cache, device, entry, value);
  }
  // The result, and how many were done.
  template <class Entry>
  std::pair<long, std::uint32_t> invalidate(std::uint32_t id, std::vector<Entry> const& entries,
                                            std::uint32_t entry_length = sizeof(Entry),
                                            std::uint32_t type = mock_invalidation_type) {
    iommu_hwpt_invalidate c{.size = sizeof c,
                            .hwpt_id = id,
                            .data_uptr = std::bit_cast<std::uint64_t>(entries.data()),
                            .data_type = type,
                            .entry_len = entry_length,
                            .entry_num = static_cast<std::uint32_t>(entries.size())};
    long const result = call(IOMMU_HWPT_INVALIDATE, c);
    return {result, c.entry_num};
  }
  long viommu(std::uint32_t device, std::uint32_t hwpt) {
    iommu_viommu_alloc c{.size = sizeof c, .type = mock_viommu_type, .dev_id = device, .hwpt_id = hwpt};
    long const result = call(IOMMU_VIOMMU_ALLOC, c);
    return result == 0 ? c.out_viommu_id : result;
  }
  long vdevice(std::uint32_t viommu, std::uint32_t device, std::uint64_t virtual_id) {
    iommu_vdevice_alloc c{.size = sizeof c, .viommu_id = viommu, .dev_id = device, .virt_id = virtual_id};
    long const result = call(IOMMU_VDEVICE_ALLOC, c);
    return result == 0 ? c.out_vdevice_id : result;
  }
  long trigger_event(std::uint32_t device) {
    auto c = command(TestOperation::trigger_event, 0);
    c.event_device = device;
    return test(c);
  }
  long set_tracking(std::uint32_t hwpt, bool on) {
    iommu_hwpt_set_dirty_tracking c{
        .size = sizeof c, .flags = on ? std::uint32_t{IOMMU_HWPT_DIRTY_TRACKING_ENABLE} : 0, .hwpt_id = hwpt};
    return call(IOMMU_HWPT_SET_DIRTY_TRACKING, c);
  }
  // Dirties the pages whose bits are set, from first_iova on.
  long dirty(std::uint32_t hwpt, std::vector<std::uint8_t> const& bits, std::uint64_t length, std::uint64_t page_size,
             std::uint64_t& count) {
    auto c = command(TestOperation::dirty, hwpt);
    c.dirty.iova = first_iova;
    c.dirty.length = length;
    c.dirty.page_size = page_size;
    c.dirty.address = std::bit_cast<std::uint64_t>(bits.data());
    long const result = test(c);
    count = c.dirty.out_count;
    return result;
  }
  std::vector<std::uint8_t> dirty_bits(std::uint32_t hwpt, std::uint64_t length, std::uint32_t flags = 0) {
    std::vector<std::uint64_t> words(length / 2048 / 64 + 1);
    iommu_hwpt_get_dirty_bitmap c{.size = sizeof c,
                                  .hwpt_id = hwpt,
                                  .flags = flags,
                                  .iova = first_iova,
                                  .length = length,
                                  .page_size = 2048,
                                  .data = std::bit_cast<std::uint64_t>(words.data())};
    EXPECT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, c), 0);
    auto const* const bytes = reinterpret_cast<std::uint8_t const*>(words.data());
    return {bytes, bytes + (length / 2048 + 7) / 8};
  }
};

TEST_F(SelftestHardwareTest, InvalidationsOfANestedHwptReachItsOwnEntriesOnly) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  long const parent = hwpt(made.device, space, IOMMU_HWPT_ALLOC_NEST_PARENT);
  MockHwptData const data{.iotlb = 0x1234, .table = 0};
  long const first = hwpt_with(made.device, parent, &data), second = hwpt_with(made.device, parent, &data);
  ASSERT_GT(first, 0);
  ASSERT_GT(second, 0);
  for (std::uint32_t entry = 0; entry < 4; entry++) EXPECT_EQ(check_iotlb(first, entry, 0x1234), 0);
  EXPECT_EQ(check_iotlb(first, 0, 0x1235), -EINVAL);
  EXPECT_EQ(check_iotlb(first, 4, 0x1234), -EINVAL);
  EXPECT_EQ(check_iotlb(parent, 0, 0x1234), -ENOENT);

  using Entries = std::vector<MockIotlbInvalidation>;
  EXPECT_EQ(invalidate(first, Entries{{0, 2}}), std::pair(0l, 1u));
  EXPECT_EQ(check_iotlb(first, 2, 0), 0);
  EXPECT_EQ(check_iotlb(first, 1, 0x1234), 0);
  EXPECT_EQ(check_iotlb(second, 2, 0x1234), 0);
  EXPECT_EQ(invalidate(first, Entries{{0, 0}, {2, 1}}), std::pair(-long{EOPNOTSUPP}, 1u));
  EXPECT_EQ(check_iotlb(first, 0, 0), 0);
  EXPECT_EQ(check_iotlb(first, 1, 0x1234), 0);
  EXPECT_EQ(invalidate(first, Entries{{0, 4}}), std::pair(-long{EINVAL}, 0u));
  EXPECT_EQ(invalidate(first, Entries{{0, 1}}, 4), std::pair(-long{EINVAL}, 0u));
  EXPECT_EQ(invalidate(first, Entries{{0, 1}}, 9), std::pair(-long{EINVAL}, 0u));
  EXPECT_EQ(invalidate(first, Entries{{0, 1}}, 8, 0xdadbeef), std::pair(-long{EINVAL}, 0u));
  EXPECT_EQ(invalidate(first, Entries{}), std::pair(0l, 0u));
  EXPECT_EQ(invalidate(second, Entries{{mock_invalidate_all, 3}}), std::pair(0l, 1u));
  for (std::uint32_t entry = 0; entry < 4; entry++) EXPECT_EQ(check_iotlb(second, entry, 0), 0);
  EXPECT_EQ(check_iotlb(first, 1, 0x1234), 0);
}

TEST_F(SelftestHardwareTest, InvalidatingAPagingHwptIsAnotherErrorFor612) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  long const parent = hwpt(made.device, space, IOMMU_HWPT_ALLOC_NEST_PARENT);
  MockHwptData const data{.iotlb = 1, .table = 0};
  std::vector<MockIotlbInvalidation> const entries{{0, 0}};
  ASSERT_GT(hwpt_with(made.device, parent, &data), 0);
  EXPECT_EQ(invalidate(parent, entries), std::pair(-long{EINVAL}, 0u));
  ASSERT_GT(hwpt_with(made.device, parent, &data, 4), 0);
  EXPECT_EQ(invalidate(parent, entries), std::pair(-long{ENOENT}, 0u));
}

TEST_F(SelftestHardwareTest, DataOfHwptsIsChecked) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  long const parent = hwpt(made.device, space, IOMMU_HWPT_ALLOC_NEST_PARENT), other = hwpt(made.device, space);
  MockHwptData const data{.iotlb = 1, .table = 0}, unknown{.iotlb = 1, .table = 2};
  EXPECT_EQ(hwpt_with(made.device, parent, &data, 3), -EINVAL);
  EXPECT_EQ(hwpt_with(made.device, parent, &data, 9), -EINVAL);
  EXPECT_EQ(hwpt_with(made.device, parent, nullptr), -EFAULT);
  EXPECT_EQ(hwpt_with(made.device, parent, &data, 8, 0, mock_hwpt_type + 1), -EOPNOTSUPP);
  EXPECT_EQ(hwpt_with(made.device, parent, &data, 8, IOMMU_HWPT_ALLOC_NEST_PARENT), -EOPNOTSUPP);
  EXPECT_EQ(hwpt_with(made.device, other, &data), -EINVAL);
  EXPECT_EQ(hwpt_with(made.device, space, &data, 8, 0, mock_hwpt_type + 1), -EOPNOTSUPP);
  EXPECT_EQ(hwpt_with(made.device, space, &unknown), -EOPNOTSUPP);
  EXPECT_GT(hwpt_with(made.device, space, &data), 0);
}

TEST_F(SelftestHardwareTest, InvalidationsOfAVIommuReachTheCachesOfItsDevices) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space), other = mock(space);
  long const parent = hwpt(made.device, space, IOMMU_HWPT_ALLOC_NEST_PARENT);
  long const id = viommu(made.device, parent);
  ASSERT_GT(id, 0);
  ASSERT_GT(vdevice(id, made.device, 0x99), 0);
  using Entries = std::vector<MockCacheInvalidation>;
  EXPECT_EQ(invalidate(id, Entries{{0, 0x99, 1}}), std::pair(0l, 1u));
  EXPECT_EQ(check_cache(made.device, 1, 0), 0);
  EXPECT_EQ(check_cache(made.device, 0, mock_cache_at_first), 0);
  EXPECT_EQ(check_cache(made.device, 4, mock_cache_at_first), -EINVAL);
  EXPECT_EQ(check_cache(other.device, 1, mock_cache_at_first), 0);
  EXPECT_EQ(check_cache(made.id, 1, 0), -ENOENT);
  EXPECT_EQ(invalidate(id, Entries{{0, 0x99, 0}, {2, 0x99, 2}}), std::pair(-long{EOPNOTSUPP}, 1u));
  EXPECT_EQ(check_cache(made.device, 0, 0), 0);
  EXPECT_EQ(invalidate(id, Entries{{0, 0x99, 4}}), std::pair(-long{EINVAL}, 0u));
  EXPECT_EQ(invalidate(id, Entries{{0, 0x98, 2}}), std::pair(-long{EINVAL}, 0u));
  EXPECT_EQ(invalidate(id, Entries{{0, 0x99, 2}}, 1), std::pair(-long{EINVAL}, 0u));
  EXPECT_EQ(invalidate(id, Entries{{0, 0x99, 2}}, 12, 0xdadbeef), std::pair(-long{EINVAL}, 0u));
  EXPECT_EQ(invalidate(id, Entries{}), std::pair(0l, 0u));
  EXPECT_EQ(check_cache(made.device, 2, mock_cache_at_first), 0);
  EXPECT_EQ(invalidate(id, Entries{{mock_invalidate_all, 0x99, 0}}), std::pair(0l, 1u));
  EXPECT_EQ(check_cache(made.device, 2, 0), 0);
  EXPECT_EQ(check_cache(other.device, 2, mock_cache_at_first), 0);
}

TEST_F(SelftestHardwareTest, AVIommuShowsWhatItWasMadeWith) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  long const parent = hwpt(made.device, space, IOMMU_HWPT_ALLOC_NEST_PARENT);
  MockViommuData data{.in = 0xbeef, .out = 0, .out_map_offset = 0, .out_map_length = 0};
  iommu_viommu_alloc c{.size = sizeof c,
                       .type = mock_viommu_type,
                       .dev_id = made.device,
                       .hwpt_id = static_cast<std::uint32_t>(parent),
                       .data_len = sizeof data,
                       .data_uptr = std::bit_cast<std::uint64_t>(&data)};
  ASSERT_EQ(call(IOMMU_VIOMMU_ALLOC, c), 0);
  EXPECT_EQ(data.out, 0xbeefu);
  EXPECT_EQ(data.out_map_length, 2 * page);
  auto const mapped = file_->map(data.out_map_offset, data.out_map_length, PROT_READ, MAP_SHARED);
  ASSERT_TRUE(mapped);
  void* const seen = ::mmap(nullptr, 2 * page, PROT_READ, MAP_SHARED, (*mapped)->descriptor(),
                            static_cast<off_t>((*mapped)->offset()));
  ASSERT_NE(seen, MAP_FAILED);
  EXPECT_EQ(*static_cast<std::uint32_t*>(seen), 0xbeefu);
  ::munmap(seen, 2 * page);
  c.data_len = 4;
  EXPECT_EQ(call(IOMMU_VIOMMU_ALLOC, c), -EINVAL);
  c.data_len = 25;
  EXPECT_EQ(call(IOMMU_VIOMMU_ALLOC, c), -EINVAL);
  c.data_len = 8;
  c.type = mock_viommu_type + 1;
  EXPECT_EQ(call(IOMMU_VIOMMU_ALLOC, c), -EOPNOTSUPP);
}

TEST_F(SelftestHardwareTest, EventsNeedAnHwptOfAVIommuWithTheDevice) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  long const parent = hwpt(made.device, space, IOMMU_HWPT_ALLOC_NEST_PARENT);
  long const id = viommu(made.device, parent);
  MockHwptData const data{.iotlb = 1, .table = 0};
  long const nested = hwpt_with(made.device, id, &data);
  ASSERT_GT(nested, 0);
  EXPECT_EQ(replace(made.id, nested), -ENOENT);
  EXPECT_EQ(trigger_event(made.device), -ENOENT);
  EXPECT_EQ(trigger_event(made.id), -ENOENT);
  ASSERT_GT(vdevice(id, made.device, 0x99), 0);
  EXPECT_EQ(trigger_event(made.device), -ENOENT);
  EXPECT_EQ(replace(made.id, nested), 0);
  EXPECT_EQ(trigger_event(made.device), -EOPNOTSUPP);  // nobody has a queue for it
  iommu_veventq_alloc queue{
      .size = sizeof queue, .viommu_id = static_cast<std::uint32_t>(id), .type = mock_event_type, .veventq_depth = 2};
  ASSERT_EQ(call(IOMMU_VEVENTQ_ALLOC, queue), 0);
  EXPECT_EQ(trigger_event(made.device), 0);
  struct {
    std::uint32_t flags, sequence, virt_id;
  } event{1, 1, 1};
  auto const read = caller_.open_file(static_cast<int>(queue.out_veventq_fd))
                        ->read(caller_, std::bit_cast<std::uint64_t>(&event), sizeof event);
  EXPECT_EQ(read.value_or(0), sizeof event);
  EXPECT_EQ(event.flags, 0u);
  EXPECT_EQ(event.virt_id, 0x99u);
  EXPECT_EQ(replace(made.id, space), 0);
  EXPECT_EQ(trigger_event(made.device), -ENOENT);
}

TEST_F(SelftestHardwareTest, QueuesOfAVIommuAreMadeInOrderAndGoInReverse) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  CallerMemory const memory(page);
  ASSERT_EQ(map(space, memory.address(), page, first_iova), 0);
  long const id = viommu(made.device, hwpt(made.device, space, IOMMU_HWPT_ALLOC_NEST_PARENT));
  auto const queue = [&](std::uint32_t index, std::uint64_t iova = first_iova, std::uint64_t length = page) -> long {
    iommu_hw_queue_alloc c{.size = sizeof c,
                           .viommu_id = static_cast<std::uint32_t>(id),
                           .type = mock_hw_queue_type,
                           .index = index,
                           .nesting_parent_iova = iova,
                           .length = length};
    long const result = call(IOMMU_HW_QUEUE_ALLOC, c);
    return result == 0 ? c.out_hw_queue_id : result;
  };
  EXPECT_EQ(queue(1), -EIO);
  EXPECT_EQ(queue(2), -EINVAL);
  long const first = queue(0);
  ASSERT_GT(first, 0);
  EXPECT_EQ(queue(0), -EEXIST);
  EXPECT_EQ(unmap(space, first_iova, page), -EBUSY);
  long const second = queue(1, first_iova + page / 2, page / 2);
  ASSERT_GT(second, 0);
  EXPECT_EQ(destroy(first), -EBUSY);
  EXPECT_EQ(destroy(second), 0);
  EXPECT_EQ(destroy(first), 0);
  EXPECT_EQ(unmap(space, first_iova, page), 0);
}

TEST_F(SelftestHardwareTest, PageRequestsReachTheQueueOfTheHwpt) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  auto request = command(TestOperation::trigger_page_request, 0);
  request.page_request = {.device = made.device, .pasid = 0, .group = 7, .permissions = 3, .iova = 0xdeadbeaf000};
  EXPECT_EQ(test(request), 0);  // nobody listens
  iommu_fault_alloc queue{.size = sizeof queue};
  ASSERT_EQ(call(IOMMU_FAULT_QUEUE_ALLOC, queue), 0);
  MockHwptData const data{.iotlb = 1, .table = 0};
  iommu_hwpt_alloc c{
      .size = sizeof c,
      .flags = IOMMU_HWPT_FAULT_ID_VALID,
      .dev_id = made.device,
      .pt_id = static_cast<std::uint32_t>(hwpt(made.device, space, IOMMU_HWPT_ALLOC_NEST_PARENT)),
      .data_type = mock_hwpt_type,
      .data_len = sizeof data,
      .data_uptr = std::bit_cast<std::uint64_t>(&data),
      .fault_id = queue.out_fault_id,
  };
  ASSERT_EQ(call(IOMMU_HWPT_ALLOC, c), 0);
  EXPECT_EQ(replace(made.id, c.out_hwpt_id), 0);
  request.page_request.pasid = 1;  // of a table that the guest owns
  EXPECT_EQ(test(request), 0);
  iommu_hwpt_pgfault fault{};
  auto const file = caller_.open_file(static_cast<int>(queue.out_fault_fd));
  ASSERT_TRUE(file->readable());
  EXPECT_EQ(file->read(caller_, std::bit_cast<std::uint64_t>(&fault), sizeof fault).value_or(0), sizeof fault);
  EXPECT_EQ(fault.dev_id, made.device);
  EXPECT_EQ(fault.pasid, 1u);
  EXPECT_EQ(fault.grpid, 7u);
  EXPECT_EQ(fault.perm, 3u);
  EXPECT_EQ(fault.addr, 0xdeadbeaf000u);
  EXPECT_EQ(fault.flags, std::uint32_t{IOMMU_PGFAULT_FLAGS_PASID_VALID | IOMMU_PGFAULT_FLAGS_LAST_PAGE});
  request.page_request.device = made.id;
  EXPECT_EQ(test(request), -ENOENT);
}

TEST_F(SelftestHardwareTest, DirtyPagesAreFoundInTheTable) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  CallerMemory const memory(4 * page);
  ASSERT_EQ(map(space, memory.address(), memory.length(), first_iova), 0);
  long const table = hwpt(made.device, space, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
  ASSERT_GT(table, 0);
  std::uint64_t count = 0;
  std::vector<std::uint8_t> const even{0x15};
  EXPECT_EQ(dirty(table, even, 4 * page, 2048, count), -EINVAL);  // not on
  EXPECT_EQ(set_tracking(table, true), 0);
  EXPECT_EQ(dirty(table, even, 4 * page, 2048, count), 0);
  EXPECT_EQ(count, 3u);
  EXPECT_EQ(dirty_bits(table, 4 * page, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR), even);
  EXPECT_EQ(dirty_bits(table, 4 * page), even);
  EXPECT_EQ(dirty_bits(table, 4 * page), std::vector<std::uint8_t>{0});
  EXPECT_EQ(dirty(table, even, 4 * page, 0, count), -EINVAL);
  EXPECT_EQ(dirty(table, even, 0, 2048, count), -EINVAL);
  EXPECT_EQ(dirty(table, even, 4 * page + 1, 2048, count), -EINVAL);
  EXPECT_EQ(dirty(made.hwpt, even, 4 * page, 2048, count), -EINVAL);
  EXPECT_EQ(dirty(made.device, even, 4 * page, 2048, count), -ENOENT);
  auto c = command(TestOperation::dirty, table);
  c.dirty = {.flags = 0, .iova = first_iova, .length = page, .page_size = 2048, .address = 8, .out_count = 0};
  EXPECT_EQ(test(c), -EFAULT);
  c.dirty.address = 0;
  EXPECT_EQ(test(c), -EINVAL);
  c.dirty = {.flags = 0, .iova = 0, .length = std::uint64_t{1} << 40, .page_size = 2048, .address = 8, .out_count = 0};
  EXPECT_EQ(test(c), -EOVERFLOW);
}

class SelftestHardware73Test : public SelftestHardwareTest {
 protected:
  SelftestHardware73Test() : SelftestHardwareTest("kernel-selftest-7.3") {}
};

TEST_F(SelftestHardware73Test, AWriteDirtiesTheWholeLeafOfTheHostsPage) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  CallerMemory const memory(4 * page);
  ASSERT_EQ(map(space, memory.address(), memory.length(), first_iova), 0);
  long const table = hwpt(made.device, space, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
  std::uint64_t count = 0;
  EXPECT_EQ(set_tracking(table, true), 0);
  EXPECT_EQ(dirty(table, {0x11}, 4 * page, 2048, count), 0);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(dirty_bits(table, 4 * page), std::vector<std::uint8_t>{0x33});
}

}  // namespace
}  // namespace swiommu::iommufd::selftest

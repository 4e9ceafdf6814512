#include "iommufd/fault_queue.h"

#include <atomic>
#include <thread>

#include "iommufd_device_fixture.h"

namespace swiommu::iommufd {
namespace {

using Fault = iommu_hwpt_pgfault;
using Response = iommu_hwpt_page_response;

class FaultQueueTest : public IommufdDeviceTest {
 protected:
  void SetUp() override {
    std::tie(queue_, opened_) = new_fault_queue();
    device_ = bind(physical_);
    space_ = new_ioas();
    hwpt_ = new_listening(IOMMU_HWPT_ALLOC_PASID);
    ASSERT_EQ(attach(*device_, hwpt_), 0);
  }
  void TearDown() override {
    device_ = nullptr;
    opened_ = nullptr;
    IommufdDeviceTest::TearDown();
  }
  std::uint32_t new_listening(std::uint32_t flags) {
    auto arguments = hwpt_of(device_->id(), space_, flags | IOMMU_HWPT_FAULT_ID_VALID);
    arguments.fault_id = queue_;
    EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0) << words_;
    return arguments.out_hwpt_id;
  }
  // Bytes read, or -errno.
  std::int64_t read(void* to, std::uint64_t length) {
    auto const result = opened_->read(caller_, std::bit_cast<std::uint64_t>(to), length);
    return result ? static_cast<std::int64_t>(*result) : -result.error().code;
  }
  std::int64_t write(void const* from, std::uint64_t length) {
    auto const result = opened_->write(caller_, std::bit_cast<std::uint64_t>(from), length);
    return result ? static_cast<std::int64_t>(*result) : -result.error().code;
  }
  int report(PageRequest const& request) { return code(physical_->report(request)); }
  std::uint32_t cookie_of_next() {
    Fault fault{};
    EXPECT_EQ(read(&fault, sizeof fault), static_cast<std::int64_t>(sizeof fault));
    return fault.cookie;
  }

  std::shared_ptr<PhysicalDevice> physical_ = new_physical();
  std::unique_ptr<BoundDevice> device_;
  std::shared_ptr<OpenFile> opened_;
  std::uint32_t queue_ = 0, space_ = 0, hwpt_ = 0;
};

TEST_F(FaultQueueTest, AllocTakesNoFlagsAndGivesADescriptor) {
  iommu_fault_alloc arguments{.size = sizeof arguments, .flags = 1, .out_fault_id = 0, .out_fault_fd = 0};
  EXPECT_EQ(call(IOMMU_FAULT_QUEUE_ALLOC, arguments), EOPNOTSUPP);
  arguments.flags = 0;
  caller_.most_descriptors = 0;
  EXPECT_EQ(call(IOMMU_FAULT_QUEUE_ALLOC, arguments), EMFILE);
  caller_.most_descriptors = 10;
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(call(IOMMU_FAULT_QUEUE_ALLOC, arguments), EFAULT);
  EXPECT_TRUE(caller_.files().empty());
  caller_.memory_is_unwritable = false;
  ASSERT_EQ(call(IOMMU_FAULT_QUEUE_ALLOC, arguments), 0);
  EXPECT_STREQ(caller_.open_file(static_cast<int>(arguments.out_fault_fd))->name(), "[iommufd-pgfault]");
  EXPECT_EQ(destroy(arguments.out_fault_id), EBUSY);
  caller_.uninstall(static_cast<int>(arguments.out_fault_fd));
  EXPECT_EQ(destroy(arguments.out_fault_id), 0);
}

TEST_F(FaultQueueTest, AnOpenQueueKeepsTheFileOpen) {
  std::weak_ptr<OpenFile> const file = file_;
  device_ = nullptr;
  file_ = nullptr;
  EXPECT_FALSE(file.expired());
  opened_ = nullptr;
  EXPECT_TRUE(file.expired());
}

TEST_F(FaultQueueTest, ARequestIsReadAndAnswered) {
  EXPECT_FALSE(opened_->readable());
  ASSERT_EQ(report({.group = 9, .read = true, .execute = true, .iova = 0x7000}), 0);
  EXPECT_TRUE(opened_->readable());
  Fault fault{};
  ASSERT_EQ(read(&fault, sizeof fault), static_cast<std::int64_t>(sizeof fault));
  EXPECT_EQ(fault.flags, std::uint32_t{IOMMU_PGFAULT_FLAGS_LAST_PAGE});
  EXPECT_EQ(fault.dev_id, device_->id());
  EXPECT_EQ(fault.grpid, 9u);
  EXPECT_EQ(fault.perm, std::uint32_t{IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_EXEC});
  EXPECT_EQ(fault.addr, 0x7000u);
  EXPECT_EQ(fault.length, 0u);
  EXPECT_EQ(fault.cookie, 1u);
  EXPECT_FALSE(opened_->readable());
  EXPECT_TRUE(responses_.empty());
  Response const response{.cookie = 1, .code = IOMMUFD_PAGE_RESP_SUCCESS};
  EXPECT_EQ(write(&response, sizeof response), static_cast<std::int64_t>(sizeof response));
  ASSERT_EQ(responses_.size(), 1u);
  EXPECT_EQ(responses_[0].group, 9u);
  EXPECT_EQ(responses_[0].code, PageResponse::Code::success);
  EXPECT_EQ(write(&response, sizeof response), -EINVAL);  // answered already
}

TEST_F(FaultQueueTest, RequestsOfAGroupComeTogetherInTheirOrder) {
  ASSERT_EQ(report({.group = 1, .last = false, .iova = 0x1000}), 0);
  ASSERT_EQ(report({.group = 2, .last = false, .iova = 0x9000}), 0);
  ASSERT_EQ(report({.group = 1, .last = false, .iova = 0x2000}), 0);
  EXPECT_FALSE(opened_->readable());
  ASSERT_EQ(report({.group = 1, .iova = 0x3000}), 0);
  std::array<Fault, 4> faults{};
  EXPECT_EQ(read(faults.data(), 2 * sizeof(Fault)), -EINVAL);  // the group has three
  ASSERT_EQ(read(faults.data(), 4 * sizeof(Fault)), static_cast<std::int64_t>(3 * sizeof(Fault)));
  EXPECT_EQ(faults[0].addr, 0x1000u);
  EXPECT_EQ(faults[1].addr, 0x2000u);
  EXPECT_EQ(faults[2].addr, 0x3000u);
  EXPECT_EQ(faults[1].flags, 0u);
  EXPECT_EQ(faults[2].flags, std::uint32_t{IOMMU_PGFAULT_FLAGS_LAST_PAGE});
  EXPECT_EQ(faults[0].cookie, faults[2].cookie);
  Response const response{.cookie = faults[0].cookie, .code = IOMMUFD_PAGE_RESP_INVALID};
  ASSERT_GT(write(&response, sizeof response), 0);
  ASSERT_EQ(responses_.size(), 1u);
  EXPECT_EQ(responses_[0].code, PageResponse::Code::invalid);
}

TEST_F(FaultQueueTest, ReadingGivesWholeGroupsOnly) {
  std::array<Fault, 3> faults{};
  EXPECT_EQ(read(faults.data(), sizeof faults), 0);  // nothing there
  EXPECT_EQ(read(faults.data(), 0), 0);
  EXPECT_EQ(read(faults.data(), sizeof(Fault) + 1), -ESPIPE);
  ASSERT_EQ(report({.group = 1}), 0);
  ASSERT_EQ(report({.group = 2, .last = false}), 0);
  ASSERT_EQ(report({.group = 2}), 0);
  EXPECT_EQ(read(faults.data(), 0), -EINVAL);
  EXPECT_EQ(read(faults.data(), 2 * sizeof(Fault)), static_cast<std::int64_t>(sizeof(Fault)));
  EXPECT_EQ(read(faults.data(), 2 * sizeof(Fault)), static_cast<std::int64_t>(2 * sizeof(Fault)));
}

TEST_F(FaultQueueTest, WhatCannotBeCopiedStaysAtTheHead) {
  ASSERT_EQ(report({.group = 1}), 0);
  EXPECT_EQ(read(std::bit_cast<void*>(std::uint64_t{16}), sizeof(Fault)), -EFAULT);
  EXPECT_EQ(cookie_of_next(), 1u);  // the cookie was given back
}

TEST_F(FaultQueueTest, CookiesAreTheLowestThatAreFree) {
  for (std::uint32_t n = 0; n < 3; n++) ASSERT_EQ(report({.group = n}), 0);
  EXPECT_EQ(cookie_of_next(), 1u);
  EXPECT_EQ(cookie_of_next(), 2u);
  Response const response{.cookie = 1, .code = 0};
  ASSERT_GT(write(&response, sizeof response), 0);
  EXPECT_EQ(cookie_of_next(), 1u);
}

TEST_F(FaultQueueTest, ResponsesThatAreWrong) {
  ASSERT_EQ(report({.group = 1}), 0);
  std::uint32_t const cookie = cookie_of_next();
  std::array<Response, 2> responses{{{cookie, 2}, {cookie, 0}}};
  EXPECT_EQ(write(responses.data(), sizeof(Response) - 1), -ESPIPE);
  EXPECT_EQ(write(responses.data(), sizeof responses), -EINVAL);  // no such code
  EXPECT_EQ(write(std::bit_cast<void*>(std::uint64_t{16}), sizeof(Response)), -EFAULT);
  EXPECT_EQ(write(responses.data(), 0), 0);
  responses = {{{cookie, 0}, {100, 0}}};
  EXPECT_EQ(write(responses.data(), sizeof responses), static_cast<std::int64_t>(sizeof(Response)));  // the first went well
  EXPECT_EQ(write(responses.data(), sizeof responses), -EINVAL);
}

TEST_F(FaultQueueTest, WhoIsAskedForPasids) {
  ASSERT_EQ(report({.pasid = 5}), EINVAL);
  ASSERT_EQ(responses_.size(), 1u);
  EXPECT_EQ(responses_[0].code, PageResponse::Code::invalid);
  EXPECT_EQ(report({.pasid = 5, .last = false}), EINVAL);
  EXPECT_EQ(responses_.size(), 1u);  // only the last one of a group is answered
  ASSERT_EQ(attach(*device_, hwpt_, nullptr, 5), 0);
  ASSERT_EQ(report({.pasid = 5}), 0);
  Fault fault{};
  ASSERT_GT(read(&fault, sizeof fault), 0);
  EXPECT_EQ(fault.pasid, 5u);
  EXPECT_NE(fault.flags & IOMMU_PGFAULT_FLAGS_PASID_VALID, 0u);
}

TEST_F(FaultQueueTest, WhereGuestsOwnThePasidsTheNestedHwptOfTheDeviceIsAsked) {
  driver_->user_pasid_tables = true;
  EXPECT_EQ(report({.pasid = 5}), EINVAL);  // attached to a paging one
  std::uint32_t const parent = new_hwpt(*device_, space_, IOMMU_HWPT_ALLOC_NEST_PARENT);
  std::uint32_t const nested = new_nested(*device_, parent, IOMMU_HWPT_FAULT_ID_VALID, queue_);
  ASSERT_EQ(replace(*device_, nested), 0);
  EXPECT_EQ(report({.pasid = 5}), 0);
  EXPECT_EQ(report({}), 0);
  driver_->user_pasid_tables = false;
  EXPECT_EQ(report({.pasid = 5}), EINVAL);
}

TEST_F(FaultQueueTest, AHwptWithoutAQueueListensToNothing) {
  ASSERT_EQ(replace(*device_, space_), 0);
  EXPECT_EQ(report({}), EINVAL);
  device_->detach();
  EXPECT_EQ(report({}), EINVAL);
  EXPECT_EQ(responses_.size(), 2u);
}

TEST_F(FaultQueueTest, WhatIsNotAnsweredIsAnsweredAtDetach) {
  auto const other = new_physical();
  auto const neighbour = bind(other);
  ASSERT_EQ(attach(*neighbour, hwpt_), 0);
  ASSERT_EQ(report({.group = 1}), 0);
  ASSERT_EQ(report({.group = 2}), 0);
  ASSERT_TRUE(other->report({.group = 3}));
  EXPECT_EQ(cookie_of_next(), 1u);
  device_->detach();
  ASSERT_EQ(responses_.size(), 2u);
  for (auto const& response : responses_) EXPECT_EQ(response.code, PageResponse::Code::invalid);
  Fault fault{};
  ASSERT_GT(read(&fault, sizeof fault), 0);
  EXPECT_EQ(fault.grpid, 3u);  // that of the neighbour is there still
  EXPECT_FALSE(opened_->readable());
}

TEST_F(FaultQueueTest, WhatIsNotAnsweredIsAnsweredAtReplace) {
  std::uint32_t const other = new_listening(0);
  ASSERT_EQ(report({.group = 1}), 0);
  ASSERT_EQ(replace(*device_, other), 0);
  EXPECT_EQ(responses_.size(), 1u);
  ASSERT_EQ(report({.group = 2}), 0);
  EXPECT_EQ(cookie_of_next(), 1u);
  EXPECT_EQ(responses_.size(), 1u);
}

TEST_F(FaultQueueTest, TakesNoMoreRequestsThanItHasRoomFor) {
  for (std::uint32_t n = 0; n < FaultQueue::capacity; n++) ASSERT_EQ(report({.group = n, .iova = n * page}), 0);
  EXPECT_EQ(report({.group = 5000}), ENOSPC);
  ASSERT_EQ(responses_.size(), 1u);
  EXPECT_EQ(responses_[0].code, PageResponse::Code::invalid);
  // an answer makes room
  Response const response{.cookie = cookie_of_next(), .code = IOMMUFD_PAGE_RESP_SUCCESS};
  ASSERT_GT(write(&response, sizeof response), 0);
  EXPECT_EQ(report({.group = 5000}), 0);
  EXPECT_EQ(report({.group = 5001}), ENOSPC);
}

TEST_F(FaultQueueTest, RequestsWithoutALastOneDoNotPileUp) {
  for (std::uint32_t n = 0; n < FaultQueue::capacity; n++) ASSERT_EQ(report({.group = 1, .last = false}), 0);
  EXPECT_EQ(report({.group = 2, .last = false}), ENOSPC);
  // they go with the device's attachment
  device_->detach();
  EXPECT_EQ(report({.group = 1}), EINVAL);
  ASSERT_EQ(attach(*device_, hwpt_), 0);
  EXPECT_EQ(report({.group = 2, .last = false}), 0);
}

// A device with page requests, its user page table in memory that the parent maps, and a thread that does its DMA.
class PagedDmaConcurrencyTest : public FaultQueueTest {
 protected:
  static constexpr std::uint64_t guest_pages = 1024, table = 0x100000, present = 7;  // P, R/W, U/S

  void SetUp() override {
    physical_ = new_physical({.capabilities = {.dirty_tracking = true, .page_requests = true}});
    FaultQueueTest::SetUp();
    device_->detach();
    guest_ = memory(guest_pages * page);
    ASSERT_EQ(map(space_, guest_, guest_pages * page, TestDriver::aperture.start), 0);
    for (unsigned level = 0; level < 3; level++) put(table + level * page, table + (level + 1) * page);
    auto const parent = new_hwpt(*device_, space_, IOMMU_HWPT_ALLOC_NEST_PARENT);
    nested_ = new_nested(*device_, parent, IOMMU_HWPT_FAULT_ID_VALID, queue_);
    ASSERT_EQ(attach(*device_, nested_), 0);
    port_ = physical_->device()->open_port().value();
    port_->on_missing_page(OnMissingPage::wait);
  }
  void TearDown() override {
    if (dma_.joinable()) dma_.join();
    port_ = nullptr;
    FaultQueueTest::TearDown();
  }
  std::byte* at(std::uint64_t guest) const { return guest_ + (guest - TestDriver::aperture.start); }
  void put(std::uint64_t guest, std::uint64_t entry) const {
    std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at(guest))).store(entry | present);
  }
  // iova page `n` of the guest's table is guest page `guest`.
  void make_present(std::uint64_t n, std::uint64_t guest) const { put(table + 3 * page + 8 * n, guest); }

  void start_write(std::uint64_t iova, std::uint64_t length) {
    dma_ = std::thread([this, iova, length] {
      std::vector<std::byte> const bytes(length, std::byte{0x5a});
      result_ = port_->write(Iova(iova), bytes.data(), length);
    });
  }
  // Waits until `n` requests can be read.
  std::vector<Fault> await_requests(std::size_t n) {
    std::vector<Fault> faults(n);
    while (!opened_->readable()) std::this_thread::yield();
    EXPECT_EQ(read(faults.data(), n * sizeof(Fault)), static_cast<std::int64_t>(n * sizeof(Fault)));
    return faults;
  }
  void respond(std::uint32_t cookie, std::uint32_t response_code) {
    Response const response{.cookie = cookie, .code = response_code};
    EXPECT_EQ(write(&response, sizeof response), static_cast<std::int64_t>(sizeof response));
  }

  std::byte* guest_ = nullptr;
  std::uint32_t nested_ = 0;
  std::unique_ptr<Port> port_;
  std::thread dma_;
  DmaResult result_;
};

TEST_F(PagedDmaConcurrencyTest, WaitsForTheGuestToMakeItsPagesPresent) {
  start_write(2 * page + 100, 2 * page);
  auto const faults = await_requests(3);
  for (std::size_t n = 0; n < 3; n++) {
    EXPECT_EQ(faults[n].addr, (2 + n) * page);
    EXPECT_EQ(faults[n].perm, std::uint32_t{IOMMU_PGFAULT_PERM_WRITE});
    EXPECT_EQ(faults[n].flags, n == 2 ? std::uint32_t{IOMMU_PGFAULT_FLAGS_LAST_PAGE} : 0u);
    EXPECT_EQ(faults[n].dev_id, device_->id());
    make_present(2 + n, 0x200000 + n * page);
  }
  respond(faults[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS);
  dma_.join();
  EXPECT_TRUE(result_.ok());
  EXPECT_EQ(*at(0x200000 + 99), std::byte{0});
  for (std::uint64_t offset = 100; offset < 2 * page + 100; offset++) ASSERT_EQ(*at(0x200000 + offset), std::byte{0x5a});
  EXPECT_TRUE(responses_.empty());  // they were the port's business
}

TEST_F(PagedDmaConcurrencyTest, FailsWhenTheGuestSaysSo) {
  start_write(5 * page, 8);
  respond(await_requests(1)[0].cookie, IOMMUFD_PAGE_RESP_INVALID);
  dma_.join();
  ASSERT_TRUE(result_.fault);
  EXPECT_EQ(result_.fault->reason, Reason::not_mapped);
}

TEST_F(PagedDmaConcurrencyTest, FailsWhenItsDeviceIsDetached) {
  start_write(5 * page, 8);
  await_requests(1);
  device_->detach();
  dma_.join();
  EXPECT_FALSE(result_.ok());
}

TEST_F(PagedDmaConcurrencyTest, FailsWhenItsDomainIsReplacedBeforeAnyoneHasRead) {
  start_write(5 * page, 8);
  while (!opened_->readable()) std::this_thread::yield();
  EXPECT_EQ(replace(*device_, hwpt_), 0);
  dma_.join();
  EXPECT_FALSE(result_.ok());
  EXPECT_FALSE(opened_->readable());
}

TEST_F(PagedDmaConcurrencyTest, FailsWhenTheDeviceIsUnbound) {
  start_write(5 * page, 8);
  await_requests(1);
  device_ = nullptr;
  dma_.join();
  EXPECT_FALSE(result_.ok());
}

TEST_F(FaultQueueTest, TellsWhenItBecomesReadable) {
  std::vector<bool> told;
  opened_->on_readable([&](bool readable) { told.push_back(readable); });
  ASSERT_EQ(report({.group = 1}), 0);
  ASSERT_EQ(report({.group = 2}), 0);
  EXPECT_EQ(told, (std::vector<bool>{true}));
  std::array<Fault, 2> faults{};
  ASSERT_GT(read(faults.data(), sizeof faults), 0);
  EXPECT_EQ(told, (std::vector<bool>{true, false}));
  ASSERT_EQ(report({.group = 3}), 0);
  device_->detach();
  EXPECT_EQ(told, (std::vector<bool>{true, false, true, false}));
}

}  // namespace
}  // namespace swiommu::iommufd

#include "iommufd/event_queue.h"

#include "iommufd_device_fixture.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint32_t type = 0x55;
struct Event {
  iommufd_vevent_header header;
  std::uint32_t value;
};
constexpr std::uint32_t lost = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;

class EventQueueTest : public IommufdDeviceTest {
 protected:
  void SetUp() override {
    device_ = bind(new_physical());
    viommu_ = new_viommu(*device_, new_hwpt(*device_, new_ioas(), IOMMU_HWPT_ALLOC_NEST_PARENT));
    auto arguments = queue_of(2);
    ASSERT_EQ(call(IOMMU_VEVENTQ_ALLOC, arguments), 0) << words_;
    queue_ = arguments.out_veventq_id;
    opened_ = caller_.open_file(static_cast<int>(arguments.out_veventq_fd));
    caller_.uninstall(static_cast<int>(arguments.out_veventq_fd));
  }
  void TearDown() override {
    opened_ = nullptr;
    device_ = nullptr;
    IommufdDeviceTest::TearDown();
  }
  iommu_veventq_alloc queue_of(std::uint32_t depth) const {
    iommu_veventq_alloc arguments{};
    arguments.size = sizeof arguments;
    arguments.viommu_id = viommu_;
    arguments.type = type;
    arguments.veventq_depth = depth;
    return arguments;
  }
  int report(std::uint32_t value, std::uint32_t of = type) {
    return code(object<Viommu>(viommu_)->report_event(of, std::as_bytes(std::span(&value, 1))));
  }
  std::int64_t read(void* to, std::uint64_t length) {
    auto const result = opened_->read(caller_, std::bit_cast<std::uint64_t>(to), length);
    return result ? static_cast<std::int64_t>(*result) : -result.error().code;
  }
  void expect_event(std::uint32_t sequence, std::uint32_t value) {
    Event event{};
    ASSERT_EQ(read(&event, sizeof event), static_cast<std::int64_t>(sizeof event));
    EXPECT_EQ(event.header.flags, 0u);
    EXPECT_EQ(event.header.sequence, sequence);
    EXPECT_EQ(event.value, value);
  }
  void expect_lost(std::uint32_t sequence) {
    Event event{};
    ASSERT_EQ(read(&event, sizeof event), static_cast<std::int64_t>(sizeof event.header));
    EXPECT_EQ(event.header.flags, lost);
    EXPECT_EQ(event.header.sequence, sequence);
  }

  std::unique_ptr<BoundDevice> device_;
  std::shared_ptr<OpenFile> opened_;
  std::uint32_t viommu_ = 0, queue_ = 0;
};

TEST_F(EventQueueTest, AllocChecksItsArgumentsInLinuxOrder) {
  auto const refuse = [&](int expected, auto change) {
    auto arguments = queue_of(1);
    arguments.type = type + 1;
    change(arguments);
    EXPECT_EQ(call(IOMMU_VEVENTQ_ALLOC, arguments), expected) << words_;
  };
  refuse(EOPNOTSUPP, [](auto& a) { a.flags = 1, a.veventq_depth = 0; });
  refuse(EOPNOTSUPP, [](auto& a) { a.__reserved = 1, a.veventq_depth = 0; });
  refuse(EOPNOTSUPP, [](auto& a) { a.type = 0, a.veventq_depth = 0; });
  refuse(EINVAL, [](auto& a) { a.veventq_depth = 0, a.viommu_id = 100; });
  refuse(EINVAL, [](auto& a) { a.veventq_depth = (1 << 19) + 1, a.viommu_id = 100; });
  refuse(ENOENT, [](auto& a) { a.viommu_id = 100; });
  refuse(EEXIST, [](auto& a) { a.type = type; });
  caller_.memory_is_unwritable = true;
  refuse(EFAULT, [](auto&) {});
  EXPECT_TRUE(caller_.files().empty());
  caller_.memory_is_unwritable = false;
  refuse(0, [](auto& a) { a.veventq_depth = 1 << 19; });
  EXPECT_EQ(caller_.files().size(), 1u);
}

TEST_F(EventQueueTest, LifeOfAQueue) {
  EXPECT_STREQ(opened_->name(), "[iommufd-viommu-event]");
  EXPECT_EQ(destroy(viommu_), EBUSY);
  EXPECT_EQ(destroy(queue_), EBUSY);
  opened_ = nullptr;
  EXPECT_EQ(destroy(queue_), 0);
  EXPECT_EQ(report(1), EOPNOTSUPP);
  EXPECT_EQ(destroy(viommu_), 0);
}

TEST_F(EventQueueTest, EventsAreReadInTheirOrder) {
  EXPECT_EQ(report(1, type + 1), EOPNOTSUPP);
  EXPECT_FALSE(opened_->readable());
  ASSERT_EQ(report(10), 0);
  ASSERT_EQ(report(11), 0);
  EXPECT_TRUE(opened_->readable());
  std::array<Event, 3> events{};
  ASSERT_EQ(read(events.data(), sizeof events), static_cast<std::int64_t>(2 * sizeof(Event)));
  EXPECT_EQ(events[0].header.sequence, 0u);
  EXPECT_EQ(events[0].value, 10u);
  EXPECT_EQ(events[1].header.sequence, 1u);
  EXPECT_FALSE(opened_->readable());
  EXPECT_EQ(read(events.data(), sizeof events), 0);
}

TEST_F(EventQueueTest, ReadingNeedsRoom) {
  std::array<Event, 2> events{};
  EXPECT_EQ(read(events.data(), 7), -EINVAL);  // also if there is nothing
  ASSERT_EQ(report(10), 0);
  ASSERT_EQ(report(11), 0);
  EXPECT_EQ(read(events.data(), sizeof(Event) - 1), -EINVAL);
  EXPECT_EQ(read(std::bit_cast<void*>(std::uint64_t{16}), sizeof(Event)), -EFAULT);
  EXPECT_EQ(read(events.data(), 2 * sizeof(Event) - 1), static_cast<std::int64_t>(sizeof(Event)));
  expect_event(1, 11);
}

TEST_F(EventQueueTest, WhatIsLostIsTold) {
  for (std::uint32_t n = 0; n < 3; n++) ASSERT_EQ(report(n), 0);
  expect_event(0, 0);
  expect_event(1, 1);
  expect_lost(2);
  EXPECT_FALSE(opened_->readable());
  ASSERT_EQ(report(3), 0);
  expect_event(3, 3);
}

TEST_F(EventQueueTest, TheMarkOfALossCarriesTheLastNumberAndGoesWhenAnEventFollows) {
  for (std::uint32_t n = 0; n < 5; n++) ASSERT_EQ(report(n), 0);
  expect_event(0, 0);
  ASSERT_EQ(report(5), 0);  // the gap in the numbers tells
  expect_event(1, 1);
  expect_event(5, 5);
  EXPECT_FALSE(opened_->readable());
  for (std::uint32_t n = 6; n < 10; n++) ASSERT_EQ(report(n), 0);
  expect_event(6, 6);
  expect_event(7, 7);
  expect_lost(9);
}

TEST_F(EventQueueTest, AFullQueueIsReadWholeWithTheMark) {
  for (std::uint32_t n = 0; n < 3; n++) ASSERT_EQ(report(n), 0);
  std::array<std::byte, 2 * sizeof(Event) + sizeof(iommufd_vevent_header)> bytes{};
  EXPECT_EQ(read(bytes.data(), bytes.size()), static_cast<std::int64_t>(bytes.size()));
}

TEST_F(EventQueueTest, CannotBeWritten) {
  std::uint64_t const value = 0;
  EXPECT_EQ(opened_->write(caller_, std::bit_cast<std::uint64_t>(&value), 8).error().code, EINVAL);
}

TEST_F(EventQueueTest, TellsWhenItBecomesReadable) {
  std::vector<bool> told;
  opened_->on_readable([&](bool readable) { told.push_back(readable); });
  for (std::uint32_t n = 0; n < 3; n++) ASSERT_EQ(report(n), 0);
  std::array<std::byte, 64> bytes{};
  ASSERT_GT(read(bytes.data(), bytes.size()), 0);
  EXPECT_EQ(told, (std::vector<bool>{true, false}));
}

}  // namespace
}  // namespace swiommu::iommufd

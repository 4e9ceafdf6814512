// Threads of the model, and of programs, all at once.
#include <barrier>
#include <thread>

#include "vfio/vfio_fixture.h"

namespace swiommu::vfio {
namespace {

constexpr std::uint32_t trigger = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;

class VfioConcurrencyTest : public VfioTest {
 protected:
  VfioConcurrencyTest() {
    ioas_ = new_ioas();
    EXPECT_EQ(map(ioas_, memory(page), page, 0x100000), 0);
  }
  // Makes the toy write and interrupt all the time.
  void start(iommufd::OpenFile& device) {
    ASSERT_EQ(attach(device, ioas_), 0) << words_;
    set_bus_master(device);
    aim(device, 0x100000, 1);
    command(device, ToyModel::write_always);
  }
  std::uint32_t ioas_ = 0;
};

TEST_F(VfioConcurrencyTest, InterruptsAreSetUpWhileTheyAreRaised) {
  auto const device = new_device();
  start(*device);
  int const event = new_event();
  for (int round = 0; round < 200; round++) {
    ASSERT_EQ(set_events<1>(*device, VFIO_PCI_MSIX_IRQ_INDEX, 0, {event}), 0);
    ASSERT_EQ(set_events<2>(*device, VFIO_PCI_MSIX_IRQ_INDEX, 1, {event, -1}), 0);
    if (round % 10 == 0) {
      ASSERT_TRUE(comes(event));
    }
    count(event);
    ASSERT_EQ(set_irqs(*device, trigger, VFIO_PCI_MSIX_IRQ_INDEX, 0, 0), 0);
    count(event);
  }
}

TEST_F(VfioConcurrencyTest, DevicesAreClosedWhileTheyDoDma) {
  unsigned const number = plug()->number;
  for (int round = 0; round < 50; round++) {
    auto device = bus_->open_device(number).value();
    ASSERT_EQ(bind(*device), 0);
    start(*device);
    auto const before = log_->writes.load();
    while (log_->writes == before) std::this_thread::yield();
    device = nullptr;
    caller_.files().clear();
  }
  EXPECT_EQ(log_->faults, 0u) << "DMA ended before it was detached";
}

TEST_F(VfioConcurrencyTest, MappingsAndAttachmentsChangeUnderDma) {
  auto const device = new_device();
  start(*device);
  auto* const data = memory(page);
  for (int round = 0; round < 100; round++) {
    ASSERT_EQ(unmap(ioas_, 0x100000, page), 0);
    ASSERT_EQ(map(ioas_, data, page, 0x100000), 0);
    if (round % 4 == 0) {
      ASSERT_EQ(detach(*device), 0);
    }
    ASSERT_EQ(attach(*device, ioas_), 0);
    if (round % 8 == 0) {
      ASSERT_EQ(on(*device, VFIO_DEVICE_RESET), 0);
      aim(*device, 0x100000, 2);
      command(*device, ToyModel::write_always);
    }
  }
}

TEST_F(VfioConcurrencyTest, ManyThreadsUseOneDevice) {
  auto const device = new_device();
  start(*device);
  std::barrier ready(4);
  auto const work = [&](unsigned which) {
    iommufd::FakeCaller caller(*engine_);
    ready.arrive_and_wait();
    for (int round = 0; round < 300; round++) {
      std::uint32_t value = 0;
      auto const address = std::bit_cast<std::uint64_t>(&value);
      std::uint16_t const masters = round % 2 == 0 ? 6 : 2;
      switch (which) {
        case 0: EXPECT_TRUE(device->read_at(caller, address, 4, 0)); break;
        case 1: EXPECT_TRUE(device->write_at(caller, std::bit_cast<std::uint64_t>(&masters), 2, region_offset(7) + 4)); break;
        case 2: EXPECT_TRUE(device->read_at(caller, address, 4, region_offset(7) + 4)); break;
        default: {
          std::array<std::uint32_t, 6> set{
              24, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, ~0u};
          EXPECT_TRUE(device->ioctl(caller, VFIO_DEVICE_SET_IRQS, std::bit_cast<std::uint64_t>(&set)));
          EXPECT_TRUE(bus_->request_release({.bus = 1}));
        }
      }
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned which = 0; which < 4; which++) threads.emplace_back(work, which);
}

TEST_F(VfioConcurrencyTest, OneOfManyOpenersBinds) {
  unsigned const number = plug()->number;
  for (int round = 0; round < 30; round++) {
    std::atomic<int> bound = 0;
    std::barrier ready(3);
    std::vector<std::shared_ptr<iommufd::OpenFile>> files(3);
    {
      std::vector<std::jthread> threads;
      for (auto& file : files)
        threads.emplace_back([&] {
          iommufd::FakeCaller caller(*engine_);
          file = bus_->open_device(number).value();
          vfio_device_bind_iommufd given{};
          given.argsz = sizeof given;
          given.iommufd = caller.install(file_).value();
          ready.arrive_and_wait();
          if (file->ioctl(caller, VFIO_DEVICE_BIND_IOMMUFD, std::bit_cast<std::uint64_t>(&given))) bound++;
        });
    }
    EXPECT_EQ(bound, 1);
  }
}

}  // namespace
}  // namespace swiommu::vfio

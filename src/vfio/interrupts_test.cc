#include "vfio/vfio_fixture.h"

namespace swiommu::vfio {
namespace {

constexpr std::uint32_t none = VFIO_IRQ_SET_DATA_NONE, bools = VFIO_IRQ_SET_DATA_BOOL, events = VFIO_IRQ_SET_DATA_EVENTFD;
constexpr std::uint32_t mask = VFIO_IRQ_SET_ACTION_MASK, unmask = VFIO_IRQ_SET_ACTION_UNMASK,
                        trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
constexpr std::uint32_t line = VFIO_PCI_INTX_IRQ_INDEX, msi = VFIO_PCI_MSI_IRQ_INDEX, msix = VFIO_PCI_MSIX_IRQ_INDEX,
                        error = VFIO_PCI_ERR_IRQ_INDEX, request = VFIO_PCI_REQ_IRQ_INDEX;

class VfioInterruptsTest : public VfioTest {
 protected:
  VfioInterruptsTest() { set_bus_master(*device_); }

  template <std::size_t size>
  int listen(std::uint32_t index, std::uint32_t start, std::array<std::int32_t, size> const& to) {
    return set_events(*device_, index, start, to);
  }
  int act(std::uint32_t flags, std::uint32_t index, std::uint32_t start = 0, std::uint32_t count = 1) {
    return set_irqs(*device_, flags, index, start, count);
  }
  void raise(unsigned vector) { command(*device_, ToyModel::message | vector << 8); }
  void set_line(bool on) { command(*device_, on ? ToyModel::assert_line : ToyModel::deassert_line); }

  std::shared_ptr<iommufd::OpenFile> device_ = new_device();
};

TEST_F(VfioInterruptsTest, WhatIsWrongWithARequestIsFoundInLinuxOrder) {
  EXPECT_EQ(on(*device_, VFIO_DEVICE_SET_IRQS), -EFAULT);
  std::array<std::uint32_t, 6> set{19, none | trigger, msix, 0, 1, 0};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_SET_IRQS, &set), -EINVAL);
  EXPECT_EQ(act(none | trigger, 5), -EINVAL);
  EXPECT_EQ(act(none | trigger | 64, msix), -EINVAL);
  EXPECT_EQ(act(none | trigger, msix, ToyModel::vectors, 0), -EINVAL);
  EXPECT_EQ(act(none | trigger, msix, 1, ToyModel::vectors), -EINVAL);
  EXPECT_EQ(act(none | trigger, msix, 1, ~0u), -EINVAL);
  EXPECT_EQ(act(none | trigger, msix, ~0u, 1), -EINVAL);
  EXPECT_EQ(act(trigger, msix), -EINVAL) << "no data, not even none";
  EXPECT_EQ(act(none | bools | trigger, msix), -EINVAL);
  set = {23, events | trigger, msix, 0, 1, 0};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_SET_IRQS, &set), -EINVAL) << "no room for a descriptor";
  set = {20, bools | trigger, msix, 0, 1, 0};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_SET_IRQS, &set), -EINVAL);
}

TEST_F(VfioInterruptsTest, ActionsThatAnIndexDoesNotHaveAreEnotty) {
  EXPECT_EQ(act(none, line), -ENOTTY);
  EXPECT_EQ(act(none | mask | unmask, line), -ENOTTY);
  for (std::uint32_t index : {msi, msix, error, request})
    for (std::uint32_t action : {mask, unmask}) EXPECT_EQ(act(none | action, index), -ENOTTY);
  ASSERT_EQ(listen<1>(line, 0, {new_event()}), 0);
  EXPECT_EQ(set_events<1>(*device_, line, 0, {new_event()}, mask), -ENOTTY);
}

TEST_F(VfioInterruptsTest, OneKindAtATime) {
  ASSERT_EQ(listen<1>(msi, 0, {new_event()}), 0);
  EXPECT_EQ(listen<1>(msix, 0, {new_event()}), -EINVAL);
  EXPECT_EQ(listen<1>(line, 0, {new_event()}), -EINVAL);
  EXPECT_EQ(act(none | trigger, msix, 0, 0), -EINVAL) << "of another index";
  EXPECT_EQ(act(none | trigger, msi, 0, 0), 0);
  EXPECT_EQ(act(none | trigger, msi, 0, 0), -EINVAL) << "disabled already";
  EXPECT_EQ(listen<1>(msix, 0, {new_event()}), 0);
}

TEST_F(VfioInterruptsTest, MessagesGoToTheEventsOfTheirVectors) {
  int const first = new_event(), third = new_event();
  ASSERT_EQ(listen<3>(msix, 0, {first, -1, third}), 0);
  raise(0);
  raise(2);
  raise(2);
  EXPECT_EQ(count(first), 1u);
  EXPECT_EQ(count(third), 2u);
  set_bus_master(*device_, false);
  raise(0);
  EXPECT_EQ(count(first), 0u) << "a message is a write, which the function may not do";
  set_bus_master(*device_);
  EXPECT_EQ(act(none | trigger, msix, 0, 0), 0);
  raise(0);
  raise(1000);
  EXPECT_EQ(count(first), 0u);
}

TEST_F(VfioInterruptsTest, MsixGrowsOneVectorAtATime) {
  int const first = new_event(), last = new_event();
  ASSERT_EQ(listen<1>(msix, 0, {first}), 0);
  ASSERT_EQ(listen<1>(msix, ToyModel::vectors - 1, {last}), 0);
  raise(ToyModel::vectors - 1);
  raise(0);
  EXPECT_EQ(count(last), 1u);
  EXPECT_EQ(count(first), 1u);
}

TEST_F(VfioInterruptsTest, MsiDoesNotGrow) {
  int const first = new_event();
  ASSERT_EQ(listen<2>(msi, 0, {first, new_event()}), 0);
  EXPECT_EQ(listen<1>(msi, 2, {new_event()}), -EINVAL);
  raise(0);
  EXPECT_EQ(count(first), 1u);
  EXPECT_EQ(listen<3>(msi, 0, {new_event(), new_event(), new_event()}), -EINVAL);
  raise(0);
  EXPECT_EQ(count(first), 0u) << "as far as it got, nobody listens any more";
}

TEST_F(VfioInterruptsTest, MsiIsSentAsLongAsTheConfigurationSpaceSaysSo) {
  int const first = new_event();
  ASSERT_EQ(listen<1>(msi, 0, {first}), 0);
  raise(0);
  EXPECT_EQ(count(first), 1u);
  set_config<std::uint16_t>(*device_, 0x52, 0);
  raise(0);
  EXPECT_EQ(count(first), 0u);
  set_config<std::uint16_t>(*device_, 0x52, 1);
  raise(0);
  EXPECT_EQ(count(first), 1u);
}

TEST_F(VfioInterruptsTest, AVectorThatNobodyListensToIsPending) {
  ASSERT_EQ(listen<2>(msix, 0, {new_event(), -1}), 0);
  raise(1);
  raise(69);
  std::array<std::uint64_t, 2> bits{};
  ASSERT_TRUE(get(*device_, ToyModel::pending, bits));
  EXPECT_EQ(bits, (std::array<std::uint64_t, 2>{2, 1u << 5}));
  ASSERT_TRUE(put(*device_, ToyModel::pending, std::uint64_t{0}));
  int const late = new_event();
  ASSERT_EQ(listen<1>(msix, 1, {late}), 0);
  EXPECT_EQ(count(late), 1u) << "the message comes when the vector is unmasked";
  ASSERT_TRUE(get(*device_, ToyModel::pending, bits));
  EXPECT_EQ(bits[0], 0u);
  ASSERT_EQ(on(*device_, VFIO_DEVICE_RESET), 0);
  ASSERT_TRUE(get(*device_, ToyModel::pending, bits));
  EXPECT_EQ(bits[1], 0u);
}

TEST_F(VfioInterruptsTest, BadDescriptorsLeaveNobodyListening) {
  int const good = new_event();
  EXPECT_EQ(listen<2>(msix, 0, {good, 123456}), -EBADF);
  EXPECT_EQ(act(none | trigger, msix), -EINVAL) << "nothing is enabled";
  ASSERT_EQ(listen<3>(msix, 0, {good, good, good}), 0);
  Descriptor const other(::memfd_create("other", MFD_CLOEXEC));
  EXPECT_EQ(listen<2>(msix, 0, {good, other.get()}), -EINVAL) << "no eventfd";
  EXPECT_EQ(listen<1>(msix, 0, {descriptor_of(file_)}), -EINVAL) << "one of ours";
  EXPECT_EQ(act(none | trigger, msix, 0, 3), 0);
  EXPECT_EQ(count(good), 1u) << "of the third vector";
  EXPECT_EQ(listen<1>(line, 0, {123456}), -EINVAL) << "something else is enabled";
  ASSERT_EQ(act(none | trigger, msix, 0, 0), 0);
  EXPECT_EQ(listen<1>(line, 0, {123456}), -EBADF);
}

TEST_F(VfioInterruptsTest, ProgramsTriggerTheirOwnInterrupts) {
  int const a = new_event(), b = new_event();
  EXPECT_EQ(act(none | trigger, msix, 0, 2), -EINVAL) << "nothing is enabled";
  ASSERT_EQ(listen<3>(msix, 0, {a, -1, b}), 0);
  EXPECT_EQ(act(none | trigger, msix, 0, 3), 0);
  EXPECT_EQ(count(a), 1u);
  EXPECT_EQ(count(b), 1u);
  EXPECT_EQ((set_bools<3>(*device_, msix, 0, {0, 1, 7})), 0);
  EXPECT_EQ(count(a), 0u);
  EXPECT_EQ(count(b), 1u);
  EXPECT_EQ(act(none | trigger, msix, 10, 5), 0) << "vectors that were never enabled";
}

TEST_F(VfioInterruptsTest, NoVectorsCannotBeEnabled) { EXPECT_EQ(act(events | trigger, msix, 0, 0), -ERANGE); }

TEST_F(VfioInterruptsTest, TheLineIsMaskedUntilItWasHandled) {
  int const event = new_event();
  ASSERT_EQ(listen<1>(line, 0, {event}), 0);
  set_line(true);
  EXPECT_EQ(count(event), 1u);
  EXPECT_EQ(config<std::uint16_t>(*device_, 6), 0x18u) << "Interrupt Status";
  set_line(true);
  EXPECT_EQ(count(event), 0u);
  EXPECT_EQ(act(none | unmask, line), 0);
  EXPECT_EQ(count(event), 1u) << "it is asserted still";
  set_line(false);
  EXPECT_EQ(act(none | unmask, line), 0);
  EXPECT_EQ(count(event), 0u);
  EXPECT_EQ(config<std::uint16_t>(*device_, 6), 0x10u);
  set_line(true);
  EXPECT_EQ(count(event), 1u);
}

TEST_F(VfioInterruptsTest, TheLineIsMaskedByTheProgram) {
  int const event = new_event();
  EXPECT_EQ(act(none | mask, line), -EINVAL) << "not enabled";
  EXPECT_EQ(act(none | unmask, line), -EINVAL);
  ASSERT_EQ(listen<1>(line, 0, {event}), 0);
  EXPECT_EQ((set_bools<1>(*device_, line, 0, {0}, mask)), 0);
  EXPECT_EQ((set_bools<1>(*device_, line, 0, {1}, mask)), 0);
  set_line(true);
  EXPECT_EQ(count(event), 0u);
  EXPECT_EQ((set_bools<1>(*device_, line, 0, {0}, unmask)), 0);
  EXPECT_EQ(count(event), 0u);
  EXPECT_EQ((set_bools<1>(*device_, line, 0, {1}, unmask)), 0);
  EXPECT_EQ(count(event), 1u);
  EXPECT_EQ(act(none | trigger, line), 0) << "by the program itself, masked or not";
  EXPECT_EQ(count(event), 1u);
  EXPECT_EQ(act(none | trigger, line, 0, 0), 0);
  EXPECT_EQ(act(none | trigger, line), -EINVAL);
}

TEST_F(VfioInterruptsTest, IntxDisableHoldsTheLineBack) {
  int const event = new_event();
  ASSERT_EQ(listen<1>(line, 0, {event}), 0);
  set_config<std::uint16_t>(*device_, 4, 0x402);
  set_line(true);
  EXPECT_EQ(act(none | unmask, line), 0);
  EXPECT_EQ(act(none | trigger, line), 0);
  EXPECT_EQ(count(event), 0u);
  set_config<std::uint16_t>(*device_, 4, 2);
  EXPECT_EQ(count(event), 1u);
}

TEST_F(VfioInterruptsTest, TheLineWaitsForWhoeverListens) {
  set_line(true);
  int const event = new_event(), other = new_event();
  ASSERT_EQ(listen<1>(line, 0, {event}), 0);
  EXPECT_EQ(count(event), 1u);
  ASSERT_EQ(listen<1>(line, 0, {other}), 0) << "somebody else listens";
  EXPECT_EQ(act(none | unmask, line), 0);
  EXPECT_EQ(count(event), 0u);
  EXPECT_EQ(count(other), 1u);
  ASSERT_EQ(listen<1>(line, 0, {-1}), 0);
  EXPECT_EQ(act(none | unmask, line), 0);
  EXPECT_EQ(count(other), 0u);
}

TEST_F(VfioInterruptsTest, AnEventUnmasksTheLine) {
  int const event = new_event(), handled = new_event();
  ASSERT_EQ(listen<1>(line, 0, {event}), 0);
  EXPECT_EQ(set_events<1>(*device_, line, 0, {123456}, unmask), -EBADF);
  ASSERT_EQ(set_events<1>(*device_, line, 0, {handled}, unmask), 0);
  EXPECT_EQ(set_events<1>(*device_, line, 0, {handled}, unmask), -EBUSY);
  set_line(true);
  for (int round = 0; round < 3; round++) {
    ASSERT_TRUE(comes(event));
    EXPECT_EQ(count(event), 1u);
    std::uint64_t const one = 1;
    ASSERT_EQ(::write(handled, &one, sizeof one), 8);
  }
  ASSERT_TRUE(comes(event));
  EXPECT_EQ(set_events<1>(*device_, line, 0, {-1}, unmask), 0);
  EXPECT_EQ(set_events<1>(*device_, line, 0, {handled}, unmask), 0) << "the place is free again";
  EXPECT_EQ(act(none | trigger, line, 0, 0), 0);
}

TEST_F(VfioInterruptsTest, AFullEventHoldsNobodyUp) {
  Descriptor const event(::eventfd(0, EFD_CLOEXEC));
  std::uint64_t const most = ~std::uint64_t{0} - 1;
  ASSERT_EQ(::write(event.get(), &most, sizeof most), 8);
  ASSERT_EQ(listen<1>(msix, 0, {event.get()}), 0);
  raise(0);
  EXPECT_EQ(count(event.get()), most);
}

TEST_F(VfioInterruptsTest, ErrorsAndRequestsHaveAnEventEach) {
  int const event = new_event();
  for (std::uint32_t index : {error, request}) {
    EXPECT_EQ(act(none | trigger, index), -EINVAL) << "nobody listens";
    EXPECT_EQ(act(none | trigger, index, 0, 0), -EINVAL);
    EXPECT_EQ(act(bools | trigger, index, 0, 0), -EINVAL);
    EXPECT_EQ(act(events | trigger, index, 0, 0), -EINVAL);
    EXPECT_EQ(listen<1>(index, 0, {123456}), -EBADF);
    ASSERT_EQ(listen<1>(index, 0, {event}), 0);
    EXPECT_EQ(act(none | trigger, index), 0);
    EXPECT_EQ((set_bools<1>(*device_, index, 0, {1})), 0);
    EXPECT_EQ((set_bools<1>(*device_, index, 0, {0})), 0);
    EXPECT_EQ(count(event), 2u);
    EXPECT_EQ(act(none | trigger, index, 0, 0), 0);
    EXPECT_EQ(act(none | trigger, index), -EINVAL);
    EXPECT_EQ(count(event), 0u);
  }
  ASSERT_EQ(listen<1>(request, 0, {event}), 0);
  ASSERT_TRUE(bus_->request_release({.bus = 1}));
  EXPECT_EQ(count(event), 1u);
  ASSERT_EQ(listen<1>(request, 0, {-1}), 0);
  ASSERT_TRUE(bus_->request_release({.bus = 1}));
  EXPECT_EQ(count(event), 0u);
  EXPECT_EQ(bus_->request_release({.bus = 9}).error().code, ENOENT);
}

}  // namespace
}  // namespace swiommu::vfio

#include "swiommu/hardware/zpci_guest_function.h"

#include <gtest/gtest.h>

#include "failing_new.h"
#include "zpci/zpci_guest.h"

namespace swiommu::zpci {
namespace {

class ZpciGuestFunction : public testing::TestWithParam<GuestFunction::Mechanism> {
 protected:
  static constexpr std::uint64_t handle = 0x80000001, iova = Guest::dma_start + 0x345000,
                                 everything = low_bits(42) - Guest::dma_start + 1;

  void SetUp() override { make({.mechanism = GetParam()}); }
  void make(GuestFunction::Options const& options) {
    port.reset();
    function.reset();
    device = *Device::create(guest.host);
    function = *GuestFunction::create(guest.parent, device, options);
    port = *device->open_port();
  }
  [[nodiscard]] bool shadows() const { return GetParam() == GuestFunction::Mechanism::shadow; }

  Answer modify(std::uint64_t operation, Fib const& fib = {}) { return function->modify(handle << 32 | operation, fib); }
  Answer register_root(swiommu_zpci_operation operation = SWIOMMU_ZPCI_REGISTER_IOAT) {
    return modify(operation, Guest::fib(Guest::anchor(root)));
  }
  Answer refresh(std::uint64_t start, std::uint64_t length = Guest::page) {
    return function->refresh(handle << 32, start, length);
  }
  Fib stored() {
    Fib fib{};
    EXPECT_TRUE(ok(function->store(handle << 32, fib)));
    return fib;
  }
  static bool ok(Answer const& answer) {
    return answer.outcome == SWIOMMU_ZPCI_DONE && answer.condition_code == SWIOMMU_ZPCI_OK && answer.status == 0;
  }
  static bool is(Answer const& answer, swiommu_zpci_status status) {
    return answer.outcome == SWIOMMU_ZPCI_DONE && answer.condition_code == SWIOMMU_ZPCI_ERROR && answer.status == status;
  }
  static bool is_exception(Answer const& answer) {
    return answer.outcome == SWIOMMU_ZPCI_EXCEPTION && answer.exception == SWIOMMU_ZPCI_OPERAND_EXCEPTION;
  }
  // What the device reads there; the fault is reported if there is one.
  std::optional<std::uint64_t> read(std::uint64_t at) {
    std::uint64_t word = 0;
    DmaResult const result = port->read(Iova(at), &word, sizeof word);
    if (result.ok()) return word;
    event = function->report(*result.fault);
    return std::nullopt;
  }
  bool write(std::uint64_t at, std::uint64_t word) {
    DmaResult const result = port->write(Iova(at), &word, sizeof word);
    if (!result.ok()) event = function->report(*result.fault);
    return result.ok();
  }

  Guest guest;
  std::uint64_t const root = guest.new_table();
  std::shared_ptr<Device> device;
  std::unique_ptr<GuestFunction> function;
  std::unique_ptr<Port> port;
  swiommu_zpci_event event = SWIOMMU_ZPCI_EVENT_NONE;  // of the last fault
};
INSTANTIATE_TEST_SUITE_P(Mechanisms, ZpciGuestFunction,
                         testing::Values(GuestFunction::Mechanism::shadow, GuestFunction::Mechanism::nested),
                         [](auto const& c) { return c.param == GuestFunction::Mechanism::shadow ? "Shadow" : "Nested"; });

TEST_P(ZpciGuestFunction, TranslatesByTheTableFromItsRegistrationOn) {
  guest.map(root, iova, 0x5000);
  guest.data(0x5008) = 0x1234;
  EXPECT_FALSE(function->translation());
  ASSERT_TRUE(ok(register_root()));
  EXPECT_EQ(read(iova + 8), 0x1234u);
  EXPECT_TRUE(write(iova + 16, 77));
  EXPECT_EQ(guest.data(0x5010), 77u);
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_DEREGISTER_IOAT)));
  EXPECT_FALSE(function->translation());
  EXPECT_FALSE(read(iova + 8));
}

TEST_P(ZpciGuestFunction, ReregistrationLeadsToAnotherTable) {
  std::uint64_t const other = guest.new_table();
  guest.map(root, iova, 0x5000);
  guest.map(other, iova, 0x6000);
  guest.data(0x5000) = 5, guest.data(0x6000) = 6;
  EXPECT_TRUE(is(register_root(SWIOMMU_ZPCI_REREGISTER_IOAT), SWIOMMU_ZPCI_SEQUENCE));
  EXPECT_TRUE(is(modify(SWIOMMU_ZPCI_DEREGISTER_IOAT), SWIOMMU_ZPCI_SEQUENCE));
  ASSERT_TRUE(ok(register_root()));
  EXPECT_EQ(read(iova), 5u);
  EXPECT_TRUE(is(register_root(), SWIOMMU_ZPCI_SEQUENCE));
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_REREGISTER_IOAT, Guest::fib(Guest::anchor(other)))));
  EXPECT_EQ(read(iova), 6u);
}

TEST_P(ZpciGuestFunction, RefusesWhatIsNoRegistration) {
  Fib const good = Guest::fib(Guest::anchor(root));
  auto const refused = [&](Fib const& fib) { return is_exception(modify(SWIOMMU_ZPCI_REGISTER_IOAT, fib)); };
  EXPECT_TRUE(refused(Guest::fib(Guest::anchor(root), {Guest::dma_start + 0x5000, Guest::dma_start})));
  EXPECT_TRUE(refused(Guest::fib(Guest::anchor(root), {Guest::dma_start - 0x1000, low_bits(42)})));
  EXPECT_TRUE(refused(Guest::fib(Guest::anchor(root), {Guest::dma_start, low_bits(58)})));
  for (unsigned const designation : {4u, 5u, 6u, 7u}) EXPECT_TRUE(refused(Guest::fib(Guest::anchor(root, designation))));
  EXPECT_TRUE(refused(Guest::fib(Guest::anchor(root | 0x1000))));
  EXPECT_TRUE(refused(Guest::fib(root)));  // no translation
  Fib format = good;
  format.format = 1;
  EXPECT_TRUE(refused(format));
  EXPECT_TRUE(is(function->modify(handle << 32 | 1 << 16 | SWIOMMU_ZPCI_REGISTER_IOAT, good), SWIOMMU_ZPCI_INVALID_SPACE));
  EXPECT_EQ(function->modify((handle + 1) << 32 | SWIOMMU_ZPCI_REGISTER_IOAT, good).condition_code, SWIOMMU_ZPCI_INVALID_HANDLE);
  EXPECT_EQ(function->refresh((handle + 1) << 32, iova, 0x1000).condition_code, SWIOMMU_ZPCI_INVALID_HANDLE);
  EXPECT_TRUE(is_exception(modify(8)));
  for (unsigned const operation : {2u, 3u, 10u, 16u, 17u}) EXPECT_EQ(modify(operation).outcome, SWIOMMU_ZPCI_ELSEWHERE);
  EXPECT_FALSE(function->translation());
  // A registration that is refused leaves the one before it in place.
  guest.map(root, iova, 0x5000);
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_REGISTER_IOAT, good)));
  EXPECT_TRUE(is_exception(modify(SWIOMMU_ZPCI_REREGISTER_IOAT, Guest::fib(Guest::anchor(root, 4)))));
  EXPECT_TRUE(read(iova));
}

TEST_P(ZpciGuestFunction, OnlyRegistersTheDesignationsThatItHas) {
  make({.designations = 0b0110, .mechanism = GetParam()});
  std::uint64_t const region_second = guest.new_table();
  guest.put(region_second, root | 0xb);
  guest.map(root, iova, 0x5000);
  guest.data(0x5000) = 5;
  EXPECT_TRUE(is_exception(modify(SWIOMMU_ZPCI_REGISTER_IOAT, Guest::fib(Guest::anchor(root, 0)))));
  EXPECT_TRUE(is_exception(modify(SWIOMMU_ZPCI_REGISTER_IOAT, Guest::fib(Guest::anchor(root, 3)))));
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_REGISTER_IOAT, Guest::fib(Guest::anchor(region_second, 2)))));
  EXPECT_EQ(read(iova), 5u);
}

TEST_P(ZpciGuestFunction, WithoutTranslationIovasCountFromTheStartOfItsRange) {
  make({.relaxed_translation = true, .mechanism = GetParam()});
  guest.data(0x5000) = 5;
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_REGISTER_IOAT, Guest::fib(0))));
  EXPECT_EQ(read(Guest::dma_start + 0x5000), 5u);
}

TEST_P(ZpciGuestFunction, ARefreshMakesChangesOfTheTableCount) {
  guest.map(root, iova, 0x5000);
  guest.data(0x5000) = 5, guest.data(0x6000) = 6;
  ASSERT_TRUE(ok(register_root()));
  EXPECT_EQ(read(iova), 5u);
  guest.map(root, iova, 0x6000);
  ASSERT_TRUE(ok(refresh(iova)));
  EXPECT_EQ(read(iova), 6u);
  guest.map(root, iova + 0x1000, 0x5000);
  ASSERT_TRUE(ok(refresh(iova + 0x1000)));
  EXPECT_EQ(read(iova + 0x1000), 5u);
  guest.unmap(root, iova);
  ASSERT_TRUE(ok(refresh(Guest::dma_start, everything)));
  EXPECT_FALSE(read(iova));
  EXPECT_EQ(event, SWIOMMU_ZPCI_EVENT_PROTECTION);
}

TEST_P(ZpciGuestFunction, PagesAndAnchorsThatAreProtectedAreNotWritten) {
  guest.map(root, iova, 0x5000, false);
  guest.map(root, iova + 0x1000, 0x6000);
  ASSERT_TRUE(ok(register_root()));
  EXPECT_TRUE(write(iova + 0x1000, 1));
  EXPECT_FALSE(write(iova, 1));
  EXPECT_EQ(event, SWIOMMU_ZPCI_EVENT_PROTECTION);
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_REREGISTER_IOAT, Guest::fib(Guest::anchor(root) | 0x200))));
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_RESET_ERROR)));
  EXPECT_TRUE(read(iova + 0x1000));
  EXPECT_FALSE(write(iova + 0x1000, 2));
  EXPECT_EQ(guest.data(0x6000), 1u);
  EXPECT_EQ(guest.data(0x5000), 0u);
}

TEST_P(ZpciGuestFunction, DmaStaysBetweenPbaAndPal) {
  guest.map(root, iova, 0x5000);
  guest.map(root, iova + 0x1000, 0x6000);
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_REGISTER_IOAT, Guest::fib(Guest::anchor(root), {iova | 0x123, iova | 0x123}))));
  EXPECT_TRUE(read(iova));
  EXPECT_TRUE(read(iova + 0xff8));
  EXPECT_FALSE(read(iova + 0x1000));
  EXPECT_EQ(event, SWIOMMU_ZPCI_EVENT_OUT_OF_RANGE);
}

TEST_P(ZpciGuestFunction, AFaultStopsDmaUntilTheGuestClearsIt) {
  guest.map(root, iova, 0x5000);
  guest.data(0x5000) = 5;
  ASSERT_TRUE(ok(register_root()));
  EXPECT_FALSE(read(iova + 0x1000));
  EXPECT_EQ(event, SWIOMMU_ZPCI_EVENT_PROTECTION);
  EXPECT_EQ(stored().controls,
            SWIOMMU_ZPCI_FC_ENABLED | SWIOMMU_ZPCI_FC_ERROR | SWIOMMU_ZPCI_FC_BLOCKED | SWIOMMU_ZPCI_FC_REGISTERED);
  EXPECT_FALSE(read(iova));
  EXPECT_EQ(event, SWIOMMU_ZPCI_EVENT_NONE);  // one event is enough
  EXPECT_FALSE(function->takes_loads());
  EXPECT_TRUE(is(refresh(iova), SWIOMMU_ZPCI_ERROR_RECOVERY));
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_RESET_BLOCK)));
  EXPECT_TRUE(is(modify(SWIOMMU_ZPCI_RESET_BLOCK), SWIOMMU_ZPCI_SEQUENCE));
  EXPECT_EQ(stored().controls, SWIOMMU_ZPCI_FC_ENABLED | SWIOMMU_ZPCI_FC_ERROR | SWIOMMU_ZPCI_FC_REGISTERED);
  EXPECT_TRUE(function->takes_loads());
  EXPECT_FALSE(read(iova));
  EXPECT_TRUE(ok(refresh(iova)));
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_RESET_ERROR)));
  EXPECT_TRUE(is(modify(SWIOMMU_ZPCI_RESET_ERROR), SWIOMMU_ZPCI_SEQUENCE));
  EXPECT_EQ(read(iova), 5u);
}

TEST_P(ZpciGuestFunction, RefreshesThatWereRefusedAreMadeUpFor) {
  guest.map(root, iova, 0x5000);
  ASSERT_TRUE(ok(register_root()));
  EXPECT_FALSE(read(iova + 0x1000));
  guest.unmap(root, iova);
  EXPECT_TRUE(is(refresh(iova), SWIOMMU_ZPCI_ERROR_RECOVERY));
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_RESET_ERROR)));
  EXPECT_FALSE(read(iova));
}

TEST_P(ZpciGuestFunction, RegistersInTheErrorStateForLater) {
  EXPECT_FALSE(read(iova));
  EXPECT_EQ(event, SWIOMMU_ZPCI_EVENT_INVALID_SPACE);
  guest.map(root, iova, 0x5000);
  ASSERT_TRUE(ok(register_root()));
  EXPECT_FALSE(read(iova));
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_RESET_ERROR)));
  EXPECT_TRUE(read(iova));
}

TEST_P(ZpciGuestFunction, ARefreshOutsideOfTheRegistrationIsAnError) {
  Answer answer = refresh(iova);
  EXPECT_TRUE(is(answer, SWIOMMU_ZPCI_IN_ERROR));
  EXPECT_EQ(answer.event, SWIOMMU_ZPCI_EVENT_INVALID_SPACE);
  EXPECT_EQ(answer.event_address, iova);
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_RESET_ERROR)));
  ASSERT_TRUE(ok(register_root()));
  struct {
    std::uint64_t start, length;
  } const outside[] = {{0, 0x1000}, {low_bits(42) + 1, 0x1000}, {iova, ~std::uint64_t{0}}, {0, 0}, {~std::uint64_t{0}, 2}};
  for (auto const& range : outside) {
    answer = refresh(range.start, range.length);
    EXPECT_TRUE(is(answer, SWIOMMU_ZPCI_IN_ERROR)) << std::hex << range.start;
    EXPECT_EQ(answer.event, SWIOMMU_ZPCI_EVENT_OUT_OF_RANGE);
    ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_RESET_ERROR)));
  }
  EXPECT_TRUE(ok(refresh(iova, 0)));
  EXPECT_TRUE(ok(refresh(0, iova + 0x1000)));  // in part
}

TEST_P(ZpciGuestFunction, ShowsWhatIsRegistered) {
  EXPECT_EQ(stored().controls, SWIOMMU_ZPCI_FC_ENABLED);
  EXPECT_EQ(stored().iota, 0u);
  ASSERT_TRUE(ok(modify(SWIOMMU_ZPCI_REGISTER_IOAT, Guest::fib(Guest::anchor(root), {Guest::dma_start | 5, 0x1ffff0000}))));
  Fib const fib = stored();
  EXPECT_EQ(fib.controls, SWIOMMU_ZPCI_FC_ENABLED | SWIOMMU_ZPCI_FC_REGISTERED);
  EXPECT_EQ(__builtin_bswap64(fib.iota), Guest::anchor(root));
  EXPECT_EQ(__builtin_bswap64(fib.pba), Guest::dma_start);
  EXPECT_EQ(__builtin_bswap64(fib.pal), 0x1ffff0fffu);
  Fib other{};
  EXPECT_TRUE(is(function->store(handle << 32 | 1 << 16, other), SWIOMMU_ZPCI_INVALID_SPACE));
}

TEST_P(ZpciGuestFunction, DisablingDropsTheRegistration) {
  guest.map(root, iova, 0x5000);
  ASSERT_TRUE(ok(register_root()));
  EXPECT_EQ(function->enable(0x81000001).error().code, EINVAL);
  function->disable();
  EXPECT_EQ(register_root().condition_code, SWIOMMU_ZPCI_INVALID_HANDLE);
  EXPECT_EQ(refresh(iova).condition_code, SWIOMMU_ZPCI_INVALID_HANDLE);
  EXPECT_FALSE(read(iova));
  EXPECT_FALSE(function->takes_loads());
  ASSERT_TRUE(function->enable(0x81000001));
  EXPECT_EQ(register_root().condition_code, SWIOMMU_ZPCI_INVALID_HANDLE);
  EXPECT_TRUE(
      ok(function->modify(std::uint64_t{0x81000001} << 32 | SWIOMMU_ZPCI_REGISTER_IOAT, Guest::fib(Guest::anchor(root)))));
  EXPECT_TRUE(read(iova));
}

TEST_P(ZpciGuestFunction, IsBusyInsideAGuard) {
  guest.map(root, iova, 0x5000);
  ASSERT_TRUE(ok(register_root()));
  Port::Guard const guard(*port);
  EXPECT_EQ(register_root(SWIOMMU_ZPCI_REREGISTER_IOAT).condition_code, SWIOMMU_ZPCI_BUSY);
  EXPECT_EQ(refresh(iova).condition_code, SWIOMMU_ZPCI_BUSY);
  EXPECT_EQ(function->report({.iova = iova, .reason = Reason::not_mapped}), SWIOMMU_ZPCI_EVENT_NONE);
}

TEST_P(ZpciGuestFunction, NeedsADeviceOfItsHostThatIsNotAttached) {
  Guest other;
  EXPECT_EQ(GuestFunction::create(other.parent, device, {}).error().code, EINVAL);
  ASSERT_TRUE(ok(register_root()));
  EXPECT_EQ(GuestFunction::create(guest.parent, device, {}).error().code, EBUSY);
}

}  // namespace
}  // namespace swiommu::zpci

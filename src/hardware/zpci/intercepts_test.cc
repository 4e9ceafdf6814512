// The entry points of trap handlers: what one call costs, and what happens between calls.
#include "swiommu/hardware/zpci_intercepts.h"

#include <gtest/gtest.h>

#include "failing_new.h"
#include "zpci/zpci_guest.h"

namespace swiommu::zpci {
namespace {

constexpr std::uint64_t operand = std::uint64_t{0x80000001} << 32;
constexpr std::uint64_t base = Guest::dma_start, everything = low_bits(42) - base + 1;

class ZpciIntercepts : public testing::Test {
 protected:
  void make(GuestFunction::Options const& options) {
    port.reset();
    owner.reset();
    device = *Device::create(guest.host);
    owner = *GuestFunction::create(guest.parent, device, options);
    function = intercepts(*owner);
    port = *device->open_port();
  }
  void SetUp() override { make({.words = 256}); }

  // Calls until it is done; counts the calls, and the words of guest memory that the costliest of them read.
  template <class Call>
  Answer until_done(Call const& call_once) {
    swiommu_zpci_call call{};
    calls = most_words = 0;
    for (;;) {
      std::uint64_t const before = guest.memory->locates;
      Answer const answer = call_once(&call);
      most_words = std::max<std::uint64_t>(most_words, guest.memory->locates - before);
      calls++;
      if (answer.outcome != SWIOMMU_ZPCI_AGAIN) return answer;
    }
  }
  Answer rpcit(std::uint64_t start, std::uint64_t length) {
    return until_done([&](swiommu_zpci_call* call) { return swiommu_zpci_rpcit(function, operand, start, length, call); });
  }
  Answer mpcifc(swiommu_zpci_operation operation, Fib const& fib = {}) {
    return until_done([&](swiommu_zpci_call* call) { return swiommu_zpci_mpcifc(function, operand | operation, &fib, call); });
  }
  void register_root() { ASSERT_EQ(mpcifc(SWIOMMU_ZPCI_REGISTER_IOAT, Guest::fib(Guest::anchor(root))).condition_code, 0); }
  bool reads(std::uint64_t at) {
    std::uint64_t word = 0;
    return port->read(Iova(at), &word, sizeof word).ok();
  }

  Guest guest;
  std::uint64_t const root = guest.new_table();
  std::shared_ptr<Device> device;
  std::unique_ptr<GuestFunction> owner;
  swiommu_zpci_function* function = nullptr;
  std::unique_ptr<Port> port;
  std::uint64_t calls = 0, most_words = 0;
};

TEST_F(ZpciIntercepts, OneCallReadsALimitedNumberOfWordsAndAllIsDoneInTheEnd) {
  for (std::uint64_t n = 0; n < 1000; n++) guest.map(root, base + n * Guest::page, n * Guest::page);
  register_root();
  EXPECT_GT(calls, 5u);
  EXPECT_LE(most_words, 256u);
  for (std::uint64_t n = 0; n < 1000; n++) EXPECT_TRUE(reads(base + n * Guest::page)) << n;
  for (std::uint64_t n = 0; n < 1000; n += 2) guest.unmap(root, base + n * Guest::page);
  ASSERT_EQ(rpcit(base, everything).condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_LE(most_words, 256u);
  for (std::uint64_t n = 0; n < 1000; n++) EXPECT_EQ(reads(base + n * Guest::page), n % 2 == 1) << n;
  // A small range needs one call, and no more words than it has pages and its path has levels.
  ASSERT_EQ(rpcit(base + 0x5000, 0x3000).condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_EQ(calls, 1u);
  EXPECT_LE(most_words, 5u);
}

TEST_F(ZpciIntercepts, TakingAwayMuchIsDoneInManyCallsAsWell) {
  std::uint64_t const tables = owner->shadow_bytes();
  for (std::uint64_t n = 0; n < 64; n++) guest.map(root, base + (n << 20), 0x5000);
  guest.map(root, base + (std::uint64_t{5} << 31), 0x6000);
  register_root();
  for (std::uint64_t n = 0; n < 64; n++) guest.unmap_segment(root, base + (n << 20));
  ASSERT_EQ(rpcit(base, everything).condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_GT(calls, 32u);  // a table of the shadow is twice what one call may touch
  EXPECT_TRUE(reads(base + (std::uint64_t{5} << 31)));
  EXPECT_FALSE(reads(base));
  guest.unmap(root, base + (std::uint64_t{5} << 31));
  ASSERT_EQ(rpcit(base, everything).condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_LE(owner->shadow_bytes(), tables + 4 * Guest::page);  // the root, and what reaches below the function's iovas
}

TEST_F(ZpciIntercepts, ARefreshThatFindsNothingNewAllocatesNothing) {
  for (std::uint64_t n = 0; n < 300; n++) guest.map(root, base + n * Guest::page, n * Guest::page);
  register_root();
  std::uint64_t const tables = owner->shadow_bytes();
  FailingNew failing(0);
  Answer const answer = rpcit(base, 300 * Guest::page), all = rpcit(base, everything);
  failing.allow();
  EXPECT_FALSE(failing.failed());
  EXPECT_EQ(answer.condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_EQ(all.condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_EQ(owner->shadow_bytes(), tables);
}

TEST_F(ZpciIntercepts, BeyondTheLimitResourcesAreInsufficientAndARefreshOfEverythingFindsRoom) {
  make({.shadow_limit = 9 * Guest::page});
  guest.map(root, base, 0x5000);
  register_root();
  // Each lies under a table of the shadow of its own.
  std::uint64_t mapped = 1;
  Answer answer{};
  for (; mapped < 20 && answer.condition_code == SWIOMMU_ZPCI_OK; mapped++) {
    guest.map(root, base + (mapped << 21), 0x5000);
    answer = rpcit(base + (mapped << 21), Guest::page);
  }
  EXPECT_EQ(answer.condition_code, SWIOMMU_ZPCI_ERROR);
  EXPECT_EQ(answer.status, SWIOMMU_ZPCI_INSUFFICIENT_RESOURCES);
  EXPECT_LT(mapped, 9u);
  EXPECT_LE(owner->shadow_bytes(), 9 * Guest::page);
  // What is mapped goes on working, also through the refresh of everything with which Linux answers.
  EXPECT_TRUE(reads(base));
  EXPECT_EQ(rpcit(base, everything).status, SWIOMMU_ZPCI_INSUFFICIENT_RESOURCES);
  EXPECT_TRUE(reads(base));
  // The guest has taken some away, without an RPCIT of its own: that makes room for the last one.
  guest.unmap(root, base + (std::uint64_t{2} << 21));
  EXPECT_EQ(rpcit(base, everything).condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_TRUE(reads(base + ((mapped - 1) << 21)));
  EXPECT_FALSE(reads(base + (std::uint64_t{2} << 21)));
}

TEST_F(ZpciIntercepts, TablesThatBecameEmptyPageByPageAreGivenBackByARefreshOfEverything) {
  for (std::uint64_t n = 0; n < 8; n++) guest.map(root, base + (n << 21), 0x5000);
  register_root();
  std::uint64_t const full = owner->shadow_bytes();
  for (std::uint64_t n = 1; n < 8; n++) {
    guest.unmap(root, base + (n << 21));
    ASSERT_EQ(rpcit(base + (n << 21), Guest::page).condition_code, SWIOMMU_ZPCI_OK);
  }
  EXPECT_EQ(owner->shadow_bytes(), full);
  ASSERT_EQ(rpcit(base, everything).condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_EQ(owner->shadow_bytes(), full - 7 * Guest::page);
  EXPECT_TRUE(reads(base));
}

TEST_F(ZpciIntercepts, ARegistrationWithoutRoomIsInsufficientAndLeavesTheOneBefore) {
  make({.shadow_limit = 9 * Guest::page});
  guest.map(root, base, 0x5000);
  register_root();
  std::uint64_t const other = guest.new_table();
  for (std::uint64_t n = 0; n < 20; n++) guest.map(other, base + (n << 21), 0x6000);
  Answer const answer = mpcifc(SWIOMMU_ZPCI_REREGISTER_IOAT, Guest::fib(Guest::anchor(other)));
  EXPECT_EQ(answer.condition_code, SWIOMMU_ZPCI_ERROR);
  EXPECT_EQ(answer.status, SWIOMMU_ZPCI_INSUFFICIENT_RESOURCES);
  EXPECT_TRUE(reads(base));
  EXPECT_FALSE(reads(base + (1 << 21)));
}

TEST_F(ZpciIntercepts, ARegistrationThatAnotherProcessorTakesOverIsBusy) {
  for (std::uint64_t n = 0; n < 1000; n++) guest.map(root, base + n * Guest::page, n * Guest::page);
  Fib const fib = Guest::fib(Guest::anchor(root));
  swiommu_zpci_call first{}, second{};
  ASSERT_EQ(swiommu_zpci_mpcifc(function, operand | SWIOMMU_ZPCI_REGISTER_IOAT, &fib, &first).outcome, SWIOMMU_ZPCI_AGAIN);
  EXPECT_FALSE(reads(base));  // not before it is done
  ASSERT_EQ(swiommu_zpci_mpcifc(function, operand | SWIOMMU_ZPCI_REGISTER_IOAT, &fib, &second).outcome, SWIOMMU_ZPCI_AGAIN);
  Answer const answer = swiommu_zpci_mpcifc(function, operand | SWIOMMU_ZPCI_REGISTER_IOAT, &fib, &first);
  EXPECT_EQ(answer.outcome, SWIOMMU_ZPCI_DONE);
  EXPECT_EQ(answer.condition_code, SWIOMMU_ZPCI_BUSY);
  register_root();  // and may be begun anew
  EXPECT_TRUE(reads(base));
}

TEST_F(ZpciIntercepts, ARefreshGoesOnAfterAReregistration) {
  std::uint64_t const other = guest.new_table();
  for (std::uint64_t n = 0; n < 1000; n++) guest.map(root, base + n * Guest::page, 0x5000);
  guest.map(other, base + 999 * Guest::page, 0x6000);
  register_root();
  swiommu_zpci_call call{};
  ASSERT_EQ(swiommu_zpci_rpcit(function, operand, base, everything, &call).outcome, SWIOMMU_ZPCI_AGAIN);
  ASSERT_EQ(mpcifc(SWIOMMU_ZPCI_REREGISTER_IOAT, Guest::fib(Guest::anchor(other))).condition_code, SWIOMMU_ZPCI_OK);
  Answer answer{};
  do answer = swiommu_zpci_rpcit(function, operand, base, everything, &call);
  while (answer.outcome == SWIOMMU_ZPCI_AGAIN);
  EXPECT_EQ(answer.condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_TRUE(reads(base + 999 * Guest::page));
  EXPECT_FALSE(reads(base));
}

TEST_F(ZpciIntercepts, WhatOneProcessorMapsBehindTheBackOfAnothersRefreshStays) {
  for (std::uint64_t n = 0; n < 64; n++) guest.map(root, base + (n << 20), 0x5000);
  register_root();
  for (std::uint64_t n = 0; n < 64; n++) guest.unmap(root, base + (n << 20));
  swiommu_zpci_call first{};
  for (unsigned n = 0; n < 8; n++)
    ASSERT_EQ(swiommu_zpci_rpcit(function, operand, base, everything, &first).outcome, SWIOMMU_ZPCI_AGAIN);
  guest.map(root, base, 0x6000);
  ASSERT_EQ(rpcit(base, Guest::page).condition_code, SWIOMMU_ZPCI_OK);
  Answer answer{};
  do answer = swiommu_zpci_rpcit(function, operand, base, everything, &first);
  while (answer.outcome == SWIOMMU_ZPCI_AGAIN);
  EXPECT_EQ(answer.condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_TRUE(reads(base));
  EXPECT_FALSE(reads(base + (1 << 20)));
}

TEST_F(ZpciIntercepts, ShowWhetherLoadsAreTakenAndWhatIsRegistered) {
  EXPECT_EQ(swiommu_zpci_takes_loads(function), 1);
  register_root();
  Fib fib{};
  ASSERT_EQ(swiommu_zpci_stpcifc(function, operand, &fib).condition_code, SWIOMMU_ZPCI_OK);
  EXPECT_EQ(fib.controls, SWIOMMU_ZPCI_FC_ENABLED | SWIOMMU_ZPCI_FC_REGISTERED);
  EXPECT_EQ(rpcit(0, Guest::page).event, SWIOMMU_ZPCI_EVENT_OUT_OF_RANGE);
  EXPECT_EQ(swiommu_zpci_takes_loads(function), 0);
}

TEST_F(ZpciIntercepts, OtherMemoryOfTheGuestComesAndGoesWithoutWorkForTheShadow) {
  for (std::uint64_t n = 0; n < 200; n++) guest.map(root, base + n * Guest::page, n * Guest::page);
  register_root();
  std::uint64_t const before = guest.memory->locates, generation = owner->translation()->generation();
  Range const other{bit(30), bit(30) + 0xffff};
  ASSERT_TRUE(guest.parent->map(other, HostAddress(Guest::host_base), {.access = Access::both()}));
  ASSERT_TRUE(guest.parent->unmap(other));
  EXPECT_EQ(guest.memory->locates, before);
  EXPECT_EQ(owner->translation()->generation(), generation);
  // What the shadow is made of is another matter.
  ASSERT_TRUE(guest.parent->unmap({0x5000, 0x5fff}, Cut::split));
  EXPECT_FALSE(reads(base + 0x5000));
  EXPECT_TRUE(reads(base + 0x6000));
}

}  // namespace
}  // namespace swiommu::zpci

// What a port keeps, when it is invalidated by range or as a whole, and what it keeps of the parents.
#include "device/lookaside.h"

#include "swiommu/domain/shadow_domain.h"
#include "swiommu/memory/backing.h"
#include "swiommu/memory/host_address_space.h"
// after these, whose parameters would shadow its `page`
#include "port_fixture.h"

namespace swiommu {
namespace {

TEST_F(PortTest, AnInvalidationOfFewInputsForgetsNoOthers) {
  ASSERT_TRUE(device->attach(domain));
  map(1, 0, 1024);  // not aligned alike, so page by page
  auto const read_all = [&] {
    for (std::uint64_t n = 1; n <= 1024; n++) read_byte(n * page);
  };
  EXPECT_EQ(walks_of(read_all), 1024u);
  EXPECT_EQ(walks_of(read_all), 0u);
  ASSERT_TRUE(domain->unmap({5 * page, 8 * page - 1}));
  map(5, 4, 3);
  EXPECT_EQ(walks_of(read_all), 3u);
  ASSERT_TRUE(domain->invalidate({8 * page + 7, 8 * page + 7}));
  EXPECT_EQ(walks_of(read_all), 1u);
  ASSERT_TRUE(domain->invalidate(Range::all()));
  EXPECT_EQ(walks_of(read_all), 1024u);
}

TEST_F(PortTest, AnAttachmentOfOneIdLeavesTheOthersWhatTheyKeep) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 1);
  read_byte(0);
  auto const second = make_domain();
  ASSERT_TRUE(second->map({0, page - 1}, memory->address(2), read_write));
  ASSERT_TRUE(device->attach(second, Pasid{3}));
  EXPECT_EQ(walks_of([&] { read_byte(0); }), 0u);
  ASSERT_TRUE(second->invalidate(Range::all()));
  EXPECT_EQ(walks_of([&] { read_byte(0); }), 0u);
}

TEST_F(PortTest, ManyMoreGenerationsThanContextsComeAndGo) {
  ASSERT_TRUE(device->attach(domain));
  memory->data(1)[0] = std::byte{1};
  memory->data(2)[0] = std::byte{2};
  map(0, 1);
  auto const second = make_domain();
  ASSERT_TRUE(second->map({0, page - 1}, memory->address(2), read_write));
  ASSERT_TRUE(device->attach(second, Pasid{3}));
  for (unsigned n = 0; n < 3 * Iotlb::most_contexts; n++) {
    ASSERT_TRUE(domain->invalidate(Range::all()));
    ASSERT_EQ(walks_of([&] { ASSERT_EQ(read_byte(0), 1); }), 1u);
    ASSERT_EQ(walks_of([&] { ASSERT_EQ(read_byte(0), 1); }), 0u);
    std::uint8_t byte = 0;
    ASSERT_TRUE(port->read(Iova(0), &byte, 1, Pasid{3}).ok());
    ASSERT_EQ(byte, 2);
  }
}

// The walk was before the invalidation, the keeping is after it.
TEST_F(PortTest, WhatWasFoundBeforeAnInvalidationIsNotKept) {
  map(0, 1);
  auto const kept = Lookaside::create(host).value();
  Translation const t = domain->translate(0, Access::reading(), Update::no);
  auto const keep = [&](auto&& meanwhile) {
    std::uint64_t const changes = kept->changes();
    std::uint32_t const context = kept->set_context(no_pasid, changes, domain->generation(), {});
    meanwhile();
    EXPECT_TRUE(kept->keep(*domain, 0, {0, page - 1}, t, Access::reading(), context, changes));
    std::ignore = kept->set_context(no_pasid, kept->changes(), domain->generation(), {});
    return static_cast<bool>(kept->find(0, LastTranslation::rights_of(Access::reading()), no_pasid));
  };
  EXPECT_TRUE(keep([] {}));
  kept->forget({0, 0});
  EXPECT_FALSE(keep([&] { kept->forget({0, 0}); }));
  EXPECT_FALSE(keep([&] { kept->look_again(); }));
  EXPECT_TRUE(keep([] {}));
}

struct RealMemory : testing::Test {
  static constexpr std::uint64_t size = std::uint64_t{8} << 20;
  std::shared_ptr<HostAddressSpace> memory = std::move(*HostAddressSpace::create());
  std::unique_ptr<SharedMemory> ram = SharedMemory::create(*memory, size).value();
  Host host = Host::create(memory).value();
  std::shared_ptr<PagingDomain> domain = PagingDomain::create(host, vtd).value();
  std::shared_ptr<Device> device = Device::create(host).value();
  std::unique_ptr<Port> port = device->open_port().value();

  std::uint8_t read_byte(std::uint64_t iova) const {
    std::uint8_t byte = 0xff;
    EXPECT_TRUE(port->read(Iova(iova), &byte, 1).ok());
    return byte;
  }
};

TEST_F(RealMemory, ALargeLeafTakesOneWalkAndIsForgottenWhereItIsCut) {
  ASSERT_TRUE(domain->map({0, size - 1}, ram->host_address(0), read_write));
  ASSERT_TRUE(device->attach(domain));
  for (std::uint64_t at = 0; at < size; at += page) read_byte(at);
  EXPECT_EQ(port->walks(), 4u);
  ASSERT_TRUE(domain->unmap({page, 2 * page - 1}, Cut::split));
  std::uint8_t byte = 0;
  EXPECT_FALSE(port->read(Iova(page), &byte, 1).ok());
  read_byte(0);
  read_byte(2 * page);
  EXPECT_EQ(port->walks(), 4u + 3u) << "a fault and two small pages";
  read_byte(size - 1);
  EXPECT_EQ(port->walks(), 4u + 3u);
}

TEST_F(RealMemory, MemoryThatIsTakenAwayIsNotLocatedAgain) {
  ASSERT_TRUE(domain->map({0, page - 1}, ram->host_address(0), read_write));
  ASSERT_TRUE(domain->map({page, 2 * page - 1}, ram->host_address(page), read_write));
  ASSERT_TRUE(device->attach(domain));
  read_byte(0);
  ram.reset();
  std::uint8_t byte = 0;
  EXPECT_EQ(port->read(Iova(page), &byte, 1).fault->reason, Reason::output_unreachable);
}

// Where the guest's RAM begins at guest address 0, mapped page by page, and a user page table lies at the end of it.
struct NestedMemory : RealMemory {
  NestedMemory() { EXPECT_TRUE(domain->map({0, size - 1}, ram->host_address(0), read_write, 12)); }
  std::uint8_t& byte(std::uint64_t at) const { return *reinterpret_cast<std::uint8_t*>(ram->pointer(at)); }

  ShiftedMemory guest = guest_memory(*memory, ram->host_address(0).value);
};

// The user has one leaf of 2 MiB, which is kept in pieces because the parent has small ones. An invalidation
// of one address is of the leaf that translates it: so Linux invalidates a block of an SMMUv3 without range invalidation.
TEST_F(NestedMemory, OneAddressOfALargeUserLeafNamesAllOfIt) {
  constexpr std::uint64_t large = std::uint64_t{2} << 20;
  UserTable user({.format = FormatName::x86_64}, guest, {3 * large, size - 1});
  ASSERT_TRUE(user.map({0, large - 1}, 0));
  auto const nested = NestedDomain::create(domain, user.description()).value();
  ASSERT_TRUE(device->attach(nested));
  byte(5 * page) = 1;
  byte(large + 5 * page) = 2;
  EXPECT_EQ(read_byte(5 * page), 1);
  ASSERT_TRUE(user.map({0, large - 1}, large));
  ASSERT_TRUE(nested->invalidate({0, page - 1}));
  EXPECT_EQ(read_byte(5 * page), 2);
}

// Arm TBI: iovas that differ in the top byte are one, and an invalidation names it without.
TEST_F(NestedMemory, AnInvalidationIsOfAllTopBytesWhereTheyAreIgnored) {
  UserTable user({.format = FormatName::arm_stage1, .top_byte_ignored = true}, guest, {size / 2, size - 1});
  constexpr std::uint64_t tag = std::uint64_t{0xa5} << 56;
  for (bool const shadowed : {false, true}) {
    ASSERT_TRUE(user.map({0, page - 1}, page));
    auto const composed = ShadowDomain::create(domain, user.description()).value();
    std::shared_ptr<Domain> const attached =
        shadowed ? std::shared_ptr<Domain>(composed) : NestedDomain::create(domain, user.description()).value();
    ASSERT_TRUE(composed->refresh({0, page - 1}));
    ASSERT_TRUE(shadowed ? device->replace(attached) : device->attach(attached));
    byte(page) = 1;
    byte(2 * page) = 2;
    EXPECT_EQ(read_byte(tag), 1);
    EXPECT_EQ(read_byte(0), 1);
    ASSERT_TRUE(user.map({0, page - 1}, 2 * page));
    ASSERT_TRUE(attached->invalidate({0, page - 1}));
    EXPECT_EQ(read_byte(tag), 2) << shadowed;
    EXPECT_EQ(read_byte(0), 2);
  }
}

// A guest that changes its anchor has its tables where they were: what the port knows of the parent serves the new anchor too.
TEST_F(NestedMemory, EachAnchorIsTranslatedByItsOwnTable) {
  std::vector<std::unique_ptr<UserTable>> users;
  for (std::uint8_t n = 0; n < 4; n++) {
    byte(n * page) = n;
    std::uint64_t const tables = size / 2 + n * 16 * page;
    users.push_back(std::make_unique<UserTable>(FormatConfiguration{.format = FormatName::x86_64}, guest,
                                                Range{tables, tables + 16 * page - 1}));
    ASSERT_TRUE(users[n]->map({0, page - 1}, n * page));
  }
  for (unsigned turn = 0; turn < 100; turn++) {
    unsigned const n = turn * 7 % 4;
    auto const nested = NestedDomain::create(domain, users[n]->description()).value();
    ASSERT_TRUE(turn == 0 ? device->attach(nested) : device->replace(nested));
    ASSERT_EQ(read_byte(0), n);
    // the parent takes the page away and gives another one
    if (turn % 10 != 9) continue;
    ASSERT_TRUE(domain->replace({n * page, (n + 1) * page - 1}, ram->host_address((n ^ 1) * page), read_write));
    ASSERT_EQ(read_byte(0), n ^ 1);
    ASSERT_TRUE(domain->replace({n * page, (n + 1) * page - 1}, ram->host_address(n * page), read_write));
    ASSERT_EQ(read_byte(0), n);
  }
}

}  // namespace
}  // namespace swiommu

// What a port keeps, when it is invalidated by range or as a whole, and what it keeps of the parents.
#include "device/lookaside.h"

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
    EXPECT_TRUE(kept->keep(0, {0, page - 1}, t, Access::reading(), context, changes));
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

// A guest that changes its anchor has its tables where they were: what the port knows of the parent serves the new anchor too.
TEST_F(RealMemory, EachAnchorIsTranslatedByItsOwnTable) {
  ASSERT_TRUE(domain->map({0, size - 1}, ram->host_address(0), read_write, 12));
  struct Source final : UserTableSource {
    std::uint64_t next = size;
    Result<std::uint64_t> allocate(unsigned lg2) override { return next -= std::uint64_t{1} << lg2; }
    void release(std::uint64_t, unsigned) override {}
  } source;
  std::vector<UserPageTable> anchors;
  for (std::uint8_t n = 0; n < 4; n++) {
    *ram->pointer(n * page) = std::byte{n};
    UserPageTable description{.format = {.format = FormatName::x86_64}};
    auto const table = PageTable::create_user(description, *domain, source).value();
    Gather gather;
    ASSERT_TRUE(table->map({0, page - 1}, n * page, read_write, Existing::refuse, Cut::refuse, gather));
    description.root = table->root();
    anchors.push_back(description);
  }
  for (unsigned turn = 0; turn < 100; turn++) {
    unsigned const n = turn * 7 % 4;
    auto const nested = NestedDomain::create(domain, anchors[n]).value();
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

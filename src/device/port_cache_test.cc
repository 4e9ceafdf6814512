// What a port caches, and when it forgets it.
#include "port_fixture.h"

namespace swiommu {
namespace {

TEST_F(PortTest, CachesTranslations) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 1, 2);
  EXPECT_EQ(walks_of([&] { read_byte(5); }), 1u);
  EXPECT_EQ(walks_of([&] {
              read_byte(5);
              read_byte(0);
              read_byte(page - 1);
            }),
            0u);
  EXPECT_EQ(walks_of([&] { read_byte(page); }), 1u);
  std::uint8_t const byte = 3;
  EXPECT_EQ(walks_of([&] { EXPECT_TRUE(port->write(Iova(5), &byte, 1).ok()); }), 1u);
  EXPECT_EQ(walks_of([&] { EXPECT_TRUE(port->write(Iova(6), &byte, 1).ok()); }), 0u);
  EXPECT_EQ(walks_of([&] {
              read_byte(5);
              EXPECT_TRUE(port->write(Iova(6), &byte, 1).ok());
            }),
            0u)
      << "turns of reading and writing";
  EXPECT_EQ(walks_of([&] { EXPECT_TRUE(port->fetch_add<std::uint32_t>(Iova(8), 1)->ok()); }), 0u);
}

TEST_F(PortTest, NeverCachesMoreThanIsAllowed) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 1, 1, Access::writing());
  map(1, 2, 1, Access::reading());
  std::uint8_t byte = 3;
  for (int turn = 0; turn < 2; turn++) {
    EXPECT_TRUE(port->write(Iova(0), &byte, 1).ok());
    EXPECT_FALSE(port->read(Iova(0), &byte, 1).ok());
    EXPECT_TRUE(port->read(Iova(page), &byte, 1).ok());
    EXPECT_FALSE(port->write(Iova(page), &byte, 1).ok());
  }
}

TEST_F(PortTest, ForgetsWhatIsTakenAway) {
  ASSERT_TRUE(device->attach(domain));
  std::uint8_t byte = 0;
  for (std::uint8_t n = 0; n < 10; n++) memory->data(n)[0] = std::byte{n};
  map(0, 1);
  EXPECT_EQ(read_byte(0), 1);
  ASSERT_TRUE(domain->unmap({0, page - 1}));
  EXPECT_FALSE(port->read(Iova(0), &byte, 1).ok());
  map(0, 2);
  EXPECT_EQ(read_byte(0), 2);
  ASSERT_TRUE(domain->replace({0, page - 1}, memory->address(3), read_write));
  EXPECT_EQ(read_byte(0), 3);
  auto const other = make_domain();
  ASSERT_TRUE(other->map({0, page - 1}, memory->address(4), read_write));
  ASSERT_TRUE(device->replace(other));
  EXPECT_EQ(read_byte(0), 4);
  ASSERT_TRUE(device->replace(domain));
  EXPECT_EQ(read_byte(0), 3);
  ASSERT_TRUE(device->detach());
  EXPECT_EQ(port->read(Iova(0), &byte, 1).fault->reason, Reason::configuration);
  ASSERT_TRUE(device->attach(other));
  EXPECT_EQ(read_byte(0), 4);
  EXPECT_EQ(walks_of([&] { read_byte(0); }), 0u);
  ASSERT_TRUE(other->invalidate({0, page - 1}));
  EXPECT_EQ(walks_of([&] { read_byte(0); }), 1u);
}

TEST_F(PortTest, FaultsAreForgottenAtOnce) {
  ASSERT_TRUE(device->attach(domain));
  std::uint8_t byte = 0;
  EXPECT_FALSE(port->read(Iova(0), &byte, 1).ok());
  EXPECT_FALSE(port->read(Iova(0), &byte, 1).ok());
  map(0, 1);
  EXPECT_TRUE(port->read(Iova(0), &byte, 1).ok());
}

// What is cached belongs to a domain, not to where the domain lay.
TEST_F(PortTest, NeverHitsWhatADestroyedDomainLeft) {
  Domain const* last = nullptr;
  unsigned same_place = 0;
  for (std::uint8_t n = 1; n < 100; n++) {
    domain = make_domain();
    same_place += domain.get() == last ? 1 : 0;
    last = domain.get();
    memory->data(n)[0] = std::byte{n};
    map(0, n);
    ASSERT_TRUE(device->attach(domain));
    EXPECT_EQ(read_byte(0), n);
    ASSERT_TRUE(device->detach());
    domain.reset();
  }
#if !defined(__SANITIZE_ADDRESS__)
  RecordProperty("domains_at_the_same_place", static_cast<int>(same_place));
#endif
}

TEST_F(PortTest, KeepsPasidsApart) {
  auto const second = make_domain();
  map(0, 1);
  ASSERT_TRUE(second->map({0, page - 1}, memory->address(2), read_write));
  ASSERT_TRUE(device->attach(domain));
  ASSERT_TRUE(device->attach(second, Pasid{3}));
  memory->data(1)[0] = std::byte{1};
  memory->data(2)[0] = std::byte{2};
  for (int turn = 0; turn < 3; turn++) {
    EXPECT_EQ(read_byte(0), 1);
    std::uint8_t byte = 0;
    EXPECT_TRUE(port->read(Iova(0), &byte, 1, Pasid{3}).ok());
    EXPECT_EQ(byte, 2);
    EXPECT_EQ(port->read(Iova(0), &byte, 1, Pasid{0}).fault->reason, Reason::configuration);
  }
}

TEST_F(PortTest, ReadingCachesNoRightToWriteUnmarked) {
  FormatConfiguration format = vtd;
  format.dirty_updates = true;
  domain = make_domain(format);
  ASSERT_TRUE(device->attach(domain));
  map(0, 1, 4);
  auto const dirty = [&] {
    std::vector<std::uint64_t> pages;
    EXPECT_TRUE(domain->read_dirty({0, 4 * page - 1}, Clear::yes, [&](Range range) { pages.push_back(range.start / page); }));
    return pages;
  };
  std::uint8_t byte = 7;
  read_byte(0);
  read_byte(page);
  EXPECT_TRUE(dirty().empty());
  read_byte(page);
  EXPECT_TRUE(port->write(Iova(page), &byte, 1).ok());
  EXPECT_EQ(dirty(), std::vector<std::uint64_t>{1});
  EXPECT_TRUE(dirty().empty());
  EXPECT_TRUE(port->write(Iova(page), &byte, 1).ok());  // was cached as dirty before
  EXPECT_EQ(dirty(), std::vector<std::uint64_t>{1});
  EXPECT_TRUE(port->fetch_add<std::uint32_t>(Iova(2 * page), 1)->ok());
  EXPECT_EQ(dirty(), std::vector<std::uint64_t>{2});
  EXPECT_TRUE(translate(3 * page, Access::writing()));  // whoever asked may have written
  EXPECT_EQ(dirty(), std::vector<std::uint64_t>{3});
}

TEST_F(PortTest, KeepsItsDeviceAndTheDomainAlive) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 1);
  domain.reset();
  device.reset();
  std::uint8_t byte = 0;
  EXPECT_TRUE(port->read(Iova(0), &byte, 1).ok());
}

TEST_F(PortTest, ManyPortsOfADeviceHaveCachesOfTheirOwn) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 1);
  auto const other = device->open_port().value();
  read_byte(0);
  std::uint8_t byte = 0;
  EXPECT_TRUE(other->read(Iova(0), &byte, 1).ok());
  EXPECT_EQ(other->walks(), 1u);
  ASSERT_TRUE(domain->unmap({0, page - 1}));
  EXPECT_FALSE(other->read(Iova(0), &byte, 1).ok());
  EXPECT_FALSE(port->read(Iova(0), &byte, 1).ok());
}

}  // namespace
}  // namespace swiommu

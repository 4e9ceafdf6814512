#include "swiommu/device/device.h"

#include <gtest/gtest.h>
#include <set>

#include "flat_memory.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/domain/shadow_domain.h"
#include "user_table.h"

namespace swiommu {
namespace {

constexpr std::uint64_t page = FlatMemory::page;
constexpr Range first_page{0, page - 1};
constexpr Attributes read_write{.access = Access::both()};

struct DeviceTest : testing::Test {
  // A domain in which iova 0 leads to page n, whose first byte is n.
  std::shared_ptr<PagingDomain> make_domain(std::uint8_t n) const {
    auto domain = PagingDomain::create(host, {.levels = 3}).value();
    EXPECT_TRUE(domain->map(first_page, memory->address(n), read_write));
    memory->data(n)[0] = std::byte{n};
    return domain;
  }
  // The byte at iova 0, or why it cannot be read.
  std::expected<int, Reason> look(Port& from, std::optional<Pasid> pasid = std::nullopt) const {
    std::uint8_t byte = 0;
    auto const result = from.read(Iova(0), &byte, 1, pasid);
    if (!result.ok()) return std::unexpected(result.fault->reason);
    return byte;
  }
  std::expected<int, Reason> look(std::optional<Pasid> pasid = std::nullopt) const { return look(*port, pasid); }
  static constexpr std::unexpected<Reason> unattached{Reason::configuration};

  std::shared_ptr<FlatMemory> memory = std::make_shared<FlatMemory>(64, std::uint64_t{1} << 32);
  Host host = Host::create(memory).value();
  std::shared_ptr<PagingDomain> one = make_domain(1), two = make_domain(2);
  std::shared_ptr<Device> device = Device::create(host, {.requester_id = 8, .pasid_bits = 4}).value();
  std::unique_ptr<Port> port = device->open_port().value();
};

TEST_F(DeviceTest, IsAttachedReplacedAndDetached) {
  EXPECT_EQ(look(), unattached);
  EXPECT_EQ(device->domain(), nullptr);
  ASSERT_TRUE(device->attach(one));
  EXPECT_EQ(look(), 1);
  EXPECT_EQ(device->domain(), one);
  ASSERT_TRUE(device->replace(two));
  EXPECT_EQ(look(), 2);
  ASSERT_TRUE(device->replace(two));  // by itself
  EXPECT_EQ(look(), 2);
  ASSERT_TRUE(device->detach());
  EXPECT_EQ(look(), unattached);
  EXPECT_EQ(device->domain(), nullptr);
}

TEST_F(DeviceTest, PasidsAreAttachedOnTheirOwn) {
  ASSERT_TRUE(device->attach(one, Pasid{0}));
  ASSERT_TRUE(device->attach(two, Pasid{15}));
  EXPECT_EQ(look(), unattached);  // PASID 0 is not the device without PASID
  EXPECT_EQ(look(Pasid{0}), 1);
  EXPECT_EQ(look(Pasid{15}), 2);
  EXPECT_EQ(look(Pasid{1}), unattached);
  ASSERT_TRUE(device->attach(two));
  ASSERT_TRUE(device->replace(one, Pasid{15}));
  EXPECT_EQ(look(Pasid{15}), 1);
  EXPECT_EQ(look(), 2);
  ASSERT_TRUE(device->detach(Pasid{0}));
  EXPECT_EQ(look(Pasid{0}), unattached);
  EXPECT_EQ(look(Pasid{15}), 1);
  EXPECT_EQ(look(), 2);
  ASSERT_TRUE(device->detach());
  EXPECT_EQ(look(Pasid{15}), 1);
}

TEST_F(DeviceTest, RefusesWhatItCannotDoAndStaysAsItWas) {
  EXPECT_EQ(device->replace(one).error().code, ENOENT);
  EXPECT_EQ(device->detach().error().code, ENOENT);
  EXPECT_EQ(device->detach(Pasid{2}).error().code, ENOENT);
  ASSERT_TRUE(device->attach(one));
  EXPECT_EQ(device->attach(two).error().code, EBUSY);
  EXPECT_EQ(device->attach(one).error().code, EBUSY);
  EXPECT_EQ(device->attach(two, Pasid{16}).error().code, EINVAL);
  EXPECT_EQ(device->replace(two, Pasid{1}).error().code, ENOENT);
  EXPECT_EQ(device->attach(nullptr, Pasid{1}).error().code, EINVAL);
  EXPECT_EQ(device->replace(nullptr).error().code, EINVAL);
  auto const elsewhere = Host::create(std::make_shared<FlatMemory>(1)).value();
  EXPECT_EQ(device->replace(BlockingDomain::create(elsewhere).value()).error().code, EINVAL);
  Host other_way = host;
  other_way.grace = GracePeriod::with_exchanges();
  if (host.grace.uses_membarrier()) {
    EXPECT_EQ(device->replace(BlockingDomain::create(other_way).value()).error().code, EINVAL);
  }
  EXPECT_EQ(look(), 1);
  EXPECT_EQ(device->domain(), one);
  for (Pasid pasid = 0; pasid < 16; pasid++) EXPECT_EQ(device->domain(pasid), nullptr);
}

TEST_F(DeviceTest, PasidsMayHaveAllTheirBits) {
  auto const wide = Device::create(host, {.pasid_bits = 32}).value();
  ASSERT_TRUE(wide->attach(one, ~Pasid{0}));
  auto const from = wide->open_port().value();
  EXPECT_EQ(look(*from, ~Pasid{0}), 1);
  EXPECT_EQ(look(*from), unattached);  // all ones is not "no PASID"
  auto const none = Device::create(host, {.pasid_bits = 0}).value();
  EXPECT_TRUE(none->attach(one, Pasid{0}));
  EXPECT_EQ(none->attach(one, Pasid{1}).error().code, EINVAL);
}

TEST_F(DeviceTest, LooksThroughIdentityAndBlockingDomains) {
  std::uint8_t byte = 0;
  ASSERT_TRUE(device->attach(IdentityDomain::create(host).value()));
  EXPECT_TRUE(port->read(Iova(memory->address(2).value), &byte, 1).ok());
  EXPECT_EQ(byte, 2);
  EXPECT_EQ(port->read(Iova(memory->range().last + 1), &byte, 1).fault->reason, Reason::output_unreachable);
  auto const whole = [&] {
    Port::Guard const guard(*port);
    return port->translate(guard, Iova(memory->range().start + 5), Access::both());
  }();
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->data, memory->data(0) + 5);
  EXPECT_EQ(whole->length, memory->range().length() - 5);
  ASSERT_TRUE(device->replace(BlockingDomain::create(host).value()));
  EXPECT_EQ(port->read(Iova(memory->address(2).value), &byte, 1).fault->reason, Reason::not_mapped);
}

TEST_F(DeviceTest, PortsAreOpenedAndClosedInAnyState) {
  ASSERT_TRUE(device->attach(one));
  ASSERT_TRUE(device->attach(one, Pasid{1}));  // one domain twice
  auto const late = device->open_port().value();
  EXPECT_EQ(look(*late), 1);
  auto brief = device->open_port().value();
  EXPECT_EQ(look(*brief, Pasid{1}), 1);
  brief.reset();
  ASSERT_TRUE(device->detach(Pasid{1}));
  ASSERT_TRUE(one->unmap(first_page));  // still waits for, and tells, both ports
  EXPECT_EQ(look(*late), std::unexpected(Reason::not_mapped));
  EXPECT_EQ(look(), std::unexpected(Reason::not_mapped));
  ASSERT_TRUE(device->detach());
  EXPECT_TRUE(one->invalidate(Range::all()));
}

TEST_F(DeviceTest, KeepsItsDomainsAlive) {
  std::weak_ptr<Domain> const gone = two;
  ASSERT_TRUE(device->attach(two));
  two.reset();
  EXPECT_EQ(look(), 2);
  ASSERT_TRUE(device->replace(one));
  EXPECT_TRUE(gone.expired());
  device.reset();
  EXPECT_EQ(look(), 1);
  std::weak_ptr<Domain> const last = one;
  one.reset();
  EXPECT_FALSE(last.expired());
  port.reset();  // takes the device with it
  EXPECT_TRUE(last.expired());
}

// Whatever would wait for guards refuses a thread that holds one, and has changed nothing.
TEST_F(DeviceTest, NothingThatWaitsWorksInsideAGuard) {
  FormatConfiguration format{.levels = 3};
  format.dirty_updates = true;
  auto const tracked = PagingDomain::create(host, format).value();
  ASSERT_TRUE(tracked->map({0, 32 * page - 1}, memory->address(0), read_write));
  ShiftedMemory const guest = guest_memory(*memory, memory->range().start);
  UserTable user({.format = FormatName::x86_64, .levels = 4}, guest, {16 * page, 30 * page - 1});
  ASSERT_TRUE(user.map(first_page, 3 * page));
  auto const nested = NestedDomain::create(tracked, user.description()).value();
  auto const shadow = ShadowDomain::create(tracked, user.description()).value();
  ASSERT_TRUE(shadow->refresh(Range::all()));
  ASSERT_TRUE(device->attach(nested));
  ASSERT_TRUE(device->attach(shadow, Pasid{1}));
  memory->data(3)[0] = std::byte{3};
  ASSERT_EQ(look(), 3);

  auto const elsewhere = Device::create(host).value()->open_port().value();  // any guard of the thread counts
  Epoch epoch(host.grace);
  auto const tables = host.tables->tables_in_use();
  auto const generation = tracked->generation();
  bool reported = false;
  {
    Port::Guard const guard(*elsewhere);
    auto const code = [](auto const& outcome) { return outcome ? 0 : outcome.error().code; };
    EXPECT_EQ(code(nested->invalidate(Range::all())), EDEADLK);
    EXPECT_EQ(code(tracked->invalidate(Range::all())), EDEADLK);
    EXPECT_EQ(code(tracked->unmap({0, 32 * page - 1})), EDEADLK);
    EXPECT_EQ(code(tracked->map({64 * page, 65 * page - 1}, memory->address(0), read_write)), EDEADLK);
    EXPECT_EQ(code(tracked->replace({3 * page, 4 * page - 1}, memory->address(9), read_write)), EDEADLK);
    EXPECT_EQ(code(tracked->read_dirty({0, 32 * page - 1}, Clear::yes, [&](Range) { reported = true; })), EDEADLK);
    EXPECT_EQ(code(shadow->refresh(Range::all())), EDEADLK);
    EXPECT_EQ(code(device->attach(one, Pasid{2})), EDEADLK);
    EXPECT_EQ(code(device->replace(one)), EDEADLK);
    EXPECT_EQ(code(device->detach()), EDEADLK);
    EXPECT_EQ(code(device->open_port()), EDEADLK);
    EXPECT_EQ(code(NestedDomain::create(tracked, user.description())), EDEADLK);
    EXPECT_EQ(code(ShadowDomain::create(tracked, user.description())), EDEADLK);
    EXPECT_EQ(code(IdentityDomain::create(tracked)), EDEADLK);
    EXPECT_EQ(code(one->add_listener(epoch)), EDEADLK);
    EXPECT_EQ(device->domain(), nested);  // asking is allowed
  }
  EXPECT_FALSE(reported);
  EXPECT_EQ(host.tables->tables_in_use(), tables);
  EXPECT_EQ(tracked->generation(), generation);
  EXPECT_FALSE(tracked->translate(64 * page, Access::reading(), Update::no).ok());
  EXPECT_EQ(device->domain(Pasid{2}), nullptr);
  EXPECT_EQ(device->domain(), nested);
  EXPECT_EQ(look(), 3);
  EXPECT_EQ(look(Pasid{1}), 3);
  bool dirty = false;
  ASSERT_TRUE(tracked->read_dirty({3 * page, 4 * page - 1}, Clear::yes, [&](Range) { dirty = true; }));
  EXPECT_TRUE(dirty);             // the shadow's mark was not cleared
  EXPECT_TRUE(device->detach());  // and outside the guard all of it works
}

TEST_F(DeviceTest, DescribesEachReason) {
  std::set<std::string> sentences;
  for (auto const reason : {Reason::not_mapped, Reason::permission, Reason::malformed, Reason::access_flag, Reason::address_size,
                            Reason::out_of_range, Reason::table_unreachable, Reason::output_unreachable, Reason::configuration}) {
    FaultRecord const record{.iova = 0x7f002000,
                             .access = Access::writing(),
                             .reason = reason,
                             .domain = DomainKind::nested,
                             .entry_address = 0x1a3010,
                             .entry = 5};
    auto const sentence = describe(record);
    EXPECT_TRUE(sentence.starts_with("iova 0x7f002000, write: ")) << sentence;
    EXPECT_TRUE(sentences.insert(sentence).second) << sentence;
  }
}

}  // namespace
}  // namespace swiommu

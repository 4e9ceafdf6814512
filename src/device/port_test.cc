#include "port_fixture.h"

namespace swiommu {
namespace {

TEST_F(PortTest, MovesBytesAcrossPagesThatLieApart) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 5);
  map(1, 2);
  map(2, 9);
  auto const bytes = pattern(2 * page - 100);
  DmaResult const written = port->write(Iova(0x0ff0), bytes.data(), bytes.size());
  EXPECT_TRUE(written.ok());
  EXPECT_EQ(written.done, bytes.size());
  EXPECT_EQ(std::memcmp(memory->data(5) + 0xff0, bytes.data(), 16), 0);
  EXPECT_EQ(std::memcmp(memory->data(2), bytes.data() + 16, page), 0);
  EXPECT_EQ(std::memcmp(memory->data(9), bytes.data() + 16 + page, bytes.size() - 16 - page), 0);
  EXPECT_EQ(memory->data(5)[0xfef], std::byte{0});
  EXPECT_EQ(memory->data(9)[bytes.size() - 16 - page], std::byte{0});
  EXPECT_EQ(memory->data(6)[0], std::byte{0});
  std::vector<std::uint8_t> back(bytes.size());
  EXPECT_TRUE(port->read(Iova(0x0ff0), back.data(), back.size()).ok());
  EXPECT_EQ(back, bytes);
}

TEST_F(PortTest, TransfersMoreThanOneGuardCovers) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 0, 1024);
  auto const bytes = pattern(1024 * page - 7);
  ASSERT_TRUE(port->write(Iova(3), bytes.data(), bytes.size()).ok());
  EXPECT_EQ(std::memcmp(memory->data(0) + 3, bytes.data(), bytes.size()), 0);
  std::vector<std::uint8_t> back(bytes.size());
  ASSERT_TRUE(port->read(Iova(3), back.data(), back.size()).ok());
  EXPECT_EQ(back, bytes);
}

TEST_F(PortTest, MovesAScatterListInItsOrderUntilAFault) {
  ASSERT_TRUE(device->attach(domain));
  std::vector<Segment> list;
  for (std::uint64_t n = 0; n < 40; n++) {
    map(n, (n * 7 + 3) % 64);
    std::uint64_t const at = n * 13 % 40;  // as out of order as can be
    list.push_back({Iova(at * page + n), n % 5 * 100});
  }
  list.push_back({Iova(39 * page + 0x800), 0x800});
  std::uint64_t total = 0;
  for (Segment const& segment : list) total += segment.length;
  auto const bytes = pattern(total);
  DmaResult const written = port->write(list, bytes.data());
  EXPECT_TRUE(written.ok());
  EXPECT_EQ(written.done, total);
  std::uint64_t done = 0;
  for (Segment const& segment : list) {
    std::vector<std::uint8_t> part(segment.length);
    ASSERT_TRUE(port->read(segment.iova, part.data(), part.size()).ok());
    EXPECT_TRUE(std::equal(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(done)));
    done += segment.length;
  }
  std::vector<std::uint8_t> back(total);
  EXPECT_EQ(port->read(list, back.data()).done, total);
  EXPECT_EQ(back, bytes);

  list[20] = {Iova(39 * page + 0x900), 0x800};  // page 40 is a hole
  done = 0;
  for (std::size_t n = 0; n < 20; n++) done += list[n].length;
  DmaResult const cut = port->read(list, back.data());
  EXPECT_EQ(cut.done, done + 0x700);
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.fault->iova, 40 * page);
  EXPECT_EQ(port->write(std::span<Segment const>(), nullptr).done, 0u);
}

TEST_F(PortTest, SaysExactlyHowFarATransferGot) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 5);
  map(1, 2);
  map(3, 7);  // page 2 is a hole
  auto const bytes = pattern(4 * page);
  DmaResult const written = port->write(Iova(0x800), bytes.data(), 3 * page);
  EXPECT_EQ(written.done, 0x1800u);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.fault->iova, 2 * page);
  EXPECT_EQ(written.fault->reason, Reason::not_mapped);
  EXPECT_EQ(written.fault->access, Access::writing());
  EXPECT_EQ(std::memcmp(memory->data(2), bytes.data() + 0x800, page), 0);
  EXPECT_EQ(memory->data(7)[0], std::byte{0});

  std::vector<std::uint8_t> back(3 * page, 0xee);
  DmaResult const read = port->read(Iova(0x800), back.data(), back.size());
  EXPECT_EQ(read.done, 0x1800u);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.fault->iova, 2 * page);
  EXPECT_EQ(read.fault->access, Access::reading());
  EXPECT_TRUE(std::equal(back.begin(), back.begin() + 0x1800, bytes.begin()));
  EXPECT_TRUE(std::all_of(back.begin() + 0x1800, back.end(), [](auto byte) { return byte == 0xee; }));

  EXPECT_EQ(port->write(Iova(2 * page), bytes.data(), 1).done, 0u);  // at the first byte
  EXPECT_EQ(port->write(Iova(2 * page - 1), bytes.data(), 2).done, 1u);
}

TEST_F(PortTest, StopsWhereWritingIsNotAllowed) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 5);
  map(1, 6, 1, Access::reading());
  auto const bytes = pattern(2 * page);
  DmaResult const written = port->write(Iova(page / 2), bytes.data(), page);
  EXPECT_EQ(written.done, page / 2);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.fault->reason, Reason::permission);
  EXPECT_EQ(memory->data(6)[0], std::byte{0});
  std::vector<std::uint8_t> back(page);
  EXPECT_TRUE(port->read(Iova(page / 2), back.data(), page).ok());
}

TEST_F(PortTest, TransfersNothingOfNothing) {
  EXPECT_TRUE(port->copy(Iova(0x1000), Iova(~std::uint64_t{0}), 0).ok());
  EXPECT_TRUE(port->write(Iova(0x1000), nullptr, 0).ok());  // not even attached
  EXPECT_TRUE(port->read(Iova(~std::uint64_t{0}), nullptr, 0).ok());
}

TEST_F(PortTest, DoesNotWrapAtTheTopOfTheSpace) {
  domain = make_domain({.format = FormatName::amd_v1, .levels = 6});
  ASSERT_TRUE(device->attach(domain));
  map(0, 5);
  map(~std::uint64_t{0} / page, 6);
  auto const bytes = pattern(16);
  DmaResult const written = port->write(Iova(~std::uint64_t{0} - 7), bytes.data(), 16);
  EXPECT_EQ(written.done, 8u);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.fault->reason, Reason::out_of_range);
  EXPECT_EQ(memory->data(5)[0], std::byte{0});
  EXPECT_EQ(std::memcmp(memory->data(6) + page - 8, bytes.data(), 8), 0);
}

TEST_F(PortTest, FaultsWhenTheMemoryBehindTheOutputIsNotThere) {
  ASSERT_TRUE(device->attach(domain));
  ASSERT_TRUE(domain->map({0, page - 1}, HostAddress(memory->range().last + 1), read_write));
  memory->protect({memory->address(8).value, memory->address(9).value - 1});
  map(1, 7, 2);
  std::uint8_t byte = 0;
  auto const read = port->read(Iova(0), &byte, 1);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.fault->reason, Reason::output_unreachable);
  auto const bytes = pattern(2 * page);
  auto const written = port->write(Iova(page), bytes.data(), 2 * page);
  EXPECT_EQ(written.done, page);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.fault->reason, Reason::output_unreachable);
}

TEST_F(PortTest, TranslatesAsFarAsBytesLieInARow) {
  ASSERT_TRUE(device->attach(domain));
  Range const large{0x200000, 0x3fffff};
  ASSERT_TRUE(domain->map(large, memory->address(512), read_write));  // one entry of 2 MiB
  map(0, 9);
  auto const middle = translate(0x201234, Access::reading());
  ASSERT_TRUE(middle);
  EXPECT_EQ(middle->data, memory->data(513) + 0x234);
  EXPECT_EQ(middle->length, large.last - 0x201234 + 1);
  auto const small = translate(0xfff, Access::both());
  ASSERT_TRUE(small);
  EXPECT_EQ(small->data, memory->data(9) + 0xfff);
  EXPECT_EQ(small->length, 1u);
  auto const cached = translate(0x201234, Access::reading());
  ASSERT_TRUE(cached);
  EXPECT_EQ(cached->data, middle->data);
  EXPECT_EQ(cached->length, middle->length);
}

TEST_F(PortTest, NeverPromisesBytesBeyondTheAperture) {
  domain = make_domain(vtd, {.aperture = {0, 0x201fff}});
  ASSERT_TRUE(device->attach(domain));
  ASSERT_TRUE(domain->map({0x200000, 0x3fffff}, memory->address(512), read_write));
  auto const cut = translate(0x201000, Access::reading());
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->length, 0x1000u);
  EXPECT_EQ(translate(0x202000, Access::reading()).error().reason, Reason::out_of_range);
}

TEST_F(PortTest, DoesAtomicOperations) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 3);
  auto& word = *reinterpret_cast<std::uint64_t*>(memory->data(3) + 8);
  word = 0xffffffff'00000005;
  auto const added = port->fetch_add<std::uint32_t>(Iova(8), ~std::uint32_t{0});
  ASSERT_TRUE(added && added->ok());
  EXPECT_EQ(added->before, 5u);
  EXPECT_EQ(word, 0xffffffff'00000004);  // no carry into the other half
  EXPECT_EQ(port->fetch_add<std::uint64_t>(Iova(8), 1)->before, 0xffffffff'00000004);
  EXPECT_EQ(port->swap<std::uint64_t>(Iova(8), 77)->before, 0xffffffff'00000005);
  EXPECT_EQ(port->compare_swap<std::uint64_t>(Iova(8), 76, 1)->before, 77u);
  EXPECT_EQ(word, 77u);
  EXPECT_EQ(port->compare_swap<std::uint64_t>(Iova(8), 77, 1)->before, 77u);
  EXPECT_EQ(word, 1u);
  EXPECT_EQ(port->compare_swap<std::uint32_t>(Iova(12), 0, 2)->before, 0u);
  EXPECT_EQ(word, 0x2'00000001u);
  EXPECT_EQ(port->swap<std::uint32_t>(Iova(page - 4), 9)->before, 0u);
}

TEST_F(PortTest, RefusesMisalignedAtomics) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 3, 2);
  for (std::uint64_t const at : {1u, 2u, 4u, 6u, 0xffcu}) {
    auto const outcome = port->fetch_add<std::uint64_t>(Iova(at), 1);
    ASSERT_FALSE(outcome) << at;
    EXPECT_EQ(outcome.error().code, EINVAL);
  }
  EXPECT_EQ(port->swap<std::uint32_t>(Iova(2), 1).error().code, EINVAL);
  EXPECT_EQ(memory->data(3)[0], std::byte{0});
}

TEST_F(PortTest, AtomicsFaultWithoutChange) {
  ASSERT_TRUE(device->attach(domain));
  map(0, 3, 1, Access::reading());
  map(1, 4, 1, Access::writing());
  for (std::uint64_t const iova : {std::uint64_t{0}, page}) {
    auto const outcome = port->fetch_add<std::uint32_t>(Iova(iova), 1);
    ASSERT_TRUE(outcome);
    ASSERT_FALSE(outcome->ok());
    EXPECT_EQ(outcome->fault->reason, Reason::permission);
    EXPECT_EQ(outcome->fault->access, Access::both());
  }
  EXPECT_EQ(port->swap<std::uint64_t>(Iova(2 * page), 1)->fault->reason, Reason::not_mapped);
  EXPECT_EQ(memory->data(3)[0], std::byte{0});
  EXPECT_EQ(memory->data(4)[0], std::byte{0});
}

TEST_F(PortTest, NeverTakesInterruptMessagesForMemory) {
  auto const x86 = Device::create(host, {.requester_id = 1, .interrupt_range = x86_interrupt_range}).value();
  port = x86->open_port().value();
  FormatConfiguration format = vtd;
  format.dirty_updates = true;
  domain = make_domain(format);
  ASSERT_TRUE(x86->attach(domain));
  // The range lies in the middle of what two large entries map, and the neighbours are cached.
  ASSERT_TRUE(domain->map({0xfec00000, 0xfeffffff}, memory->address(0), read_write));
  auto const below = translate(0xfedff000, Access::both());
  ASSERT_TRUE(below);
  EXPECT_EQ(below->length, 0x1000u);
  ASSERT_TRUE(translate(0xfef00000, Access::both()));
  for (std::uint64_t const iova : {0xfee00000u, 0xfee01234u, 0xfeefffffu}) {
    auto const chunk = translate(iova, Access::writing());
    ASSERT_FALSE(chunk) << iova;
    EXPECT_EQ(chunk.error().reason, Reason::out_of_range);
    EXPECT_FALSE(translate(iova, Access::reading()));
  }
  auto const bytes = pattern(32);
  DmaResult const written = port->write(Iova(0xfedffff0), bytes.data(), 32);
  EXPECT_EQ(written.done, 16u);
  EXPECT_EQ(written.fault->iova, 0xfee00000u);

  ASSERT_TRUE(device->attach(domain));  // a device without messages
  auto const plain = device->open_port().value();
  EXPECT_TRUE(plain->write(Iova(0xfee00000), bytes.data(), 32).ok());
}

TEST_F(PortTest, MessagesLeaveNoTraceInTheTable) {
  auto const x86 = Device::create(host, {.requester_id = 1, .interrupt_range = x86_interrupt_range}).value();
  port = x86->open_port().value();
  FormatConfiguration format = vtd;
  format.dirty_updates = true;
  domain = make_domain(format);
  ASSERT_TRUE(x86->attach(domain));
  ASSERT_TRUE(domain->map({0xfee00000, 0xfeefffff}, memory->address(0), read_write));
  EXPECT_FALSE(translate(0xfee00000, Access::writing()));
  ASSERT_TRUE(domain->read_dirty({0xfee00000, 0xfeefffff}, Clear::no, [](Range) { FAIL() << "nothing was written"; }));
}

TEST_F(PortTest, SaysThatADeviceIsNotAttached) {
  std::uint8_t byte = 0;
  auto const read = port->read(Iova(0x1234), &byte, 1, Pasid{7});
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.fault->reason, Reason::configuration);
  EXPECT_EQ(read.fault->device, 0x1a8u);
  EXPECT_EQ(read.fault->pasid, 7u);
  EXPECT_EQ(read.fault->iova, 0x1234u);
  EXPECT_FALSE(port->read(Iova(0x1234), &byte, 1).fault->pasid);
  EXPECT_EQ(describe(*read.fault), "iova 0x1234, pasid 0x7 read: the device is not attached to a domain");
}

TEST_F(PortTest, FaultRecordsSayWhoWhatWhereAndWhy) {
  ASSERT_TRUE(device->attach(domain, Pasid{9}));
  map(0x12345, 1, 1, Access::reading());
  std::uint8_t byte = 0;
  auto const fault = port->write(Iova(0x12345678), &byte, 1, Pasid{9}).fault.value();
  EXPECT_EQ(fault.device, 0x1a8u);
  EXPECT_EQ(fault.pasid, 9u);
  EXPECT_EQ(fault.iova, 0x12345678u);
  EXPECT_EQ(fault.access, Access::writing());
  EXPECT_EQ(fault.reason, Reason::permission);
  EXPECT_EQ(fault.domain, DomainKind::paging);
  EXPECT_EQ(fault.depth, 0u);
  EXPECT_EQ(fault.level, 0u);
  EXPECT_EQ(fault.entry_address & 0xfff, (0x12345u & 0x1ff) * 8);
  std::uint64_t stored = 0;
  std::memcpy(&stored, host.tables->pointer(fault.entry_address), 8);
  EXPECT_EQ(fault.entry, stored);
  EXPECT_EQ(fault.entry & ~std::uint64_t{0xfff}, memory->address(1).value);

  auto const hole = port->read(Iova(bit(39)), &byte, 1, Pasid{9}).fault.value();
  EXPECT_EQ(hole.reason, Reason::not_mapped);
  EXPECT_EQ(hole.level, 3u);
  EXPECT_EQ(hole.entry_address & 0xfff, 8u);
  EXPECT_EQ(port->read(Iova(bit(48)), &byte, 1, Pasid{9}).fault->reason, Reason::out_of_range);
}

// Through a user page table: which domain of the tree refuses.
struct PortOverUserTable : PortTest {
  PortOverUserTable() {
    EXPECT_TRUE(domain->map({0, 0xfffff}, memory->address(0), read_write));  // guest memory: 1 MiB
    nested = NestedDomain::create(domain, user.description()).value();
    EXPECT_TRUE(device->attach(nested));
  }
  ShiftedMemory guest = guest_memory(*memory, memory->range().start);
  UserTable user{{.format = FormatName::x86_64, .levels = 4}, guest, {0x10000, 0x1ffff}};
  std::shared_ptr<NestedDomain> nested;
};
using PortNested = PortOverUserTable;

TEST_F(PortNested, SaysWhichDomainOfTheTreeRefused) {
  constexpr std::uint64_t read_only = 0x7000'0000, beyond = 0x7000'1000, nowhere = 0x7000'2000;
  ASSERT_TRUE(user.map({read_only, read_only + 0xfff}, 0x40000, Access::reading()));
  ASSERT_TRUE(user.map({beyond, beyond + 0xfff}, 0x200000));  // a guest address that the parent does not map
  std::uint8_t byte = 1;
  auto fault = port->write(Iova(read_only), &byte, 1).fault.value();
  EXPECT_EQ(fault.reason, Reason::permission);
  EXPECT_EQ(fault.domain, DomainKind::nested);
  EXPECT_EQ(fault.depth, 0u);
  EXPECT_TRUE(Range(0x10000, 0x1ffff).contains(fault.entry_address));  // as the guest counts
  EXPECT_NE(describe(fault).find("level 0 of the user page table"), std::string::npos) << describe(fault);

  fault = port->write(Iova(beyond), &byte, 1).fault.value();
  EXPECT_EQ(fault.reason, Reason::output_unreachable);
  EXPECT_EQ(fault.domain, DomainKind::paging);
  EXPECT_EQ(fault.depth, 1u);
  EXPECT_EQ(fault.iova, beyond);

  EXPECT_EQ(port->read(Iova(nowhere), &byte, 1).fault->reason, Reason::not_mapped);
  EXPECT_EQ(port->read(Iova(nowhere), &byte, 1).fault->depth, 0u);

  // The table that holds the leaves goes away under the guest.
  ASSERT_TRUE(port->read(Iova(read_only), &byte, 1).ok());
  ASSERT_TRUE(domain->unmap({0x10000, 0x1ffff}));
  fault = port->read(Iova(read_only), &byte, 1).fault.value();
  EXPECT_EQ(fault.reason, Reason::table_unreachable);
  EXPECT_EQ(fault.domain, DomainKind::nested);
}

TEST_F(PortNested, NeverCachesAFault) {
  std::uint8_t byte = 0;
  EXPECT_FALSE(port->read(Iova(0x5000), &byte, 1).ok());
  memory->data(0x40)[0] = std::byte{42};
  ASSERT_TRUE(user.map({0x5000, 0x5fff}, 0x40000));  // real guests do not invalidate after making an entry present
  EXPECT_EQ(read_byte(0x5000), 42);
  EXPECT_FALSE(port->read(Iova(bit(40)), &byte, 1).ok());
  ASSERT_TRUE(user.map({bit(40), bit(40) + 0xfff}, 0x40000));
  EXPECT_EQ(read_byte(bit(40)), 42);
}

TEST_F(PortNested, ForgetsWhatAnInvalidationCovers) {
  memory->data(0x40)[0] = std::byte{1};
  memory->data(0x41)[0] = std::byte{2};
  ASSERT_TRUE(user.map({0x5000, 0x5fff}, 0x40000));
  EXPECT_EQ(read_byte(0x5000), 1);
  ASSERT_TRUE(user.map({0x5000, 0x5fff}, 0x41000));
  ASSERT_TRUE(nested->invalidate({0x5000, 0x5fff}));
  EXPECT_EQ(read_byte(0x5000), 2);
  // The parent's own changes need no invalidation.
  ASSERT_TRUE(domain->replace({0x41000, 0x41fff}, memory->address(0x40), read_write));
  EXPECT_EQ(read_byte(0x5000), 1);
}

}  // namespace
}  // namespace swiommu

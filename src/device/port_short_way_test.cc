// Pages of a user that a port finds by its lowest table and by what it keeps of the parent: the short way, which must not lead
// where the long one does not.
#include "port_fixture.h"

namespace swiommu {
namespace {

struct PortShortWayTest : PortTest {
  static constexpr std::uint64_t base = 0x200000, tables = 1024 * page;

  PortShortWayTest() {
    map(0, 0, 2048);
    for (std::uint64_t n = 0; n < 8; n++) {
      EXPECT_TRUE(user.map(page_at(n), (n + 8) * page));
      memory->data(n + 8)[0] = std::byte(n + 8);
    }
  }
  static Range page_at(std::uint64_t n) { return Range::block(base + n * page, 12); }
  void attach(Limits limits = {}) {
    nested = NestedDomain::create(domain, user.description(), std::nullopt, limits).value();
    ASSERT_TRUE(device->attach(nested));
  }
  // From now on the lowest table is kept, and what the parent has behind a page.
  void read_all(std::uint64_t pages = 8) const {
    for (std::uint64_t n = 0; n < pages; n++) EXPECT_EQ(read_byte(base + n * page), n + 8);
    ASSERT_TRUE(nested->invalidate(page_at(64)));  // with which the table of its block is forgotten, and found again
    EXPECT_EQ(read_byte(base), 8);
  }
  [[nodiscard]] Reason reason(std::uint64_t iova, Access access) const {
    auto const chunk = translate(iova, access);
    return chunk ? Reason::none : chunk.error().reason;
  }
  // Is everything there that the short way needs?
  [[nodiscard]] bool leads_to(std::uint64_t n, Access access = Access::reading()) const {
    struct Reader final : ParentReader {
      KeptBlock kept(Domain const&, std::uint64_t input, Access) override {
        return {.data = pages + input, .access = Access::both(), .size_lg2 = 21};
      }
      Translation translate(Domain const&, std::uint64_t, Access) override { return {.reason = Reason::not_mapped}; }
      Chunk locate(Domain const&, std::uint64_t, Access) override { return {}; }
      LowestTable lowest_table(std::uint64_t, Access) override { return {.words = table}; }
      void keep_lowest_table(std::uint64_t, LowestTable const&) override {}
      std::byte* pages = nullptr;
      std::byte* table = nullptr;
    } reader;
    Walk const walk = user_table().walk(base, Access::reading(), Update::no);
    reader.pages = memory->data(0);
    reader.table = memory->data(0) + align_down(walk.entry_address, LowestTable::bytes_lg2);
    KeptBlock const found = nested->page_through(reader, base + n * page, access);
    if (found.data != nullptr) {
      EXPECT_EQ(found.data, memory->data(n + 8));
      EXPECT_EQ(found.size_lg2, KeptBlock::page_lg2);
    }
    return found.data != nullptr;
  }
  [[nodiscard]] PageTable const& user_table() const { return *nested->table_for(base); }

  ShiftedMemory guest = guest_memory(*memory, memory->address(0).value);
  UserTable user{{.format = FormatName::riscv, .levels = 4}, guest, {tables, tables + 64 * page - 1}};
  std::shared_ptr<NestedDomain> nested;
};

TEST_F(PortShortWayTest, FindsAPageAndCountsAsAWalk) {
  attach();
  EXPECT_TRUE(leads_to(3));
  EXPECT_TRUE(leads_to(3, Access::writing()));
  EXPECT_FALSE(leads_to(9)) << "nothing is mapped there";
  read_all();
  DmaCounts const before = port->counts();
  ASSERT_TRUE(nested->invalidate(page_at(3)));
  EXPECT_EQ(read_byte(base + 3 * page), 11);
  EXPECT_EQ(port->counts().walks, before.walks + 1);
  EXPECT_EQ(port->counts().nested_walks, before.nested_walks + 1);
}

TEST_F(PortShortWayTest, IsNotTakenWhereTheDomainHasLimits) {
  attach({.aperture = {base, base + 4 * page - 1}, .rights = Access::reading()});
  EXPECT_FALSE(leads_to(0));
  read_all(4);
  EXPECT_EQ(reason(base + 4 * page, Access::reading()), Reason::out_of_range);
  EXPECT_EQ(reason(base, Access::writing()), Reason::permission);
}

TEST_F(PortShortWayTest, GoesAroundMessagesThatCutAPage) {
  port.reset();
  device = Device::create(host, {.interrupt_range = Range{base + page + 0x800, base + page + 0xfff}}).value();
  port = device->open_port().value();
  attach();
  read_all();
  ASSERT_TRUE(nested->invalidate(page_at(1)));
  auto const chunk = translate(base + page, Access::reading());
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->length, 0x800u);
  EXPECT_EQ(reason(base + page + 0x800, Access::writing()), Reason::out_of_range);
}

TEST_F(PortShortWayTest, WritesWhereTheParentAllowsItOnly) {
  ASSERT_TRUE(domain->unmap({10 * page, 11 * page - 1}, Cut::split));
  map(10, 10, 1, Access::reading());
  attach();
  read_all();
  for (unsigned again = 0; again < 2; again++) {
    EXPECT_EQ(reason(base + 2 * page, Access::writing()), Reason::permission);
    EXPECT_EQ(reason(base + 3 * page, Access::writing()), Reason::none);
    ASSERT_TRUE(nested->invalidate(page_at(2)));
  }
}

TEST_F(PortShortWayTest, IsNotTakenToPagesThatAreALeafTogether) {
  ASSERT_TRUE(user.map({base + 0x10000, base + 0x1ffff}, 0x20000));  // one leaf of 64 KiB
  attach();
  ASSERT_EQ(user_table().walk(base + 0x10000, Access::reading(), Update::no).size_lg2, 16);
  EXPECT_FALSE(leads_to(16));
  memory->data(0x25)[0] = std::byte{0x25};
  EXPECT_EQ(read_byte(base + 0x15000), 0x25);
  // One address of a leaf stands for all of it.
  ASSERT_TRUE(user.unmap({base + 0x10000, base + 0x1ffff}));
  ASSERT_TRUE(nested->invalidate(page_at(16)));
  EXPECT_EQ(reason(base + 0x15000, Access::reading()), Reason::not_mapped);
}

}  // namespace
}  // namespace swiommu

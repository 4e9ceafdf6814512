// Hostile user page tables: all of guest memory is table and data at once, full of words that mean something.
#include <gtest/gtest.h>

#include <sstream>

#include "nesting/mechanism.h"

namespace swiommu::nesting {
namespace {

class HostileGuest {
 public:
  static constexpr std::uint64_t size = 0x80000;          // guest addresses 0 to here, as far as the parent maps them
  static constexpr std::uint64_t host_base = 0x40000000;  // 1:1 behind it, but for what random changes do
  static constexpr std::uint64_t budget = 1 << 13;

  HostileGuest(FormatCase const& user, FormatCase const& parent_format, Random& random)
      : user_(user), words_(words_of(user.format)), random_(random), parent(*PagingDomain::create(host, parent_format.format)) {
    granule_ = bit(parent->shape().smallest_page_lg2());
    EXPECT_TRUE(parent->map({0, size - 1}, HostAddress(host_base), {.access = Access::both()}));
    for (std::uint64_t at = 0; at < size; at += 8) scribble(at);
    device_ = *Device::create(host);
    port_ = *device_->open_port();
  }

  // A table somewhere in this memory, or nearly.
  UserPageTable any_table() {
    std::uint64_t root = align_down(any_of_level(words_.geometry.top()), words_.root_size_lg2);
    if (one_in(random_, 8)) root = align_down(below(random_, size), 3);
    if (one_in(random_, 16)) root = random_();
    return {.format = user_.format, .root = root, .big_endian = user_.big_endian};
  }

  void scribble(std::uint64_t address) { write(address, hostile_word(one_in(random_, 8) ? any_level() : level_of(address))); }
  void write(std::uint64_t address, std::uint64_t word) {
    memory->word(host_base + address) = user_.big_endian ? __builtin_bswap64(word) : word;
  }

  void change_parent() {
    std::uint64_t const at = align_down(below(random_, size), log2_floor(granule_));
    Range const page{at, at + granule_ - 1};
    std::uint64_t const to = host_base + align_down(below(random_, size), log2_floor(granule_));
    if (one_in(random_, 4))
      EXPECT_TRUE(parent->unmap(page, Cut::split));
    else
      EXPECT_TRUE(parent->replace(page, HostAddress(to), {.access = one_in(random_, 4) ? Access::reading() : Access::both()}));
  }

  // An iova whose walk is likely to be long: one that the formats' own root covers.
  std::uint64_t any_iova(TableShape const& shape) {
    Range const& half = shape.upper && one_in(random_, 2) ? *shape.upper : shape.lower;
    std::uint64_t const length = half.length();
    return half.start + (length == 0 ? random_() : below(random_, length));
  }

  // DMA through the nested domain changes this memory, tables included.
  void dma(std::shared_ptr<Domain> const& domain, std::uint64_t iova) {
    if (!device_->domain())
      ASSERT_TRUE(device_->attach(domain));
    else
      ASSERT_TRUE(device_->replace(domain));
    std::uint64_t word = hostile_word(any_level());
    (void)port_->write(Iova(iova), &word, sizeof(word));
    (void)port_->read(Iova(iova), &word, sizeof(word));
  }
  void detach() { (void)device_->detach(); }

  FormatCase user_;
  Words words_;
  Random& random_;
  std::shared_ptr<HostMemory> const memory = std::make_shared<HostMemory>(host_base, size);
  Host const host = *Host::create(memory);
  std::shared_ptr<PagingDomain> const parent;

 private:
  // Most tables lie where tables of their level lie, so that walks get somewhere.
  [[nodiscard]] unsigned level_of(std::uint64_t address) const {
    return static_cast<unsigned>((address >> 14) % words_.geometry.levels);
  }
  unsigned any_level() { return static_cast<unsigned>(below(random_, words_.geometry.levels)); }
  std::uint64_t any_of_level(unsigned level) {
    std::uint64_t const blocks = (size >> 14) / words_.geometry.levels;
    return (below(random_, blocks) * words_.geometry.levels + level) << 14;
  }

  std::uint64_t hostile_word(unsigned level) {
    std::uint64_t address = align_down(below(random_, size), one_in(random_, 3) ? 12 : 16);
    if (one_in(random_, 10)) address = random_() & low_bits(40);
    std::uint64_t const sizes = words_.leaf_sizes(level);
    std::uint64_t word = random_();
    if (one_in(random_, 8)) {
      word = words_.empty(level);
    } else if (sizes != 0 && (level == 0 || one_in(random_, 5))) {
      unsigned const lg2 = one_in(random_, 2) ? log2_floor(sizes) : alignment_lg2(sizes);
      word = words_.leaf(one_in(random_, 3) ? address : align_down(address, lg2), level, lg2,
                         {!one_in(random_, 4), !one_in(random_, 3)});
    } else if (level > 0 && !one_in(random_, 16)) {
      word = words_.table(one_in(random_, 6) ? address : any_of_level(level - 1), level);
    }
    if (one_in(random_, 6)) word ^= bit(static_cast<unsigned>(below(random_, 64)));
    return word;
  }

  std::uint64_t granule_ = 0;
  std::shared_ptr<Device> device_;
  std::unique_ptr<Port> port_;
};

std::string where(char const* what, std::uint64_t iova, Translation const& nested, Translation const& shadow) {
  std::ostringstream text;
  text << what << std::hex << " iova 0x" << iova << ": nested " << name(nested.reason) << " 0x" << nested.output << ", shadow "
       << name(shadow.reason) << " 0x" << shadow.output;
  return text.str();
}

void expect_alike(Domain const& nested, Domain const& shadow, std::uint64_t iova, bool shadow_may_fault) {
  for (Access const access : {Access::reading(), Access::writing(), Access::both()}) {
    Translation const one = nested.translate(iova, access, Update::yes), other = shadow.translate(iova, access, Update::yes);
    if (shadow_may_fault && !other.ok()) continue;
    ASSERT_EQ(one.ok(), other.ok()) << where("", iova, one, other);
    if (one.ok()) {
      ASSERT_EQ(one.output, other.output) << where("", iova, one, other);
    }
  }
}

class HostileTablesOf : public testing::TestWithParam<FormatCase> {};

TEST_P(HostileTablesOf, NestedAndFreshlyRefreshedShadowAgreeAndReadNothingElse) {
  Random random(seed());
  SCOPED_TRACE("SWIOMMU_SEED=" + std::to_string(seed()));
  std::uint64_t translated = 0;
  for (FormatCase const& parent_format : parent_formats()) {
    SCOPED_TRACE("parent " + parent_format.name);
    HostileGuest guest(GetParam(), parent_format, random);
    for (unsigned round = 0; round < effort(60); round++) {
      UserPageTable const table = guest.any_table();
      std::shared_ptr<Domain> const nested = *NestedDomain::create(guest.parent, table);
      auto const shadow = *ShadowDomain::create(guest.parent, table, {}, ShadowDomain::default_format, HostileGuest::budget);
      TableShape const shape = static_cast<NestedDomain&>(*nested).table_for(0)->shape();
      for (unsigned n = 0; n < 4; n++) {
        std::uint64_t const iova = guest.any_iova(shape);
        Range const few{align_down(iova, 14), iova | low_bits(14)};
        auto const refreshed = shadow->refresh(few);
        ASSERT_TRUE(refreshed || refreshed.error().code == E2BIG) << refreshed.error().message();
        for (unsigned page = 0; page < 4; page++) {
          std::uint64_t const at = few.start + page * unit_size + below(random, unit_size);
          std::uint64_t const before = guest.memory->locates;
          translated += nested->translate(at, Access::reading(), Update::yes).ok();
          ASSERT_LT(guest.memory->locates - before, 1000u);
          ASSERT_NO_FATAL_FAILURE(expect_alike(*nested, *shadow, at, !refreshed));
        }
        ASSERT_NO_FATAL_FAILURE(guest.dma(nested, iova));
        for (unsigned words = 0; words < 32; words++) guest.scribble(below(random, HostileGuest::size / 8) * 8);
        if (one_in(random, 4)) {
          // A change of the parent brings the shadow up to date only where it concerns what the shadow has asked for.
          guest.change_parent();
          (void)shadow->refresh(Range::all());
          for (unsigned sample = 0; sample < 8; sample++)
            ASSERT_NO_FATAL_FAILURE(expect_alike(*nested, *shadow, one_in(random, 2) ? iova : guest.any_iova(shape), true));
        }
      }
      guest.detach();
    }
  }
  EXPECT_GT(translated, 0u) << "nothing was ever translated: the test shows nothing";
}

TEST_P(HostileTablesOf, ATableThatHoldsItselfIsGivenUpAndLeavesTheShadowEmpty) {
  Random random(seed());
  for (FormatCase const& parent_format : {parent_formats().front(), parent_formats().back()}) {
    HostileGuest guest(GetParam(), parent_format, random);
    unsigned const top = guest.words_.geometry.top();
    // Every item of every table leads to a table full of leaves and tables, or to itself.
    for (std::uint64_t at = 0; at < HostileGuest::size; at += 8) {
      auto const level = static_cast<unsigned>(at / 0x8000 % (top + 1));
      bool const leaf = level == 0 || at % 0x8000 >= 0x7000;
      std::uint64_t const sizes = guest.words_.leaf_sizes(level);
      guest.write(at, leaf && sizes ? guest.words_.leaf(0, level, alignment_lg2(sizes), Access::both())
                                    : guest.words_.table(one_in(random, 2) ? align_down(at, 15) : align_down(at, 15) - 0x8000,
                                                         std::max(level, 1u)));
    }
    UserPageTable const table{
        .format = GetParam().format, .root = std::uint64_t{top} * 0x8000, .big_endian = GetParam().big_endian};
    auto const shadow = *ShadowDomain::create(guest.parent, table, {}, ShadowDomain::default_format, HostileGuest::budget);
    auto const nested = *NestedDomain::create(guest.parent, table);
    std::uint64_t const before = guest.memory->locates;
    auto const refreshed = shadow->refresh(Range::all());
    EXPECT_TRUE(refreshed || refreshed.error().code == E2BIG);
    EXPECT_LT(guest.memory->locates - before, 8 * HostileGuest::budget);
    if (!refreshed) {
      EXPECT_TRUE(shadow->visit(Range::all(), [](Leaf const&) { return false; })) << "something is left";
      EXPECT_FALSE(shadow->translate(0, Access::reading(), Update::no).ok());
    }
    // What people look at ends as well.
    (void)visit_coalesced(*nested, Range::all(), [](MappedRange const&) { return true; }, HostileGuest::budget);
    // Changes of the parent refresh the shadow by themselves.
    guest.change_parent();
    EXPECT_LT(guest.memory->locates - before, 30 * HostileGuest::budget);
  }
}

TEST_P(HostileTablesOf, AShadowThatFindsNoMemoryIsEmptyAndCanBeRefreshedLater) {
  Random random(seed());
  SCOPED_TRACE("SWIOMMU_SEED=" + std::to_string(seed()));
  HostileGuest guest(GetParam(), parent_formats().front(), random);
  for (unsigned round = 0; round < effort(30); round++) {
    UserPageTable const table = guest.any_table();
    auto const shadow = *ShadowDomain::create(guest.parent, table, {}, ShadowDomain::default_format, HostileGuest::budget);
    std::shared_ptr<Domain> const nested = *NestedDomain::create(guest.parent, table);
    TableShape const shape = static_cast<NestedDomain&>(*nested).table_for(0)->shape();
    std::uint64_t const iova = guest.any_iova(shape);
    (void)shadow->refresh(Range::block(iova, 16));
    guest.host.tables->fail_after(below(random, 4));
    Range const stale = Range::block(guest.any_iova(shape), 30);
    auto const refreshed = shadow->refresh(stale);
    guest.host.tables->fail_after(TableAllocator::never);
    if (!refreshed) {
      ASSERT_TRUE(refreshed.error().code == ENOMEM || refreshed.error().code == E2BIG);
      EXPECT_TRUE(shadow->visit(stale, [](Leaf const&) { return false; })) << "something is left";
      if (stale.contains(iova)) {
        EXPECT_FALSE(shadow->translate(iova, Access::reading(), Update::no).ok());
      }
    }
    auto const again = shadow->refresh(Range::block(iova, 14));
    ASSERT_TRUE(again || again.error().code == E2BIG);
    ASSERT_NO_FATAL_FAILURE(expect_alike(*nested, *shadow, iova, !again));
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, HostileTablesOf, testing::ValuesIn(user_formats()), [](auto const& c) { return c.param.name; });

}  // namespace
}  // namespace swiommu::nesting

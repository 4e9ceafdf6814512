// The contract of staleness, for both mechanisms: a guest edits its table at random and invalidates late, devices do DMA
// in between, the parent changes, and a model that knows nothing of tables says what the devices may see.
#include <gtest/gtest.h>

#include <sstream>

#include "nesting/mechanism.h"

namespace swiommu::nesting {
namespace {

class History {
 public:
  History(FormatCase const& user, FormatCase const& parent, Layout layout, std::uint64_t seed)
      : random_(seed),
        guest_(parent, layout, random_),
        table_(user, *guest_.parent, Guest::tables, random_),
        judge_(guest_, table_, random_),
        nested_("nested", false, guest_, *NestedDomain::create(guest_.parent, table_.description)),
        shadow_("shadow", true, guest_, *ShadowDomain::create(guest_.parent, table_.description)) {
    invalidate(Range::all());
  }

  void steps(unsigned count) {
    for (unsigned n = 0; n < count && !testing::Test::HasFatalFailure(); n++) {
      if (one_in(random_, 3)) edit();
      settle_due();
      if (one_in(random_, 24)) {
        ASSERT_NO_FATAL_FAILURE(change_parent()) << "step " << step_;
      }
      for (unsigned accesses = 0; accesses < 4; accesses++) {
        ASSERT_NO_FATAL_FAILURE(judge_.access(one_in(random_, 2) ? nested_ : shadow_, any_iova())) << "step " << step_;
      }
      if (one_in(random_, 300)) {
        ASSERT_NO_FATAL_FAILURE(settle_all());
      }
      step_++;
    }
    settle_all();
  }

 private:
  struct Due {
    std::uint64_t step;
    Range range;
  };

  // Mostly where something happens.
  std::uint64_t any_iova() {
    if (!recent_.empty() && one_in(random_, 2)) {
      Range const range = any_of(random_, recent_);
      return range.start + below(random_, std::min<std::uint64_t>(range.length() - 1, 4 * unit_size) + 1);
    }
    return table_.any_iova();
  }

  void edit() {
    auto const range = table_.edit();
    if (!range) return;
    recent_.push_back(*range);
    if (recent_.size() > 8) recent_.erase(recent_.begin());
    std::uint64_t const late = one_in(random_, 3) ? 0 : below(random_, one_in(random_, 2) ? 20 : 1001);
    Range wider = *range;
    if (one_in(random_, 4)) wider = Range::block(range->start, 21);
    if (one_in(random_, 12)) wider = Range::all();
    due_.push_back({step_ + late, {std::min(range->start, wider.start), std::max(range->last, wider.last)}});
  }

  void settle_due() {
    for (std::size_t n = 0; n < due_.size();)
      if (due_[n].step <= step_) {
        Range const range = due_[n].range;
        due_.erase(due_.begin() + static_cast<std::ptrdiff_t>(n));
        invalidate(range);
      } else {
        n++;
      }
  }

  void invalidate(Range range) {
    EXPECT_TRUE(nested_.domain->invalidate(range));
    EXPECT_TRUE(static_cast<ShadowDomain&>(*shadow_.domain).refresh(range));
    table_.model.invalidate(range);
    if (range == Range::all()) table_.all_invalidated();
  }

  void change_parent() {
    switch (below(random_, 8)) {
      case 0: return guest_.move_tables();
      case 1: {
        guest_.hide_tables();
        for (Mechanism* const mechanism : {&nested_, &shadow_})
          for (Access const access : {Access::reading(), Access::writing()}) {
            Translation const t = mechanism->domain->translate(any_iova(), access, Update::yes);
            EXPECT_FALSE(t.ok()) << mechanism->name << " translates by a table that is not there";
          }
        return guest_.show_tables();
      }
      case 2: return harvest();
      default: {
        // What is known of pages that have been written to goes with their mappings.
        Range const changed = guest_.change_parent();
        std::erase_if(judge_.written, [&](auto const& alternatives) {
          return std::ranges::any_of(alternatives, [&](std::uint64_t page) { return changed.contains(page); });
        });
      }
    }
  }

  // All that was written by DMA since the last harvest is dirty.
  void harvest() {
    if (!guest_.parent->shape().tracks_dirty) return;
    std::vector<Range> dirty;
    ASSERT_TRUE(guest_.parent->read_dirty(Guest::data, Clear::yes, [&](Range range) { dirty.push_back(range); }));
    for (auto const& alternatives : judge_.written) {
      bool const found = std::ranges::any_of(alternatives, [&](std::uint64_t page) {
        return std::ranges::any_of(dirty, [&](Range range) { return range.contains(page); });
      });
      EXPECT_TRUE(found) << "a page that DMA wrote to is not dirty: guest address 0x" << std::hex << alternatives.front();
    }
    judge_.written.clear();
  }

  void settle_all() {
    for (Due const& due : due_) invalidate(due.range);
    due_.clear();
    ASSERT_TRUE(table_.model.all_settled());
    if (one_in(random_, 2)) invalidate(Range::all());
    for (Range const& window : table_.windows())
      for (std::uint64_t at = window.start; window.contains(at); at += unit_size) {
        ASSERT_NO_FATAL_FAILURE(judge_.exact(nested_, at)) << "step " << step_;
        ASSERT_NO_FATAL_FAILURE(judge_.exact(shadow_, at)) << "step " << step_;
        if (window.last - at < unit_size) break;
      }
    std::map<std::uint64_t, Outcome> expected;
    for (auto const& [iova, value] : table_.model.values())
      if (Outcome const outcome = guest_.outcome(value, {}); outcome.ok() && outcome.rights != Access{}) expected[iova] = outcome;
    for (Mechanism* const mechanism : {&nested_, &shadow_}) ASSERT_NO_FATAL_FAILURE(all_mappings(*mechanism, expected));
  }

  static void all_mappings(Mechanism const& mechanism, std::map<std::uint64_t, Outcome> const& expected) {
    auto next = expected.begin();
    visit_coalesced(*mechanism.domain, Range::all(), [&](MappedRange const& mapping) {
      if (mapping.attributes.access == Access{}) return true;
      for (std::uint64_t offset = 0; offset < mapping.range.length(); offset += unit_size, ++next) {
        EXPECT_TRUE(next != expected.end() && next->first == mapping.range.start + offset &&
                    next->second.host == mapping.output + offset && next->second.rights == mapping.attributes.access)
            << mechanism.name << std::hex << " shows 0x" << mapping.range.start + offset << " -> 0x" << mapping.output + offset;
        if (testing::Test::HasFailure()) return false;
      }
      return true;
    });
    EXPECT_TRUE(testing::Test::HasFailure() || next == expected.end()) << mechanism.name << " does not show all";
  }

  Random random_;
  Guest guest_;
  UserTable table_;
  Judge judge_;
  Mechanism nested_;
  Mechanism shadow_;
  std::uint64_t step_ = 0;
  std::vector<Due> due_;
  std::vector<Range> recent_;
};

class StalenessOf : public testing::TestWithParam<FormatCase> {};

TEST_P(StalenessOf, EveryTranslationIsOneThatThePathHasHeldSinceItsInvalidation) {
  std::uint64_t number = seed();
  for (FormatCase const& parent : parent_formats())
    for (Layout const layout : {Layout::one_to_one, Layout::scattered}) {
      std::ostringstream about;
      about << "SWIOMMU_SEED=" << seed() << ", parent " << parent.name
            << (layout == Layout::scattered ? ", scattered" : ", one to one");
      SCOPED_TRACE(about.str());
      History(GetParam(), parent, layout, ++number).steps(effort(150));
      if (HasFailure()) return;
    }
}

INSTANTIATE_TEST_SUITE_P(Formats, StalenessOf, testing::ValuesIn(user_formats()), [](auto const& c) { return c.param.name; });

}  // namespace
}  // namespace swiommu::nesting

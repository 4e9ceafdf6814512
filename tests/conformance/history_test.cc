// What a walker sees while a change is being made: after each single store every input shows the old translation or the
// new one, and once it shows the new one it stays so.
#include <functional>

#include "conformance/places.h"
#include "conformance/suite.h"

namespace swiommu::conformance {
namespace {

struct Translation {
  bool mapped = false;
  std::uint64_t output = 0;
  Attributes attributes;
  bool operator==(Translation const&) const = default;
};

Translation translation(PageTable const& table, std::uint64_t input) {
  Walk const walk = table.walk(input, Access{}, Update::no);
  if (walk.reason == Reason::not_mapped) return {};
  EXPECT_EQ(walk.reason, Reason::none);
  return {.mapped = true, .output = walk.output, .attributes = walk.attributes};
}

Translation translation(Model const& model, std::uint64_t input) {
  auto const at = model.find(input);
  if (at == model.entries().end()) return {};
  return {.mapped = true, .output = at->second.output + (input - at->first), .attributes = at->second.attributes};
}

class Watch {
 public:
  explicit Watch(CheckedTable& t) : t_(t) {}

  // Inputs to look at: the edges of `range` and of all its smallest and largest pages, as far as there are not too many.
  void look_at(Range range) {
    auto const add = [&](std::uint64_t input) {
      if (t_.shape().contains({input, input})) inputs_.push_back(input);
    };
    for (std::uint64_t const edge : {range.start, range.last + 1})
      for (unsigned const lg2 : t_.format().chosen_sizes())
        for (std::uint64_t const at :
             {align_down(edge, lg2), align_down(edge, lg2) - bit(lg2), align_down(edge, lg2) + bit(lg2)}) {
          add(at);
          add(at - 1);
        }
    for (unsigned n = 0; n <= 12; n++) add(range.start + (range.last - range.start) / 12 * n);
  }

  // Makes one change, which `expected` applies to a copy of the model, and looks at each store.
  void during(std::function<void(CheckedTable&)> const& change, std::function<void(Model&)> const& expected) {
    Model after = t_.model();
    expected(after);
    std::vector<Translation> old_ones, new_ones;
    for (std::uint64_t const input : inputs_) {
      old_ones.push_back(translation(t_.model(), input));
      new_ones.push_back(translation(after, input));
    }
    std::vector<bool> turned(inputs_.size(), false);
    Recorder& recorder = *t_.made().recorder;
    recorder.after_store = [&] {
      for (std::size_t i = 0; i < inputs_.size(); i++) {
        Translation const now = translation(t_.table(), inputs_[i]);
        bool const is_new = now == new_ones[i], is_old = now == old_ones[i];
        if ((!is_new && !is_old) || (turned[i] && !is_new))
          ADD_FAILURE() << std::hex << inputs_[i] << " shows " << now.output << (now.mapped ? "" : " (nothing)") << ", neither "
                        << old_ones[i].output << " nor " << new_ones[i].output << ", or no longer, after store " << std::dec
                        << recorder.stores;
        if (is_new && !is_old) turned[i] = true;
      }
    };
    recorder.before_retire = [&](std::uint64_t table) {
      for (std::uint64_t const input : inputs_) {
        std::vector<WalkStep> steps;
        ASSERT_TRUE(t_.table().explain(input, Access{}, steps));
        for (WalkStep const& s : steps) EXPECT_NE(s.table, table) << "a table is retired that walkers still reach";
      }
    };
    std::uint64_t const before = recorder.stores;
    change(t_);
    EXPECT_GT(recorder.stores, before) << "nothing was recorded";
    EXPECT_FALSE(recorder.stored_into_retired);
    recorder.after_store = [] {};
    recorder.before_retire = [](std::uint64_t) {};
    t_.check();
  }

 private:
  CheckedTable& t_;
  std::vector<std::uint64_t> inputs_;
};

void watched_map(CheckedTable& t, Range range, std::uint64_t output, Attributes attributes, Existing existing) {
  Watch watch(t);
  watch.look_at(range);
  watch.during([&](CheckedTable& c) { ASSERT_EQ(c.map(range, output, attributes, existing, Cut::split), 0); },
               [&](Model& m) { m.map(range, output, t.format().expresses(attributes), existing, Cut::split); });
}

void watched_unmap(CheckedTable& t, Range range) {
  Watch watch(t);
  watch.look_at(range);
  watch.during([&](CheckedTable& c) { ASSERT_EQ(c.unmap(range, Cut::split), 0); },
               [&](Model& m) {
                 std::uint64_t bytes = 0;
                 m.unmap(range, Cut::split, bytes);
               });
}

class PageTableHistory : public Conformance {};

TEST_P(PageTableHistory, MappingShowsNothingOrTheNewTranslation) {
  for_each_table(
      [](CheckedTable& t) {
        for (auto const [small, large] : size_pairs(t.format())) {
          if (large - small > 9 || !has_room(t.format(), large + 1)) continue;
          Range const place = places(t.format(), large + 1).back();
          Range const range{place.start + bit(large) - bit(small), place.last - bit(small)};
          watched_map(t, range, output_for(t.format(), 1, large + 1) + (range.start - place.start), read_write, Existing::refuse);
          watched_unmap(t, place);
        }
      },
      {TablesIn::recording_memory});
}

TEST_P(PageTableHistory, ReplacingShowsTheOldOrTheNewTranslationAndNothingBetween) {
  for_each_table(
      [](CheckedTable& t) {
        for (auto const [small, large] : size_pairs(t.format())) {
          if (large - small > 9) continue;
          Range const place = places(t.format(), large).back();
          Range const inside = Range::block(place.start + bit(large) / 2, small);
          std::uint64_t const first = output_for(t.format(), 1, large), second = output_for(t.format(), 2, large);
          std::uint64_t const askew = align_down(second, large + 1) + bit(small);  // so that the last output exists
          watched_map(t, place, first, read_write, Existing::refuse);
          watched_map(t, inside, output_for(t.format(), 3, small), read_only, Existing::replace);  // cut out of a large one
          watched_map(t, place, second, read_only, Existing::replace);                             // larger over smaller
          watched_map(t, place, first, read_write, Existing::replace);                             // like over like
          watched_map(t, place, askew, read_write, Existing::replace);                             // smaller over larger
          watched_map(t, place, first, read_only, Existing::replace);
          watched_unmap(t, place);
        }
      },
      {TablesIn::recording_memory});
}

TEST_P(PageTableHistory, UnmappingShowsTheOldTranslationOrNothing) {
  for_each_table(
      [](CheckedTable& t) {
        for (auto const [small, large] : size_pairs(t.format())) {
          if (large - small > 9) continue;
          Range const place = places(t.format(), large).front();
          std::uint64_t const output = output_for(t.format(), 1, large);
          for (Range const part : {Range::block(place.start + bit(large) / 2, small), Range{place.start, place.last - bit(small)},
                                   Range{place.start + bit(small), place.last}}) {
            ASSERT_EQ(t.map(place, output), 0);
            watched_unmap(t, part);  // splits
            watched_unmap(t, place);
          }
        }
      },
      {TablesIn::recording_memory});
}

SWIOMMU_FOR_ALL_FORMATS(PageTableHistory);

}  // namespace
}  // namespace swiommu::conformance

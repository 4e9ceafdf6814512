// Threads change disjoint ranges of one table at the same time, while others walk.
#include <gtest/gtest.h>

#include <atomic>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "conformance/configurations.h"
#include "conformance/effort.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu::conformance {
namespace {

// Each thread owns every n-th stripe of the inputs. Stripes are smaller than what one table covers, so that threads meet in
// the same tables and race to install them.
class StripedChanges {
 public:
  StripedChanges(PageTable& table, unsigned threads, unsigned stripe_lg2)
      : table_(table), threads_(threads), stripe_lg2_(stripe_lg2), start_(table.shape().lower.start), owned_(threads) {
    for (auto& pages : owned_) pages.resize(stripes * bit(stripe_lg2 - page_lg2()), false);
  }

  static constexpr std::uint64_t stripes = 48;  // of each thread

  // What is mapped is always mapped to the same place.
  [[nodiscard]] std::uint64_t output(std::uint64_t input) const { return input - start_ + bit(stripe_lg2_); }

  void change(unsigned thread, unsigned steps) {
    Random random(seed() + thread);
    Gather gather;  // other threads walk: tables are freed at the end
    std::vector<bool>& pages = owned_[thread];
    std::uint64_t const in_stripe = bit(stripe_lg2_ - page_lg2());
    for (unsigned n = 0; n < steps; n++) {
      std::uint64_t const stripe = below(random, stripes);
      std::uint64_t first = below(random, in_stripe), count = 1 + below(random, in_stripe - first);
      if (one_in(random, 3)) first = 0, count = in_stripe;
      bool const is_free = std::none_of(at(pages, stripe, first), at(pages, stripe, first + count), [](bool b) { return b; });
      Range const range{input_of(thread, stripe, first), input_of(thread, stripe, first + count - 1) + low_bits(page_lg2())};
      if (one_in(random, 2)) {
        auto const mapped =
            table_.map(range, output(range.start), {.access = Access::both()}, Existing::refuse, Cut::refuse, gather);
        if (mapped.has_value() != is_free) failures_++;
        if (mapped) std::fill(at(pages, stripe, first), at(pages, stripe, first + count), true);
      } else {
        auto const bytes =
            static_cast<std::uint64_t>(std::count(at(pages, stripe, first), at(pages, stripe, first + count), true))
            << page_lg2();
        auto const unmapped = table_.unmap(range, Cut::split, gather);
        if (!unmapped || *unmapped != bytes) failures_++;
        std::fill(at(pages, stripe, first), at(pages, stripe, first + count), false);
      }
    }
    running_--;
    while (running_ != 0) std::this_thread::yield();
    gather.finish();
  }

  // Whatever a walk finds is right for its input.
  void walk() {
    Random random(seed() ^ 77);
    while (running_ != 0) {
      std::uint64_t const input = start_ + below(random, (stripes * threads_) << stripe_lg2_);
      Walk const walk = table_.walk(input, one_in(random, 2) ? Access::writing() : Access::reading(), Update::yes);
      if (walk.ok() ? walk.output != output(input) : walk.reason != Reason::not_mapped) failures_++;
    }
  }

  void run(unsigned steps) {
    running_ = threads_;
    std::vector<std::thread> all;
    for (unsigned n = 0; n < threads_; n++) all.emplace_back([this, n, steps] { change(n, steps); });
    all.emplace_back([this] { walk(); });
    for (auto& thread : all) thread.join();
    EXPECT_EQ(failures_, 0u);
  }

  void check() const {
    for (unsigned thread = 0; thread < threads_; thread++)
      for (std::uint64_t page = 0; page < owned_[thread].size(); page++) {
        std::uint64_t const in_stripe = bit(stripe_lg2_ - page_lg2());
        std::uint64_t const input = input_of(thread, page / in_stripe, page % in_stripe);
        Walk const walk = table_.walk(input, Access{}, Update::no);
        ASSERT_EQ(walk.ok(), owned_[thread][page]) << std::hex << input;
        if (walk.ok()) {
          ASSERT_EQ(walk.output, output(input));
        }
      }
  }

 private:
  [[nodiscard]] unsigned page_lg2() const { return table_.shape().smallest_page_lg2(); }
  [[nodiscard]] std::uint64_t input_of(unsigned thread, std::uint64_t stripe, std::uint64_t page) const {
    return start_ + ((stripe * threads_ + thread) << stripe_lg2_) + (page << page_lg2());
  }
  [[nodiscard]] std::vector<bool>::iterator at(std::vector<bool>& pages, std::uint64_t stripe, std::uint64_t page) const {
    return pages.begin() + static_cast<std::ptrdiff_t>(stripe * bit(stripe_lg2_ - page_lg2()) + page);
  }

  PageTable& table_;
  unsigned threads_;
  unsigned stripe_lg2_;
  std::uint64_t start_;
  std::vector<std::vector<bool>> owned_;
  std::atomic<unsigned> running_ = 0;
  std::atomic<unsigned> failures_ = 0;
};

class PageTableConcurrency : public testing::TestWithParam<FormatConfiguration> {};

TEST_P(PageTableConcurrency, DisjointRangesAreChangedAtTheSameTime) {
  for (unsigned const stripe_pages_lg2 : {0u, 4u, 7u}) {
    auto const allocator = *TableAllocator::create(std::uint64_t{4} << 30);
    {
      auto const table = PageTable::create(GetParam(), allocator);
      ASSERT_TRUE(table) << table.error().message();
      unsigned const page_lg2 = (*table)->shape().smallest_page_lg2();
      StripedChanges changes(**table, 3, page_lg2 + stripe_pages_lg2);
      changes.run(effort(3000));
      changes.check();
      Gather gather;
      ASSERT_TRUE((*table)->unmap((*table)->shape().lower, Cut::refuse, gather));
      gather.finish();
      EXPECT_EQ(allocator->tables_in_use(), 1u);
    }
    EXPECT_EQ(allocator->tables_in_use(), 0u);
  }
}

// One configuration of each format of the library, with flags where it has them.
Configurations one_of_each() {
  Configurations all;
  for_each_format([&]<class F>(std::string_view, Expresses const&, Configurations const& configurations) {
    if constexpr (!std::is_same_v<F, ToyFormat>) {
      FormatConfiguration c = configurations.front();
      if (c.format == FormatName::amd_v1) c.levels = 4;
      c.accessed_updates = c.dirty_updates = true;
      all.push_back(c);
    }
  });
  return all;
}

INSTANTIATE_TEST_SUITE_P(Formats, PageTableConcurrency, testing::ValuesIn(one_of_each()),
                         [](auto const& i) { return "Format" + std::to_string(static_cast<int>(i.param.format)); });

}  // namespace
}  // namespace swiommu::conformance

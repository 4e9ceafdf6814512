#include "swiommu/memory/pinned_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <random>
#include <thread>
#include <vector>

namespace swiommu {
namespace {

class PagesTest : public testing::Test {
 protected:
  static constexpr std::uint64_t count = 64;

  PagesTest()
      : data_(
            static_cast<std::byte*>(::mmap(nullptr, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
  ~PagesTest() override { ::munmap(data_, count * 4096); }

  std::unique_ptr<Backing> backing() { return std::move(*UserMemory::create(*space_, data_, count * 4096, true)); }

  std::unique_ptr<HostAddressSpace> space_ = *HostAddressSpace::create(std::uint64_t{1} << 30);
  std::shared_ptr<Account> account_ = std::make_shared<Account>(40);
  std::byte* data_;
};

TEST_F(PagesTest, PinsNothingUntilAsked) {
  ::munmap(data_, count * 4096);
  Pages pages(backing(), account_);
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_EQ(pages.pin(0, 9).error().code, EFAULT);
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_EQ(pages.pinned(), 0u);
}

TEST_F(PagesTest, ChargesEachPageOnce) {
  Pages pages(backing(), account_);
  ASSERT_TRUE(pages.pin(0, 19));
  ASSERT_TRUE(pages.pin(10, 29));
  ASSERT_TRUE(pages.pin(0, 19));
  EXPECT_EQ(account_->charged(), 30u);
  pages.unpin(0, 19);
  EXPECT_EQ(account_->charged(), 30u);
  pages.unpin(0, 19);
  EXPECT_EQ(account_->charged(), 20u);
  EXPECT_EQ(pages.pinned(), 20u);
  pages.unpin(10, 29);
  EXPECT_EQ(account_->charged(), 0u);
}

TEST_F(PagesTest, ObeysTheLimitOfAnAccountThatOthersUse) {
  Pages pages(backing(), account_), others(backing(), account_);
  ASSERT_TRUE(others.pin(0, 29));
  EXPECT_EQ(pages.pin(0, 10).error().code, ENOMEM);
  EXPECT_EQ(account_->charged(), 30u);
  EXPECT_TRUE(pages.pin(0, 9));
  EXPECT_TRUE(pages.pin(3, 8)) << "these are paid for";
  EXPECT_EQ(pages.pin(0, 10).error().code, ENOMEM);
  EXPECT_EQ(account_->charged(), 40u);
}

TEST_F(PagesTest, ChangesNothingWhenPagesAreMissing) {
  ::munmap(data_ + 20 * 4096, 4096);
  Pages pages(backing(), account_);
  ASSERT_TRUE(pages.pin(5, 9));
  EXPECT_EQ(pages.pin(0, 20).error().code, EFAULT);
  EXPECT_EQ(pages.pin(30, 64).error().code, ERANGE);
  EXPECT_EQ(account_->charged(), 5u);
  pages.unpin(5, 9);
  EXPECT_EQ(account_->charged(), 0u);
}

TEST_F(PagesTest, ReleasesWhatIsPinnedWhenItDies) {
  {
    Pages pages(backing(), account_);
    ASSERT_TRUE(pages.pin(0, 19));
    ASSERT_TRUE(pages.pin(5, 24));
  }
  EXPECT_EQ(account_->charged(), 0u);
}

TEST_F(PagesTest, WorksWithoutAnAccount) {
  Pages pages(backing());
  EXPECT_TRUE(pages.pin(0, count - 1));
  EXPECT_EQ(pages.pinned(), count);
  pages.unpin(0, count - 1);
  EXPECT_EQ(pages.pinned(), 0u);
}

TEST_F(PagesTest, AgreesWithCountingEachPage) {
  Pages pages(backing(), account_);
  std::mt19937 random(1);
  std::array<int, count> model{};
  std::vector<Range> pinned;
  auto const charged = [&] {
    return static_cast<std::uint64_t>(std::ranges::count_if(model, [](int users) { return users != 0; }));
  };
  for (int step = 0; step < 2000; ++step) {
    if (pinned.empty() || random() % 2 != 0) {
      std::uint64_t const first = random() % count, last = std::min(first + random() % 16, count - 1);
      auto const before = model;
      for (std::uint64_t i = first; i <= last; ++i) ++model[i];
      bool const fits = charged() <= account_->limit();
      ASSERT_EQ(pages.pin(first, last).has_value(), fits);
      if (fits)
        pinned.push_back({first, last});
      else
        model = before;
    } else {
      std::swap(pinned[random() % pinned.size()], pinned.back());
      pages.unpin(pinned.back().start, pinned.back().last);
      for (std::uint64_t i = pinned.back().start; i <= pinned.back().last; ++i) --model[i];
      pinned.pop_back();
    }
    ASSERT_EQ(account_->charged(), charged());
    ASSERT_EQ(pages.pinned(), charged());
  }
}

TEST_F(PagesTest, CanBePinnedByManyThreads) {
  Pages pages(backing(), account_);
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(i);
      for (int round = 0; round < 500; ++round) {
        std::uint64_t const first = random() % count, last = std::min<std::uint64_t>(first + random() % 20, count - 1);
        if (!pages.pin(first, last)) continue;
        EXPECT_LE(account_->charged(), 40u);
        pages.unpin(first, last);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_EQ(pages.pinned(), 0u);
}

}  // namespace
}  // namespace swiommu

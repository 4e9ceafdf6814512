// Every allocation of every call fails in turn.
#include "failing_new.h"
#include "io_address_space_fixture.h"

namespace swiommu {
namespace {

class IoAddressSpaceFailure : public IoAddressSpaceTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(space_->map(Iova(0x10000), {pages_, 0, 4 * page}, read_write));
    ASSERT_TRUE(space_->map(Iova(0x14000), {pages_, 6 * page, 4 * page}, read_only));
    ASSERT_TRUE(space_->map(Iova(0x40000000), {pages_, 2 * page, 4 * page}, read_write));
  }

  // Calls until it succeeds, with one allocation more each time, first from the heap, then for page tables; `restore` takes
  // back a success.
  template <class Call, class Restore>
  void sweep(Call call, Restore restore) {
    Seen const before = look(*space_, domains_);
    unsigned failures = 0;
    for (std::uint64_t successes = 0;; successes++) {
      FailingNew failing(successes);
      auto const result = call();
      failing.allow();
      ASSERT_EQ(code_of(result), failing.failed() ? ENOMEM : 0) << "after " << successes << " allocations";
      if (result) break;
      failures++;
      ASSERT_TRUE(look(*space_, domains_) == before) << "after " << successes << " allocations";
    }
    EXPECT_GT(failures, 0u);
    restore();
    for (std::uint64_t successes = 0;; successes++) {
      host_.tables->fail_after(successes);
      auto const result = call();
      host_.tables->fail_after(TableAllocator::never);
      if (result) break;
      ASSERT_EQ(code_of(result), ENOMEM);
      ASSERT_TRUE(look(*space_, domains_) == before) << "after " << successes << " tables";
    }
  }
  template <class Call>
  void sweep(Call call) {
    sweep(call, [] {});
  }
  void attach_two() {
    for (auto const& each : {domains_[0], domains_[1]}) ASSERT_TRUE(space_->attach_domain(each));
  }

  std::shared_ptr<Pages> const pages_ = memory(16);
  std::vector<std::shared_ptr<PagingDomain>> const domains_{domain(), domain({.format = FormatName::amd_v1}),
                                                            domain({.format = FormatName::arm_stage2})};
};

TEST_F(IoAddressSpaceFailure, MapLeavesEverythingAsItWas) {
  attach_two();
  sweep([&] { return space_->map(Iova(0x80000000), {pages_, 0, 16 * page}, read_write); },
        [&] { ASSERT_TRUE(space_->unmap({0x80000000, 0x8000ffff})); });
}

TEST_F(IoAddressSpaceFailure, MapAnywhereLeavesEverythingAsItWas) {
  attach_two();
  Range const allowed{0x8000000000, 0x8fffffffff};
  ASSERT_TRUE(space_->allow({&allowed, 1}));
  sweep([&] { return space_->map_anywhere({pages_, 0, 16 * page}, read_write); },
        [&] { ASSERT_TRUE(space_->unmap({0x8000000000, 0x8fffffffff})); });
}

TEST_F(IoAddressSpaceFailure, CopyLeavesEverythingAsItWas) {
  attach_two();
  sweep([&] { return space_->copy(*space_, {0x11000, 0x16fff}, Iova(0x80000000), read_write); },
        [&] { ASSERT_TRUE(space_->unmap({0x80000000, 0x80005fff})); });
}

TEST_F(IoAddressSpaceFailure, AttachingTheFirstDomainLeavesEverythingAsItWas) {
  sweep([&] { return space_->attach_domain(domains_[0]); }, [&] { ASSERT_TRUE(space_->detach_domain(*domains_[0])); });
  EXPECT_EQ(account_->charged(), 10u);
}

TEST_F(IoAddressSpaceFailure, AttachingAnotherDomainLeavesEverythingAsItWas) {
  attach_two();
  sweep([&] { return space_->attach_domain(domains_[2]); }, [&] { ASSERT_TRUE(space_->detach_domain(*domains_[2])); });
}

TEST_F(IoAddressSpaceFailure, LimitsOfIovasStayAsTheyWere) {
  std::vector<Range> const ranges{{0x1000, 0x1fff}, {0x3000, 0x3fff}, {0x8000, 0x8fff}, {0x3800, 0x8800}};
  sweep([&] { return space_->reserve(ranges, this); }, [&] { ASSERT_TRUE(space_->release(this)); });
  ASSERT_TRUE(space_->release(this));
  std::vector<Range> const allowed{{0x1000, 0x1fff}, {0x3000, 0x3fff}};
  sweep([&] { return space_->allow(allowed); });
}

TEST_F(IoAddressSpaceFailure, QuestionsFailToo) {
  sweep([&] { return space_->iova_ranges(); });
  sweep([&] { return space_->areas(Range::all()); });
}

TEST_F(IoAddressSpaceFailure, TakingAwayNeedsNoMemory) {
  attach_two();
  Range const reserved{0x1000, 0x1fff};
  ASSERT_TRUE(space_->reserve({&reserved, 1}, this));
  host_.tables->fail_after(0);
  FailingNew failing(0);
  bool const done = space_->unmap({0x14000, 0x17fff}).has_value() && space_->detach_domain(*domains_[0]).has_value() &&
                    space_->release(this).has_value() && space_->unmap_all().has_value() &&
                    space_->detach_domain(*domains_[1]).has_value();
  failing.allow();
  host_.tables->fail_after(TableAllocator::never);
  EXPECT_TRUE(done);
  EXPECT_FALSE(failing.failed());
  EXPECT_EQ(account_->charged(), 0u);
  EXPECT_EQ(space_->iova_ranges()->size(), 1u);
}

}  // namespace
}  // namespace swiommu

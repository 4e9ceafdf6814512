// Who is charged for pinned pages, as the commands have it.
#include "iommufd/bill.h"

#include <fcntl.h>

#include "iommufd_fixture.h"

namespace swiommu::iommufd {
namespace {

class BillTest : public IommufdTest {
 protected:
  BillTest() { caller_.capabilities.clear(); }
  struct Charges {
    std::uint64_t pinned, of_process, of_user;
    bool operator==(Charges const&) const = default;
    friend void PrintTo(Charges const& c, std::ostream* out) { *out << c.pinned << " " << c.of_process << " " << c.of_user; }
  };
  static Charges charges(FakeCaller& caller) {
    auto const process = caller.process();
    return {process->pinned_pages, process->locked_pages, process->user->locked_pages};
  }
  Charges charges() { return charges(caller_); }
  void attach() {
    if (id_ == 0) id_ = new_ioas();
    ASSERT_TRUE(ioas(id_)->space().attach_domain(domain_));
  }
  int map_file(std::uint64_t start, std::uint64_t length, std::uint64_t iova, FakeCaller* caller = nullptr) {
    iommu_ioas_map_file arguments{.size = sizeof arguments,
                                  .flags = fixed | read_write,
                                  .ioas_id = id_,
                                  .fd = file_descriptor_,
                                  .start = start,
                                  .length = length,
                                  .iova = iova};
    return call(IOMMU_IOAS_MAP_FILE, arguments, caller);
  }
  int change_process(FakeCaller& caller, std::uint32_t reserved = 0) {
    iommu_ioas_change_process arguments{.size = sizeof arguments, .__reserved = reserved};
    return call(IOMMU_IOAS_CHANGE_PROCESS, arguments, &caller);
  }
  void charge_processes() {
    caller_.capabilities.insert(Capability::sys_resource);
    iommu_option arguments{.size = sizeof arguments,
                           .option_id = IOMMU_OPTION_RLIMIT_MODE,
                           .op = IOMMU_OPTION_OP_SET,
                           .__reserved = 0,
                           .object_id = 0,
                           .val64 = 1};
    ASSERT_EQ(call(IOMMU_OPTION, arguments), 0);
  }
  void make_file(std::uint64_t pages) {
    file_descriptor_ = ::memfd_create("test", MFD_CLOEXEC);
    ASSERT_EQ(::ftruncate(file_descriptor_, static_cast<off_t>(pages * page)), 0);
  }
  void TearDown() override {
    IommufdTest::TearDown();
    if (file_descriptor_ >= 0) ::close(file_descriptor_);
    EXPECT_EQ(charges(), (Charges{0, 0, 0})) << "everything is given back with the file";
  }

  std::shared_ptr<PagingDomain> domain_ = PagingDomain::create(engine_->host(), {}).value();
  std::uint32_t id_ = 0;
  int file_descriptor_ = -1;
};

TEST_F(BillTest, ChargesTheUserWhenPagesAreReallyPinned) {
  auto* const data = memory(8 * page);
  id_ = new_ioas();
  ASSERT_EQ(map(id_, data, 4 * page, 0x10000), 0);
  EXPECT_EQ(charges(), (Charges{0, 0, 0}));
  attach();
  EXPECT_EQ(charges(), (Charges{4, 0, 4}));
  iommu_ioas_copy copy{.size = sizeof copy,
                       .flags = fixed | read_write,
                       .dst_ioas_id = id_,
                       .src_ioas_id = id_,
                       .length = 2 * page,
                       .dst_iova = 0x20000,
                       .src_iova = 0x10000};
  ASSERT_EQ(call(IOMMU_IOAS_COPY, copy), 0);
  EXPECT_EQ(charges(), (Charges{4, 0, 4})) << "a copy costs nothing";
  ASSERT_EQ(unmap(id_, 0x10000, 4 * page), 0);
  EXPECT_EQ(charges(), (Charges{2, 0, 2}));
  ASSERT_TRUE(ioas(id_)->space().detach_domain(*domain_));
  EXPECT_EQ(charges(), (Charges{0, 0, 0}));
}

TEST_F(BillTest, TheLimitIsThatOfTheProcessForAllOfItsUser) {
  attach();
  auto* const data = memory(16 * page);
  FakeCaller second(*engine_, 1001), stranger(*engine_, 1002, 501);
  second.capabilities.clear();
  stranger.capabilities.clear();
  for (FakeCaller* each : {&caller_, &second, &stranger}) each->process()->memlock_limit_pages = 5;
  ASSERT_EQ(map(id_, data, 3 * page, 0x10000), 0);
  auto more = map_of(id_, data, 3 * page, 0x20000);
  EXPECT_EQ(call(IOMMU_IOAS_MAP, more, &second), ENOMEM);
  EXPECT_NE(words_.find("RLIMIT_MEMLOCK of process 1001"), std::string::npos) << words_;
  EXPECT_EQ(charges(), (Charges{3, 0, 3}));
  EXPECT_EQ(call(IOMMU_IOAS_MAP, more, &stranger), 0);
  EXPECT_EQ(charges(stranger), (Charges{3, 0, 3}));
  EXPECT_EQ(map(id_, data, 2 * page, 0x30000), 0);
  EXPECT_EQ(map(id_, data, page, 0x40000), ENOMEM);
}

TEST_F(BillTest, ThePrivilegedHaveNoLimit) {
  attach();
  auto* const data = memory(8 * page);
  caller_.process()->memlock_limit_pages = 2;
  EXPECT_EQ(map(id_, data, 8 * page, 0x10000), ENOMEM);
  caller_.capabilities.insert(Capability::ipc_lock);
  EXPECT_EQ(map(id_, data, 8 * page, 0x10000), 0);
  EXPECT_EQ(charges(), (Charges{8, 0, 0}));
}

TEST_F(BillTest, IsFixedWhenMemoryIsMapped) {
  id_ = new_ioas();
  auto* const data = memory(8 * page);
  caller_.process()->memlock_limit_pages = 2;
  caller_.capabilities.insert(Capability::ipc_lock);
  ASSERT_EQ(map(id_, data, 4 * page, 0x10000), 0);
  caller_.capabilities.clear();
  ASSERT_EQ(map(id_, data, 3 * page, 0x20000), 0);
  EXPECT_EQ(ioas(id_)->space().attach_domain(domain_).error().code, ENOMEM);
  EXPECT_EQ(charges(), (Charges{0, 0, 0}));
  caller_.process()->memlock_limit_pages = 3;
  attach();
  EXPECT_EQ(charges(), (Charges{7, 0, 3}));
}

TEST_F(BillTest, TheOtherModeChargesTheProcessAlone) {
  charge_processes();
  attach();
  auto* const data = memory(8 * page);
  caller_.process()->memlock_limit_pages = 3;
  ASSERT_EQ(map(id_, data, 3 * page, 0x10000), 0);
  EXPECT_EQ(charges(), (Charges{3, 3, 0}));
  EXPECT_EQ(map(id_, data, page, 0x20000), ENOMEM);
  FakeCaller second(*engine_, 1001);
  second.capabilities.clear();
  second.process()->memlock_limit_pages = 1;
  auto more = map_of(id_, data, page, 0x20000);
  EXPECT_EQ(call(IOMMU_IOAS_MAP, more, &second), 0);
  EXPECT_EQ(charges(second), (Charges{1, 1, 0}));
}

TEST_F(BillTest, MemoryThatIsNotThereIsFoundBeforeTheLimit) {
  attach();
  caller_.process()->memlock_limit_pages = 0;
  EXPECT_EQ(map(id_, nullptr, page, 0x10000), EFAULT);
}

TEST_F(BillTest, AnotherProcessTakesOverFiles) {
  for (bool const by_process : {false, true}) {
    file_ = engine_->open().value();
    id_ = 0;
    domain_ = PagingDomain::create(engine_->host(), {}).value();
    if (by_process) charge_processes();
    caller_.capabilities.clear();
    attach();
    make_file(8);
    ASSERT_EQ(map_file(0, 4 * page, 0x10000), 0);
    ASSERT_EQ(map_file(4 * page, 2 * page, 0x20000), 0);
    FakeCaller next(*engine_, 1001, 501);
    EXPECT_EQ(change_process(next, 1), EOPNOTSUPP);
    ASSERT_EQ(change_process(next), 0);
    EXPECT_EQ(charges(), (Charges{0, 0, 0}));
    EXPECT_EQ(charges(next), by_process ? (Charges{6, 6, 0}) : (Charges{6, 0, 6}));
    ASSERT_EQ(change_process(next), 0) << "again";
    EXPECT_EQ(charges(next).pinned, 6u);
    ASSERT_EQ(unmap(id_, 0x10000, 4 * page), 0);
    EXPECT_EQ(charges(next).pinned, 2u);
    file_.reset();
    EXPECT_EQ(charges(next), (Charges{0, 0, 0}));
    ::close(std::exchange(file_descriptor_, -1));
  }
}

TEST_F(BillTest, ThePrivilegedMoveTheirPinsOnly) {
  caller_.capabilities.insert(Capability::ipc_lock);
  attach();
  make_file(4);
  ASSERT_EQ(map_file(0, 4 * page, 0x10000), 0);
  FakeCaller next(*engine_, 1001, 501);
  next.process()->memlock_limit_pages = 0;
  ASSERT_EQ(change_process(next), 0);
  EXPECT_EQ(charges(), (Charges{0, 0, 0}));
  EXPECT_EQ(charges(next), (Charges{4, 0, 0}));
  file_.reset();
}

TEST_F(BillTest, AnotherProcessOverItsLimitTakesOverNothing) {
  attach();
  make_file(8);
  ASSERT_EQ(map_file(0, 4 * page, 0x10000), 0);
  ASSERT_EQ(map_file(4 * page, 4 * page, 0x20000), 0);
  FakeCaller next(*engine_, 1001, 501), same_user(*engine_, 1002);
  next.process()->memlock_limit_pages = 7;
  EXPECT_EQ(change_process(next), ENOMEM);
  EXPECT_EQ(charges(), (Charges{8, 0, 8}));
  EXPECT_EQ(charges(next), (Charges{0, 0, 0}));
  same_user.process()->memlock_limit_pages = 15;
  EXPECT_EQ(change_process(same_user), ENOMEM) << "the user is charged for both until the old one is released";
  same_user.process()->memlock_limit_pages = 16;
  EXPECT_EQ(change_process(same_user), 0);
  EXPECT_EQ(charges(same_user), (Charges{8, 0, 8}));
  EXPECT_EQ(charges().pinned, 0u);
}

TEST_F(BillTest, OnlyFilesChangeHands) {
  FakeCaller next(*engine_, 1001, 501);
  EXPECT_EQ(change_process(next), 0) << "nothing is mapped";
  attach();
  make_file(1);
  ASSERT_EQ(map_file(0, page, 0x10000), 0);
  std::uint32_t const other = new_ioas();
  ASSERT_EQ(map(other, memory(page), page, 0x10000), 0);
  EXPECT_EQ(change_process(next), EINVAL);
  EXPECT_EQ(charges(), (Charges{1, 0, 1}));
  EXPECT_EQ(destroy(other), 0);
  EXPECT_EQ(change_process(next), 0);
  file_.reset();
}

}  // namespace
}  // namespace swiommu::iommufd

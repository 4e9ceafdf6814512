// A harvest of dirty flags beside DMA loses no write: a mirror that copies what each harvest reports ends up like the memory.
#include <gtest/gtest.h>
#include <ostream>
#include <random>

#include "dma_poison.h"
#include "dma_tree.h"

namespace swiommu {
namespace {

struct Tracked {
  std::string_view name;
  FormatConfiguration format;
};
void PrintTo(Tracked const& tracked, std::ostream* out) { *out << tracked.name; }

constexpr Tracked formats[] = {
    {"VtdSecondStage", {.format = FormatName::vtd_second_stage, .accessed_updates = true, .dirty_updates = true}},
    {"X86", {.format = FormatName::x86_64, .accessed_updates = true, .dirty_updates = true}},
    {"AmdV1", {.format = FormatName::amd_v1, .accessed_updates = true, .dirty_updates = true}},
    {"ArmStage1", {.format = FormatName::arm_stage1, .accessed_updates = true, .dirty_updates = true}},
    {"ArmStage2", {.format = FormatName::arm_stage2, .accessed_updates = true, .dirty_updates = true}},
    {"Riscv", {.format = FormatName::riscv, .accessed_updates = true, .dirty_updates = true}},
    {"RiscvX4", {.format = FormatName::riscv_x4, .accessed_updates = true, .dirty_updates = true}},
};

struct PortConcurrencyDirty : testing::TestWithParam<Tracked> {
  static constexpr std::uint64_t pages = 32;
  static constexpr unsigned writers = 2;
  using Pasids = std::vector<std::optional<Pasid>>;

  std::uint64_t* word(std::uint64_t n, unsigned writer) const {
    return reinterpret_cast<std::uint64_t*>(tree.memory->data(n)) + writer;
  }

  // Each writer writes growing numbers to a word of its own in each page.
  void write(unsigned writer, Pasids const& pasids) {
    auto const port = tree.device->open_port().value();
    std::minstd_rand random(writer + 1);
    for (std::uint64_t count = 1; !stop; count++) {
      Iova const iova(random() % pages * DmaTree::page + writer * 8);
      auto const pasid = pasids[random() % pasids.size()];
      switch (random() % 3) {
        case 0: EXPECT_TRUE(port->swap<std::uint64_t>(iova, count, pasid).value().ok()); break;
        case 1: {
          Port::Guard const guard(*port);
          auto const chunk = port->translate(guard, iova, Access::writing(), pasid);
          if (!chunk) {
            ADD_FAILURE();
            return;
          }
          if (count % 16 == 1) std::this_thread::yield();
          __atomic_store_n(reinterpret_cast<std::uint64_t*>(chunk->data), count, __ATOMIC_RELAXED);
          break;
        }
        default: {
          std::uint64_t read = 0;
          EXPECT_TRUE(port->read(iova, &read, 8, pasid).ok());
        }
      }
      done[writer] = count;
      if (count % 32 == 0) std::this_thread::yield();
    }
  }

  void harvest() {
    tree.paging
        ->read_dirty(tree.data(), Clear::yes,
                     [&](Range range) {
                       for (std::uint64_t n = range.start / DmaTree::page; n <= range.last / DmaTree::page; n++)
                         reported.at(n) = true;
                     })
        .value();
    for (std::uint64_t n = 0; n < pages; n++) {
      if (!reported[n]) continue;
      reported[n] = false;
      for (unsigned writer = 0; writer < writers; writer++)
        mirror[n][writer] = __atomic_load_n(word(n, writer), __ATOMIC_RELAXED);
    }
  }

  void run(Pasids const& pasids) {
    std::vector<std::jthread> threads;
    for (unsigned writer = 0; writer < writers; writer++) threads.emplace_back([&, writer] { write(writer, pasids); });
    for (std::uint64_t turn = 0; turn < concurrent_turns || done[0] < concurrent_turns || done[1] < concurrent_turns; turn++) {
      harvest();
      if (turn % 4 == 0) std::this_thread::yield();
      if (HasFailure()) break;
    }
    stop = true;
    threads.clear();
    harvest();
    for (std::uint64_t n = 0; n < pages; n++) {
      for (unsigned writer = 0; writer < writers; writer++) EXPECT_EQ(mirror[n][writer], *word(n, writer)) << "page " << n;
    }
    EXPECT_NE(*word(0, 0), 0u);
  }

  DmaTree tree{pages, GetParam().format};
  std::atomic<bool> stop = false;
  std::array<std::atomic<std::uint64_t>, writers> done{};
  std::array<std::array<std::uint64_t, writers>, pages> mirror{};
  std::array<bool, pages> reported{};
};
INSTANTIATE_TEST_SUITE_P(PortConcurrency, PortConcurrencyDirty, testing::ValuesIn(formats),
                         [](auto const& tracked) { return std::string(tracked.param.name); });

TEST_P(PortConcurrencyDirty, NoWriteIsLost) { run({std::nullopt}); }

TEST_P(PortConcurrencyDirty, NoWriteIsLostInLargeEntries) {
  ASSERT_TRUE(tree.paging->unmap(tree.data()));
  ASSERT_TRUE(tree.paging->map(tree.data(), tree.memory->address(0), {.access = Access::both()}));
  run({std::nullopt});
}

TEST_P(PortConcurrencyDirty, NoWriteOfUsersIsLost) { run({std::nullopt, DmaTree::nested_pasid}); }

// Whatever a shadow lets be written counts as written.
TEST_P(PortConcurrencyDirty, NoWriteThroughAShadowIsLost) { run({DmaTree::shadow_pasid}); }

}  // namespace
}  // namespace swiommu

// Threads do DMA while the program takes the memory away: no DMA faults, none is lost, none sees what is mapped there then.
#include <atomic>
#include <random>
#include <thread>

#include "dma_poison.h"
#include "program_memory.h"

namespace swiommu {
namespace {

constexpr std::uint64_t poison = PoisonPages::poison;

// Each thread has a word in each page, counts it up in all the ways that a device has, and knows what it must be.
class CountingDma {
 public:
  CountingDma(std::shared_ptr<Device> device, Iova first, std::uint64_t pages, unsigned count)
      : device_(std::move(device)), first_(first), pages_(pages), turns_(count) {
    for (unsigned n = 0; n < count; n++) threads_.emplace_back([this, n] { run(n); });
  }
  ~CountingDma() { stop(); }

  [[nodiscard]] bool did(std::uint64_t turns) const {
    std::this_thread::yield();
    return std::ranges::all_of(turns_, [&](auto const& done) { return done.load() >= turns; });
  }
  void stop() {
    stop_ = true;
    threads_.clear();
  }
  std::atomic<std::uint64_t> faults = 0, wrong = 0;

 private:
  void run(unsigned n) {
    auto const port = *device_->open_port();
    std::vector<std::uint64_t> expected(pages_);
    std::minstd_rand random(n + 1);
    for (std::uint64_t turn = 1; !stop_; turn++) {
      std::uint64_t const at = random() % pages_;
      Iova const iova = first_ + (at * page + 64 * n);
      std::uint64_t& known = expected[at];
      std::uint64_t found = 0;
      bool ok = true;
      switch (random() % 4) {
        case 0: {
          ok = port->read(iova, &found, sizeof found).ok();
          std::uint64_t const next = known + 1;
          ok = ok && port->write(iova, &next, sizeof next).ok();
          break;
        }
        case 1: {
          std::uint64_t const other = random() % pages_;
          ok = port->copy(iova, first_ + (other * page + 64 * n), sizeof found).ok();
          expected[other] = known;
          [[fallthrough]];
        }
        case 2: {
          auto const result = port->fetch_add<std::uint64_t>(iova, 1).value();
          ok = ok && result.ok();
          found = result.before;
          break;
        }
        default:
          do {
            Port::Guard const guard(*port);
            auto const chunk = port->translate(guard, iova, Access::both());
            ok = chunk.has_value();
            if (!ok) continue;
            auto* const word = reinterpret_cast<std::uint64_t*>(chunk->data);
            found = *word;
            if (turn % 8 == 0) std::this_thread::yield();  // inside, so that others come while we are
            *word = known + 1;
          } while (!ok && port->memory_has_moved());
      }
      faults += !ok;
      wrong += ok && found != known;
      known++;
      turns_[n].store(turn);
    }
  }

  std::shared_ptr<Device> const device_;
  Iova const first_;
  std::uint64_t const pages_;
  std::atomic<bool> stop_ = false;
  std::vector<std::atomic<std::uint64_t>> turns_;
  std::vector<std::jthread> threads_;
};

class RelocatedConcurrency : public MovedMemoryTest {
 protected:
  static void fill(std::byte* data, std::uint64_t pages) {
    for (auto* word = reinterpret_cast<std::uint64_t*>(data); word < reinterpret_cast<std::uint64_t*>(data + pages * page);
         word++)
      *word = poison;
  }
  static bool intact(std::byte const* data, std::uint64_t pages) {
    auto const* const words = reinterpret_cast<std::uint64_t const*>(data);
    return std::all_of(words, words + pages * page / 8, [](std::uint64_t word) { return word == poison; });
  }
};

constexpr std::uint64_t regions = concurrent_turns / 8, region = 4;

TEST_F(RelocatedConcurrency, PagesMoveAsideUnderDma) {
  ProgramMemory program(regions * region);
  pin(program);
  CountingDma dma(device_, Iova(first_iova), regions * region, 2);
  for (std::uint64_t n = 0; n < regions; n++) {
    std::uint64_t const at = n * 7 % regions * region;
    while (!dma.did(n * 8)) {
    }
    ASSERT_TRUE(relocations_.move_aside(program.at(at), (1 + n % region) * page));
    program.map(at, 1 + n % region);
    fill(program.at(at), 1 + n % region);
  }
  while (!dma.did(regions * 16)) {
  }
  dma.stop();
  EXPECT_EQ(dma.faults, 0u);
  EXPECT_EQ(dma.wrong, 0u);
  for (std::uint64_t n = 0; n < regions; n++) EXPECT_TRUE(intact(program.at(n * 7 % regions * region), 1 + n % region)) << n;
}

// Two threads of the program at once, each with memory of its own, which goes back and forth between two places.
TEST_F(RelocatedConcurrency, PagesFollowRemappingsUnderDma) {
  ProgramMemory program(16), elsewhere(16);
  pin(program);
  CountingDma dma(device_, Iova(first_iova), 16, 2);
  auto const remap = [&](std::uint64_t first) {
    for (std::uint64_t turn = 0; turn < concurrent_turns / 4; turn++) {
      while (!dma.did(turn * 4)) {
      }
      std::byte* const from = (turn % 2 == 0 ? program : elsewhere).at(first);
      std::byte* const to = (turn % 2 == 0 ? elsewhere : program).at(first);
      ASSERT_EQ(
          relocations_.follow(from, 8 * page,
                              [&]() -> void* { return ::mremap(from, 8 * page, 8 * page, MREMAP_MAYMOVE | MREMAP_FIXED, to); }),
          to);
      (turn % 2 == 0 ? program : elsewhere).map(first, 8);
      fill(from, 8);
      ASSERT_TRUE(intact(from, 8));
    }
  };
  {
    std::jthread const lower(remap, 0), upper(remap, 8);
  }
  dma.stop();
  EXPECT_EQ(dma.faults, 0u);
  EXPECT_EQ(dma.wrong, 0u);
}

// While areas come and go, and a second address space with them.
TEST_F(RelocatedConcurrency, AreasComeAndGoMeanwhile) {
  ProgramMemory program(64), other(16);
  pin(program);
  auto const second = *IoAddressSpace::create();
  ASSERT_TRUE(relocations_.add(second));
  ASSERT_TRUE(second->attach_domain(*PagingDomain::create(host_, {})));
  CountingDma dma(device_, Iova(first_iova), 64, 1);
  std::jthread const maps([&](std::stop_token const& stop) {
    auto const pages = pages_of(other);
    while (!stop.stop_requested()) {
      ASSERT_TRUE(space_->map(Iova(0), {pages, 0, 16 * page}, read_write));
      ASSERT_TRUE(second->copy(*space_, {0, 16 * page - 1}, Iova(0x1000), read_write));
      ASSERT_TRUE(space_->unmap({0, 16 * page - 1}));
      ASSERT_TRUE(second->unmap_all());
    }
  });
  for (std::uint64_t n = 0; n < 64; n++) {
    while (!dma.did(n * 16)) {
    }
    ASSERT_TRUE(relocations_.move_aside(program.at(n), page));
    program.map(n, 1);
    fill(program.at(n), 1);
    ASSERT_TRUE(relocations_.move_aside(other.at(n % 16), page));
  }
  dma.stop();
  EXPECT_EQ(dma.faults, 0u);
  EXPECT_EQ(dma.wrong, 0u);
  EXPECT_TRUE(intact(program.at(0), 64));
}

}  // namespace
}  // namespace swiommu

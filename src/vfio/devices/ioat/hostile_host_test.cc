#include <random>

#include "vfio/devices/ioat/ioat_fixture.h"

namespace swiommu::vfio::ioat {
namespace {

// Whatever a host writes, the engine does no more than DMA that its domain allows, and works again after a reset.
struct IoatHostileTest : IoatTest {
  void expect_it_works() {
    model->on_bus_master(false);
    model->reset();
    model->on_bus_master(true);
    next = page;
    std::uint64_t const data = allocate(128), chain = ring(1, data, data + 64, 64);
    fill(data, 64);
    start(chain, 1);
    ASSERT_TRUE(await(ChannelState::done));
    EXPECT_TRUE(same(data, data + 64, 64));
  }
  // An address, often a useful one.
  std::uint64_t address() {
    switch (random() % 4) {
      case 0: return random() % 64 * 64 + page;
      case 1: return random() % memory->bytes();
      case 2: return std::uint64_t{random()} << 32 | random();
      default: return ~std::uint64_t{0} - random() % 256;
    }
  }
  void scribble(std::uint64_t offset) {
    std::uint64_t const value = random() % 3 == 0 ? address() : random() % 64;
    switch (random() % 4) {
      case 0: return set<std::uint8_t>(offset, static_cast<std::uint8_t>(value));
      case 1: return set<std::uint16_t>(offset / 2 * 2, static_cast<std::uint16_t>(value));
      case 2: return set<std::uint32_t>(offset / 4 * 4, static_cast<std::uint32_t>(value));
      default: return set<std::uint64_t>(offset / 8 * 8, value);
    }
  }
  void write_descriptors() {
    for (unsigned n = 0; n < 64; n++)
      put(page + 64 * n, {.size = random() % 8 == 0 ? random() : random() % 4096,
                          .control = random() % 8 == 0 ? random() : random() % 64,
                          .source = address(),
                          .destination = address(),
                          .next = page + 64 * (random() % 64)});
  }
  void scribble_everywhere(int rounds) {
    for (int round = 0; round < rounds; round++) {
      if (round % 50 == 0) write_descriptors();
      scribble(random() % 8 == 0 ? random() % 0x2000 : random() % 0x1b0);
    }
  }
  std::uint32_t random() { return static_cast<std::uint32_t>(values()); }
  std::mt19937 values{1};
};

TEST_F(IoatHostileTest, ByCalls) {
  for (int round = 0; round < 5; round++) {
    scribble_everywhere(2000);
    for (std::uint64_t at = 0; at < 16 << 10; at += 8) (void)get<std::uint64_t>(at);
    expect_it_works();
  }
}

TEST_F(IoatHostileTest, ThroughAMapping) {
  map();
  for (int round = 0; round < 5; round++) {
    scribble_everywhere(5000);
    expect_it_works();
  }
  unmap();
}

TEST_F(IoatHostileTest, ByBothAtOnceWhileItIsResetAndPulledOut) {
  for (int round = 0; round < 3; round++) {
    map();
    std::atomic<bool> stop = false;
    std::thread other([&, words = reinterpret_cast<std::uint64_t*>(mapping)] {
      std::mt19937 numbers(7);
      while (!stop) std::atomic_ref(words[numbers() % 48]).store(numbers() % 2 == 0 ? numbers() : std::uint64_t{numbers()} << 32);
    });
    std::byte* const mapped = std::exchange(mapping, nullptr);  // for set() to make calls
    for (int n = 0; n < 20; n++) {
      scribble_everywhere(100);
      model->on_bus_master(false);
      if (n % 2 == 0) model->reset();
      model->on_bus_master(true);
    }
    model.reset();
    stop = true;
    other.join();
    mapping = mapped;
    unmap();
    plug();
    expect_it_works();
  }
}

}  // namespace
}  // namespace swiommu::vfio::ioat

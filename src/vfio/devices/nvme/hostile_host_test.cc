#include "thread_sanitizer.h"
#include "vfio/devices/nvme/nvme_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

// Registers, commands, lists and doorbells at random. Afterwards a reset must bring back a controller that works.
struct NvmeHostileHostTest : NvmeTest {
  testing::ScopedTrace const trace{__FILE__, __LINE__, fmt::format("SWIOMMU_SEED={}", conformance::seed())};
  std::uint64_t word() { return random() % 2 == 0 ? random() : random() % 64; }
  std::uint64_t address() {
    return random() % 8 == 0 ? random() : (1 + random() % 64) * page + (random() % 4 == 0 ? random() % page : 0);
  }
  Command any_command(bool of_admin) {
    Command c;
    std::uint64_t* const words = reinterpret_cast<std::uint64_t*>(&c);
    for (std::size_t n = 0; n < sizeof c / 8; n++) words[n] = word();
    c.opcode = static_cast<std::uint8_t>(random() % (of_admin ? 14 : 13));
    c.flags = random() % 16 == 0 ? static_cast<std::uint8_t>(random()) : random() % 4 == 0 ? 0x40 : 0;
    c.nsid = random() % 8 == 0 ? static_cast<std::uint32_t>(random()) : 1 + random() % 2;
    c.prp1 = address();
    c.prp2 = c.flags == 0x40 ? (random() % 64) << 4 | (random() % 5) << 60 : address();
    if (of_admin) {
      c.cdw10 = static_cast<std::uint32_t>((random() % 64) << 16 | random() % 10);
      c.cdw11 = static_cast<std::uint32_t>((random() % 10) << 16 | random() % 4);
    } else {
      c.cdw10 = static_cast<std::uint32_t>(random() % blocks);
      c.cdw11 = random() % 16 == 0 ? 1 : c.opcode == 9 ? 4 : 0;
      c.cdw12 = static_cast<std::uint32_t>(random() % 600);
    }
    return c;
  }
  void scribble() {
    for (std::uint64_t n = 0; n < 64 * page / 8; n++)
      data<std::uint64_t>(page)[n] = random() % 2 == 0 ? address() & ~(page - 1) : word();
  }
  void expect_it_works() {
    model->reset();
    next = 128 * page;
    enable();
    auto queue = create_pair(1);
    EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, page)), status::success);
  }
  std::mt19937_64 random{conformance::seed()};
};

TEST_F(NvmeHostileHostTest, RandomCommandsAreAnsweredOrFatal) {
  if (under_tsan) GTEST_SKIP() << "such a host has several threads of the device write the same memory";
  for (int round = 0; round < static_cast<int>(conformance::effort(20)); round++) {
    scribble();
    next = 128 * page;
    enable(64);
    auto queue = create_pair(1, 64);
    for (int n = 0; n < 200; n++) {
      DriverQueue& used = random() % 3 == 0 ? admin : queue;
      if ((used.tail + 1) % used.entries == used.head) break;  // requests that wait, or a deleted queue
      (void)submit(used, any_command(&used == &admin));
      (void)eventually([&] { return has_completion(used) || random() % 50 == 0; });
      if (has_completion(used)) (void)await(used);
    }
    model->reset();
  }
  expect_it_works();
}

TEST_F(NvmeHostileHostTest, RandomRegistersDoNoHarm) {
  for (int round = 0; round < static_cast<int>(conformance::effort(3000)); round++) {
    if (round % 100 == 0) {
      model->reset();
      scribble();
      next = 128 * page;
      if (random() % 2 == 0) enable();
    }
    std::uint64_t const value = word();
    std::size_t const size = std::size_t{1} << random() % 4;
    std::uint64_t const range = random() % 2 == 0 ? 0x40 : 0x1100;
    std::uint64_t const at = (random() % range) / size * size;
    std::byte back[8];
    if (random() % 4 == 0)
      model->read_bar(0, at, std::span(back).first(size));
    else
      model->write_bar(0, at, std::as_bytes(std::span(&value, 1)).first(size));
    if (random() % 64 == 0) set_wide(offset::asq, address());
    if (random() % 64 == 0) model->on_bus_master(random() % 2 == 0);
  }
  model->on_bus_master(true);
  expect_it_works();
}

TEST_F(NvmeHostileHostTest, AMappingMayBeWrittenByAnybodyAtAnyTime) {
  map();
  for (int round = 0; round < static_cast<int>(conformance::effort(30)); round++) {
    scribble();
    std::thread writer([this, seed = random()] {
      std::mt19937_64 its(seed);
      for (int n = 0; n < 3000; n++) {
        std::uint64_t const at = its() % 3 == 0 ? its() % 0x40 : 0x1000 + its() % 0x60;
        set(at / 4 * 4, static_cast<std::uint32_t>(its() % 4 == 0 ? its() : its() % 64));
        if (n % 100 == 0) set(offset::cc, enabled);
      }
    });
    set(offset::aqa, 0x001f001f);
    set_wide(offset::asq, 2 * page);
    set_wide(offset::acq, 3 * page);
    for (int n = 0; n < 20; n++) set(offset::cc, enabled & ~static_cast<std::uint32_t>(random() % 2));
    writer.join();
    if (round % 4 == 0) model->reset();
  }
  unmap();
  expect_it_works();
}

}  // namespace
}  // namespace swiommu::vfio::nvme

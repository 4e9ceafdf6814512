// The same history of a zPCI guest in four machines: a VMM that does everything by ioctls of /dev/iommu, one that has the library
// do it with a shadow, one that does with the two-dimensional walk, and a trap handler that was handed the paging domain and
// serves the instructions in small pieces. All DMA is what a model allows that knows the staleness rule and nothing of tables;
// where it allows one result only, all machines agree, and the three shadows always do.
#include <gtest/gtest.h>

#include <cstring>

#include "nesting/random.h"
#include "swiommu/domain/configured_domain.h"
#include "swiommu/hardware/zpci.h"
#include "zpci/ioctl_machine.h"
#include "zpci/zpci_guest.h"

namespace swiommu::zpci {
namespace {

using nesting::below;
using nesting::one_in;
using nesting::Random;

constexpr std::uint64_t page = Guest::page;
constexpr Range iovas{Guest::dma_start, low_bits(42)};

// What one DMA did.
struct Dma {
  bool ok = false;
  std::uint64_t word = 0;  // that was read
  bool operator==(Dma const&) const = default;
};

class Machine {
 public:
  virtual ~Machine() = default;
  virtual void anchor(std::uint64_t root, bool again) = 0;
  virtual void deregister() = 0;
  virtual void rpcit(std::uint64_t start, std::uint64_t length) = 0;

  Dma read(std::uint64_t iova) {
    Dma dma;
    dma.ok = port->read(Iova(iova), &dma.word, sizeof dma.word).ok();
    return dma;
  }
  Dma write(std::uint64_t iova, std::uint64_t word) {
    return {.ok = port->write(Iova(iova), &word, sizeof word).ok(), .word = 0};
  }

  Guest guest;
  std::uint64_t root = 0;
  std::shared_ptr<Device> device = *Device::create(guest.host);
  std::unique_ptr<Port> port = *device->open_port();
};

// Takes its traps in user space, and uses the domains as they are.
class Vmm final : public Machine {
 public:
  explicit Vmm(bool shadow) : shadow_(shadow) {}
  void anchor(std::uint64_t to, bool again) override {
    Registers const registers{.iota = Guest::anchor(to), .pba = iovas.start, .pal = iovas.last};
    auto const configuration = Function::create(registers, *guest.memory)->find(0, std::nullopt).value();
    std::shared_ptr<Domain> domain = *open_configuration(guest.parent, configuration);
    if (shadow_) {
      auto const composed = *ShadowDomain::create(guest.parent, *configuration.user, {configuration.aperture});
      ASSERT_TRUE(composed->refresh(Range::all()));
      domain = composed;
    }
    ASSERT_TRUE(again ? device->replace(domain) : device->attach(domain));
  }
  void deregister() override { ASSERT_TRUE(device->detach()); }
  void rpcit(std::uint64_t start, std::uint64_t length) override {
    ASSERT_TRUE(device->domain()->invalidate(*Range::of_length(start, length)));
  }

 private:
  bool shadow_;
};

// Takes its traps in user space, and knows nothing but ioctls.
class IoctlVmm final : public Machine {
 public:
  IoctlVmm() { port = ioctls_.open_port(); }
  void anchor(std::uint64_t to, bool again) override { ioctls_.anchor(Guest::anchor(to), iovas, again); }
  void deregister() override { ioctls_.deregister(); }
  void rpcit(std::uint64_t start, std::uint64_t length) override { ioctls_.rpcit(start, length); }

 private:
  IoctlMachine ioctls_{guest};
};

// Knows the paging domain, and is called from C.
class TrapHandler final : public Machine {
 public:
  void anchor(std::uint64_t to, bool again) override {
    Fib const fib = Guest::fib(Guest::anchor(to), iovas);
    mpcifc(again ? SWIOMMU_ZPCI_REREGISTER_IOAT : SWIOMMU_ZPCI_REGISTER_IOAT, fib);
  }
  void deregister() override { mpcifc(SWIOMMU_ZPCI_DEREGISTER_IOAT, {}); }
  void rpcit(std::uint64_t start, std::uint64_t length) override {
    finish([&](swiommu_zpci_call* call) { return swiommu_zpci_rpcit(function, operand, start, length, call); });
  }

 private:
  static constexpr std::uint64_t operand = std::uint64_t{0x80000001} << 32;

  void mpcifc(unsigned operation, Fib const& fib) {
    finish([&](swiommu_zpci_call* call) { return swiommu_zpci_mpcifc(function, operand | operation, &fib, call); });
  }
  template <class Once>
  void finish(Once const& once) {
    swiommu_zpci_call call{};
    swiommu_zpci_answer answer{};
    do answer = once(&call);
    while (answer.outcome == SWIOMMU_ZPCI_AGAIN);
    ASSERT_EQ(answer.outcome, SWIOMMU_ZPCI_DONE);
    ASSERT_EQ(answer.condition_code, SWIOMMU_ZPCI_OK);
  }

  std::unique_ptr<GuestFunction> owner = *GuestFunction::create(guest.parent, device, {.words = 200});
  swiommu_zpci_function* function = intercepts(*owner);
};

// What a page of iovas leads to; nothing of how.
struct Value {
  bool present = false;
  bool writable = false;
  std::uint64_t to = 0;
  bool operator==(Value const&) const = default;
};

// Since the last RPCIT that covers a page it may have any of the values that it has held; its present one is the last.
class Model {
 public:
  void set(std::uint64_t iova, Value value) {
    auto& held = held_[iova];
    if (held.empty()) held.emplace_back();
    if (held.back() != value) held.push_back(value);
  }
  void refresh(Range range) {
    for (auto& [iova, held] : held_)
      if (range.contains(iova)) held = {held.back()};
  }
  void forget() { held_.clear(); }
  // Of each page that was ever mapped.
  [[nodiscard]] std::vector<Value> possible(std::uint64_t iova) const {
    auto const found = held_.find(iova & ~(page - 1));
    return found == held_.end() ? std::vector<Value>{{}} : found->second;
  }
  [[nodiscard]] std::vector<std::uint64_t> mapped_in(Range range) const {
    std::vector<std::uint64_t> result;
    for (auto const& [iova, held] : held_)
      if (range.contains(iova) && held.back().present) result.push_back(iova);
    return result;
  }

 private:
  std::map<std::uint64_t, std::vector<Value>> held_;
};

class History {
 public:
  History(std::uint64_t seed, bool settled_writes) : random_(seed), settled_writes_(settled_writes) {
    // Each word of the lower half of a data page says where it is; DMA writes to the upper halves.
    for (Machine* const m : machines_)
      for (std::uint64_t at = 0; at < Guest::data_size; at += 8)
        if (at % page < page / 2) m->guest.data(at) = at;
  }

  void steps(unsigned count) {
    new_anchor();
    for (unsigned n = 0; n < count && !testing::Test::HasFatalFailure(); n++) {
      SCOPED_TRACE(n);
      switch (below(random_, 16)) {
        case 0:
          if (one_in(random_, 8)) new_anchor();
          break;
        case 1: free_segment(); break;
        case 2:
        case 3: refresh(any_iova() & ~(page - 1), page << below(random_, 12)); break;
        case 4:
          if (one_in(random_, 6)) refresh_all();
          break;
        case 5:
        case 6:
        case 7: edit(false); break;
        default: edit(true);
      }
      for (unsigned dma = 0; dma < 4; dma++) one_in(random_, 3) ? write() : read();
    }
    refresh_all();
    compare_memory();
  }

 private:
  std::uint64_t any_iova() {
    constexpr std::uint64_t windows[] = {iovas.start, iovas.start + 0xff000, iovas.start + (std::uint64_t{7} << 31) + 0x7ff00000,
                                         iovas.last + 1 - 48 * page};
    return windows[below(random_, 4)] + below(random_, 48) * page + below(random_, page / 16) * 8;
  }

  void edit(bool map) {
    std::uint64_t const iova = any_iova() & ~(page - 1), to = below(random_, Guest::data_size / page) * page;
    bool const writable = !one_in(random_, 4);
    for (Machine* const m : machines_) map ? m->guest.map(m->root, iova, to, writable) : m->guest.unmap(m->root, iova);
    model_.set(iova, map ? Value{true, writable, to} : Value{});
    // Mostly as Linux does it: at once.
    if (!one_in(random_, 3)) refresh(iova, page);
  }

  void free_segment() {
    std::uint64_t const iova = any_iova() & ~low_bits(20);
    for (Machine* const m : machines_) m->guest.unmap_segment(m->root, iova);
    for (std::uint64_t const at : model_.mapped_in({iova, iova | low_bits(20)})) model_.set(at, {});
    refresh(iova, bit(20));
    for (Machine* const m : machines_) m->guest.release();
  }

  // A new table with something in it, and another anchor; the old table is used again.
  void new_anchor() {
    bool const again = machines_[0]->root != 0 && !one_in(random_, 3);
    std::vector<std::uint64_t> pages(below(random_, 40));
    for (auto& iova : pages) iova = any_iova() & ~(page - 1);
    std::uint64_t const first = below(random_, Guest::data_size / page / 2) * page;
    model_.forget();
    for (std::size_t n = 0; n < pages.size(); n++) model_.set(pages[n], {true, n % 3 != 0, first + n * page});
    for (Machine* const m : machines_) {
      std::uint64_t const old = m->root;
      m->root = m->guest.new_table();
      for (std::size_t n = 0; n < pages.size(); n++) m->guest.map(m->root, pages[n], first + n * page, n % 3 != 0);
      if (old != 0 && !again) m->deregister();
      m->anchor(m->root, again);
      if (old == 0) continue;
      m->guest.drop(old);
      m->guest.release();
    }
    model_.refresh(Range::all());
  }

  void refresh(std::uint64_t start, std::uint64_t length) {
    length = std::min(length, iovas.last - start + 1);
    for (Machine* const m : machines_) m->rpcit(start, length);
    model_.refresh({start, start + length - 1});
  }
  void refresh_all() { refresh(iovas.start, iovas.length()); }

  void read() {
    std::uint64_t const iova = any_iova();
    auto const possible = model_.possible(iova);
    Dma const by_vmm = vmm_.read(iova), by_handler = handler_.read(iova), by_walk = walking_.read(iova);
    ASSERT_EQ(by_vmm, by_handler) << std::hex << iova;
    ASSERT_EQ(ioctls_.read(iova), by_handler) << std::hex << iova;
    auto const allowed = [&](Dma const& dma) {
      return std::ranges::any_of(possible, [&](Value const& value) {
        return dma.ok == value.present && (!dma.ok || dma.word == value.to + iova % page);
      });
    };
    ASSERT_TRUE(allowed(by_handler)) << std::hex << iova << (by_handler.ok ? " read " : " faults ") << by_handler.word;
    ASSERT_TRUE(allowed(by_walk)) << std::hex << iova << (by_walk.ok ? " read " : " faults ") << by_walk.word;
    if (possible.size() == 1) {
      ASSERT_EQ(by_walk, by_handler) << std::hex << iova;
    }
  }

  void write() {
    std::uint64_t const iova = any_iova() | page / 2, word = ++last_word_;
    auto const possible = model_.possible(iova);
    if (settled_writes_ && possible.size() != 1) return;
    Dma const by_vmm = vmm_.write(iova, word), by_handler = handler_.write(iova, word), by_walk = walking_.write(iova, word);
    ASSERT_EQ(by_vmm, by_handler) << std::hex << iova;
    ASSERT_EQ(ioctls_.write(iova, word), by_handler) << std::hex << iova;
    ASSERT_TRUE(std::ranges::any_of(possible,
                                    [&](Value const& value) {
                                      bool const goes = value.present && value.writable;
                                      return by_handler.ok == goes &&
                                             (!goes || handler_.guest.data(value.to + iova % page) == word);
                                    }))
        << std::hex << iova;
    if (possible.size() == 1) {
      ASSERT_EQ(by_walk, by_handler) << std::hex << iova;
    }
  }

  void compare_memory() {
    auto const bytes = [](Machine const& m) { return &m.guest.memory->word(Guest::host_base); };
    EXPECT_EQ(std::memcmp(bytes(vmm_), bytes(handler_), Guest::size), 0);
    EXPECT_EQ(std::memcmp(bytes(ioctls_), bytes(handler_), Guest::size), 0);
    if (settled_writes_) {
      EXPECT_EQ(std::memcmp(bytes(vmm_), bytes(walking_), Guest::size), 0);
    }
  }

  Random random_;
  bool settled_writes_;
  Vmm vmm_{true};
  Vmm walking_{false};
  TrapHandler handler_;
  IoctlVmm ioctls_;
  Machine* machines_[4] = {&vmm_, &walking_, &handler_, &ioctls_};
  Model model_;
  std::uint64_t last_word_ = std::uint64_t{1} << 63;
};

TEST(ZpciHistory, GivesTheSameDmaByEveryDriver) {
  std::uint64_t number = nesting::seed();
  for (unsigned n = 0; n < nesting::effort(6); n++) {
    SCOPED_TRACE(testing::Message() << "SWIOMMU_SEED=" << number);
    History(number, n % 2 == 0).steps(400);
    if (testing::Test::HasFailure()) return;
    number++;
  }
}

// Anything at all in tables, anchors, blocks and ranges.
TEST(ZpciHostile, WhateverAGuestWritesACallEndsAndReadsALimitedNumberOfWords) {
  Random random(nesting::seed());
  SCOPED_TRACE(testing::Message() << "SWIOMMU_SEED=" << nesting::seed());
  for (unsigned round = 0; round < nesting::effort(8); round++) {
    Guest guest;
    auto const device = *Device::create(guest.host);
    constexpr std::uint64_t words = 64;
    auto const owner = *GuestFunction::create(
        guest.parent, device,
        {.relaxed_translation = one_in(random, 2), .shadow_limit = (1 + below(random, 64)) * page, .words = words});
    auto const port = *device->open_port();
    auto const word = [&]() -> std::uint64_t {
      switch (below(random, 6)) {
        case 0: return random();
        case 1: return below(random, 2) != 0 ? 0 : ~std::uint64_t{0};
        case 2: return below(random, Guest::size / page) * page | below(random, 0x1000);  // a page, somehow
        default: return (below(random, 16) << 14) | 3 | below(random, 4) << 2;            // one of a few tables, over and over
      }
    };
    for (std::uint64_t at = 0; at < 16 << 14; at += 8) guest.put(at, word());
    for (unsigned n = 0; n < nesting::effort(150); n++) {
      guest.put(below(random, 16 << 14) & ~std::uint64_t{7}, word());
      std::uint64_t const operand = std::uint64_t{one_in(random, 20) ? 0x80000002 : 0x80000001} << 32;
      std::uint64_t const iota = one_in(random, 8) ? random() : (below(random, 16) << 14) | 0x800 | below(random, 8) << 2;
      Fib fib = Guest::fib(iota, one_in(random, 8) ? Range{random(), random()} : Range{Guest::dma_start, low_bits(57)});
      if (one_in(random, 30)) fib.format = 1;
      constexpr unsigned operations[] = {4, 4, 5, 6, 6, 7, 7, 9, 0, 255};
      unsigned const operation = operations[below(random, std::size(operations))];
      std::uint64_t const start = one_in(random, 6) ? random() : Guest::dma_start + (random() >> (7 + below(random, 40)));
      std::uint64_t const length = one_in(random, 3) ? random() : random() >> below(random, 64);
      bool const registers = one_in(random, 3);
      swiommu_zpci_call call{};
      for (unsigned calls = 0; calls < 60; calls++) {  // then gives up, as a handler may
        std::uint64_t const before = guest.memory->locates;
        Answer const answer = registers ? swiommu_zpci_mpcifc(intercepts(*owner), operand | operation, &fib, &call)
                                        : swiommu_zpci_rpcit(intercepts(*owner), operand, start, length, &call);
        ASSERT_LE(guest.memory->locates - before, words);
        ASSERT_LE(owner->shadow_bytes(), 64 * page);
        ASSERT_LE(answer.condition_code, 3);
        if (answer.outcome != SWIOMMU_ZPCI_AGAIN) break;
      }
      std::uint64_t data = 0;
      DmaResult const dma = port->read(Iova(one_in(random, 2) ? start : Guest::dma_start + below(random, bit(32))), &data, 8);
      if (dma.fault && one_in(random, 2)) (void)owner->report(*dma.fault);
    }
  }
}

}  // namespace
}  // namespace swiommu::zpci

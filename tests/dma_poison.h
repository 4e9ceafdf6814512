// For tests: pages that are poisoned as soon as no DMA may touch them, and threads that do DMA and look for poison.
//
// A page is good while it is mapped: what its words hold is anything but the poison. Who takes it away poisons it with plain
// stores and looks, before it is used again, whether the poison is intact: so late reads see poison, late writes leave a
// trace, and ThreadSanitizer sees both. Used twice: against the library as it is, and against one that does not wait.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "flat_memory.h"
#include "swiommu/device/port.h"
#include "thread_sanitizer.h"

namespace swiommu {

// How often tests of races do what they do: less where each step takes ten times as long.
inline constexpr std::uint64_t concurrent_turns = under_tsan ? 400 : 2000;

class PoisonPages {
 public:
  static constexpr std::uint64_t good = 0x600d600d600d600d, poison = 0xdeaddeaddeaddeadu;

  explicit PoisonPages(FlatMemory const& memory) : memory_(memory) {}

  // From here on nobody may touch the page.
  void poison_page(std::uint64_t n) { fill(n, poison); }

  // Page n is about to be used again. False if somebody has written to it.
  [[nodiscard]] bool revive(std::uint64_t n) {
    bool intact = true;
    for (std::uint64_t i = 0; i < FlatMemory::page / 8; i++) intact = intact && words(n)[i] == poison;
    fill(n, good);
    return intact;
  }
  void make_good(std::uint64_t n) { fill(n, good); }

 private:
  std::uint64_t* words(std::uint64_t n) const { return reinterpret_cast<std::uint64_t*>(memory_.data(n)); }
  void fill(std::uint64_t n, std::uint64_t word) {
    for (std::uint64_t i = 0; i < FlatMemory::page / 8; i++) words(n)[i] = word;
  }
  FlatMemory const& memory_;
};

// Threads with a port each. Every thread keeps to a part of each page of its own, so that they race with nobody but those who
// take pages away.
class DmaThreads {
 public:
  static constexpr std::uint64_t part = 128;  // bytes

  struct Target {
    std::shared_ptr<Device> device;
    std::vector<std::optional<Pasid>> pasids;  // one of them is used each time
    Range iovas;                               // whole pages
  };

  DmaThreads(Target target, unsigned count) : target_(std::move(target)), done_(count) {
    for (unsigned n = 0; n < count; n++) threads_.emplace_back([this, n] { run(n); });
  }
  ~DmaThreads() { stop(); }

  // Have all threads made so many transfers? Gives them the processor if not.
  [[nodiscard]] bool did(std::uint64_t transfers) const {
    for (auto const& done : done_) {
      if (done.load(std::memory_order_relaxed) >= transfers) continue;
      std::this_thread::yield();
      return false;
    }
    return true;
  }
  void stop() {
    stop_ = true;
    threads_.clear();
  }

  [[nodiscard]] bool saw_poison() const { return poison_seen_.load(std::memory_order_relaxed) != 0; }

  // After stop().
  [[nodiscard]] std::uint64_t poison_seen() const { return poison_seen_; }
  [[nodiscard]] std::uint64_t succeeded() const { return succeeded_; }
  // Faults for these reasons.
  [[nodiscard]] std::uint64_t faults(Reason reason) const { return faults_[static_cast<std::size_t>(reason)]; }
  [[nodiscard]] std::uint64_t faults() const {
    std::uint64_t sum = 0;
    for (auto const& count : faults_) sum += count;
    return sum;
  }

 private:
  using Words = std::array<std::uint64_t, part / 8>;

  void run(unsigned n) {
    auto const port = target_.device->open_port().value();
    std::minstd_rand random(n + 1);
    Words words;
    auto const look = [&](std::uint64_t const* from) {
      for (std::size_t i = 0; i < words.size(); i++) poison_seen_ += from[i] == PoisonPages::poison ? 1 : 0;
    };
    for (std::uint64_t count = 1; !stop_.load(std::memory_order_relaxed); count++) {
      std::uint64_t const pages = target_.iovas.length() / FlatMemory::page;
      Iova const iova(target_.iovas.start + random() % pages * FlatMemory::page + n * part);
      auto const pasid = target_.pasids[random() % target_.pasids.size()];
      std::optional<FaultRecord> fault;
      switch (random() % 5) {
        case 0:
          fault = port->read(iova, words.data(), part, pasid).fault;
          if (!fault) look(words.data());
          break;
        case 1:
          words.fill(PoisonPages::good);
          fault = port->write(iova, words.data(), part, pasid).fault;
          break;
        case 2: {
          Iova const to(target_.iovas.start + random() % pages * FlatMemory::page + n * part);
          fault = port->copy(iova, to, part, pasid).fault;
          break;
        }
        case 3: {
          auto const found = port->swap<std::uint64_t>(iova, PoisonPages::good, pasid).value();
          fault = found.fault;
          if (!fault && found.before == PoisonPages::poison) poison_seen_++;
          break;
        }
        default: {
          Port::Guard const guard(*port);
          auto const chunk = port->translate(guard, iova, Access::both(), pasid);
          if (!chunk) {
            fault = chunk.error();
            break;
          }
          auto* const found = reinterpret_cast<std::uint64_t*>(chunk->data);
          look(found);
          if (count % 8 == 0) std::this_thread::yield();  // inside, so that others come while we are
          look(found);
          for (std::size_t i = 0; i < words.size(); i++) found[i] = PoisonPages::good;
        }
      }
      if (fault)
        faults_[static_cast<std::size_t>(fault->reason)]++;
      else
        succeeded_++;
      done_[n].store(count, std::memory_order_relaxed);
      if (count % 32 == 0) std::this_thread::yield();
    }
  }

  Target const target_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> poison_seen_ = 0, succeeded_ = 0;
  std::array<std::atomic<std::uint64_t>, 16> faults_{};
  std::vector<std::atomic<std::uint64_t>> done_;
  std::vector<std::jthread> threads_;
};

}  // namespace swiommu

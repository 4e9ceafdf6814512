// For tests: what readers see of an object that is poisoned after a grace period. Used twice, against the library as it is
// (they see nothing) and against one that does not wait (they must see it).
#pragma once
#include <array>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "swiommu/base/grace_period.h"

namespace swiommu::poison {

// True as soon as `flag` is set; false after giving the processor away a thousand times. A thread that rightly waits is never
// taken for one that does not.
inline bool happens_soon(std::atomic<bool> const& flag) {
  for (unsigned i = 0; i < 1000 && !flag; ++i) std::this_thread::yield();
  return flag;
}

// Plain memory, so that ThreadSanitizer checks the ordering too.
struct Object {
  static constexpr std::uint64_t good = 0x600d, poison = 0xdead;
  std::array<std::uint64_t, 64> words;
  explicit Object() { words.fill(good); }
};

struct Readings {
  bool rest = false;       // readers let the writers wait for them in vain now and then
  unsigned writers = 1;    // each with an object of its own
  bool far_apart = false;  // writers let the readers enter so many guards now and then that they stop to order themselves
};

// What a writer publishes.
struct Publication {
  std::array<Object, 7> objects;  // taken in turn, in no step with the yields below: a poisoned one stays so for a while
  std::atomic<Object const*> published = &objects[0];
};

// Readers look at the published objects again and again; each writer replaces its own, waits, and poisons the old one. Returns
// how many poisoned words the readers saw.
inline std::uint64_t words_seen(GracePeriod const& grace, Readings how = {}) {
  constexpr unsigned reader_count = 2;
  // Several writers wait for each other's processors too.
  unsigned const least_swaps = how.writers == 1 ? 2000 : 500, least_guards = how.writers == 1 ? 10000 : 2500;
  std::vector<Publication> publications(how.writers);
  std::atomic<unsigned> writing = how.writers;
  std::atomic<unsigned> swaps = 0;
  std::atomic<std::uint64_t> seen = 0;
  std::array<std::atomic<unsigned>, reader_count> guards{};
  std::barrier started(reader_count + how.writers);
  std::vector<std::unique_ptr<Epoch>> ports;
  std::vector<Epoch*> epochs;
  for (unsigned i = 0; i < reader_count; ++i) epochs.push_back(ports.emplace_back(std::make_unique<Epoch>(grace)).get());

  auto const read = [&](unsigned reader) {
    Epoch& epoch = *epochs[reader];
    auto const wait_for_swaps = [&](unsigned more) {
      unsigned const before = swaps.load(std::memory_order_relaxed);
      // Inside a guard the writers must not go on: hence the bound.
      for (unsigned i = 0; i < 200 && swaps.load(std::memory_order_relaxed) < before + more; ++i) std::this_thread::yield();
    };
    std::uint64_t bad = 0;
    for (unsigned count = 1; writing.load(std::memory_order_relaxed) != 0; ++count) {
      if (how.rest && count % 8 == 0) wait_for_swaps(3 * how.writers);
      epoch.enter();
      for (Publication const& publication : publications) {
        Object const& object = *publication.published.load(std::memory_order_acquire);
        if (count % 1024 == 0) wait_for_swaps(2 * how.writers);
        for (auto const& word : object.words) bad += word != Object::good;
      }
      epoch.leave();
      // Else give the processor away here rather than lose it inside, where the writers wait for it to come back.
      if (count % 16 == 0) std::this_thread::yield();
      guards[reader].store(count, std::memory_order_relaxed);
    }
    seen += bad;
  };
  auto const write = [&](Publication& own) {
    for (unsigned i = 1; i <= least_swaps || guards[0] < least_guards || guards[1] < least_guards; ++i) {
      Object& fresh = own.objects[i % own.objects.size()];
      Object& old = own.objects[(i - 1) % own.objects.size()];
      fresh.words.fill(Object::good);
      if (how.far_apart && i % 64 < 2) {
        for (auto const& count : guards)
          for (unsigned const before = count; count <= before + Epoch::few_guards;) std::this_thread::yield();
      }
      own.published.store(&fresh, std::memory_order_release);
      grace.wait(epochs);
      old.words.fill(Object::poison);
      ++swaps;
      if (i % 16 == 0) std::this_thread::yield();  // let readers run where processors are few
    }
    --writing;
  };

  std::vector<std::jthread> threads;
  for (unsigned reader = 0; reader < reader_count; ++reader)
    threads.emplace_back([&, reader] {
      started.arrive_and_wait();
      read(reader);
    });
  for (Publication& own : publications)
    threads.emplace_back([&] {
      started.arrive_and_wait();
      write(own);
    });
  threads.clear();
  return seen;
}

// The same with the meeting arranged: the reader is inside when the writer comes. True if it meets poison there.
inline bool poisoned_under_a_held_guard(GracePeriod const& grace) {
  Epoch held(grace), idle(grace), unrelated(grace);
  Object first, second;
  std::atomic<Object const*> published = &first;
  std::atomic<bool> swapped = false, poisoned = false;
  unrelated.enter();  // not waited for
  held.enter();
  Object const& object = *published.load(std::memory_order_acquire);
  std::jthread writer([&] {
    published.store(&second, std::memory_order_release);
    swapped = true;
    Epoch* const epochs[] = {&idle, nullptr, &held};
    grace.wait(epochs);
    first.words.fill(Object::poison);
    poisoned = true;
  });
  while (!swapped) std::this_thread::yield();
  bool const met = happens_soon(poisoned) || object.words[0] != Object::good;
  held.leave();
  writer.join();
  unrelated.leave();
  return met;
}

}  // namespace swiommu::poison

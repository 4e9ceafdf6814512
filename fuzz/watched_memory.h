// The memory of a machine in which a device is fuzzed, each page on the heap by itself, so that a sanitizer sees who reads
// outside. If it is watched, DMA does not find memory but a device range: somebody sees each access before it is done.
#pragma once
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz_input.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::fuzzing {

inline constexpr std::uint64_t page_bytes = 4096;

// Who looks on. `page` and `offset` are where the device's access lies, which is in one page.
class DmaWatcher {
 public:
  DmaWatcher() = default;
  DmaWatcher(DmaWatcher const&) = delete;
  DmaWatcher& operator=(DmaWatcher const&) = delete;
  virtual ~DmaWatcher() = default;
  virtual void on_read(unsigned page, std::uint64_t offset, std::span<std::byte const> bytes) = 0;
  virtual void on_write(unsigned page, std::uint64_t offset, std::span<std::byte const> bytes) = 0;
};

class WatchedMemory final : public MemoryView {
 public:
  static constexpr std::uint64_t start = std::uint64_t{1} << 32;

  // Pages from `tables` on are never watched: tables of an IOMMU lie there.
  WatchedMemory(unsigned pages, unsigned tables, bool watched) : tables_(tables), watched_(watched), range_(*this) {
    for (unsigned n = 0; n < pages; n++) pages_.push_back(std::make_unique<std::byte[]>(page_bytes));
  }
  [[nodiscard]] std::byte* page(unsigned number) const { return pages_[number].get(); }
  [[nodiscard]] bool watched() const { return watched_; }
  void set_watcher(DmaWatcher* watcher) { watcher_ = watcher; }

  [[nodiscard]] Chunk locate(std::uint64_t address, Access) const override {
    std::uint64_t const number = (address - start) / page_bytes, offset = address % page_bytes;
    if (address < start || number >= pages_.size() || (watched_ && number < tables_)) return {};
    return {page(static_cast<unsigned>(number)) + offset, page_bytes - offset};
  }
  [[nodiscard]] FoundDevice device_range(std::uint64_t address) const override {
    Range const all{start, start + tables_ * page_bytes - 1};
    return watched_ && all.contains(address) ? FoundDevice(all, range_) : FoundDevice();
  }

 private:
  struct Watched final : DeviceRange {
    explicit Watched(WatchedMemory const& its_memory) : memory(its_memory) {}
    bool read(std::uint64_t offset, std::span<std::byte> to) override {
      auto const number = static_cast<unsigned>(offset / page_bytes);
      require(offset % page_bytes + to.size() <= page_bytes);
      std::memcpy(to.data(), memory.page(number) + offset % page_bytes, to.size());
      memory.watcher_->on_read(number, offset % page_bytes, to);
      return true;
    }
    bool write(std::uint64_t offset, std::span<std::byte const> from) override {
      auto const number = static_cast<unsigned>(offset / page_bytes);
      require(offset % page_bytes + from.size() <= page_bytes);
      memory.watcher_->on_write(number, offset % page_bytes, from);
      std::memcpy(memory.page(number) + offset % page_bytes, from.data(), from.size());
      return true;
    }
    WatchedMemory const& memory;
  };

  unsigned const tables_;
  bool const watched_;
  std::vector<std::unique_ptr<std::byte[]>> pages_;
  DmaWatcher* watcher_ = nullptr;
  mutable Watched range_;
};

}  // namespace swiommu::fuzzing

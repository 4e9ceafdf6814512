// Memory that is there, as programs give it to be mapped.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstdint>
#include <cstring>

#include "bench/failure.h"
#include "swiommu/base/descriptor.h"

namespace swiommu::bench {

enum class Source : std::uint8_t { memfd, huge_pages, small_pages };
constexpr char const* name(Source source) {
  switch (source) {
    case Source::memfd: return "memfd";
    case Source::huge_pages: return "private, huge pages";
    case Source::small_pages: return "private, 4 KiB pages";
  }
  return "";
}

// So many bytes. Private memory begins at a multiple of 2 MiB; a memfd has no holes, which would be looked for.
class PopulatedMemory {
 public:
  PopulatedMemory(Source source, std::uint64_t length)
      : source_(source), taken_(source == Source::memfd ? length : length + alignment) {
    if (source == Source::memfd) {
      file_ = Descriptor(::memfd_create("swiommu-bench", MFD_CLOEXEC));
      require(file_.get() >= 0 && ::ftruncate(file_.get(), static_cast<off_t>(taken_)) == 0, "no memfd");
    }
    int const flags = source == Source::memfd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    start_ = ::mmap(nullptr, taken_, PROT_READ | PROT_WRITE, flags, file_.get(), 0);
    require(start_ != MAP_FAILED, "no memory to map");
    if (source != Source::memfd) ::madvise(start_, taken_, source == Source::huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    std::memset(data(), 1, length);
  }
  ~PopulatedMemory() { ::munmap(start_, taken_); }
  PopulatedMemory(PopulatedMemory const&) = delete;
  PopulatedMemory& operator=(PopulatedMemory const&) = delete;

  [[nodiscard]] Source source() const { return source_; }
  [[nodiscard]] int file() const { return file_.get(); }  // of a memfd
  [[nodiscard]] std::uint64_t address() const {
    auto const start = std::bit_cast<std::uint64_t>(start_);
    return source_ == Source::memfd ? start : (start + alignment - 1) & ~(alignment - 1);
  }
  [[nodiscard]] void* data() const { return std::bit_cast<void*>(address()); }

 private:
  static constexpr std::uint64_t alignment = std::uint64_t{2} << 20;

  Source const source_;
  std::uint64_t const taken_;
  Descriptor file_;
  void* start_ = nullptr;
};

}  // namespace swiommu::bench

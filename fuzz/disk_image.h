// The file behind a namespace that is fuzzed, in memory, and what must be in it.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "fuzz_input.h"

namespace swiommu::fuzzing {

class DiskImage {
 public:
  explicit DiskImage(std::size_t bytes) : first_(bytes) {
    require(file_ >= 0 && ::ftruncate(file_, static_cast<off_t>(bytes)) == 0);
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    require(at != MAP_FAILED);
    bytes_ = static_cast<std::byte*>(at);
    for (std::size_t n = 0; n < bytes; n++) first_[n] = static_cast<std::byte>(1 + n * 7 + n / 256);
    restore();
  }
  ~DiskImage() {
    ::munmap(bytes_, first_.size());
    ::close(file_);
  }
  DiskImage(DiskImage const&) = delete;
  DiskImage& operator=(DiskImage const&) = delete;

  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }
  [[nodiscard]] std::span<std::byte const> bytes() const { return {bytes_, first_.size()}; }
  [[nodiscard]] std::span<std::byte> expected() { return expected_; }
  void restore() {
    expected_ = first_;
    std::memcpy(bytes_, first_.data(), first_.size());
  }
  void check() const { require(std::memcmp(bytes_, expected_.data(), expected_.size()) == 0); }
  // Is the file as it was made? For who does not know what has been done to it.
  [[nodiscard]] bool untouched() const { return std::memcmp(bytes_, first_.data(), first_.size()) == 0; }

 private:
  std::vector<std::byte> first_, expected_;
  int const file_ = ::memfd_create("namespace", MFD_CLOEXEC);
  std::byte* bytes_ = nullptr;
};

}  // namespace swiommu::fuzzing

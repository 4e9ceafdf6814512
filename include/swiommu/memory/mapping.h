// A piece of our own address space, given back when the object dies.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "swiommu/base/result.h"

namespace swiommu {

// The unit in which the host's memory is mapped, protected and pinned. A host with larger pages still maps at multiples of
// 4 KiB what begins at a multiple of its own page, which is all that is asked of it here.
inline constexpr unsigned host_page_lg2 = 12;
inline constexpr std::uint64_t host_page_size = std::uint64_t{1} << host_page_lg2;

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), length_(std::exchange(other.length_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(length_, other.length_);
    return *this;
  }
  ~Mapping();

  // `length` bytes (> 0) of private zeros, readable and writable. They cost memory only where they are written to.
  // ENOMEM: that much address space is not to be had.
  static Result<Mapping> zeros(std::uint64_t length);

  // The first `length` bytes (> 0) of a file, readable and writable; writes stay private. The errno of mmap(2).
  // If somebody truncates the file later, touching what is gone raises SIGBUS.
  static Result<Mapping> private_file(int descriptor, std::uint64_t length);

  // Changes the length; the bytes may move. What is added is zero. For zeros() only. ENOMEM leaves it as it was.
  Result<> resize(std::uint64_t length);

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::uint64_t length() const { return length_; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, length_}; }

 private:
  Mapping(std::byte* data, std::uint64_t length) : data_(data), length_(length) {}
  std::byte* data_ = nullptr;
  std::uint64_t length_ = 0;
};

}  // namespace swiommu

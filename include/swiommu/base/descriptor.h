// A file descriptor of our own process.
#pragma once
#include <unistd.h>

#include <utility>

namespace swiommu {

// Closed when the object dies. Threads: as an int.
class Descriptor {
 public:
  // None.
  Descriptor() = default;
  // Takes over what a system call gave; a negative number (it failed) is none.
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }

  // Negative: there is none.
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_ = -1;
};

}  // namespace swiommu

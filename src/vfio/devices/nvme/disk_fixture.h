// What a namespace is made of in tests.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace swiommu::vfio::nvme {

// A file of zeros that is gone with the object.
class Disk {
 public:
  explicit Disk(std::uint64_t bytes) {
    int const file = ::mkstemp(path_);
    EXPECT_GE(file, 0);
    EXPECT_EQ(::ftruncate(file, static_cast<off_t>(bytes)), 0);
    ::close(file);
  }
  ~Disk() { ::unlink(path_); }
  Disk(Disk const&) = delete;
  Disk& operator=(Disk const&) = delete;
  [[nodiscard]] char const* path() const { return path_; }

 private:
  char path_[32] = "/tmp/swiommu-nvme-XXXXXX";
};

}  // namespace swiommu::vfio::nvme

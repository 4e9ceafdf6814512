// How far a long listing is, on a terminal only.
#pragma once
#include <cstdint>

namespace swiommu::tools {

// Shows the address that was reached, on standard error, if that is a terminal and standard output is not: a listing on the
// same terminal shows its progress by itself.
class ProgressBar {
 public:
  ProgressBar();
  // To be called often: shows something only every few thousand calls.
  void advance(std::uint64_t address);
  void done();

 private:
  bool const shown_;
  bool drawn_ = false;
  std::uint64_t count_ = 0;
};

}  // namespace swiommu::tools

// How far the run is, on standard error if that is a terminal.
#pragma once
#include <cstddef>
#include <string_view>

namespace swiommu::bench {

class Progress {
 public:
  explicit Progress(std::size_t total);
  ~Progress() { clear(); }
  Progress(Progress const&) = delete;
  Progress& operator=(Progress const&) = delete;

  // One more begins.
  void advance(std::string_view what);
  // Makes room for a line of the report.
  void clear();

 private:
  bool const shown_;
  std::size_t const total_;
  std::size_t begun_ = 0;
};

}  // namespace swiommu::bench

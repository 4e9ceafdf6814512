// Paths under /sys that the launcher has written something of its own for (run/sysfs_folder.h).
#pragma once
#include <array>

namespace swiommu::run {

// Where a path leads: to the launcher's folder, if it is under /sys and there; else itself.
class Redirected {
 public:
  explicit Redirected(char const* path) : path_(path) { look(); }
  Redirected(Redirected const&) = delete;
  Redirected& operator=(Redirected const&) = delete;

  [[nodiscard]] char const* path() const { return path_; }

 private:
  void look();

  char const* path_;
  std::array<char, 1024> moved_;  // set if it leads elsewhere; small, as the stacks of signal handlers may be
};

// Takes the launcher's folder off the front of an absolute path, in place.
void hide_folder(char* path);

}  // namespace swiommu::run

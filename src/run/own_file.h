// A file of the engine of this process, and the owner's end of the socket whose other ends are its descriptors.
#pragma once
#include <atomic>
#include <memory>

#include "run/file_name.h"
#include "run/futex_lock.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::run {

// Threads: any. Lock order: whatever the file holds when its readiness changes, then doorbell_lock_, then the descriptor table.
class OwnFile {
 public:
  // `front` becomes the first descriptor, close-on-exec. The errno of socketpair(2); ENOMEM.
  static Result<std::shared_ptr<OwnFile>> create(std::shared_ptr<iommufd::OpenFile> file, FileName const& name, int& front);
  // Releases the file.
  ~OwnFile();
  OwnFile(OwnFile const&) = delete;
  OwnFile& operator=(OwnFile const&) = delete;

  [[nodiscard]] iommufd::OpenFile& file() const { return *file_; }
  [[nodiscard]] std::shared_ptr<iommufd::OpenFile> const& shared_file() const { return file_; }
  [[nodiscard]] FileName const& name() const { return name_; }
  [[nodiscard]] int back() const { return back_; }

  // No process has a descriptor any more.
  [[nodiscard]] bool unheld() const;
  // After a read through `descriptor`, a front of this file: is it to be readable still?
  void settle(int descriptor);

 private:
  OwnFile(std::shared_ptr<iommufd::OpenFile> file, FileName const& name, int back)
      : file_(std::move(file)), name_(name), back_(back) {}
  void set_readable(bool readable);
  void ring();
  void take_back(int descriptor);

  std::shared_ptr<iommufd::OpenFile> file_;
  FileName const name_;
  int const back_;
  FutexLock doorbell_lock_;
  bool readable_ = false;  // as the file says
  bool rung_ = false;      // a message waits in the fronts, which makes them readable
};

}  // namespace swiommu::run

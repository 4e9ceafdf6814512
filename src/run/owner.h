// The engine of this process, once it has opened /dev/iommu, and the files that anybody has a descriptor of.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

#include "run/descriptor_table.h"
#include "run/own_file.h"
#include "run/service.h"
#include "swiommu/base/function_ref.h"
#include "swiommu/iommufd/engine.h"
#include "swiommu/vfio/pci_bus.h"

namespace swiommu::run {

// Lives until the process ends, in whatever way. Threads: any.
class Owner {
 public:
  // nullptr: this process has opened nothing.
  static Owner* existing();
  // Makes it if need be, with the profile that the launcher was given. The errors of Engine::create and of the profile.
  static Result<Owner*> get();

  // open(2) of /dev/iommu, of /dev/vfio/vfio, or of a device's file or group: the new descriptor. ENOENT: of none of these.
  Result<int> open(std::string_view path, bool close_on_exec);
  // A descriptor of this process for a file. EMFILE; ENFILE; ENOMEM.
  Result<int> install(std::shared_ptr<iommufd::OpenFile> file, bool close_on_exec);
  // A descriptor that nobody holds yet: `front` is the caller's, to be passed on and closed.
  Result<std::shared_ptr<OwnFile>> make_file(std::shared_ptr<iommufd::OpenFile> file, int& front);
  // A received descriptor turned out to be one of our own.
  bool hold(int descriptor, std::uint64_t id);

  [[nodiscard]] std::shared_ptr<OwnFile> find(std::uint64_t id) const;
  // Calls back with the file, if it is still there; it is not released meanwhile.
  void with_file(std::uint64_t id, FunctionRef<void(OwnFile&)> function);
  // If no process has a descriptor of the file, it is gone when this returns, or when the calls under way end.
  void release_if_unheld(std::uint64_t id);

  // What is pinned on behalf of a process.
  [[nodiscard]] PinCounts counts(pid_t pid) const;

  // Says in the log what the DMA of the devices has done.
  void log_activity() const;

  // Others can have descriptors from now on.
  void serve_others() { service_.start(); }

  [[nodiscard]] iommufd::Engine& engine() const { return *engine_; }
  [[nodiscard]] std::shared_ptr<iommufd::Process> const& process() const { return process_; }
  [[nodiscard]] std::uint64_t token() const { return token_; }

 private:
  Owner(std::shared_ptr<iommufd::Engine> engine, std::shared_ptr<vfio::PciBus> devices, std::shared_ptr<iommufd::Process> process,
        std::uint64_t token);

  std::shared_ptr<iommufd::Engine> const engine_;
  std::shared_ptr<vfio::PciBus> const devices_;  // nullptr: there are none
  std::shared_ptr<iommufd::Process> const process_;
  std::uint64_t const token_;
  Service service_;
  std::atomic<std::uint64_t> next_id_ = 1;
  std::mutex release_mutex_;  // outermost: held while a file is released
  mutable std::mutex files_mutex_;
  std::map<std::uint64_t, std::shared_ptr<OwnFile>> files_;
};

}  // namespace swiommu::run

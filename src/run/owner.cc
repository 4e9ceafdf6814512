#include "run/owner.h"

#include <fcntl.h>

#include <cstdlib>

#include "run/call_log.h"
#include "run/chosen_devices.h"
#include "run/chosen_profile.h"
#include "run/holding_pool.h"
#include "run/kernel_call.h"
#include "run/own_holding.h"
#include "run/process_state.h"

namespace swiommu::run {

Owner::Owner(std::shared_ptr<iommufd::Engine> engine, std::shared_ptr<vfio::PciBus> devices,
             std::shared_ptr<iommufd::Process> process, std::uint64_t token)
    : engine_(std::move(engine)), devices_(std::move(devices)), process_(std::move(process)), token_(token), service_(*this) {}

Owner* Owner::existing() { return process_state().owner.load(std::memory_order_acquire); }

Result<Owner*> Owner::get() {
  ProcessState& state = process_state();
  if (Owner* const known = existing()) return known;
  std::lock_guard const lock(state.owner_lock);
  if (Owner* const known = existing()) return known;
  return guarded([&]() -> Result<Owner*> {
    auto profile = chosen_profile();
    if (!profile) return std::unexpected(std::move(profile).error());
    auto engine = iommufd::Engine::create(std::move(*profile));
    if (!engine) return std::unexpected(std::move(engine).error());
    (*engine)->addresses().expect_losses();
    std::shared_ptr<vfio::PciBus> devices;
    if (count_of_devices() != 0) {
      auto made = chosen_devices(*engine);
      if (!made) return std::unexpected(std::move(made).error());
      devices = std::move(*made);
    }
    auto process = (*engine)->processes().find(state.pid, static_cast<std::uint32_t>(kernel_call(SYS_getuid)));
    if (!process) return std::unexpected(std::move(process).error());
    std::uint64_t token = 0;
    kernel_call(SYS_getrandom, &token, sizeof token, 0);
    auto* const made = new Owner(std::move(*engine), std::move(devices), std::move(*process), token);
    state.owner.store(made, std::memory_order_release);
    if (made->devices_) made->serve_others();  // ends the process for threads that end without exit(3)
    return made;
  });
}

Result<std::shared_ptr<OwnFile>> Owner::make_file(std::shared_ptr<iommufd::OpenFile> file, int& front) {
  return guarded([&]() -> Result<std::shared_ptr<OwnFile>> {
    std::uint64_t const id = next_id_.fetch_add(1, std::memory_order_relaxed);
    auto made = OwnFile::create(std::move(file), {process_->pid, token_, id}, front);
    if (!made) return made;
    {
      std::lock_guard const lock(files_mutex_);
      files_.emplace(id, *made);
    }
    service_.watch(**made);
    return made;
  });
}

Result<int> Owner::install(std::shared_ptr<iommufd::OpenFile> file, bool close_on_exec) {
  int front = -1;
  auto made = make_file(std::move(file), front);
  if (!made) return std::unexpected(std::move(made).error());
  auto* const holding = HoldingPool::create<OwnHolding>(*this, std::move(*made));
  if (holding == nullptr) {
    kernel_call(SYS_close, front);
    return out_of_memory();
  }
  if (!close_on_exec) kernel_call(SYS_fcntl, front, F_SETFD, 0);
  table().put(front, *holding);
  return front;
}

Result<int> Owner::open(std::string_view path, bool close_on_exec) {
  auto file = path == "/dev/iommu"       ? engine_->open()
              : path == "/dev/vfio/vfio" ? engine_->open_container()
              : devices_                 ? devices_->open(path)
                                         : fail(ENOENT, "there are no devices");
  if (!file) return std::unexpected(std::move(file).error());
  return install(std::move(*file), close_on_exec);
}

bool Owner::hold(int descriptor, std::uint64_t id) {
  auto file = find(id);
  auto* const holding = file ? HoldingPool::create<OwnHolding>(*this, std::move(file)) : nullptr;
  if (holding == nullptr) return false;
  table().put(descriptor, *holding);
  return true;
}

std::shared_ptr<OwnFile> Owner::find(std::uint64_t id) const {
  std::lock_guard const lock(files_mutex_);
  auto const at = files_.find(id);
  return at == files_.end() ? nullptr : at->second;
}

PinCounts Owner::counts(pid_t pid) const {
  auto const process = engine_->processes().existing(pid);
  if (!process) return {};
  return {process->pinned_pages.load(std::memory_order_relaxed), process->locked_pages.load(std::memory_order_relaxed)};
}

void Owner::log_activity() const {
  if (!devices_ || !logging()) return;
  auto const logged = guarded([&]() -> Result<> {
    for (auto const& [placed, dma, faults] : devices_->activity())
      if (dma)
        log_line("device {}: {} transfers of {} bytes, {} walks, {} of them nested, {} faults", placed.address.text(),
                 dma->transfers, dma->bytes, dma->walks, dma->nested_walks, faults);
    return {};
  });
  static_cast<void>(logged);  // without memory the log lacks it
}

void Owner::with_file(std::uint64_t id, FunctionRef<void(OwnFile&)> function) {
  std::lock_guard const lock(release_mutex_);
  if (auto const file = find(id)) function(*file);
}

void Owner::release_if_unheld(std::uint64_t id) {
  std::lock_guard const lock(release_mutex_);
  auto const file = find(id);
  if (!file || !file->unheld()) return;
  std::lock_guard const files_lock(files_mutex_);
  files_.erase(id);
}

}  // namespace swiommu::run

#include "run/chosen_devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "run/call_log.h"
#include "run/environment.h"
#include "run/kernel_call.h"
#include "swiommu/vfio/model_specification.h"

namespace swiommu::run {
namespace {

// Threads that are made meanwhile have all signals blocked: no handler of the program runs in them. By the kernel's own call: see
// hidden_thread.cc.
class BlockedSignals {
 public:
  BlockedSignals() {
    unsigned long const all = ~0UL & ~(3UL << 31);
    kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before_, sizeof all);
  }
  ~BlockedSignals() { kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_); }
  BlockedSignals(BlockedSignals const&) = delete;
  BlockedSignals& operator=(BlockedSignals const&) = delete;

 private:
  unsigned long before_ = 0;
};

// As the environment had it at first: programs may clear theirs.
constinit std::atomic<char const*> remembered = nullptr;

std::string_view list_of_devices() {
  char const* list = remembered.load(std::memory_order_acquire);
  if (list == nullptr) {
    char const* const found = std::getenv(devices_variable);
    char const* const copy = found == nullptr || *found == 0 ? "" : ::strdup(found);
    if (copy == nullptr) return found;
    if (remembered.compare_exchange_strong(list, copy)) list = copy;
  }
  return list;
}

constinit std::atomic<int> counted = -1;

}  // namespace

unsigned count_of_devices() {
  int count = counted.load(std::memory_order_relaxed);
  if (count < 0) {
    std::string_view const list = list_of_devices();
    count = list.empty() ? 0 : static_cast<int>(std::ranges::count(list, '\n')) + 1;
    counted.store(count, std::memory_order_relaxed);
  }
  return static_cast<unsigned>(count);
}

Result<std::shared_ptr<vfio::PciBus>> make_devices(std::shared_ptr<iommufd::Engine> const& engine,
                                                   std::vector<std::string> const& names) {
  return guarded([&]() -> Result<std::shared_ptr<vfio::PciBus>> {
    BlockedSignals const blocked;
    auto bus = vfio::PciBus::create(engine, [](vfio::PciAddress address, FaultRecord const& fault) {
      if (logging()) log_line("device {}: {}", address.text(), describe(fault));
    });
    if (!bus) return bus;
    for (std::string const& name : names) {
      auto const specification = vfio::parse_model(name);
      if (!specification) return std::unexpected(specification.error());
      if (auto const placed = (*bus)->add(specification->place, specification->make); !placed)
        return fail(placed.error().code, fmt::format("device {}: {}", name, placed.error().about));
    }
    return bus;
  });
}

Result<std::shared_ptr<vfio::PciBus>> chosen_devices(std::shared_ptr<iommufd::Engine> const& engine) {
  return guarded([&] {
    std::vector<std::string> names;
    for (std::string_view list = list_of_devices(); !list.empty();) {
      std::string_view const line = list.substr(0, list.find('\n'));
      names.emplace_back(line);
      list.remove_prefix(std::min(list.size(), line.size() + 1));
    }
    return make_devices(engine, names);
  });
}

}  // namespace swiommu::run

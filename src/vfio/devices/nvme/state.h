// What all threads of a controller share.
#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>

#include "vfio/devices/gate.h"
#include "vfio/devices/nvme/async_events.h"
#include "vfio/devices/nvme/error_log.h"
#include "vfio/devices/nvme/features.h"
#include "vfio/devices/nvme/health.h"
#include "vfio/devices/nvme/identify.h"
#include "vfio/devices/nvme/interrupts.h"
#include "vfio/devices/nvme/queue_table.h"
#include "vfio/devices/nvme/registers.h"
#include "vfio/devices/polling_thread.h"

namespace swiommu::vfio::nvme {

struct State {
  State(Slot& its_slot, NvmeOptions its_options, ModelDescription its_description, std::shared_ptr<RegisterMemory> memory,
        std::uint64_t capabilities, Namespaces its_namespaces)
      : slot(its_slot),
        options(std::move(its_options)),
        description(std::move(its_description)),
        namespaces(std::move(its_namespaces)),
        registers(std::move(memory), capabilities),
        queues(static_cast<std::uint16_t>(options.io_queues)),
        interrupts(its_slot, queues.last()),
        features({static_cast<std::uint32_t>(namespaces.size()), queues.last(), description.msix.vectors}),
        worker_wakeups(options.io_threads) {}

  // The largest transfer, in bytes.
  [[nodiscard]] std::uint64_t largest_transfer() const { return std::uint64_t{4096} << options.mdts; }
  [[nodiscard]] Wakeup& wakeup_of(std::uint16_t queue) {
    return queue == 0 ? control_wakeup : worker_wakeups[(queue - 1u) % worker_wakeups.size()];
  }
  void wake_workers() {
    for (Wakeup& each : worker_wakeups) each.wake();
  }
  // Of all namespaces. The first error there is.
  [[nodiscard]] Status flush() const {
    Status first = status::success;
    for (auto const& ns : namespaces)
      if (Status const flushed = ns->flush(); first.ok()) first = flushed;
    return first;
  }
  // The host has written something into a doorbell that it must not (5.2).
  void bad_doorbell(AsyncEvent event) {
    errors.add({.status_field = status::invalid_field.field(false)});
    events.add(event);
    control_wakeup.wake();
  }
  // 9.5: nothing is done any more until the controller is reset.
  void fail() { registers.add_status(csts::fatal); }

  Slot& slot;
  NvmeOptions const options;
  ModelDescription const description;
  Namespaces const namespaces;
  Registers registers;
  QueueTable queues;
  Interrupts interrupts;
  Gate gate;
  Features features;
  Health health;
  ErrorLog errors;
  AsyncEvents events;
  std::atomic<unsigned> page_size_lg2 = 12;  // CC.MPS, since it was enabled
  Wakeup control_wakeup;
  std::deque<Wakeup> worker_wakeups;
};

}  // namespace swiommu::vfio::nvme

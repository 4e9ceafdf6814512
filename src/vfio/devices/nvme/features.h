// Set Features and Get Features. NVM Express 1.4, 5.13, 5.21.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

#include "swiommu/base/mutex.h"
#include "vfio/devices/nvme/command.h"

namespace swiommu::vfio::nvme {

// 5.21.1.
enum class Feature : std::uint8_t {
  arbitration = 0x01,
  power_management = 0x02,
  temperature_threshold = 0x04,
  error_recovery = 0x05,
  volatile_write_cache = 0x06,
  number_of_queues = 0x07,
  interrupt_coalescing = 0x08,
  interrupt_vector_configuration = 0x09,
  write_atomicity = 0x0a,
  asynchronous_event_configuration = 0x0b,
};

inline Feature feature_of(Command const& command) { return static_cast<Feature>(command.cdw10 & 0xff); }

// Threads: any.
class Features {
 public:
  struct Limits {
    std::uint32_t namespaces = 0;
    std::uint16_t queues = 0;   // I/O queues of each kind
    std::uint16_t vectors = 0;  // of interrupts
  };
  static constexpr std::uint16_t warning_temperature = 343;  // kelvin; the threshold at first

  explicit Features(Limits const& limits) : limits_(limits) { reset(); }

  // `io_queues`: there are some already.
  Outcome set(Command const& command, bool io_queues);
  [[nodiscard]] Outcome get(Command const& command) const;
  void reset();

  [[nodiscard]] bool write_cache() const { return write_cache_.load(std::memory_order_relaxed); }
  // Is the temperature beyond a threshold?
  [[nodiscard]] bool temperature_warning() const;
  // The host wants to be told of that (asynchronous event configuration).
  [[nodiscard]] bool temperature_events() const;

 private:
  struct Values {
    std::uint32_t arbitration, power, over, under, write_cache, coalescing, write_atomicity, events;
    std::vector<std::uint32_t> error_recovery;  // by namespace
    std::vector<std::uint32_t> vectors;         // interrupt vector configuration
    void start(Limits const& limits);
  };
  Outcome set_temperature(std::uint32_t value) SWIOMMU_REQUIRES(mutex_);
  Outcome set_error_recovery(std::uint32_t nsid, std::uint32_t value) SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] Outcome read(Values const& values, Command const& command) const;
  [[nodiscard]] std::uint32_t queue_numbers() const { return (limits_.queues - 1u) << 16 | (limits_.queues - 1u); }

  Limits const limits_;
  mutable Mutex mutex_;
  Values values_ SWIOMMU_GUARDED_BY(mutex_);
  std::atomic<bool> write_cache_ = true;
};

}  // namespace swiommu::vfio::nvme

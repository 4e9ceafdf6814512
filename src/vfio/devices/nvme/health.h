// What the SMART / health log counts. NVM Express 1.4, 5.14.1.2.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>

#include "vfio/devices/nvme/data_page.h"

namespace swiommu::vfio::nvme {

// Threads: any.
class Health {
 public:
  static constexpr std::uint16_t temperature = 308;  // kelvin: files have none

  std::atomic<std::uint64_t> sectors_read = 0, sectors_written = 0;  // of 512 bytes
  std::atomic<std::uint64_t> reads = 0, writes = 0, media_errors = 0;
  std::atomic<std::uint64_t> busy_microseconds = 0;

  [[nodiscard]] DataPage page(std::uint64_t error_entries, bool temperature_warning) const {
    using namespace std::chrono;
    // units of a thousand sectors, rounded up
    auto const units = [](std::uint64_t sectors) { return (sectors + 999) / 1000; };
    DataPage page;
    page.put(0, static_cast<std::uint8_t>(temperature_warning ? 2 : 0) /* critical warning */);
    page.put(1, temperature);
    page.put(3, std::uint8_t{100});  // available spare, percent
    page.put(4, std::uint8_t{10});   // its threshold
    page.put(32, units(sectors_read));
    page.put(48, units(sectors_written));
    page.put(64, reads.load());
    page.put(80, writes.load());
    page.put(96, busy_microseconds / 60'000'000);
    page.put(112, std::uint64_t{1});  // power cycles
    page.put(128, static_cast<std::uint64_t>(duration_cast<hours>(steady_clock::now() - start_).count()));
    page.put(160, media_errors.load());
    page.put(176, error_entries);
    return page;
  }

 private:
  std::chrono::steady_clock::time_point const start_ = std::chrono::steady_clock::now();
};

}  // namespace swiommu::vfio::nvme

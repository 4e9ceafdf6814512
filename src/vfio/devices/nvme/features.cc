#include "vfio/devices/nvme/features.h"

#include <algorithm>
#include <numeric>

#include "vfio/devices/nvme/health.h"

namespace swiommu::vfio::nvme {
namespace {

// What Select 3 asks for (5.13.1): bit 2 changeable, bit 1 of one namespace, bit 0 saveable.
constexpr std::uint32_t capabilities_of(Feature feature) { return feature == Feature::error_recovery ? 6 : 4; }

constexpr std::uint32_t under_threshold = 1;  // THSEL

}  // namespace

// Takes no memory for values that have been initial before.
void Features::Values::start(Limits const& limits) {
  arbitration = power = under = coalescing = write_atomicity = events = 0;
  over = warning_temperature;
  write_cache = 1;
  error_recovery.assign(limits.namespaces, 0);
  vectors.resize(limits.vectors);
  std::iota(vectors.begin(), vectors.end(), 0u);
}

void Features::reset() {
  Lock const lock(mutex_);
  values_.start(limits_);
  write_cache_.store(true, std::memory_order_relaxed);
}

Outcome Features::set(Command const& command, bool io_queues) {
  Feature const feature = feature_of(command);
  std::uint32_t const value = command.cdw11;
  if ((command.cdw10 >> 31) != 0) return {status::feature_not_saveable};
  if (feature != Feature::error_recovery && command.nsid != 0 && command.nsid != every_namespace)
    return {status::feature_not_of_namespace};
  Lock const lock(mutex_);
  switch (feature) {
    case Feature::arbitration: values_.arbitration = value & 0xffffff07; return {};
    case Feature::power_management:
      if ((value & 0x1f) != 0) return {status::invalid_field};  // there is power state 0 only
      values_.power = value & 0xff;
      return {};
    case Feature::temperature_threshold: return set_temperature(value);
    case Feature::error_recovery: return set_error_recovery(command.nsid, value);
    case Feature::volatile_write_cache:
      values_.write_cache = value & 1;
      write_cache_.store((value & 1) != 0, std::memory_order_relaxed);
      return {};
    case Feature::number_of_queues:
      if ((value & 0xffff) == 0xffff || value >> 16 == 0xffff) return {status::invalid_field};
      if (io_queues) return {status::command_sequence_error};
      return {status::success, queue_numbers()};
    case Feature::interrupt_coalescing: values_.coalescing = value & 0xffff; return {};
    case Feature::interrupt_vector_configuration:
      if ((value & 0xffff) >= values_.vectors.size()) return {status::invalid_field};
      values_.vectors[value & 0xffff] = value & 0x1ffff;
      return {};
    case Feature::write_atomicity: values_.write_atomicity = value & 1; return {};
    case Feature::asynchronous_event_configuration: values_.events = value & 0x1ff; return {};
  }
  return {status::invalid_field};
}

// Only the composite temperature is there.
Outcome Features::set_temperature(std::uint32_t value) {
  std::uint32_t const sensor = value >> 16 & 15, type = value >> 20 & 3;
  if ((sensor != 0 && sensor != 15) || type > under_threshold) return {status::invalid_field};
  (type == under_threshold ? values_.under : values_.over) = value & 0xffff;
  return {};
}

Outcome Features::set_error_recovery(std::uint32_t nsid, std::uint32_t value) {
  if ((value & 1u << 16) != 0) return {status::invalid_field};  // errors for deallocated blocks: Identify says there are none
  if (nsid == every_namespace) {
    std::ranges::fill(values_.error_recovery, value & 0xffff);
    return {};
  }
  if (nsid == 0 || nsid > values_.error_recovery.size()) return {status::invalid_namespace};
  values_.error_recovery[nsid - 1] = value & 0xffff;
  return {};
}

Outcome Features::get(Command const& command) const {
  Feature const feature = feature_of(command);
  unsigned const select = command.cdw10 >> 8 & 7;
  if (select == 0) {
    Lock const lock(mutex_);
    return read(values_, command);
  }
  Values defaults;
  defaults.start(limits_);
  switch (select) {
    case 1:
    case 2: return read(defaults, command);  // nothing is saved, so the saved values are the default ones
    case 3: {
      Outcome outcome = read(defaults, command);
      if (outcome.status.ok()) outcome.result = capabilities_of(feature);
      return outcome;
    }
    default: return {status::invalid_field};
  }
}

Outcome Features::read(Values const& values, Command const& command) const {
  std::uint32_t const which = command.cdw11;
  switch (feature_of(command)) {
    case Feature::arbitration: return {status::success, values.arbitration};
    case Feature::power_management: return {status::success, values.power};
    case Feature::temperature_threshold:
      if ((which >> 16 & 15) != 0 || (which >> 20 & 3) > under_threshold) return {status::invalid_field};
      return {status::success, (which >> 20 & 3) == under_threshold ? values.under : values.over};
    case Feature::error_recovery:
      if (command.nsid == 0 || command.nsid > values.error_recovery.size()) return {status::invalid_namespace};
      return {status::success, values.error_recovery[command.nsid - 1]};
    case Feature::volatile_write_cache: return {status::success, values.write_cache};
    case Feature::number_of_queues: return {status::success, queue_numbers()};
    case Feature::interrupt_coalescing: return {status::success, values.coalescing};
    case Feature::interrupt_vector_configuration:
      if ((which & 0xffff) >= values.vectors.size()) return {status::invalid_field};
      return {status::success, values.vectors[which & 0xffff]};
    case Feature::write_atomicity: return {status::success, values.write_atomicity};
    case Feature::asynchronous_event_configuration: return {status::success, values.events};
  }
  return {status::invalid_field};
}

bool Features::temperature_warning() const {
  Lock const lock(mutex_);
  return Health::temperature >= values_.over || Health::temperature <= values_.under;
}

bool Features::temperature_events() const {
  Lock const lock(mutex_);
  return (values_.events & 2) != 0;
}

}  // namespace swiommu::vfio::nvme

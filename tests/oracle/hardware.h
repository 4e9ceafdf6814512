// One IOMMU that QEMU has, in one of its modes: how its structures are made, how it is driven, and what it should record.
#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "oracle/edu.h"
#include "oracle/guest_memory.h"
#include "oracle/qemu.h"
#include "swiommu/device/fault_record.h"
#include "swiommu/domain/context_source.h"
#include "swiommu/domain/domain.h"

namespace swiommu::oracle {

// One access of a device to one word.
struct Probe {
  std::uint64_t iova = 0;
  bool write = false;
  [[nodiscard]] Access access() const { return write ? Access::writing() : Access::reading(); }
};

// What one side says about a probe.
struct Outcome {
  bool done = false;                   // data has arrived
  std::uint64_t word = 0;              // what was read
  std::optional<std::uint32_t> fault;  // the code that the IOMMU recorded
};

// All that is known about a probe.
struct Comparison {
  Probe probe;
  Outcome qemu;
  Outcome ours;  // `fault` is not set, see expected_faults()
  std::optional<ConfigurationFault> configuration_fault;
  std::optional<DeviceConfiguration> configuration;
  std::optional<FaultRecord> fault;                    // of the DMA
  Translation translation;                             // of the DMA, before it; if there is a configuration
  std::vector<WalkStep> steps;                         // of the walk through the user page table
  std::shared_ptr<MemoryView const> parent;            // memory through the table under the user page table, if there is one
  std::vector<WalkStep> steps_under;                   // of the walks through that table: for each of `steps`, and the output
  std::optional<std::vector<std::uint32_t>> expected;  // expected_faults()
  bool of_structure = false;                           // what was read is a word of a structure, which flags may have changed

  // Does the DMA do the same? What is recorded may differ.
  [[nodiscard]] bool same_effect() const { return ours.done == qemu.done && (of_structure || ours.word == qemu.word); }
  // Has QEMU stopped a DMA that only the end of memory stops on our side? Then the two have not walked the same way.
  [[nodiscard]] bool stopped_early() const { return !ours.done && translation.ok() && qemu.fault.has_value(); }
  // A word of a structure that was met on the way to the page table; 0 if it was not, or if the probe is left out.
  [[nodiscard]] std::uint64_t word_of(std::string_view structure, std::size_t word = 0) const {
    if (!configuration_fault && !configuration) return 0;
    auto const& all = configuration_fault ? configuration_fault->steps : configuration->steps;
    for (auto const& step : all)
      if (step.what == structure && word < step.words.size()) return step.words[word];
    return 0;
  }
  // Does QEMU record one of these codes?
  [[nodiscard]] bool qemu_says(std::initializer_list<std::uint32_t> codes) const {
    return qemu.fault && std::ranges::find(codes, *qemu.fault) != codes.end();
  }
  [[nodiscard]] bool qemu_says(std::uint32_t code) const { return qemu_says({code}); }
  // Does the manual?
  [[nodiscard]] bool expects(std::uint32_t code) const {
    return expected && std::ranges::find(*expected, code) != expected->end();
  }
};

// Where QEMU differs from the manual, and why we think so.
struct Deviation {
  std::string_view name;
  std::string_view manual;  // section, and what it says
  bool (*explains)(Comparison const& comparison) = nullptr;
  // Differences that DMA leaves in structures: flags. `used`: the entry has led DMA to its data.
  bool (*explains_word)(std::uint64_t ours, std::uint64_t qemu, bool used) = nullptr;
};

struct Layout {
  Range window;                // of structures and data
  std::vector<Range> nowhere;  // no memory, no devices
  Edu::Place edu;
};

class Hardware {
 public:
  virtual ~Hardware() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual Machine machine() const = 0;
  [[nodiscard]] virtual Layout layout() const = 0;
  [[nodiscard]] virtual std::uint32_t device() const = 0;
  [[nodiscard]] virtual std::span<Deviation const> deviations() const = 0;

  // Before the first case of each QEMU: PCI devices, queues, what registers say. The IOMMU is off afterwards.
  virtual void start(Qemu& qemu) = 0;

  // The structures of a case, and where the device shall look.
  virtual std::vector<Probe> make(Random& random, GuestMemory& memory) = 0;
  // The same case for libswiommu.
  [[nodiscard]] virtual std::unique_ptr<ContextSource> unit(MemoryView const& memory) const = 0;

  // The case's registers; then DMA is translated. disable(): DMA goes out as it comes.
  virtual void enable(Qemu& qemu) = 0;
  virtual void disable(Qemu& qemu) = 0;
  // Whatever may be cached is stale.
  virtual void forget(Qemu& qemu) = 0;

  // After a probe: asks for what the IOMMU has recorded, and clears it.
  virtual void ask_fault(Qemu& qemu) = 0;
  // The answers of one ask_fault(), when run() has returned.
  virtual std::optional<std::uint32_t> fault(Qemu& qemu, std::span<std::uint64_t const> answers) = 0;

  // Would QEMU end itself over this? Such a case is given up, which costs less than a new QEMU.
  [[nodiscard]] virtual bool breaks_qemu(Comparison const&) const { return false; }

  // What the manual has recorded for our outcome; empty: nothing. Nothing at all: no opinion.
  [[nodiscard]] virtual std::optional<std::vector<std::uint32_t>> expected_faults(Comparison const& comparison) const = 0;
};

}  // namespace swiommu::oracle

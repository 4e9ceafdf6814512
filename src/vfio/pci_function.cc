#include "vfio/pci_function.h"

#include <algorithm>

#include "vfio/configuration_layout.h"
#include "vfio/description_check.h"

namespace swiommu::vfio {

PciFunction::PciFunction(Options options) : options_(std::move(options)) {}

Result<std::shared_ptr<PciFunction>> PciFunction::create(Options options, MakeModel const& make) {
  return guarded([&]() -> Result<std::shared_ptr<PciFunction>> {
    std::shared_ptr<PciFunction> made(new PciFunction(std::move(options)));
    auto model = make(*made);
    if (!model) return std::unexpected(std::move(model).error());
    Lock const lock(made->mutex_);
    made->model_ = std::move(*model);
    made->description_ = made->model_->description();
    SWIOMMU_TRY(check_description(made->description_));
    for (Bar const& bar : made->description_.bars) {
      auto const address = made->options_.place(bar);
      if (!address) return std::unexpected(address.error());
      made->addresses_[bar.number] = *address;
    }
    made->interrupts_.set_up(made->description_);
    made->configuration_ = std::make_unique<ConfigurationSpace>(made->description_, made->addresses_, made->options_.serial);
    return made;
  });
}

PciFunction::~PciFunction() = default;

Bar const* PciFunction::find_bar(std::uint64_t number) const {
  auto const at = std::ranges::find(description_.bars, number, &Bar::number);
  return at == description_.bars.end() ? nullptr : &*at;
}

Result<std::unique_ptr<Port>> PciFunction::open_port() { return options_.physical->device()->open_port(); }

void PciFunction::report(FaultRecord const& fault) noexcept {
  auto const reported = guarded([&]() -> Result<void> {
    fault_count_.fetch_add(1, std::memory_order_relaxed);
    if (options_.faults) options_.faults(fault);
    options_.physical->report(fault);
    return {};
  });
  static_cast<void>(reported);  // no memory to keep a record in: it is lost, as where a queue is full
}

// The model may send messages and start DMA from when it is told that it may, until it has been told that it may not.
void PciFunction::follow_bus_master() {
  bool const on = configuration_->bus_master();
  if (on == bus_master()) return;
  if (on) {
    interrupts_.set_bus_master(true);
    bus_master_.store(true, std::memory_order_release);
    model_->on_bus_master(true);
  } else {
    stop_dma();
    interrupts_.set_bus_master(false);
  }
}

void PciFunction::stop_dma() {
  bus_master_.store(false, std::memory_order_release);
  options_.physical->device()->give_up_page_requests();  // a thread that waits for a page is not in flight for ever
  model_->on_bus_master(false);
}

void PciFunction::reset_model() {
  if (bus_master()) stop_dma();
  model_->reset();
  interrupts_.forget_pending();
  follow_bus_master();
}

void PciFunction::enable() {
  Lock const lock(mutex_);
  configuration_->start_over();
  follow_bus_master();
}

void PciFunction::disable() noexcept {
  {
    Lock const lock(mutex_);
    configuration_->set_bus_master(false);
    follow_bus_master();
  }
  {
    Lock const lock(setting_interrupts_);
    interrupts_.disable_all();
  }
  Lock const lock(mutex_);
  reset_model();
  configuration_->start_over();
  low_power_.store(false);
}

void PciFunction::reset() {
  Lock const lock(mutex_);
  configuration_->set_powered();
  reset_model();
}

Result<void> PciFunction::set_interrupts(InterruptRequest request) {
  Lock const lock(setting_interrupts_);
  return interrupts_.set(std::move(request));
}

void PciFunction::read_configuration(unsigned offset, std::span<std::byte> to) {
  Lock const lock(mutex_);
  configuration_->read(offset, to, interrupts_.state());
}

void PciFunction::write_configuration(unsigned offset, std::span<std::byte const> from) {
  Lock const lock(mutex_);
  bool const resets = configuration_->write(offset, from, interrupts_.state());
  interrupts_.set_line_disabled(configuration_->interrupt_disabled());
  unsigned const control = layout::msi + layout::msi_control;
  if (offset < control + 2 && offset + from.size() > control) interrupts_.set_msi_sent(configuration_->msi_enabled());
  follow_bus_master();
  if (resets) reset_model();
}

std::optional<std::uint64_t> PciFunction::pending_offset(unsigned bar, std::uint64_t offset) const {
  MsixTables const& tables = description_.msix;
  if (tables.vectors == 0 || bar != tables.bar || offset < tables.pending_offset) return std::nullopt;
  std::uint64_t const inside = offset - tables.pending_offset;
  if (inside >= msix_pending_bytes(tables)) return std::nullopt;
  return inside;
}

Result<void> PciFunction::read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> to) {
  Lock const lock(mutex_);
  if (!configuration_->memory_enabled()) return fail(EIO, "the function does not answer at its BARs: memory is not enabled");
  if (auto const pending = pending_offset(bar, offset)) {
    for (std::size_t n = 0; n < to.size(); n++) to[n] = static_cast<std::byte>(interrupts_.pending_byte(*pending + n));
  } else {
    model_->read_bar(bar, offset, to);
  }
  return {};
}

Result<void> PciFunction::write_bar(unsigned bar, std::uint64_t offset, std::span<std::byte const> from) {
  Lock const lock(mutex_);
  if (!configuration_->memory_enabled()) return fail(EIO, "the function does not answer at its BARs: memory is not enabled");
  if (!pending_offset(bar, offset)) model_->write_bar(bar, offset, from);
  return {};
}

Result<std::shared_ptr<iommufd::MappableMemory>> PciFunction::map_bar(unsigned bar) {
  Lock const lock(mutex_);
  return model_->map_bar(bar);
}

}  // namespace swiommu::vfio

#include "vfio/devices/nvme/controller.h"

#include "vfio/devices/nvme/run_command.h"

namespace swiommu::vfio::nvme {
namespace {

constexpr unsigned burst = 8;  // commands of one queue until it is the turn of the next

}  // namespace

Result<std::unique_ptr<Controller>> Controller::create(std::unique_ptr<State> state) {
  auto port = state->slot.open_port();
  if (!port) return std::unexpected(std::move(port).error());
  std::unique_ptr<Controller> controller(new Controller(std::move(state), std::move(*port)));
  Controller& self = *controller;
  State& shared = *self.state_;
  self.bus_master_ = shared.slot.bus_master();
  if (!self.bus_master_) shared.gate.close();

  auto const mapped = [&shared] { return shared.registers.memory()->mapped(); };
  self.threads_.emplace_back(shared.control_wakeup, [&self] { return self.control_turn(); }, mapped);
  for (unsigned number = 0; number < shared.options.io_threads; number++) {
    auto its_port = shared.slot.open_port();
    if (!its_port) return std::unexpected(std::move(its_port).error());
    Worker& worker = self.workers_.emplace_back(shared, std::move(*its_port));
    self.threads_.emplace_back(
        shared.worker_wakeups[number], [&self, &worker, number] { return self.worker_turn(worker, number); },
        [&worker, mapped] { return !worker.queues.empty() && mapped(); });
  }
  return controller;
}

Result<> Controller::start() {
  for (PollingThread& each : threads_) SWIOMMU_TRY(each.start());
  return {};
}

Controller::~Controller() {
  state_->gate.close();  // so that nobody begins a command any more
  for (PollingThread& each : threads_) each.stop();
}

Result<std::shared_ptr<iommufd::MappableMemory>> Controller::map_bar(unsigned bar) {
  if (bar != 0) return fail(ENODEV, "only BAR 0 of an NVMe controller can be mapped");
  return RegisterMemory::map(state_->registers.memory(), false, [this] {
    state_->control_wakeup.wake();
    state_->wake_workers();
  });
}

void Controller::on_bus_master(bool enabled) {
  if (enabled == bus_master_) return;
  bus_master_ = enabled;
  if (!enabled) return state_->gate.close();
  state_->gate.open();
  state_->control_wakeup.wake();
  state_->wake_workers();
}

void Controller::reset() {
  Lock const lock(transitions_);
  state_->gate.close();
  disable();
  state_->registers.reset();
  disable_wanted_.store(false);
  enabled_ = false;
  state_->gate.open();
}

void Controller::enable(Configuration configuration) {
  Registers& registers = state_->registers;
  std::uint32_t const aqa = registers.raw(offset::aqa);
  std::uint32_t const submissions = (aqa & 0xfff) + 1, completions = (aqa >> 16 & 0xfff) + 1;
  std::uint64_t const asq = align_down(registers.raw_wide(offset::asq), 12),
                      acq = align_down(registers.raw_wide(offset::acq), 12);
  unsigned const page = configuration.page_size_lg2();
  bool const valid = configuration.command_set() == 0 && configuration.arbitration() == 0 && page <= largest_page_size_lg2 &&
                     submissions >= 2 && completions >= 2 && is_aligned(asq, page) && is_aligned(acq, page);
  if (!valid) return state_->fail();
  state_->page_size_lg2 = page;
  auto queue = std::make_shared<CompletionQueue>(
      registers, CompletionQueueOptions{.id = 0, .iova = acq, .entries = completions, .vector = 0, .interrupts = true});
  state_->queues.add(queue);
  state_->queues.add(std::make_shared<SubmissionQueue>(registers, std::uint16_t{0}, asq, submissions, std::move(queue)));
  registers.set_status(csts::ready);
}

// 7.3.2: a controller level reset, which leaves AQA, ASQ and ACQ as they are.
void Controller::disable() {
  state_->gate.close();
  state_->queues.clear();
  state_->interrupts.reset();
  state_->features.reset();
  state_->events.reset();
  state_->registers.memory()->clear(offset::doorbells);
  state_->registers.set_status(0);
  state_->gate.open();
  state_->wake_workers();  // so that they let go of their queues
}

bool Controller::look_at_configuration() {
  bool changed = false;
  // Before CC is read: what it says now comes after that.
  bool const disabled = disable_wanted_.exchange(false);
  Configuration const configuration = state_->registers.configuration();
  if (enabled_ && (disabled || !configuration.enabled())) {
    disable();
    enabled_ = false;
    changed = true;
  }
  if (!enabled_ && configuration.enabled()) {
    enabled_ = true;
    enable(configuration);
    changed = true;
  }
  // 7.6.2.
  if (configuration.shutdown() != 0 && (state_->registers.status() & csts::shutdown_complete) == 0) {
    (void)state_->flush();
    state_->registers.add_status(csts::shutdown_complete);
    changed = true;
  }
  return changed;
}

bool Controller::control_turn() {
  bool worked = false;
  {
    Lock const lock(transitions_);
    if (state_->registers.memory()->mapped()) look_at_mapping();
    worked = look_at_configuration();
  }
  auto const queue = state_->queues.submission(0);
  if (!queue) return worked;
  if (admin_.deliver_event(*queue)) worked = true;
  if (run_next(*state_, *queue, admin_memory_, [&](Command const& command) { return admin_.run(command, *queue); }))
    worked = true;
  return worked;
}

bool Controller::worker_turn(Worker& worker, unsigned number) {
  if (std::uint64_t const version = state_->queues.version(); version != worker.version) {
    worker.queues = state_->queues.share(number, state_->options.io_threads);
    worker.version = version;
  }
  bool worked = false;
  for (auto const& queue : worker.queues)
    for (unsigned n = 0; n < burst; n++) {
      if (!run_next(*state_, *queue, worker.memory, [&](Command const& command) { return worker.commands.run(command); })) break;
      worked = true;
    }
  return worked;
}

}  // namespace swiommu::vfio::nvme

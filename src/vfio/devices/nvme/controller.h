// The controller: registers, and the threads that do what they say. NVM Express 1.4, 7.6.
#pragma once
#include <deque>
#include <memory>
#include <vector>

#include "vfio/devices/nvme/admin_commands.h"
#include "vfio/devices/nvme/io_commands.h"
#include "vfio/devices/nvme/state.h"

namespace swiommu::vfio::nvme {

class Controller final : public DeviceModel {
 public:
  // Its threads have not begun: start() does that, or somebody takes their turns.
  static Result<std::unique_ptr<Controller>> create(std::unique_ptr<State> state);
  ~Controller() override;
  Result<> start();
  // Thread 0 looks at the registers and runs admin commands; the others share the I/O queues. True: there was something to do.
  bool turn(unsigned thread) { return threads_[thread].turn(); }

  [[nodiscard]] ModelDescription const& description() const override { return state_->description; }
  void read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> to) override;
  void write_bar(unsigned bar, std::uint64_t offset, std::span<std::byte const> from) override;
  Result<std::shared_ptr<iommufd::MappableMemory>> map_bar(unsigned bar) override;
  void on_bus_master(bool enabled) override;
  void reset() override;

 private:
  // A thread of its own for some of the I/O queues.
  struct Worker {
    Worker(State& state, std::unique_ptr<Port> port) : memory(state.slot, std::move(port)), commands(state, memory) {}
    HostMemory memory;
    IoCommands commands;
    std::uint64_t version = 0;  // of the queue table, when the queues were looked up
    std::vector<std::shared_ptr<SubmissionQueue>> queues;
  };

  Controller(std::unique_ptr<State> state, std::unique_ptr<Port> port)
      : state_(std::move(state)), admin_memory_(state_->slot, std::move(port)), admin_(*state_, admin_memory_) {}

  [[nodiscard]] std::uint32_t read_word(std::uint64_t offset) const;
  void write_word(std::uint64_t offset, std::uint32_t value);
  void ring(std::uint64_t offset, std::uint32_t value);
  void look_at_mapping() SWIOMMU_REQUIRES(transitions_);
  bool look_at_configuration() SWIOMMU_REQUIRES(transitions_);
  void enable(Configuration configuration) SWIOMMU_REQUIRES(transitions_);
  void disable() SWIOMMU_REQUIRES(transitions_);
  bool control_turn();
  bool worker_turn(Worker& worker, unsigned number);

  std::unique_ptr<State> const state_;
  HostMemory admin_memory_;
  AdminCommands admin_;
  Mutex transitions_;  // between states of the controller; before all others, and not for register accesses
  bool enabled_ SWIOMMU_GUARDED_BY(transitions_) = false;  // CC.EN as it was seen last
  std::atomic<bool> disable_wanted_ = false;               // CC.EN was cleared, and may be set again by now
  bool bus_master_ = true;                                 // of the slot's owner
  std::deque<Worker> workers_;
  std::deque<PollingThread> threads_;
};

// As make_nvme(), without threads that run.
Result<std::unique_ptr<Controller>> make_controller(Slot& slot, NvmeOptions const& options);

}  // namespace swiommu::vfio::nvme

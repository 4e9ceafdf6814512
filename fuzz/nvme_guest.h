// A guest's driver of an NVMe controller that is fuzzed: knows how to do it right, so that an input can do it a little wrong.
#pragma once
#include <array>

#include "device_machine.h"
#include "vfio/devices/nvme/controller.h"

namespace swiommu::fuzzing {

class NvmeGuest {
 public:
  static constexpr unsigned io_queues = 4, queues = io_queues + 1;
  // Of the window of iovas: queues first, submissions and completions by turns, then lists, then data.
  static constexpr std::uint64_t first_list = 1 + 2 * queues, lists = 4, first_data = first_list + lists;
  // So few that a request for an event is met by an Abort, and that they come again.
  static constexpr std::uint16_t command_ids = 16;
  static constexpr std::uint32_t enabled = 4u << 20 | 6u << 16 | 1;  // CC

  using Command = vfio::nvme::Command;
  using Completion = vfio::nvme::Completion;
  using AdminOpcode = vfio::nvme::AdminOpcode;
  using NvmOpcode = vfio::nvme::NvmOpcode;

  NvmeGuest(DeviceMachine& machine, vfio::nvme::Controller& controller) : machine_(machine), controller_(controller) {}

  static std::uint64_t submissions_of(unsigned id) { return (1 + 2 * id) * page_bytes; }
  static std::uint64_t completions_of(unsigned id) { return (2 + 2 * id) * page_bytes; }

  template <class T>
  [[nodiscard]] T get(std::uint64_t at) const {
    T value{};
    controller_.read_bar(0, at, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <class T>
  void set(std::uint64_t at, T value) {
    controller_.write_bar(0, at, std::as_bytes(std::span(&value, 1)));
  }

  // 7.6.1, up to CC.
  void prepare(std::uint32_t entries) {
    namespace offset = vfio::nvme::offset;
    set<std::uint32_t>(offset::aqa, (entries - 1) << 16 | (entries - 1));
    set<std::uint64_t>(offset::asq, submissions_of(0));
    set<std::uint64_t>(offset::acq, completions_of(0));
    use(0, submissions_of(0), entries);
    use_completions(0, 0, completions_of(0), entries);
  }
  static Command create_completions(std::uint16_t id, std::uint32_t entries) {
    return {.opcode = static_cast<std::uint8_t>(AdminOpcode::create_completion_queue),
            .prp1 = completions_of(id),
            .cdw10 = (entries - 1) << 16 | id,
            .cdw11 = std::uint32_t{id} << 16 | 3};
  }
  static Command create_submissions(std::uint16_t id, std::uint16_t completions, std::uint32_t entries) {
    return {.opcode = static_cast<std::uint8_t>(AdminOpcode::create_submission_queue),
            .prp1 = submissions_of(id),
            .cdw10 = (entries - 1) << 16 | id,
            .cdw11 = std::uint32_t{completions} << 16 | 1};
  }
  // Where the commands of a queue go from now on.
  void use(unsigned id, std::uint64_t iova, std::uint32_t entries) { queues_[id].submissions = {iova, entries}; }
  // Its completions appear with the first phase: what is left of an earlier queue must not look like them.
  void use_completions(unsigned id, unsigned completions, std::uint64_t iova, std::uint32_t entries) {
    queues_[id].completions = {iova, entries};
    queues_[id].completion_id = completions;
    queues_[id].head = 0;
    queues_[id].phase = 1;
    for (std::uint32_t n = 0; n < entries; n++) machine_.put(iova + 16 * n, Completion{});
  }

  // Into the next place of the queue, without the doorbell. The command's id.
  std::uint16_t put(unsigned id, Command command) {
    Ring const& ring = queues_[id].submissions;
    command.id = next_id_++ % command_ids;
    machine_.put(ring.iova + 64 * queues_[id].tail(ring), command);
    queues_[id].waiting++;
    return command.id;
  }
  void ring_tail(unsigned id) {
    Ring const& ring = queues_[id].submissions;
    set<std::uint32_t>(vfio::nvme::offset::doorbells + 8 * id, queues_[id].tail(ring));
    queues_[id].rung = queues_[id].tail(ring);
    queues_[id].waiting = 0;
  }
  // Takes what has appeared. The last completion, if there was one.
  std::optional<Completion> take(unsigned id) {
    Queue& queue = queues_[id];
    std::optional<Completion> last;
    for (std::uint32_t n = 0; n < queue.completions.entries; n++) {
      auto const next = machine_.get<Completion>(queue.completions.iova + 16 * queue.head);
      if (!next || (next->status & 1) != queue.phase) break;
      last = next;
      if (++queue.head == queue.completions.entries) {
        queue.head = 0;
        queue.phase ^= 1;
      }
    }
    if (last) set<std::uint32_t>(vfio::nvme::offset::doorbells + 8 * queue.completion_id + 4, queue.head);
    return last;
  }
  // The queue begins anew.
  void rewind(unsigned id) { queues_[id].rung = queues_[id].waiting = 0; }

 private:
  struct Ring {
    std::uint64_t iova = page_bytes;
    std::uint32_t entries = 16;
  };
  struct Queue {
    Ring submissions, completions;
    std::uint32_t rung = 0, waiting = 0;  // what the doorbell was written with; commands after it
    unsigned completion_id = 0;
    std::uint32_t head = 0;
    unsigned phase = 1;
    [[nodiscard]] std::uint32_t tail(Ring const& ring) const { return (rung + waiting) % ring.entries; }
  };

  DeviceMachine& machine_;
  vfio::nvme::Controller& controller_;
  std::array<Queue, queues> queues_;
  std::uint16_t next_id_ = 1;
};

}  // namespace swiommu::fuzzing

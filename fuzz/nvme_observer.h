// What an NVMe controller does, as its DMA shows it: which commands it fetches, what data it moves, which completions it posts.
// Held against a plain model of queues and namespaces, while turns of the controller's threads are taken one by one.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "device_machine.h"
#include "nvme_disks.h"
#include "nvme_names.h"
#include "outcome_counts.h"
#include "vfio/devices/nvme/async_events.h"
#include "vfio/devices/nvme/controller.h"

namespace swiommu::fuzzing {

class NvmeObserver final : public DmaWatcher {
 public:
  NvmeObserver(DeviceMachine const& machine, FuzzedSlot const& slot, vfio::nvme::Controller& controller,
               vfio::NvmeOptions const& options, NvmeDisks disks, OutcomeCounts& counts)
      : machine_(machine), slot_(slot), controller_(controller), options_(options), disks_(std::move(disks)), counts_(&counts) {}

  // What becomes of commands is counted no more.
  void stop_counting() { counts_ = nullptr; }
  // CC.EN was cleared by a call, and may have been set again.
  void note_disabling() { disabling_ = true; }
  // From now on doorbells may be written without a call: which of their values the controller has seen is not known.
  void note_mapping() { mapped_ = true; }
  void note_reset() {
    forget();
    enabled_ = disabling_ = false;
  }

  // A turn of one of the controller's threads. True: there was something to do.
  bool turn(unsigned thread) {
    namespace offset = vfio::nvme::offset;
    thread_ = thread;
    accesses_ = commands_ = 0;
    fetched_.reset();
    written_.clear();
    if (thread == 0) {
      bool const wanted = (read<std::uint32_t>(offset::cc) & 1) != 0;
      if (bool const disabled = std::exchange(disabling_, false) || !wanted; enabled_ && disabled) note_reset();
      if (!enabled_ && wanted) enable();
    }
    bool const worked = controller_.turn(thread);
    if (fetched_) settle_without_completion();
    if (commands_ != 0 && thread != 0) disks_.check();
    return worked;
  }
  template <class T>
  [[nodiscard]] T read(std::uint64_t at) const {
    T value{};
    controller_.read_bar(0, at, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }

  void on_read(unsigned page, std::uint64_t offset, std::span<std::byte const> bytes) override {
    require(slot_.master && machine_.allows(page, Access::reading()) && ++accesses_ <= most_accesses);
    if (fetched_) {
      fetched_->read.insert(fetched_->read.end(), bytes.begin(), bytes.end());
      return;
    }
    require(bytes.size() == sizeof(Command) && ++commands_ <= most_commands);
    fetched_.emplace();
    std::memcpy(&fetched_->command, bytes.data(), bytes.size());
    fetched_->place = page * page_bytes + offset;
    fetched_->faults = slot_.faults;
    if (thread_ == 0) advance(submissions_[0]);
  }

  void on_write(unsigned page, std::uint64_t offset, std::span<std::byte const> bytes) override {
    require(slot_.master && machine_.allows(page, Access::writing()) && ++accesses_ <= most_accesses);
    std::uint64_t const place = page * page_bytes + offset;
    written_.insert(written_.end(), bytes.begin(), bytes.end());
    // A completion comes in two pieces, so that its phase tag is last.
    bool const ends_completion = bytes.size() == 4 && place % 16 == 12 && last_write_ == Write{place - 12, 12} && !is_data();
    last_write_ = {place, bytes.size()};
    if (!ends_completion) return;
    Completion completion;
    std::memcpy(&completion, &written_[written_.size() - sizeof completion], sizeof completion);
    written_.resize(written_.size() - sizeof completion);
    complete(place - 12, completion);
    written_.clear();
    last_write_ = {};
    accesses_ = 0;
  }

 private:
  using Command = vfio::nvme::Command;
  using Completion = vfio::nvme::Completion;
  using Status = vfio::nvme::Status;
  // Of a command: a read for each SGL segment, two for each block of data; and PRP lists.
  static constexpr std::uint64_t most_accesses = 3 * 2048 + 64;
  static constexpr unsigned most_commands = 4 * 8;  // of a turn: a burst of each queue

  struct CompletionQueue {
    std::uint64_t iova = 0;
    std::uint32_t entries = 0, head = 0, tail = 0;
    unsigned phase = 1;
  };
  struct SubmissionQueue {
    std::uint64_t iova = 0;
    std::uint32_t entries = 0;
    unsigned completions = 0;
    std::uint32_t head = 0;
  };
  struct Write {
    std::uint64_t place = 0, length = 0;
    bool operator==(Write const&) const = default;
  };

  void count(std::string_view what, std::string_view outcome) {
    if (counts_ != nullptr) counts_->add(what, outcome, 0);
  }
  void forget() {
    submissions_.clear();
    completions_.clear();
    requests_.clear();
  }
  void enable() {
    namespace offset = vfio::nvme::offset;
    auto const sizes = read<std::uint32_t>(offset::aqa);
    enabled_ = true;
    completions_[0] = {.iova = read<std::uint64_t>(offset::acq) & ~0xfffull, .entries = (sizes >> 16 & 0xfff) + 1};
    submissions_[0] = {.iova = read<std::uint64_t>(offset::asq) & ~0xfffull, .entries = (sizes & 0xfff) + 1};
  }

  // What a Read has written last is what it should, and there has been no reason to end it.
  [[nodiscard]] bool is_data() const {
    if (!fetched_ || thread_ == 0 || slot_.faults != fetched_->faults) return false;
    if (static_cast<vfio::nvme::NvmOpcode>(fetched_->command.opcode) != vfio::nvme::NvmOpcode::read) return false;
    return disks_.matches(fetched_->command, written_);
  }

  void complete(std::uint64_t place, Completion const& completion) {
    unsigned const id = completion.submission_queue;
    require(thread_ == 0 ? id == 0 : id != 0 && (id - 1) % options_.io_threads == thread_ - 1);
    require(submissions_.contains(id) && completions_.contains(submissions_[id].completions));
    SubmissionQueue& queue = submissions_[id];
    take_place(completions_[queue.completions], queue.completions, place, completion.status & 1);
    Status const status{static_cast<std::uint16_t>(completion.status >> 1 & 0x7ff)};
    require(name_of(status) != "another status");
    if (status == vfio::nvme::status::abort_requested) {
      require(fetched_ && is_admin(vfio::nvme::AdminOpcode::abort));
      take_request(completion.command);
      count("event request", name_of(status));
    } else if (!fetched_) {
      require(thread_ == 0 && status.ok());
      take_request(completion.command);
      count("event request", "event");
    } else {
      require(completion.command == fetched_->command.id);
      if (thread_ != 0) advance(queue);
      thread_ == 0 ? settle_admin(fetched_->command, status) : settle_io(status);
      fetched_.reset();
    }
    require(completion.submission_head == queue.head && written_.empty());
  }

  void take_request(std::uint16_t command) {
    auto const found = requests_.find(command);
    require(found != requests_.end());
    requests_.erase(found);
  }

  // A completion is at the tail, with the phase tag of that round, and the host has left room for it.
  void take_place(CompletionQueue& queue, unsigned id, std::uint64_t place, unsigned phase) {
    auto const distance = [&](std::uint32_t from, std::uint32_t to) {
      return to >= from ? to - from : to + queue.entries - from;
    };
    auto const doorbell = read<std::uint32_t>(vfio::nvme::offset::doorbells + 8 * id + 4);
    if (doorbell < queue.entries && distance(queue.head, doorbell) <= distance(queue.head, queue.tail)) queue.head = doorbell;
    require(machine_.place(queue.iova + 16 * queue.tail) == place && phase == queue.phase);
    require(mapped_ || distance(queue.head, queue.tail) < queue.entries - 1);
    if (++queue.tail != queue.entries) return;
    queue.tail = 0;
    queue.phase ^= 1;
  }
  // The command was the next of its queue.
  void advance(SubmissionQueue& queue) {
    require(machine_.place(queue.iova + 64 * queue.head) == fetched_->place);
    if (++queue.head == queue.entries) queue.head = 0;
  }

  [[nodiscard]] bool is_admin(vfio::nvme::AdminOpcode opcode) const {
    return thread_ == 0 && static_cast<vfio::nvme::AdminOpcode>(fetched_->command.opcode) == opcode;
  }
  // Event requests wait. Otherwise the completion met a fault.
  void settle_without_completion() {
    using vfio::nvme::AdminOpcode;
    bool const fatal = (read<std::uint32_t>(vfio::nvme::offset::csts) & vfio::nvme::csts::fatal) != 0;
    if (fatal) {
      count("completion", "fault");
      if (thread_ != 0) disks_.take(*fetched_);
      return;
    }
    require(is_admin(AdminOpcode::asynchronous_event_request) && (fetched_->command.flags & 0xc3) == 0);
    requests_.insert(fetched_->command.id);
    require(requests_.size() <= vfio::nvme::AsyncEvents::most_requests);
    count("event request", "waits");
  }
  void settle_admin(Command const& command, Status status) {
    using enum vfio::nvme::AdminOpcode;
    auto const opcode = static_cast<vfio::nvme::AdminOpcode>(command.opcode);
    count(name_of(opcode), name_of(status));
    std::uint64_t const wanted = ((command.cdw10 >> 16 | std::uint64_t{command.cdw11 & 0xffff} << 16) + 1) * 4;
    std::uint64_t const most = opcode == identify ? 4096 : opcode == get_log_page ? wanted : 0;
    require(written_.size() <= most && (!status.ok() || most == 0 || written_.size() == most));
    written_.clear();
    if (!status.ok() || most != 0) return;
    auto const id = static_cast<std::uint16_t>(command.cdw10);
    std::uint32_t const entries = (command.cdw10 >> 16) + 1;
    unsigned const completions = command.cdw11 >> 16;
    bool const creates = opcode == create_completion_queue || opcode == create_submission_queue;
    if (creates) require(id != 0 && id <= options_.io_queues && entries >= 2 && entries <= options_.queue_entries);
    if (opcode == create_completion_queue) {
      require(completions_.insert({id, {.iova = command.prp1, .entries = entries}}).second);
    } else if (opcode == create_submission_queue) {
      require(completions_.contains(completions));
      require(
          submissions_.insert({id, {.iova = command.prp1, .entries = entries, .completions = completions, .head = 0}}).second);
    } else if (opcode == delete_submission_queue) {
      require(id != 0 && submissions_.erase(id) == 1);
    } else if (opcode == delete_completion_queue) {
      for (auto const& [number, each] : submissions_) require(each.completions != id);
      require(id != 0 && completions_.erase(id) == 1);
    }
  }

  void settle_io(Status status) {
    count(name_of(static_cast<vfio::nvme::NvmOpcode>(fetched_->command.opcode)), name_of(status));
    disks_.settle(*fetched_, status, written_);
    written_.clear();
  }

  DeviceMachine const& machine_;
  FuzzedSlot const& slot_;
  vfio::nvme::Controller& controller_;
  vfio::NvmeOptions const& options_;
  NvmeDisks disks_;
  OutcomeCounts* counts_;

  bool enabled_ = false, disabling_ = false, mapped_ = false;
  std::map<unsigned, SubmissionQueue> submissions_;
  std::map<unsigned, CompletionQueue> completions_;
  std::multiset<std::uint16_t> requests_;  // of events, that wait

  // Of the turn that is being taken.
  unsigned thread_ = 0, commands_ = 0;
  std::uint64_t accesses_ = 0;
  std::optional<FetchedCommand> fetched_;
  std::vector<std::byte> written_;
  Write last_write_;
};

}  // namespace swiommu::fuzzing

// NVMe controllers in the hands of hostile guests: registers of any width by calls and through a mapping, commands that are a
// little wrong, lists that lead anywhere, doorbells, mappings that come and go, resets at any time; the turns of the controller's
// threads are taken one by one, so the same input does the same. Such a guest can hurt only itself: DMA goes where it may, each
// command does what it says to the blocks that it names and nothing else, and after a reset the controller works.
#pragma once
#include <memory>

#include "mapped_registers.h"
#include "nvme_commands.h"
#include "nvme_observer.h"

namespace swiommu::fuzzing {

// What lasts from one input to the next, and is as it was at first when one begins.
struct NvmeParts {
  NvmeParts(bool watched, bool nested) : machine(watched, nested) {}
  void restore() {
    machine.restore();
    for (DiskImage* const each : {&small_blocks, &large_blocks, &read_only}) each->restore();
  }

  static constexpr unsigned io_threads = 2;
  DeviceMachine machine;
  DiskImage small_blocks{64 * 512}, large_blocks{8 * 4096}, read_only{16 * 512};
  vfio::NvmeOptions const options{.namespaces = {{.path = small_blocks.path()},
                                                 {.path = large_blocks.path(), .block_size = 4096},
                                                 {.path = read_only.path(), .read_only = true}},
                                  .io_queues = NvmeGuest::io_queues,
                                  .queue_entries = 16,
                                  .mdts = 2,
                                  .io_threads = io_threads};
};

// One input, for a controller that is new.
class NvmeRun {
 public:
  NvmeRun(NvmeParts& parts, FuzzInput& input, OutcomeCounts& counts)
      : parts_(parts),
        machine_(parts.machine),
        input_(input),
        counts_(counts),
        slot_(machine_.device()),
        controller_(vfio::nvme::make_controller(slot_, parts.options).value()),
        observer_(machine_, slot_, *controller_, parts.options,
                  NvmeDisks({{parts.small_blocks, 9}, {parts.large_blocks, 12}, {parts.read_only, 9, true}}), counts),
        guest_(machine_, *controller_),
        commands_(machine_, input) {
    slot_.vectors = controller_->description().msix.vectors;
    machine_.memory().set_watcher(&observer_);
  }
  ~NvmeRun() { machine_.memory().set_watcher(nullptr); }
  NvmeRun(NvmeRun const&) = delete;
  NvmeRun& operator=(NvmeRun const&) = delete;

  void go() {
    unsigned const begin = input_.below(8);
    if (begin > 0) start(16);
    for (unsigned id = 1; id <= NvmeGuest::io_queues && begin > id; id++) create_pair(id);
    for (unsigned n = 0; n < most_steps && !input_.rest().empty(); n++) step();
    if ((status() & vfio::nvme::csts::fatal) != 0) counts_.add("controller", "fatal", 0);
    if (slot_.raised != 0) counts_.add("interrupt", "message", 0);
    if (slot_.line) counts_.add("interrupt", "line", 0);
    machine_.check();
    require(parts_.read_only.untouched());
    expect_that_it_works(input_.flag());
    require(!slot_.wrong);
  }

 private:
  using Command = vfio::nvme::Command;
  static constexpr auto event_request = static_cast<std::uint8_t>(vfio::nvme::AdminOpcode::asynchronous_event_request);
  static constexpr unsigned most_steps = 64, io_threads = NvmeParts::io_threads;

  void step() {
    switch (input_.below(16)) {
      case 0: return write_register();
      case 1: return read_register();
      case 2: return write_mapping();
      case 3: return ring();
      case 4:
      case 5: return submit(0);
      case 6:
      case 7:
      case 8:
      case 9: return submit(1 + input_.below(NvmeGuest::io_queues));
      case 10:
      case 11: return commands_.write_list();
      case 12: return machine_.put(commands_.iova(), input_.take_bytes(1 + input_.below(64)));
      case 13: return change_mapping();
      case 14: return turn(input_.below(1 + io_threads));
      default: return control();
    }
  }

  template <class T>
  void write(std::uint64_t at, T value) {
    auto const enabled = [&] { return guest_.get<std::uint32_t>(vfio::nvme::offset::cc) & 1; };
    bool const was_enabled = enabled() != 0;
    guest_.set<T>(at, value);
    if (was_enabled && enabled() == 0) observer_.note_disabling();
  }
  [[nodiscard]] std::uint32_t status() const { return guest_.get<std::uint32_t>(vfio::nvme::offset::csts); }

  // Mostly a register that there is.
  std::uint64_t any_register() {
    namespace offset = vfio::nvme::offset;
    constexpr std::uint64_t usual[] = {offset::cap, offset::vs,   offset::intms, offset::intmc, offset::cc,
                                       offset::cc,  offset::csts, offset::aqa,   offset::asq,   offset::acq};
    unsigned const form = input_.below(16);
    if (form == 15) return input_.take<std::uint16_t>() % controller_->description().bars[0].bytes;
    return (form < 10 ? usual[form] : offset::doorbells + 4 * input_.below(2 * NvmeGuest::queues + 2)) + (form == 14 ? 1 : 0);
  }
  std::uint64_t any_value(std::uint64_t at) {
    unsigned const form = input_.below(8);
    if (form == 7) return input_.number();
    if (at != vfio::nvme::offset::cc) return form < 4 ? input_.below(20) : commands_.iova();
    std::uint32_t const shutdown = form == 6 ? 1u << 14 : 0;
    return form < 3   ? NvmeGuest::enabled | input_.below(8) / 4 << 7
           : form < 5 ? NvmeGuest::enabled & ~1u
           : form < 7 ? NvmeGuest::enabled | shutdown
                      : NvmeGuest::enabled ^ 1u << input_.below(24);
  }
  // Calls `access` with a value of 1, 2, 4 or 8 bytes.
  void of_any_width(std::uint64_t at, unsigned smallest_lg2, auto access) {
    unsigned const width = std::max(smallest_lg2, input_.below(8) < 5 ? 2 : input_.below(4));
    at &= ~low_bits(width);
    std::uint64_t const value = any_value(at & ~3ull);
    switch (width) {
      case 0: return access(at, static_cast<std::uint8_t>(value));
      case 1: return access(at, static_cast<std::uint16_t>(value));
      case 2: return access(at, static_cast<std::uint32_t>(value));
      default: return access(at, value);
    }
  }
  void write_register() {
    of_any_width(any_register(), 0, [&]<class T>(std::uint64_t at, T value) { write<T>(at, value); });
    counts_.add("register", "written", 0);
  }
  void read_register() {
    of_any_width(any_register(), 0, [&]<class T>(std::uint64_t at, T) { (void)guest_.get<T>(at); });
    require(guest_.get<std::uint32_t>(vfio::nvme::offset::vs) == vfio::nvme::specification_version);
    counts_.add("register", "read", 0);
  }
  void write_mapping() {
    if (!mapped_) mapped_ = std::make_unique<MappedRegisters>(*controller_);
    observer_.note_mapping();
    of_any_width(any_register(), 2, [&]<class T>(std::uint64_t at, T value) {
      if constexpr (sizeof value >= 4) mapped_->store<T>(at, value);
    });
    counts_.add("register", "written through a mapping", 0);
    turn(input_.below(1 + io_threads));
  }
  void ring() {
    std::uint64_t const at = vfio::nvme::offset::doorbells + 4 * input_.below(2 * NvmeGuest::queues + 1);
    std::uint32_t const value = input_.below(16) == 15 ? input_.take<std::uint32_t>() : input_.below(18);
    if (mapped_ && input_.flag())
      mapped_->store<std::uint32_t>(at, value);
    else
      write<std::uint32_t>(at, value);
    counts_.add("doorbell", "rung", 0);
    turn(input_.below(1 + io_threads));
  }

  static unsigned thread_of(unsigned queue) { return queue == 0 ? 0 : 1 + (queue - 1) % io_threads; }
  void turn(unsigned thread) { (void)observer_.turn(thread); }

  void submit(unsigned queue) {
    Command const command = queue == 0 ? commands_.admin() : commands_.io();
    note_queues(queue, command);
    unsigned const form = input_.below(16);
    for (unsigned n = form == 12 ? 6 : 1; n > 0; n--) {
      std::uint16_t const id = guest_.put(queue, command);
      if (queue == 0 && command.opcode == event_request) commands_.note_request(id);
    }
    if (form == 15) return;  // with the next
    guest_.ring_tail(queue);
    if (form == 14) return;
    for (unsigned n = 0; n < (form == 12 ? 8 : 3); n++) turn(thread_of(queue));
    if (form != 13) (void)guest_.take(queue);
  }
  // What a guest thinks that it has got, if the command succeeds.
  void note_queues(unsigned queue, Command const& command) {
    unsigned const id = command.cdw10 & 0xffff;
    std::uint32_t const entries = (command.cdw10 >> 16) + 1;
    if (queue != 0 || id == 0 || id > NvmeGuest::io_queues || entries > 16) return;
    using enum vfio::nvme::AdminOpcode;
    auto const opcode = static_cast<vfio::nvme::AdminOpcode>(command.opcode);
    if (opcode == create_completion_queue) guest_.use_completions(id, id, command.prp1, entries);
    if (opcode == create_submission_queue) {
      guest_.use(id, command.prp1, entries);
      guest_.rewind(id);
    }
  }

  void change_mapping() {
    if (machine_.change_mapping(input_)) counts_.add("mapping", "changed", 0);
  }

  void control() {
    switch (input_.below(8)) {
      case 0: return reset();
      case 1: return set_bus_master(!slot_.master);
      case 2: return mapped_.reset();
      case 3: return stop();
      case 4:
      case 5: return start(2 + input_.below(15));
      default: (void)create_pair(1 + input_.below(NvmeGuest::io_queues));
    }
  }
  void set_bus_master(bool enabled) {
    slot_.master = enabled;
    controller_->on_bus_master(enabled);
  }
  void reset() {
    bool const master = slot_.master;
    set_bus_master(false);
    controller_->reset();
    observer_.note_reset();
    require(!slot_.line && status() == 0);
    set_bus_master(master);
    counts_.add("controller", "reset", 0);
  }
  void stop() {
    write<std::uint32_t>(vfio::nvme::offset::cc, NvmeGuest::enabled & ~1u);
    turn(0);
    require((status() & 3) == 0);
    counts_.add("controller", "stopped", 0);
  }
  void start(std::uint32_t entries) {
    for (unsigned id = 0; id < NvmeGuest::queues; id++) guest_.rewind(id);
    guest_.prepare(entries);
    write<std::uint32_t>(vfio::nvme::offset::cc, NvmeGuest::enabled);
    turn(0);
    if ((status() & 3) == vfio::nvme::csts::ready) counts_.add("controller", "ready", 0);
  }
  // What became of a command that nothing is in the way of.
  vfio::nvme::Completion run(unsigned queue, Command const& command) {
    note_queues(queue, command);
    (void)guest_.put(queue, command);
    guest_.ring_tail(queue);
    turn(thread_of(queue));
    return guest_.take(queue).value_or(vfio::nvme::Completion{.status = 0xffff});
  }
  bool succeeds(unsigned queue, Command const& command) { return run(queue, command).status >> 1 == 0; }
  bool create_pair(unsigned id) {
    auto const number = static_cast<std::uint16_t>(id);
    return succeeds(0, NvmeGuest::create_completions(number, 16)) &&
           succeeds(0, NvmeGuest::create_submissions(number, number, 16));
  }

  void expect_that_it_works(bool by_reset) {
    observer_.stop_counting();
    if (!slot_.master) set_bus_master(true);
    by_reset ? reset() : stop();
    machine_.restore();
    start(16);
    require((status() & 3) == vfio::nvme::csts::ready);
    std::uint64_t const from = NvmeGuest::first_data * page_bytes, to = from + page_bytes;
    require(run(0, {.opcode = 10, .cdw10 = 6}).result == 1);   // the write cache is on
    require(run(0, {.opcode = 10, .cdw10 = 11}).result == 0);  // no events are asked for
    require(succeeds(0, {.opcode = 6, .prp1 = to, .cdw10 = 1}) &&
            machine_.get<std::uint32_t>(to + 80) == vfio::nvme::specification_version);
    require(create_pair(1));
    for (std::uint64_t n = 0; n < 512; n++) machine_.put(from + n, static_cast<std::uint8_t>(n * 3 + 1));
    require(succeeds(1, {.opcode = 1, .nsid = 1, .prp1 = from, .cdw10 = 5}));
    require(succeeds(1, {.opcode = 2, .nsid = 1, .prp1 = to, .cdw10 = 5}));
    for (std::uint64_t n = 0; n < 512; n++) require(machine_.get<std::uint8_t>(to + n) == static_cast<std::uint8_t>(n * 3 + 1));
    machine_.check();
  }

  NvmeParts& parts_;
  DeviceMachine& machine_;
  FuzzInput& input_;
  OutcomeCounts& counts_;
  FuzzedSlot slot_;
  std::unique_ptr<vfio::nvme::Controller> const controller_;
  std::unique_ptr<MappedRegisters> mapped_;
  NvmeObserver observer_;
  NvmeGuest guest_;
  NvmeCommands commands_;
};

inline void run_nvme_device(std::span<std::uint8_t const> bytes, OutcomeCounts& counts) {
  FuzzInput input(bytes.data(), bytes.size());
  static std::unique_ptr<NvmeParts> made[4];
  unsigned const form = input.below(8), n = (form < 6 ? 0 : 1) + 2 * (form % 2);  // watched mostly; nested every other time
  if (!made[n]) made[n] = std::make_unique<NvmeParts>(n % 2 == 0, n >= 2);
  made[n]->restore();
  NvmeRun(*made[n], input, counts).go();
}

}  // namespace swiommu::fuzzing

// I/OAT engines in the hands of hostile guests: registers of any width by calls and through a mapping, chains that lead anywhere,
// commands and resets in any order, mappings that come and go; the turns of the channels are taken one by one, so the same input
// does the same. Such a guest can hurt only itself: DMA goes where it may, a descriptor copies what it says and nothing else, and
// after a reset the engine works.
#pragma once
#include <memory>

#include "ioat_observer.h"
#include "mapped_registers.h"

namespace swiommu::fuzzing {

// One input, for an engine that is new.
class IoatRun {
 public:
  IoatRun(DeviceMachine& machine, FuzzInput& input, OutcomeCounts& counts)
      : machine_(machine),
        input_(input),
        counts_(counts),
        slot_(machine_.device()),
        engine_(vfio::ioat::make_engine(slot_, {.channels = channels, .largest_transfer_lg2 = largest_lg2}).value()),
        observer_(machine_, slot_, *engine_, counts) {
    slot_.vectors = engine_->description().msix.vectors;
    machine_.memory().set_watcher(&observer_);
  }
  ~IoatRun() { machine_.memory().set_watcher(nullptr); }
  IoatRun(IoatRun const&) = delete;
  IoatRun& operator=(IoatRun const&) = delete;

  void go() {
    if (input_.below(4) != 0) write_all_chains();
    for (unsigned n = 0; n < most_steps && !input_.rest().empty(); n++) step();
    machine_.check();
    expect_that_it_works(input_.flag());
    require(!slot_.wrong);
  }

 private:
  using Descriptor = vfio::ioat::Descriptor;
  static constexpr unsigned most_steps = 96, channels = 2;
  static constexpr std::uint64_t chain_pages = 4;  // the first ones of the window
  static constexpr std::uint64_t largest_lg2 = 16;

  void step() {
    switch (input_.below(16)) {
      case 0: return write_register();
      case 1: return read_register();
      case 2: return write_mapping();
      case 3:
      case 4: return write_chain();
      case 5: return spoil_chain();
      case 6:
      case 7: return start_chain();
      case 8: return count_on();
      case 9: return command();
      case 10: return machine_.put(iova(), input_.take_bytes(1 + input_.below(64)));
      case 11: return change_mapping();
      case 12: return control();
      default: return turns(1 + input_.below(8));
    }
  }

  std::uint64_t iova() {
    unsigned const form = input_.below(16);
    if (form == 15) return input_.number();
    if (form == 14) return ~std::uint64_t{0} - input_.take<std::uint8_t>();
    std::uint64_t const page = 1 + chain_pages + input_.below(DeviceMachine::window + 1 - chain_pages);
    return page * page_bytes + (form % 2 == 0 ? 0 : input_.take<std::uint16_t>() % page_bytes);
  }
  std::uint64_t descriptor_place() { return page_bytes + 64 * (input_.take<std::uint8_t>() % (chain_pages * page_bytes / 64)); }

  // Little copies, in a ring.
  void write_all_chains() {
    std::uint64_t const end = chain_pages * page_bytes, data = page_bytes + end;
    for (std::uint64_t at = 0; at < end; at += 64)
      machine_.put(page_bytes + at, Descriptor{.size = 64,
                                               .control = Descriptor::completion_write,
                                               .source = data + at,
                                               .destination = data + end + at,
                                               .next = page_bytes + (at + 64) % end});
  }
  void write_chain() {
    std::uint64_t place = descriptor_place();
    for (unsigned left = 1 + input_.below(6); left > 0; left--) {
      Descriptor descriptor;
      unsigned const form = input_.below(8);
      descriptor.size = form < 4   ? input_.take<std::uint8_t>()
                        : form < 7 ? input_.take<std::uint16_t>()
                                   : input_.take<std::uint32_t>() % (1 << (largest_lg2 + 1));
      constexpr std::uint32_t usual[] = {0, 8, 8, 9, 1, 0x18, 0x29, 0x87000008};
      descriptor.control = usual[input_.below(8)];
      descriptor.source = iova();
      descriptor.destination = iova();
      std::uint64_t const next = input_.below(4) == 3 ? descriptor_place() : place + 64;
      descriptor.next = input_.below(32) == 31 ? iova() : next;
      machine_.put(place, descriptor);
      place = next;
    }
  }
  void spoil_chain() {
    std::uint64_t const at = descriptor_place() + 8 * input_.below(4);
    auto const word = machine_.get<std::uint64_t>(at);
    machine_.put(at, input_.flag() ? word.value_or(0) ^ bit(input_.below(64)) : input_.number());
  }

  // A channel's register, mostly.
  std::uint64_t any_register() {
    namespace offset = vfio::ioat::offset;
    constexpr std::uint64_t of_channel[] = {offset::chanctrl, offset::chancmd,   offset::dmacount,
                                            offset::chansts,  offset::chainaddr, offset::chancmp,
                                            offset::cdar,     offset::chanerr,   offset::chanerrmsk};
    constexpr std::uint64_t general[] = {offset::chancnt, offset::genctrl,   offset::intrctrl, offset::attnstatus,
                                         offset::cbver,   offset::intrdelay, offset::csstatus, offset::dmacapability};
    unsigned const form = input_.below(16);
    if (form == 15) return input_.take<std::uint16_t>() % 0x2000;  // what is above are the tables of MSI-X
    if (form < 4) return general[input_.below(std::size(general))];
    unsigned const channel = input_.below(channels);
    return observer_.at(channel, of_channel[input_.below(std::size(of_channel))]);
  }
  std::uint64_t any_value() {
    switch (input_.below(8)) {
      case 0: return input_.number();
      case 1: return descriptor_place();
      case 2: return iova() & ~7ull;
      case 3: return bit(input_.below(64));
      default: return input_.take<std::uint8_t>();
    }
  }
  void of_any_width(auto access) {
    unsigned const width = input_.below(4);
    std::uint64_t const at = any_register() & ~low_bits(width), value = any_value();
    switch (width) {
      case 0: return access(at, static_cast<std::uint8_t>(value));
      case 1: return access(at, static_cast<std::uint16_t>(value));
      case 2: return access(at, static_cast<std::uint32_t>(value));
      default: return access(at, value);
    }
  }
  template <class T>
  void set(std::uint64_t at, T value) {
    if (mapped_ && through_mapping_) return mapped_->store(at, value);
    engine_->write_bar(0, at, std::as_bytes(std::span(&value, 1)));
  }
  void write_register() {
    of_any_width([&]<class T>(std::uint64_t at, T value) { engine_->write_bar(0, at, std::as_bytes(std::span(&value, 1))); });
    counts_.add("register", "written", 0);
  }
  void read_register() {
    of_any_width([&]<class T>(std::uint64_t at, T) { (void)observer_.read<T>(at); });
    require(observer_.read<std::uint8_t>(vfio::ioat::offset::chancnt) == channels);
    require(observer_.read<std::uint8_t>(vfio::ioat::offset::xfercap) == largest_lg2);
    require(observer_.read<std::uint8_t>(vfio::ioat::offset::cbver) == vfio::ioat::version);
    counts_.add("register", "read", 0);
  }
  void write_mapping() {
    if (!mapped_) mapped_ = std::make_unique<MappedRegisters>(*engine_);
    of_any_width([&]<class T>(std::uint64_t at, T value) { mapped_->store<T>(at, value); });
    counts_.add("register", "written through a mapping", 0);
  }

  void start_chain() {
    namespace offset = vfio::ioat::offset;
    channel_ = input_.below(channels);
    if (observer_.state(channel_) == vfio::ioat::ChannelState::halted && input_.below(8) != 7) reset_channel();
    set<std::uint64_t>(observer_.at(channel_, offset::chancmp), input_.below(8) == 7 ? iova() : align_down(iova(), 3));
    set<std::uint64_t>(observer_.at(channel_, offset::chainaddr), descriptor_place());
    constexpr std::uint16_t usual[] = {1, 0x15, 0x0d, 0x1d};
    set<std::uint16_t>(observer_.at(channel_, offset::chanctrl), usual[input_.below(4)]);
    set<std::uint16_t>(observer_.at(channel_, offset::dmacount), static_cast<std::uint16_t>(1 + input_.below(8)));
    turns(1 + input_.below(8));
  }
  void count_on() {
    std::uint64_t const at = observer_.at(channel_, vfio::ioat::offset::dmacount);
    auto const more = static_cast<std::uint16_t>(input_.below(8) == 7 ? input_.take<std::uint16_t>() : input_.below(6));
    set<std::uint16_t>(at, static_cast<std::uint16_t>(observer_.read<std::uint16_t>(at) + more));
    turns(1 + input_.below(4));
  }
  void command() {
    namespace c = vfio::ioat::chancmd;
    constexpr std::uint8_t usual[] = {c::append, c::suspend, c::resume, c::reset, c::suspend, c::resume, c::suspend | c::reset};
    unsigned const form = input_.below(8);
    set<std::uint8_t>(observer_.at(channel_, vfio::ioat::offset::chancmd), form < 7 ? usual[form] : input_.take<std::uint8_t>());
    if (input_.flag()) turns(1);
  }
  void turns(unsigned count) {
    for (unsigned n = 0; n < count; n++) {
      bool const worked = observer_.turn(channel_);
      count_state();
      if (!worked) break;
    }
  }
  void count_state() {
    constexpr std::string_view names[] = {"active", "done", "suspended", "halted", "armed"};
    counts_.add("channel", names[static_cast<unsigned>(observer_.state(channel_))], 0);
    auto const errors = observer_.read<std::uint32_t>(observer_.at(channel_, vfio::ioat::offset::chanerr));
    namespace e = vfio::ioat::chanerr;
    if ((errors & e::chain_address) != 0) counts_.add("channel", "error: chain address", 0);
    if ((errors & e::next_address) != 0) counts_.add("channel", "error: next address", 0);
    if ((errors & e::next_alignment) != 0) counts_.add("channel", "error: next alignment", 0);
  }

  void change_mapping() {
    if (machine_.change_mapping(input_)) counts_.add("mapping", "changed", 0);
  }
  void control() {
    switch (input_.below(8)) {
      case 0: return reset();
      case 1: return set_bus_master(!slot_.master);
      case 2: return mapped_.reset();
      case 3: through_mapping_ = !through_mapping_; return;
      case 4: return reset_channel();
      case 5: return set<std::uint8_t>(vfio::ioat::offset::intrctrl, static_cast<std::uint8_t>(input_.flag() ? 1 : 9));
      default: channel_ = input_.below(channels);
    }
  }
  void set_bus_master(bool enabled) {
    slot_.master = enabled;
    engine_->on_bus_master(enabled);
  }
  void reset() {
    bool const master = slot_.master;
    set_bus_master(false);
    engine_->reset();
    require(!slot_.line);
    for (unsigned channel = 0; channel < channels; channel++)
      require(observer_.read<std::uint64_t>(observer_.at(channel, vfio::ioat::offset::chansts)) ==
              static_cast<std::uint64_t>(vfio::ioat::ChannelState::halted));
    set_bus_master(master);
    counts_.add("engine", "reset", 0);
  }
  void reset_channel() {
    std::uint64_t const at = observer_.at(channel_, vfio::ioat::offset::chancmd);
    std::uint8_t const command = vfio::ioat::chancmd::reset;
    engine_->write_bar(0, at, std::as_bytes(std::span(&command, 1)));
    (void)observer_.turn(channel_);
    require((observer_.read<std::uint8_t>(at) & command) == 0);
    counts_.add("channel", "reset", 0);
  }

  void expect_that_it_works(bool by_reset) {
    namespace offset = vfio::ioat::offset;
    through_mapping_ = false;
    if (!slot_.master) set_bus_master(true);
    by_reset ? reset() : reset_channel();
    machine_.restore();
    std::uint64_t const source = (1 + chain_pages) * page_bytes + 8, destination = source + 4 * page_bytes;
    constexpr std::uint32_t size = 5000;
    for (std::uint64_t n = 0; n < size; n++) machine_.put(source + n, static_cast<std::uint8_t>(n * 3 + n / 256));
    machine_.put(page_bytes, Descriptor{.size = size, .control = 8, .source = source, .destination = destination});
    set<std::uint64_t>(observer_.at(channel_, offset::chancmp), 2 * page_bytes);
    set<std::uint64_t>(observer_.at(channel_, offset::chainaddr), page_bytes);
    set<std::uint16_t>(observer_.at(channel_, offset::dmacount), 1);
    (void)observer_.turn(channel_);
    require(observer_.state(channel_) == vfio::ioat::ChannelState::done);
    require(machine_.get<std::uint64_t>(2 * page_bytes) == (page_bytes | static_cast<unsigned>(vfio::ioat::ChannelState::done)));
    for (std::uint64_t n = 0; n < size; n++)
      require(machine_.get<std::uint8_t>(destination + n) == static_cast<std::uint8_t>(n * 3 + n / 256));
    machine_.check();
  }

  DeviceMachine& machine_;
  FuzzInput& input_;
  OutcomeCounts& counts_;
  FuzzedSlot slot_;
  std::unique_ptr<vfio::ioat::Engine> const engine_;
  std::unique_ptr<MappedRegisters> mapped_;
  bool through_mapping_ = false;
  unsigned channel_ = 0;
  IoatObserver observer_;
};

inline void run_ioat_device(std::span<std::uint8_t const> bytes, OutcomeCounts& counts) {
  FuzzInput input(bytes.data(), bytes.size());
  static std::unique_ptr<DeviceMachine> made[4];
  unsigned const form = input.below(8), n = (form < 6 ? 0 : 1) + 2 * (form % 2);  // watched mostly; nested every other time
  if (!made[n]) made[n] = std::make_unique<DeviceMachine>(n % 2 == 0, n >= 2);
  made[n]->restore();
  IoatRun(*made[n], input, counts).go();
}

}  // namespace swiommu::fuzzing

// The instructions of hostile s390 guests, as a trap handler gets them: MPCIFC, RPCIT and STPCIFC with whatever operands, in
// pieces that two processors take by turns, while tables are spoiled and the function does DMA. Each piece does limited work and
// has a sound answer; after an RPCIT that is done, the shadow says what the guest's table says.
#pragma once
#include <optional>
#include <string>

#include "fuzz_input.h"
#include "guest_memory.h"
#include "made_guests/s390.h"
#include "outcome_counts.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/configured_domain.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/hardware/zpci.h"
#include "swiommu/hardware/zpci_guest_function.h"

namespace swiommu::fuzzing {

class ZpciTraps {
 public:
  ZpciTraps(unsigned levels, zpci::GuestFunction::Mechanism mechanism)
      : guest_(made_s390(levels)),
        memory_(std::make_shared<GuestMemory>(guest_)),
        host_(Host::create(memory_).value()),
        physical_(IdentityDomain::create(host_).value()),
        device_(Device::create(host_).value()),
        function_(zpci::GuestFunction::create(physical_, device_,
                                              {.handle = handle,
                                               .dma = Range::all(),
                                               .relaxed_translation = true,
                                               .mechanism = mechanism,
                                               .shadow_limit = std::uint64_t{1} << 20,
                                               .words = words})
                      .value()),
        intercepts_(zpci::intercepts(*function_)),
        port_(device_->open_port().value()) {}

  // One instruction, change or DMA after the other, as far as the input goes.
  void run(FuzzInput& input, OutcomeCounts& counts) {
    memory_->restore();
    function_->disable();
    require(function_->enable(handle).has_value() && device_->domain() == nullptr && function_->shadow_bytes() == 0);
    for (auto& processor : processors_) processor = {};
    for (unsigned n = 0; n < most_steps && !input.rest().empty(); n++) step(input, counts);
  }

 private:
  static constexpr std::uint32_t handle = 0x80000001;
  static constexpr std::uint64_t words = 128;
  static constexpr unsigned most_steps = 64, most_pieces = 12;

  struct Processor {
    enum class At : std::uint8_t { nothing, mpcifc, rpcit } at = At::nothing;
    std::uint64_t operand = 0, start = 0, length = 0;
    zpci::Fib fib{};
    swiommu_zpci_call call{};
    std::uint64_t changes = 0;  // of memory, when the instruction began
  };

  void step(FuzzInput& input, OutcomeCounts& counts) {
    Processor& processor = processors_[input.below(8) == 7 ? 1 : 0];
    unsigned const what = input.below(16);
    if (what < 4) return spoil(input);
    if (what < 6) return dma(input, counts);
    if (what == 6) return store(input, counts);
    if (what == 7) return disturb(input, processor, counts);
    if (processor.at == Processor::At::nothing) begin(input, processor, what < 11);
    for (unsigned n = input.below(4) == 3 ? most_pieces - 1 : 0; n < most_pieces; n++)
      if (piece(processor, counts)) return;
  }

  void spoil(FuzzInput& input) {
    constexpr std::uint64_t origin = ~std::uint64_t{0xfff};
    auto const number = input.take<std::uint16_t>();
    auto const& pages = memory_->structures();
    unsigned const form = input.below(8);
    std::uint64_t& place = memory_->word(form == 7 ? pages[number % pages.size()] + 8 * (number >> 7)
                                                   : memory_->words()[number % memory_->words().size()]);
    std::uint64_t word = __builtin_bswap64(place);
    switch (input.below(8)) {
      case 0: word = input.number(); break;
      case 1: word = 0; break;
      case 2: word = (word & ~origin) | pages[input.take<std::uint8_t>() % pages.size()]; break;
      case 3: word = (word & origin) | (input.take<std::uint16_t>() & 0xfff); break;
      case 4:
        word = __builtin_bswap64(memory_->word(memory_->words()[input.take<std::uint8_t>() % memory_->words().size()]));
        break;
      default: word ^= bit(input.below(64)); break;
    }
    place = __builtin_bswap64(word);
    changes_++;
  }

  std::uint64_t iova(FuzzInput& input) const {
    unsigned const form = input.below(8);
    auto const& mapping = guest_.mappings[input.below(static_cast<unsigned>(guest_.mappings.size()))];
    std::uint64_t const known = form % 2 == 0 ? mapping.iova : mapping.last;
    return form == 7 ? input.number() : form == 6 ? known ^ bit(input.below(64)) : known;
  }

  static std::uint64_t operand(FuzzInput& input, unsigned operation) {
    unsigned const form = input.below(32);
    if (form == 31) return input.number();
    return std::uint64_t{form == 30 ? 0x80000002 : handle} << 32 | (form == 29 ? 1ull << 16 : 0) | operation;
  }

  void begin(FuzzInput& input, Processor& processor, bool mpcifc) {
    processor = {};
    processor.changes = changes_;
    if (!mpcifc) {
      processor.at = Processor::At::rpcit;
      processor.operand = operand(input, 0);
      unsigned const form = input.below(4);
      processor.start = form == 0 ? 0 : iova(input) & (form == 3 ? ~std::uint64_t{0} : ~low_bits(12));
      processor.length = form == 0 ? std::uint64_t{1} << 24 : form == 3 ? input.number() : std::uint64_t{4096} << input.below(24);
      return;
    }
    constexpr std::uint8_t usual[] = {4, 4, 4, 6, 6, 5, 7, 9};
    processor.at = Processor::At::mpcifc;
    unsigned const form = input.below(16);
    processor.operand = operand(input, form < 15 ? usual[form % 8] : input.below(32));
    // Whole tables take many pieces: mostly it is less.
    auto const value = [&](char const* name, std::uint64_t otherwise, unsigned often = 1) {
      unsigned const how = input.below(8);
      std::uint64_t const right = std::ranges::find(guest_.registers, name, [](auto const& each) { return each.first; })->second;
      return __builtin_bswap64(how < 6 - often ? right
                               : how < 6       ? otherwise
                               : how == 6      ? right ^ bit(input.below(64))
                                               : input.number());
    };
    processor.fib.iota = value("IOTA", 0);
    processor.fib.pba = value("PBA", 0x1000);
    processor.fib.pal = value("PAL", 0x3fffff, 4);
    if (input.below(64) == 63) processor.fib.format = 1;
  }

  // One call. Is the instruction over?
  bool piece(Processor& processor, OutcomeCounts& counts) {
    bool const mpcifc = processor.at == Processor::At::mpcifc;
    std::uint64_t const before = memory_->lookups();
    auto const answer =
        mpcifc ? swiommu_zpci_mpcifc(intercepts_, processor.operand, &processor.fib, &processor.call)
               : swiommu_zpci_rpcit(intercepts_, processor.operand, processor.start, processor.length, &processor.call);
    require(memory_->lookups() - before <= most_lookups_of_piece);
    check(answer);
    count(mpcifc ? name_of(processor.operand) : "RPCIT", answer, counts);
    if (answer.outcome == SWIOMMU_ZPCI_AGAIN) return false;
    if (!mpcifc && answer.outcome == SWIOMMU_ZPCI_DONE && answer.condition_code == 0 && processor.changes == changes_)
      compare(processor.start, processor.length, counts);
    processor = {};
    return true;
  }

  // A piece reads as many words as it may, one table more to find its place, and what lies behind the leaves.
  static constexpr std::uint64_t most_lookups_of_piece = 2 * words + 64;

  static void check(zpci::Answer const& answer) {
    require(answer.outcome <= SWIOMMU_ZPCI_ELSEWHERE && answer.condition_code <= SWIOMMU_ZPCI_INVALID_HANDLE);
    require((answer.status != 0) == (answer.outcome == SWIOMMU_ZPCI_DONE && answer.condition_code == SWIOMMU_ZPCI_ERROR));
    require((answer.exception != 0) == (answer.outcome == SWIOMMU_ZPCI_EXCEPTION));
    require(answer.event == 0 || answer.status == SWIOMMU_ZPCI_IN_ERROR);
  }

  // Nothing has changed since the RPCIT began: what it was about translates as the guest's table says.
  void compare(std::uint64_t start, std::uint64_t length, OutcomeCounts& counts) {
    zpci::Fib fib{};
    require(swiommu_zpci_stpcifc(intercepts_, std::uint64_t{handle} << 32, &fib).condition_code == 0);
    auto const function = zpci::Function::create({.iota = __builtin_bswap64(fib.iota),
                                                  .pba = __builtin_bswap64(fib.pba),
                                                  .pal = __builtin_bswap64(fib.pal),
                                                  .dma_start = 0},
                                                 *physical_);
    auto const nested = open_configuration(physical_, function.value().find(0, std::nullopt).value()).value();
    auto const registered = function_->translation();
    for (MadeMapping const& mapping : guest_.mappings)
      for (std::uint64_t const at : {mapping.iova, mapping.last, start, start + length - 1}) {
        if (at - start >= length) continue;
        Translation const is = registered->translate(at, Access::reading(), Update::no);
        Translation const should_be = nested->translate(at, Access::reading(), Update::no);
        require(is.ok() == should_be.ok() && (!is.ok() || is.output == should_be.output));
        counts.add("RPCIT compared", is.ok() ? "translated" : "a fault", 0);
      }
  }

  void store(FuzzInput& input, OutcomeCounts& counts) {
    zpci::Fib fib{};
    auto const answer = swiommu_zpci_stpcifc(intercepts_, operand(input, 0), &fib);
    check(answer);
    count("STPCIFC", answer, counts);
    counts.add("loads", swiommu_zpci_takes_loads(intercepts_) != 0 ? "yes" : "no", 0);
  }

  void disturb(FuzzInput& input, Processor& processor, OutcomeCounts& counts) {
    switch (input.below(4)) {
      case 0: processor = {}; break;  // condition code 2
      case 1:
        if (!function_->enable(handle)) function_->disable();
        break;
      case 2: counts.add("DMA fault told", event_name(function_->report({.reason = Reason::not_mapped})), 0); break;
      default: {
        // Inside a guard nothing can be done.
        Port::Guard const guard(*port_);
        zpci::Fib const fib{};
        swiommu_zpci_call call{};
        require(swiommu_zpci_mpcifc(intercepts_, operand(input, SWIOMMU_ZPCI_REGISTER_IOAT), &fib, &call).condition_code ==
                SWIOMMU_ZPCI_BUSY);
      }
    }
  }

  void dma(FuzzInput& input, OutcomeCounts& counts) {
    std::uint64_t data = input.take<std::uint8_t>();
    std::uint64_t const at = iova(input), before = memory_->lookups();
    bool const writes = input.flag();
    auto const fault = (writes ? port_->write(Iova(at), &data, sizeof data) : port_->read(Iova(at), &data, sizeof data)).fault;
    require(memory_->lookups() - before <= most_lookups_of_dma);
    changes_ += writes ? 1 : 0;
    counts.add(writes ? "DMA write" : "DMA read", fault ? name(fault->reason) : "done", 0);
    if (fault && input.flag()) counts.add("DMA fault told", event_name(function_->report(*fault)), 0);
  }
  // Two pages, each a walk of five levels, its data, and the walk once more to say why not; a port looks for memory in blocks of
  // three sizes before it takes what there is.
  static constexpr std::uint64_t most_lookups_of_dma = 2 * (5 + 1 + 5) * 4;

  static std::string_view name_of(std::uint64_t operand) {
    switch (operand & 0xff) {
      case SWIOMMU_ZPCI_REGISTER_IOAT: return "MPCIFC register";
      case SWIOMMU_ZPCI_DEREGISTER_IOAT: return "MPCIFC deregister";
      case SWIOMMU_ZPCI_REREGISTER_IOAT: return "MPCIFC reregister";
      case SWIOMMU_ZPCI_RESET_ERROR: return "MPCIFC reset error";
      case SWIOMMU_ZPCI_RESET_BLOCK: return "MPCIFC reset block";
      default: return "MPCIFC another";
    }
  }
  static std::string_view event_name(swiommu_zpci_event event) {
    constexpr std::string_view names[] = {"-", "event 1", "event 2", "event 3", "event 4", "event 5", "event 6", "event 7"};
    return names[event];
  }
  static void count(std::string_view what, zpci::Answer const& answer, OutcomeCounts& counts) {
    switch (answer.outcome) {
      case SWIOMMU_ZPCI_AGAIN: return counts.add(what, "again", 0);
      case SWIOMMU_ZPCI_EXCEPTION: return counts.add(what, "exception", 0);
      case SWIOMMU_ZPCI_ELSEWHERE: return counts.add(what, "elsewhere", 0);
      default: break;
    }
    switch (answer.status) {
      case SWIOMMU_ZPCI_IN_ERROR: return counts.add(what, "status 8", 0);
      case SWIOMMU_ZPCI_INSUFFICIENT_RESOURCES: return counts.add(what, "status 16", 0);
      case SWIOMMU_ZPCI_SEQUENCE: return counts.add(what, "status 24", 0);
      case SWIOMMU_ZPCI_INVALID_SPACE: return counts.add(what, "status 28", 0);
      case SWIOMMU_ZPCI_ERROR_RECOVERY: return counts.add(what, "status 40", 0);
      default: break;
    }
    constexpr std::string_view codes[] = {"cc 0", "cc 1", "cc 2", "cc 3"};
    counts.add(what, codes[answer.condition_code], 0);
  }

  MadeGuest const guest_;
  std::shared_ptr<GuestMemory> const memory_;
  Host const host_;
  std::shared_ptr<Domain> const physical_;
  std::shared_ptr<Device> const device_;
  std::unique_ptr<zpci::GuestFunction> const function_;
  swiommu_zpci_function* const intercepts_;
  std::unique_ptr<Port> const port_;
  Processor processors_[2];
  std::uint64_t changes_ = 0;
};

inline void run_zpci_traps(std::span<std::uint8_t const> bytes, OutcomeCounts& counts) {
  FuzzInput input(bytes.data(), bytes.size());
  static std::unique_ptr<ZpciTraps> made[8];  // designations of each type, both mechanisms
  unsigned const n = input.below(std::size(made));
  using Mechanism = zpci::GuestFunction::Mechanism;
  if (!made[n]) made[n] = std::make_unique<ZpciTraps>(2 + n / 2, n % 2 == 0 ? Mechanism::shadow : Mechanism::nested);
  made[n]->run(input, counts);
}

}  // namespace swiommu::fuzzing

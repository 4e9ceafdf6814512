#include "oracle/comparison_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "swiommu/device/port.h"
#include "swiommu/domain/configured_domain.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/nested_domain.h"

namespace swiommu::oracle {

namespace {

template <class T>
T value(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}

std::string describe(Outcome const& outcome) {
  std::string text = outcome.done ? fmt::format("done, {:#x}", outcome.word) : "blocked";
  if (outcome.fault) text += fmt::format(", fault {:#x}", *outcome.fault);
  return text;
}

class ComparisonRun {
 public:
  ComparisonRun(std::filesystem::path const& folder, Hardware& hardware)
      : hardware_(hardware),
        folder_(folder),
        memory_(std::make_shared<GuestMemory>(hardware.layout().window, hardware.layout().nowhere)),
        host_(value(Host::create(memory_))),
        device_(value(Device::create(host_, {.requester_id = hardware.device()}))),
        ground_(value(IdentityDomain::create(host_))) {
    device_->attach(ground_).value();
    port_ = value(device_->open_port());
    start_qemu();
  }

  void run(std::uint64_t number, Tally& tally) {
    try {
      compare(number, tally);
    } catch (QemuEnded const&) {
      tally.given_up++;
      start_qemu();
    }
  }

 private:
  void start_qemu() {
    edu_.reset();
    qemu_.emplace(folder_, hardware_.machine());
    edu_.emplace(*qemu_, hardware_.layout().edu);
    hardware_.start(*qemu_);
    edu_->prepare();
    std::memcpy(qemu_window(), memory_->bytes().data(), memory_->bytes().size());
  }

  void compare(std::uint64_t number, Tally& tally) {
    std::set<std::size_t> skipped, explained;
    for (bool again = true; again;) {
      if (!run_once(number, skipped)) {
        tally.given_up++;
        return;
      }
      again = false;
      for (std::size_t n = 0; n < comparisons_.size(); n++) {
        Comparison const& comparison = comparisons_[n];
        if (skipped.contains(n) || agree(comparison)) continue;
        if (explained.insert(n).second) explain(number, n, tally);
        // it may have changed memory in another way, so the rest is looked at without it
        if (!comparison.same_effect() || comparison.stopped_early()) skipped.insert(n), again = true;
        // and what came after such a write, only then
        if (!comparison.same_effect() && comparison.probe.write && comparison.qemu.done) break;
      }
    }
    compare_memory(number, skipped, tally);
    tally.cases++;
    tally.probes += comparisons_.size();
    for (std::size_t n = 0; n < comparisons_.size(); n++)
      if (!skipped.contains(n)) (comparisons_[n].ours.done ? tally.arrived : tally.blocked)++;
  }

  // False: the case leads where the test's own memory lies, or would end QEMU.
  bool run_once(std::uint64_t number, std::set<std::size_t> const& skipped) {
    Random random(number * 0x9e3779b97f4a7c15 + 1);
    auto const stale = memory_->changed();
    memory_->start_case();
    auto const probes = hardware_.make(random, *memory_);
    for (auto const* const pages : {&stale, &memory_->changed(), &std::as_const(qemu_changed_)})
      for (std::uint64_t const page : *pages) std::memcpy(qemu_->at(page), our(page), GuestMemory::page);
    qemu_changed_.clear();
    before_ = memory_->bytes();
    comparisons_.assign(probes.size(), {});
    written_.clear();
    ground_->invalidate(Range::all()).value();  // ports keep what they have located, and all that is written must be
    unit_ = hardware_.unit(*memory_);
    for (std::size_t n = 0; n < probes.size(); n++) {
      comparisons_[n].probe = probes[n];
      if (!skipped.contains(n)) run_ours(static_cast<unsigned>(n));
    }
    if (memory_->strayed()) return false;
    for (Comparison const& comparison : comparisons_)
      if ((comparison.configuration || comparison.configuration_fault) && hardware_.breaks_qemu(comparison)) return false;
    for (Comparison& comparison : comparisons_) comparison.expected = hardware_.expected_faults(comparison);
    run_theirs(skipped);
    return true;
  }

  void run_ours(unsigned n) {
    Comparison& comparison = comparisons_[n];
    auto found = unit_->find(hardware_.device(), std::nullopt);
    if (!found) {
      comparison.configuration_fault = std::move(found).error();
      return;
    }
    auto const domain = value(open_configuration(ground_, *found));
    if (found->parent) comparison.parent = open_parent(*found->parent, *memory_);
    comparison.configuration = std::move(*found);
    device_->replace(domain).value();
    Iova const iova(comparison.probe.iova);
    comparison.translation = domain->translate(iova.value, comparison.probe.access(), Update::no);
    std::uint64_t const output = comparison.translation.output;
    // Structures stay as they are, and each word is written once, so that it is known from where.
    if (comparison.probe.write && comparison.translation.ok() &&
        (memory_->is_structure(output) || !written_.insert(output).second)) {
      comparison.probe.write = false;
      comparison.translation = domain->translate(iova.value, comparison.probe.access(), Update::no);
    }
    explain_walk(*domain, comparison);
    // The port may look around for more than it was asked for, so where the DMA goes is looked at here.
    if (comparison.translation.ok()) (void)memory_->locate(output, comparison.probe.access());
    bool const strayed = memory_->strayed();
    std::uint64_t word = Edu::written_value(n);
    auto const result = comparison.probe.write ? port_->write(iova, &word, sizeof word) : port_->read(iova, &word, sizeof word);
    memory_->set_strayed(strayed);
    comparison.fault = result.fault;
    comparison.of_structure = result.ok() && memory_->is_structure(output);
    comparison.ours = {result.ok(), result.ok() ? comparison.probe.write ? output : word : 0, std::nullopt};
  }

  // The entries on the way, also those of the table under the user page table.
  void explain_walk(Domain const& domain, Comparison& comparison) const {
    auto const* const nested = dynamic_cast<NestedDomain const*>(&domain);
    auto const* const table = nested != nullptr ? nested->table_for(comparison.probe.iova) : nullptr;
    if (table == nullptr) return;
    Walk const walk = value(table->explain(comparison.probe.iova, comparison.probe.access(), comparison.steps));
    if (!comparison.configuration->parent) return;
    auto const under = value(PageTable::open(*comparison.configuration->parent, *memory_));
    for (WalkStep const& step : comparison.steps)
      value(under->explain(step.entry_address, Access::reading(), comparison.steps_under));
    if (walk.ok()) value(under->explain(walk.output, comparison.probe.access(), comparison.steps_under));
  }

  void run_theirs(std::set<std::size_t> const& skipped) {
    auto const count = static_cast<unsigned>(comparisons_.size());
    hardware_.enable(*qemu_);
    for (unsigned n = 0; n < count; n++) {
      if (skipped.contains(n)) continue;
      Probe const& probe = comparisons_[n].probe;
      hardware_.forget(*qemu_);
      probe.write ? edu_->write(probe.iova, n) : edu_->read(probe.iova, n);
      hardware_.ask_fault(*qemu_);
    }
    hardware_.disable(*qemu_);
    edu_->fetch(count);
    auto const answers = qemu_->run();

    auto const places = places_written();
    std::size_t const each = count == skipped.size() ? 0 : answers.size() / (count - skipped.size());
    auto rest = std::span(answers);
    for (unsigned n = 0; n < count; n++) {
      if (skipped.contains(n)) continue;
      Comparison& comparison = comparisons_[n];
      Outcome& outcome = comparison.qemu;
      outcome.fault = hardware_.fault(*qemu_, rest.first(each));
      rest = rest.subspan(each);
      if (comparison.probe.write) {
        auto const found = places.find(Edu::written_value(n));
        outcome.done = found != places.end();
        outcome.word = outcome.done ? found->second : 0;
      } else {
        // what is blocked reads as zeros; zeros that are in memory are told by the fault alone
        outcome.word = edu_->fetched(n);
        outcome.done = outcome.word != 0 || (comparison.ours.done && comparison.ours.word == 0 && !outcome.fault);
      }
    }
  }

  // The words of QEMU's memory that differ from those before, and where they are.
  std::unordered_map<std::uint64_t, std::uint64_t> places_written() {
    std::unordered_map<std::uint64_t, std::uint64_t> places;
    for (std::size_t at = 0; at < before_.size(); at += GuestMemory::page) {
      if (std::memcmp(&before_[at], qemu_window() + at, GuestMemory::page) == 0) continue;
      qemu_changed_.insert(memory_->window().start + at);
      for (std::size_t n = at; n < at + GuestMemory::page; n += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, qemu_window() + n, 8);
        if (std::memcmp(&before_[n], &word, 8) != 0) places[word] = memory_->window().start + n;
      }
    }
    return places;
  }

  [[nodiscard]] static bool agree(Comparison const& comparison) {
    if (!comparison.same_effect()) return false;
    auto const& expected = comparison.expected;
    if (!expected) return true;
    if (expected->empty() || !comparison.qemu.fault) return expected->empty() && !comparison.qemu.fault;
    return comparison.expects(*comparison.qemu.fault);
  }

  void explain(std::uint64_t number, std::size_t n, Tally& tally) {
    for (Deviation const& deviation : hardware_.deviations())
      if (deviation.explains != nullptr && deviation.explains(comparisons_[n])) {
        tally.known[deviation.name]++;
        return;
      }
    report(number, tally, describe(n));
  }

  bool explain_word(std::uint64_t ours, std::uint64_t theirs, bool used, Tally& tally) const {
    for (Deviation const& deviation : hardware_.deviations())
      if (deviation.explains_word != nullptr && deviation.explains_word(ours, theirs, used)) {
        tally.known[deviation.name]++;
        return true;
      }
    return false;
  }

  void compare_memory(std::uint64_t number, std::set<std::size_t> const& skipped, Tally& tally) {
    std::string text;
    unsigned differences = 0;
    std::set<std::uint64_t> used;
    for (Comparison const& comparison : comparisons_)
      if (comparison.ours.done)
        for (WalkStep const& step : comparison.steps) used.insert(step.entry_address);
    for (std::size_t at = 0; at < before_.size(); at += 8) {
      if (std::memcmp(&memory_->bytes()[at], qemu_window() + at, 8) == 0) continue;
      std::uint64_t theirs = 0;
      std::memcpy(&theirs, qemu_window() + at, 8);
      std::uint64_t const address = memory_->window().start + at;
      if (memory_->is_structure(address) && explain_word(memory_->get(address), theirs, used.contains(address), tally)) continue;
      if (differences++ < 8) text += fmt::format("\n  {:#x}: ours {:#x}, QEMU's {:#x}", address, memory_->get(address), theirs);
    }
    if (differences == 0) return;
    text = fmt::format("{} words of memory differ{}", differences, text);
    for (std::size_t n = 0; n < comparisons_.size(); n++)
      if (!skipped.contains(n)) text += "\n  " + describe(n);
    report(number, tally, text);
  }

  [[nodiscard]] std::string describe(std::size_t n) const {
    Comparison const& comparison = comparisons_[n];
    std::string text = fmt::format("{} of iova {:#x}: ours {}; QEMU's {}", comparison.probe.write ? "write" : "read",
                                   comparison.probe.iova, oracle::describe(comparison.ours), oracle::describe(comparison.qemu));
    auto const show = [&](std::vector<ConfigurationStep> const& steps) {
      for (ConfigurationStep const& step : steps) {
        text += fmt::format("\n    {} at {:#x}:", step.what, step.address);
        for (std::uint64_t const word : step.words) text += fmt::format(" {:#x}", word);
      }
    };
    if (comparison.configuration_fault) show(comparison.configuration_fault->steps);
    if (comparison.configuration) show(comparison.configuration->steps);
    for (WalkStep const& step : comparison.steps)
      text += fmt::format("\n    level {} at {:#x}: {:#x} {}", step.level, step.entry_address, step.entry, step.kind);
    if (comparison.configuration_fault) text += "\n    ours: " + comparison.configuration_fault->about;
    if (comparison.fault) text += "\n    ours: " + swiommu::describe(*comparison.fault);
    if (comparison.expected)
      for (std::uint32_t const code : *comparison.expected) text += fmt::format("\n    fault of the manual: {:#x}", code);
    return text;
  }

  void report(std::uint64_t number, Tally& tally, std::string const& text) {
    constexpr std::size_t enough = 100;
    if (tally.unexplained++ < enough) tally.reports.push_back(fmt::format("case {}: {}", number, text));
  }

  [[nodiscard]] std::byte* qemu_window() const { return qemu_->at(memory_->window().start); }
  [[nodiscard]] std::byte const* our(std::uint64_t address) const {
    return memory_->bytes().data() + (address - memory_->window().start);
  }

  Hardware& hardware_;
  std::filesystem::path const folder_;
  std::optional<Qemu> qemu_;
  std::optional<Edu> edu_;
  std::shared_ptr<GuestMemory> memory_;
  Host host_;
  std::shared_ptr<Device> device_;
  std::shared_ptr<Domain> ground_;
  std::unique_ptr<Port> port_;

  std::unique_ptr<ContextSource> unit_;
  std::vector<Comparison> comparisons_;
  std::set<std::uint64_t> written_;
  std::vector<std::byte> before_;
  std::set<std::uint64_t> qemu_changed_;
};

}  // namespace

Tally run_comparison(std::filesystem::path const& qemu_folder, Hardware& hardware, std::uint64_t cases, std::uint64_t seed,
                     std::uint64_t first_case) {
  ComparisonRun run(qemu_folder, hardware);
  Tally tally;
  for (std::uint64_t number = first_case; tally.cases < cases; number++) run.run(seed + number, tally);
  return tally;
}

}  // namespace swiommu::oracle

// Guests that mean harm: the structures and tables of a guest that was made by hand, spoiled word by word, each time looked up
// and walked. Whatever is in memory, the device's configuration is found or refused in words, a translation stays inside memory,
// and both read no more than their levels need.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "fuzz_input.h"
#include "guest_memory.h"
#include "hostile_bases.h"
#include "swiommu/device/fault_record.h"
#include "swiommu/domain/configured_domain.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/nested_domain.h"
#include "tools/iommu_kinds.h"

namespace swiommu::fuzzing {

// What was met, by the words for it.
struct HostileCounts {
  std::uint64_t structures = 0, translations = 0, refused = 0, faults = 0;
  std::uint64_t most_lookups_of_find = 0, most_lookups_of_walk = 0;
  bool with_words = false;  // count by words as well, which takes a third of the time
  std::map<std::string, std::uint64_t> met;

  bool operator==(HostileCounts const&) const = default;
  void print(std::FILE* to) const {
    std::fprintf(to, "%llu structures, %llu of them refused; %llu translations, %llu of them faults\n", number(structures),
                 number(refused), number(translations), number(faults));
    std::fprintf(to, "most words: %llu to find a configuration, %llu to translate\n", number(most_lookups_of_find),
                 number(most_lookups_of_walk));
    for (auto const& [what, count] : met) std::fprintf(to, "%10llu  %s\n", number(count), what.c_str());
  }

 private:
  static unsigned long long number(std::uint64_t n) { return n; }
};

class HostileGuest {
 public:
  explicit HostileGuest(HostileBase const& base)
      : base_(base),
        guest_(base.make()),
        memory_(std::make_shared<GuestMemory>(guest_)),
        host_(Host::create(memory_).value()),
        physical_(IdentityDomain::create(host_).value()) {
    for (auto const& [name, value] : guest_.registers) registers_[name] = value;
    for (MadeMapping const& mapping : guest_.mappings) {
      iovas_.push_back(mapping.iova);
      iovas_.push_back(mapping.last);
    }
  }

  // One structure after the other, as far as the input goes.
  void run(FuzzInput& input, HostileCounts& counts) {
    start();
    while (!input.rest().empty()) {
      if (input.below(8) == 7) start();
      if (input.below(32) == 31)
        spoil_register(input);
      else
        spoil_word(input);
      look_up(input, counts);
    }
  }

 private:
  void start() {
    memory_->restore();
    if (unit_ && !registers_spoiled_) return;
    registers_spoiled_ = false;
    unit_ = tools::open_iommu(guest_.iommu, registers_, tools::UnknownRegisters::refuse, *physical_).value();
  }

  void spoil_register(FuzzInput& input) {
    auto spoiled = registers_;
    auto at = spoiled.begin();
    std::advance(at, input.below(static_cast<unsigned>(spoiled.size())));
    at->second ^= std::uint64_t{1} << input.below(64);
    auto opened = tools::open_iommu(guest_.iommu, spoiled, tools::UnknownRegisters::refuse, *physical_);
    if (!opened) return require(!opened.error().about.empty());
    unit_ = std::move(*opened);
    registers_spoiled_ = true;
  }

  std::uint64_t any_word(FuzzInput& input) {
    unsigned const form = input.below(8);
    auto const number = input.take<std::uint16_t>();
    if (form == 7) {
      auto const& pages = memory_->structures();
      return pages[number % pages.size()] + 8 * (number >> 7);
    }
    std::uint64_t const at = memory_->words()[number % memory_->words().size()];
    return form == 6 ? at ^ 8 * std::uint64_t{1 + input.below(7)} : at;
  }

  void spoil_word(FuzzInput& input) {
    constexpr std::uint64_t address_bits = 0x000ffffffffff000;
    std::uint64_t& place = memory_->word(any_word(input));
    std::uint64_t word = guest_.big_endian ? __builtin_bswap64(place) : place;
    auto const& pages = memory_->structures();
    switch (input.below(12)) {
      case 0: word = input.number(); break;
      case 1: word = 0; break;
      case 2: word = ~std::uint64_t{0}; break;
      case 3: word = memory_->word(any_word(input)); break;
      case 4: word = (word & ~address_bits) | pages[input.take<std::uint8_t>() % pages.size()]; break;
      case 5: word = (word & ~std::uint64_t{0xff}) | input.take<std::uint8_t>(); break;
      case 6: word += std::uint64_t{1} << input.below(64); break;
      case 7: word ^= std::uint64_t{1} << input.below(64); [[fallthrough]];
      default: word ^= std::uint64_t{1} << input.below(64); break;
    }
    place = guest_.big_endian ? __builtin_bswap64(word) : word;
  }

  void look_up(FuzzInput& input, HostileCounts& counts) {
    counts.structures++;
    std::uint32_t const device = input.below(16) == 15 ? input.take<std::uint32_t>() : base_.device;
    std::optional<std::uint32_t> pasid;
    unsigned const form = input.below(16);
    if (form == 15)
      pasid = input.take<std::uint32_t>();
    else if (base_.pasid && form < 12)
      pasid = *base_.pasid + form % 4;
    std::uint64_t const before = memory_->lookups();
    auto const found = unit_->find(device, pasid);
    counts.most_lookups_of_find = std::max(counts.most_lookups_of_find, memory_->lookups() - before);
    require(memory_->lookups() - before <= base_.most_lookups_of_find);
    if (!found) {
      counts.refused++;
      require(!found.error().about.empty());
      meet(counts, [&] { return guest_.iommu + (": " + without_numbers(found.error().about)); });
      return;
    }
    auto const domain = open_configuration(physical_, *found);
    if (!domain) {
      counts.refused++;
      require(!domain.error().about.empty());
      meet(counts, [&] { return guest_.iommu + (": " + without_numbers(domain.error().about)); });
      return;
    }
    meet(counts, [&] { return guest_.iommu + (": " + kind_of(*found)); });
    for (unsigned n = 0; n < 2; n++) translate(input, **domain, counts);
  }

  void translate(FuzzInput& input, Domain const& domain, HostileCounts& counts) {
    counts.translations++;
    unsigned const form = input.below(8);
    std::uint64_t iova = iovas_[input.take<std::uint8_t>() % iovas_.size()];
    if (form == 7) iova = input.number();
    if (form == 6) iova ^= std::uint64_t{1} << input.below(64);
    Access const access = form % 2 == 0 ? Access::reading() : Access::writing();
    std::uint64_t const before = memory_->lookups();
    Translation const result = domain.translate(iova, access, Update::yes);
    std::uint64_t const lookups = memory_->lookups() - before;
    counts.most_lookups_of_walk = std::max(counts.most_lookups_of_walk, lookups);
    require(lookups <= most_lookups_of(domain, iova));
    if (result.ok()) {
      require(result.attributes.access.covers(access) && result.size_lg2 <= 64);
    } else {
      counts.faults++;
      require(result.where != nullptr);
      FaultRecord const fault = fault_of(domain, result, iova, access);
      meet(counts, [&] { return "fault: " + std::string(name(fault.reason)) + ", depth " + std::to_string(fault.depth); });
    }
    if (form == 0) explain(domain, iova, access, counts);
  }

  // What kinds of entries the walks meet, in each format.
  void explain(Domain const& domain, std::uint64_t iova, Access access, HostileCounts& counts) {
    for (Domain const* at = &domain; at != nullptr && at->kind() == DomainKind::nested; at = at->parent().get()) {
      PageTable const* const table = static_cast<NestedDomain const*>(at)->table_for(iova);
      if (table == nullptr) return;
      std::vector<WalkStep> steps;
      auto const walked = table->explain(iova, access, steps);
      require(walked.has_value() && steps.size() <= table->shape().levels);
      for (WalkStep const& step : steps)
        meet(counts, [&] {
          return "entry: " + base_.format_of(at == &domain && at->parent()->kind() == DomainKind::nested) + ", level " +
                 std::to_string(step.level) + ", " + std::string(step.reached ? step.kind : "not in memory");
        });
      if (!walked->ok()) return;
      iova = walked->output;
    }
  }

  // A walk reads a word of each level. Where it writes flags, it writes each of these words as well, and starts again if that
  // changes a word that it has read, as in tables that contain themselves; but each word gets its two flags only once. Above a
  // parent, whatever is read or written, and the data at the end, costs a walk there.
  static std::uint64_t most_lookups_of(Domain const& domain, std::uint64_t iova) {
    if (domain.kind() != DomainKind::nested) return 0;
    PageTable const* const table = static_cast<NestedDomain const&>(domain).table_for(iova);
    if (table == nullptr) return 0;
    // the parent has one table for all addresses
    std::uint64_t const below = most_lookups_of(*domain.parent(), 0);
    return (words_of(*table) + 1) * (below + 1) - 1;
  }
  static std::uint64_t words_of(PageTable const& table) {
    TableShape const& shape = table.shape();
    if (!shape.tracks_accessed && !shape.tracks_dirty) return shape.levels;
    return (1 + 2 * shape.levels) * 2 * shape.levels;
  }

  static void meet(HostileCounts& counts, auto const& words) {
    if (counts.with_words) counts.met[words()]++;
  }
  static std::string kind_of(DeviceConfiguration const& found) {
    if (found.kind == DeviceConfiguration::Kind::bypass) return "bypass";
    std::string text = found.user ? "table" : "";
    if (found.user_upper) text += text.empty() ? "upper table" : " and upper table";
    if (found.parent) text += text.empty() ? "parent's table" : ", over the parent's";
    return text.empty() ? "blocked" : text;
  }
  // Numbers, ranges and lists of them as one #.
  static std::string without_numbers(std::string const& text) {
    constexpr std::string_view hexadecimal = "0123456789abcdefx";
    std::string plain;
    for (std::size_t n = 0; n < text.size();) {
      if (std::isdigit(static_cast<unsigned char>(text[n])) == 0) {
        plain += text[n++];
        continue;
      }
      n = std::min(text.find_first_not_of(hexadecimal, n), text.size());
      for (std::string_view const joint : {"#:", "#, "})
        if (plain.ends_with(joint)) plain.resize(plain.size() - joint.size());
      plain += '#';
    }
    return plain;
  }

  HostileBase const& base_;
  MadeGuest const guest_;
  std::shared_ptr<GuestMemory> const memory_;
  Host const host_;
  std::shared_ptr<Domain> const physical_;
  tools::RegisterValues registers_;
  std::vector<std::uint64_t> iovas_;
  std::unique_ptr<ContextSource> unit_;
  bool registers_spoiled_ = false;
};

inline void run_hostile_guest(std::span<std::uint8_t const> bytes, HostileCounts& counts) {
  FuzzInput input(bytes.data(), bytes.size());
  static std::vector<std::unique_ptr<HostileGuest>> guests(std::size(hostile_bases()));
  auto& guest = guests[input.below(static_cast<unsigned>(guests.size()))];
  if (!guest) guest = std::make_unique<HostileGuest>(hostile_bases()[static_cast<std::size_t>(&guest - guests.data())]);
  guest->run(input, counts);
}

}  // namespace swiommu::fuzzing

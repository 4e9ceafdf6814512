#include "tools/demo_act.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "swiommu/domain/configured_domain.h"
#include "swiommu/domain/shadow_domain.h"
#include "tools/numbers.h"
#include "tools/output.h"
#include "tools/walk_text.h"

namespace swiommu::tools {

namespace {

constexpr std::byte poison{0xdb};

std::byte pattern(std::uint64_t seed, std::uint64_t n) { return static_cast<std::byte>((seed >> 12) * 31 + n * 7 + 1); }

// Programs that made these mappings wrote the iova at the start of each page.
std::optional<std::uint64_t> stamp(std::byte const* page) {
  std::string_view const text(reinterpret_cast<char const*>(page), 23);
  if (!text.starts_with("iova=0x")) return std::nullopt;
  auto const value = parse_number(text.substr(5, 18), "");
  return value ? std::optional(*value) : std::nullopt;
}

}  // namespace

Result<void> DemoAct::run() {
  say(fmt::format("{}", case_.name));
  say(fmt::format("  guest memory    {} pages in {} runs and {} MiB unused, mapped 1:1 into a paging domain; {} pages pinned",
                  guest_.image_pages(), guest_.runs().size() - 1, guest_.unused().length() >> 20, guest_.pinned_pages()));
  SWIOMMU_TRY(find_anchor());
  SWIOMMU_TRY(attach());
  print_tree();
  read_through_both_levels();
  write_through_both_levels();
  SWIOMMU_TRY(compare_with_shadow("the guest's table"));
  SWIOMMU_TRY(write_second_table());
  SWIOMMU_TRY(change_anchor());
  use_second_table();
  SWIOMMU_TRY(compare_with_shadow("the second table"));
  SWIOMMU_TRY(provoke_faults());
  print_counts();
  return {};
}

Result<DeviceConfiguration> DemoAct::configuration() const {
  auto const iommu = open_iommu(case_.iommu, case_.registers, UnknownRegisters::ignore, *guest_.domain());
  if (!iommu) return std::unexpected(iommu.error());
  auto found = (*iommu)->find(case_.device, std::nullopt);
  if (!found) return fail(EINVAL, fmt::format("{}: {}", case_.name, found.error().about));
  return *std::move(found);
}

Result<void> DemoAct::find_anchor() {
  auto found = configuration();
  if (!found) return std::unexpected(std::move(found).error());
  configuration_ = std::move(*found);
  if (configuration_->kind != DeviceConfiguration::Kind::translate || !configuration_->user || configuration_->parent)
    return fail(EINVAL, fmt::format("{}: the device has no single user page table to nest", case_.name));
  if (!quiet_) {
    say("  the way from the registers to the anchor, read through the paging domain:");
    for (ConfigurationStep const& step : configuration_->steps)
      say(fmt::format("    {}{}  {}", step.what, step.address ? " at " + hex(step.address) : "", faint(step.meaning)));
  }
  return {};
}

Result<void> DemoAct::attach() {
  auto nested = NestedDomain::create(guest_.domain(), configuration_->user, std::nullopt,
                                     {configuration_->aperture, configuration_->rights});
  if (!nested) return std::unexpected(std::move(nested).error());
  nested_ = std::move(*nested);
  auto device = Device::create(guest_.host(), {.requester_id = case_.device});
  if (!device) return std::unexpected(std::move(device).error());
  device_ = std::move(*device);
  SWIOMMU_TRY(device_->attach(nested_));
  auto port = device_->open_port();
  if (!port) return std::unexpected(std::move(port).error());
  port_ = std::move(*port);
  targets_ = targets_of(*nested_);
  return {};
}

std::vector<Target> DemoAct::targets_of(Domain const& domain) const {
  std::vector<Target> targets;
  auto const& nested = static_cast<NestedDomain const&>(domain);
  nested.visit(Range::all(), [&](Leaf const& leaf) {
    // Only as much of a large leaf as there is guest memory behind it.
    for (Range const& run : guest_.runs()) {
      auto const part = Range{leaf.output, leaf.output + (leaf.range.last - leaf.range.start)}.intersection(run);
      if (!part) continue;
      std::uint64_t const page = std::uint64_t{1} << 12;
      for (std::uint64_t guest = part->start; guest <= part->last && guest >= part->start; guest += page)
        targets.push_back({leaf.range.start + (guest - leaf.output), guest, std::min(page, part->last - guest + 1), leaf.attributes.access});
    }
    return true;
  });
  return targets;
}

void DemoAct::read_through_both_levels() {
  std::uint64_t pages = 0, bytes = 0, stamped = 0, foreign = 0;
  std::vector<std::byte> buffer(4096);
  for (Target const& target : targets_) {
    if (!target.access.read) continue;
    DmaResult const result = port_->read(Iova(target.iova), buffer.data(), target.length);
    expect(result.ok() && std::memcmp(buffer.data(), guest_.at(target.guest), target.length) == 0,
           fmt::format("DMA read of iova {} gives the bytes of guest address {}", hex(target.iova), hex(target.guest)));
    pages++;
    bytes += result.done;
    if (target.length < 32) continue;
    if (auto const written = stamp(buffer.data())) {
      // Several iovas may lead to one page; its stamp is the first one's, and must lead here as well.
      Translation const t = nested_->translate(*written, Access::reading(), Update::no);
      Translation const here = nested_->translate(target.iova, Access::reading(), Update::no);
      bool const own = *written == target.iova;
      expect(own || (t.ok() && t.output == here.output), fmt::format("the stamp {} at iova {}", hex(*written), hex(target.iova)));
      own ? stamped++ : foreign++;
    }
  }
  reads_ += pages;
  say(fmt::format("  DMA read        {} pages, {} bytes equal to the guest's memory{}", pages, bytes,
                  stamped + foreign ? fmt::format("; {} carry the guest's own stamp of their iova, {} that of an alias", stamped, foreign)
                                    : ""));
}

void DemoAct::write_through_both_levels() {
  std::vector<std::byte> before = guest_.snapshot();
  std::uint64_t pages = 0;
  for (Target const& target : targets_) {
    if (!target.access.write || target.length < 16) continue;
    // Write, look at guest memory, and put back what was there: the pages hold tables and stamps that are still needed.
    std::array<std::byte, 16> data{}, old{};
    for (std::size_t n = 0; n < data.size(); n++) data[n] = pattern(target.iova, n);
    std::memcpy(old.data(), guest_.at(target.guest), old.size());
    DmaResult const result = port_->write(Iova(target.iova), data.data(), data.size());
    expect(result.ok() && std::memcmp(data.data(), guest_.at(target.guest), data.size()) == 0,
           fmt::format("DMA write to iova {} arrives at guest address {}", hex(target.iova), hex(target.guest)));
    expect(port_->write(Iova(target.iova), old.data(), old.size()).ok(), "the old bytes are written back");
    pages++;
  }
  writes_ += 2 * pages;
  bool const unchanged = guest_.snapshot() == before;
  expect(unchanged || nested_->table_for(0)->shape().tracks_accessed, "no other byte of guest memory has changed");
  say(fmt::format("  DMA write       {} pages: each arrived where the table says{}", pages,
                  unchanged ? ", no other byte of guest memory changed" : "; accessed and dirty flags were set in the table"));
}

Result<void> DemoAct::compare_with_shadow(char const* when) {
  auto shadow = ShadowDomain::create(guest_.domain(), *configuration_->user, nested_->limits());
  if (!shadow) return std::unexpected(std::move(shadow).error());
  SWIOMMU_TRY((*shadow)->refresh(Range::all()));
  SWIOMMU_TRY(read_through(*shadow));
  std::uint64_t compared = 0;
  auto const compare = [&](std::uint64_t iova, Access access) {
    Translation const walked = nested_->translate(iova, access, Update::no);
    Translation const composed = (*shadow)->translate(iova, access, Update::no);
    compared++;
    expect(walked.ok() == composed.ok() && walked.reason == composed.reason && (!walked.ok() || walked.output == composed.output),
           fmt::format("the walk and the shadow agree on iova {}: {} {} and {} {}", hex(iova), name(walked.reason), hex(walked.output),
                       name(composed.reason), hex(composed.output)));
  };
  visit_mappings(*nested_, Range::all(), [&](MappedRange const& piece) {
    // Both ends, and just outside, where there is something else or nothing.
    for (std::uint64_t const iova : {piece.range.start, piece.range.last, piece.range.start - 1, piece.range.last + 1})
      for (Access const access : {Access::reading(), Access::writing()}) compare(iova, access);
    return true;
  });
  say(fmt::format("  shadow          composes {} and the paging domain into one table: {} translations equal to the two-dimensional walk's",
                  when, compared));
  return {};
}

// A device behind the shadow reads the same bytes as one behind the nested domain.
Result<void> DemoAct::read_through(std::shared_ptr<Domain> domain) {
  auto const device = Device::create(guest_.host(), {.requester_id = case_.device});
  if (!device) return std::unexpected(device.error());
  SWIOMMU_TRY((*device)->attach(std::move(domain)));
  auto const port = (*device)->open_port();
  if (!port) return std::unexpected(port.error());
  std::array<std::byte, 64> walked{}, composed{};
  for (Target const& target : targets_) {
    std::uint64_t const length = std::min<std::uint64_t>(target.length, walked.size());
    DmaResult const one = port_->read(Iova(target.iova), walked.data(), length);
    DmaResult const other = (*port)->read(Iova(target.iova), composed.data(), length);
    expect(one.ok() == other.ok() && one.done == other.done && walked == composed,
           fmt::format("DMA read of iova {} gives the same through the walk and the shadow", hex(target.iova)));
    reads_ += 2;
  }
  return (*device)->detach();
}

// The guest writes a second table, in its own format, into unused memory: the same iovas, other pages.
Result<void> DemoAct::write_second_table() {
  UserPageTable description = *configuration_->user;
  auto const geometry = nested_->table_for(targets_.empty() ? 0 : targets_.front().iova);
  if (geometry == nullptr) return fail(EINVAL, "there is no table");
  unsigned const page_lg2 = geometry->shape().smallest_page_lg2();
  auto table = PageTable::create_user(description, *guest_.domain(), guest_);
  if (!table) return std::unexpected(std::move(table).error());
  second_table_ = std::move(*table);
  auto const map = [&](std::uint64_t iova, std::uint64_t guest, Access access) -> Result<void> {
    Gather gather;
    auto mapped = second_table_->map({iova, iova | low_bits(page_lg2)}, guest, {.access = access}, Existing::refuse, Cut::refuse, gather);
    gather.finish();
    return mapped;
  };
  constexpr std::size_t most = 64;
  for (Target const& target : targets_) {
    std::uint64_t const iova = align_down(target.iova, page_lg2);
    if (second_.size() >= most || second_.contains(iova)) continue;
    auto const page = guest_.allocate(page_lg2);
    if (!page) return std::unexpected(page.error());
    for (std::uint64_t n = 0; n < bit(page_lg2); n++) guest_.at(*page)[n] = pattern(*page, n);
    SWIOMMU_TRY(map(iova, *page, Access::both()));
    second_.emplace(iova, *page);
  }
  // Three iovas that neither table knows, for faults: one read-only, one that leads out of guest memory, one for nothing.
  std::uint64_t free = std::max(geometry->shape().lower.start, (nested_->limits().aperture.start + low_bits(page_lg2)) & ~low_bits(page_lg2));
  auto const next_free = [&] {
    do free += bit(page_lg2);
    while (second_.contains(free) || nested_->translate(free, {}, Update::no).ok());
    return free;
  };
  hole_iova_ = next_free();
  read_only_iova_ = next_free();
  auto const page = guest_.allocate(page_lg2);
  if (!page) return std::unexpected(page.error());
  SWIOMMU_TRY(map(read_only_iova_, *page, Access::reading()));
  nowhere_iova_ = next_free();
  SWIOMMU_TRY(map(nowhere_iova_, align_down(std::uint64_t{0xdead} << 24, page_lg2), Access::both()));
  say(fmt::format("  second table    written by the guest at {} in its own format: {} of the same iovas, other pages",
                  hex(second_table_->root()), second_.size()));
  return {};
}

bool DemoAct::put_root(std::uint64_t root) {
  std::uint64_t const old = configuration_->user->root;
  auto const is_new = [&] {
    auto const found = configuration();
    return found && found->user && found->user->root == root;
  };
  for (auto& [register_name, value] : case_.registers) {  // s390: the anchor is a register
    std::uint64_t const before = value;
    if ((before & ~low_bits(12)) != old) continue;
    value = root | (before & low_bits(12));
    if (is_new()) return true;
    value = before;
  }
  for (auto step = configuration_->steps.rbegin(); step != configuration_->steps.rend(); ++step) {
    for (std::size_t n = 0; step->address != 0 && n < step->words.size(); n++) {
      std::uint64_t const word = step->words[n];
      // An address in bits 51:12, or a page number in bits 43:0 (RISC-V).
      for (std::uint64_t const changed : {(word & ~bit_span(51, 12)) | root, (word & ~bit_span(43, 0)) | root >> 12}) {
        if ((word & bit_span(51, 12)) != old && (word & bit_span(43, 0)) != old >> 12) continue;
        guest_.domain()->write(step->address + 8 * n, &changed, sizeof changed);
        if (is_new()) return true;
        guest_.domain()->write(step->address + 8 * n, &word, sizeof word);
      }
    }
  }
  return false;
}

Result<void> DemoAct::change_anchor() {
  // Poison what the old table leads to, so that using it would show.
  for (Target const& target : targets_) {
    bool const holds_structures = std::ranges::any_of(configuration_->steps, [&](ConfigurationStep const& step) {
      return Range::block(step.address, 12).overlaps(Range::block(target.guest, 12));
    });
    if (!holds_structures) std::memset(guest_.at(target.guest), static_cast<int>(poison), target.length);
  }
  if (!put_root(second_table_->root())) return fail(EINVAL, fmt::format("{}: the new anchor cannot be written", case_.name));
  auto found = configuration();
  if (!found) return std::unexpected(std::move(found).error());
  configuration_ = std::move(*found);
  auto nested = NestedDomain::create(guest_.domain(), configuration_->user, std::nullopt, nested_->limits());
  if (!nested) return std::unexpected(std::move(nested).error());
  SWIOMMU_TRY(device_->replace(*nested));
  nested_ = std::move(*nested);
  say(fmt::format("  new anchor      {} found in the hardware's structures; a new nested domain replaces the old one",
                  hex(configuration_->user->root)));
  return {};
}

void DemoAct::use_second_table() {
  unsigned const page_lg2 = second_table_->shape().smallest_page_lg2();
  std::vector<std::byte> buffer(bit(page_lg2));
  std::uint64_t poisoned = 0;
  for (auto const& [iova, guest] : second_) {
    DmaResult const read = port_->read(Iova(iova), buffer.data(), buffer.size());
    bool right = read.ok();
    for (std::uint64_t n = 0; right && n < buffer.size(); n++) right = buffer[n] == pattern(guest, n);
    poisoned += static_cast<std::uint64_t>(std::ranges::count(buffer, poison) == static_cast<std::ptrdiff_t>(buffer.size()));
    expect(right, fmt::format("DMA read of iova {} gives the page of the second table", hex(iova)));
    std::byte const mark{0x5a};
    expect(port_->write(Iova(iova + 5), &mark, 1).ok() && guest_.at(guest)[5] == mark,
           fmt::format("DMA write to iova {} arrives in the page of the second table", hex(iova)));
    reads_++, writes_++;
  }
  std::uint64_t touched = 0;
  for (Target const& target : targets_)
    if (guest_.at(target.guest)[0] == poison)
      touched += static_cast<std::uint64_t>(std::count(guest_.at(target.guest), guest_.at(target.guest) + target.length, poison) !=
                                            static_cast<std::ptrdiff_t>(target.length));
  expect(poisoned == 0 && touched == 0, "no DMA uses the old table");
  say(fmt::format("                  DMA to {} iovas reads and writes the new pages; no poison of the old ones was read or touched",
                  second_.size()));
}

void DemoAct::expect_fault(char const* what, std::uint64_t iova, Access access, Reason reason) {
  std::array<std::byte, 8> data{};
  DmaResult const result = access.write ? port_->write(Iova(iova), data.data(), data.size()) : port_->read(Iova(iova), data.data(), data.size());
  bool const right = result.fault && result.fault->reason == reason && result.done == 0;
  expect(right, fmt::format("{}: iova {} gives {} (expected {})", what, hex(iova),
                            result.fault ? std::string(name(result.fault->reason)) : "no fault", name(reason)));
  faults_++;
  if (result.fault) say(fmt::format("    {:<18} {}", name(result.fault->reason), describe(*result.fault)));
}

Result<void> DemoAct::provoke_faults() {
  say("  faults, provoked one by one:");
  std::vector<std::byte> const before = guest_.snapshot();
  unsigned const page_lg2 = second_table_->shape().smallest_page_lg2();
  expect_fault("nothing mapped", hole_iova_, Access::reading(), Reason::not_mapped);
  expect_fault("read-only", read_only_iova_, Access::writing(), Reason::permission);
  expect_fault("output outside memory", nowhere_iova_, Access::reading(), Reason::output_unreachable);
  TableShape const& shape = second_table_->shape();
  if (shape.input_bits < 64) expect_fault("too large", bit(shape.input_bits), Access::reading(), Reason::out_of_range);
  expect(guest_.snapshot() == before, "faults change nothing in guest memory");

  // The guest breaks its table: an entry on the way points where no memory is.
  std::vector<WalkStep> steps;
  (void)second_table_->explain(read_only_iova_, Access::reading(), steps);
  auto const step = std::ranges::find_if(steps, [](WalkStep const& s) { return s.kind == "table"; });
  if (step != steps.end()) {
    bool const swapped = configuration_->user->big_endian;
    std::uint64_t const broken = step->entry ^ bit(40);
    std::uint64_t const stored = swapped ? __builtin_bswap64(broken) : broken;
    guest_.domain()->write(step->entry_address, &stored, sizeof stored);
    SWIOMMU_TRY(nested_->invalidate(Range::all()));
    expect_fault("table outside memory", read_only_iova_, Access::reading(), Reason::table_unreachable);
  }
  // Taken from under the table: the parent's mapping of a data page goes, and the children know at once.
  if (!second_.empty() && step != steps.end() && steps.size() > 1) {
    std::uint64_t const stored = configuration_->user->big_endian ? __builtin_bswap64(step->entry) : step->entry;
    guest_.domain()->write(step->entry_address, &stored, sizeof stored);
    auto const [iova, page] = *second_.begin();
    Range const taken = Range::block(page, page_lg2);
    HostAddress const host(guest_.domain()->translate(page, Access::reading(), Update::no).output);
    auto const unmapped = guest_.domain()->unmap(taken, Cut::split);
    if (!unmapped) return std::unexpected(unmapped.error());
    expect_fault("memory taken away", iova, Access::writing(), Reason::output_unreachable);
    SWIOMMU_TRY(guest_.domain()->map(taken, host, {.access = Access::both()}));
    std::byte byte{};
    expect(port_->read(Iova(iova), &byte, 1).ok(), "memory that is given back is there again");
  }
  // A device that the hardware's structures do not know.
  auto const iommu = open_iommu(case_.iommu, case_.registers, UnknownRegisters::ignore, *guest_.domain());
  if (iommu && case_.iommu != "s390") {
    std::uint32_t const stranger = case_.device ^ 0xf8;
    if (auto const found = (*iommu)->find(stranger, std::nullopt); !found)
      say(fmt::format("    {:<18} device 0x{:x}: {}", name(Reason::configuration), stranger, found.error().about));
  }
  return {};
}

void DemoAct::print_tree() const {
  PageTable const* const table = nested_->table_for(targets_.empty() ? 0 : targets_.front().iova);
  TableShape const& shape = table->shape();
  say("  the tree of translations:");
  say(fmt::format("    device 0x{:x}", case_.device));
  say(fmt::format("     └─ nested domain   user page table at anchor {}: {} levels, {}-bit iovas, {}-endian", hex(table->root()), shape.levels,
                  shape.input_bits, configuration_->user->big_endian ? "big" : "little"));
  say(fmt::format("         └─ paging domain   {} levels of our own, {} runs of guest memory", guest_.domain()->shape().levels,
                  guest_.runs().size()));
  say("             └─ host memory");
}

void DemoAct::print_counts() const {
  say(fmt::format("  counts          {} DMA reads, {} DMA writes, {} faults, {} walks; {} bytes of page tables of our own; {} checks, {}",
                  reads_, writes_, faults_, port_->walks(), guest_.host().tables->bytes_in_use(), checks_,
                  failures_ == 0 ? good("all hold") : bad(fmt::format("{} failed", failures_))));
}

void DemoAct::expect(bool holds, std::string const& what) {
  checks_++;
  if (holds) return;
  failures_++;
  fmt::print("  {} {}: {}\n", bad("failed"), case_.name, what);
}

void DemoAct::say(std::string const& line) const {
  if (!quiet_) fmt::print("{}\n", line);
}

}  // namespace swiommu::tools

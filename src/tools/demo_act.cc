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
  if (configuration_->rights != Access::both())
    return fail(EINVAL, fmt::format("{}: the device may not both read and write, as the demonstration does", case_.name));
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
    // Only as much of a large leaf as there is guest memory behind it; not what the demonstration itself writes into.
    for (Range const& run : guest_.runs()) {
      if (run == guest_.unused()) continue;
      auto const part = Range{leaf.output, leaf.output + (leaf.range.last - leaf.range.start)}.intersection(run);
      if (!part) continue;
      std::uint64_t const page = std::uint64_t{1} << 12;
      for (std::uint64_t guest = part->start; guest <= part->last && guest >= part->start; guest += page)
        targets.push_back(
            {leaf.range.start + (guest - leaf.output), guest, std::min(page, part->last - guest + 1), leaf.attributes.access});
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
                  stamped + foreign
                      ? fmt::format("; {} carry the guest's own stamp of their iova, {} that of an alias", stamped, foreign)
                      : ""));
}

void DemoAct::write_through_both_levels() {
  std::vector<std::byte> before = guest_.snapshot();
  std::uint64_t pages = 0;
  for (Target const& target : targets_) {
    if (!target.access.write || target.length < 16) continue;
    // Write, look at guest memory, and put back what was there: the pages hold tables and stamps that are still needed.
    std::array<std::byte, 16> data{}, old{};
    for (std::size_t n = 0; n < data.size(); n++) data[n] = demo_pattern(target.iova, n);
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
           fmt::format("the walk and the shadow agree on iova {}: {} {} and {} {}", hex(iova), name(walked.reason),
                       hex(walked.output), name(composed.reason), hex(composed.output)));
  };
  visit_mappings(*nested_, Range::all(), [&](MappedRange const& piece) {
    // Both ends, and just outside, where there is something else or nothing.
    for (std::uint64_t const iova : {piece.range.start, piece.range.last, piece.range.start - 1, piece.range.last + 1})
      for (Access const access : {Access::reading(), Access::writing()}) compare(iova, access);
    return true;
  });
  say(fmt::format(
      "  shadow          composes {} and the paging domain into one table: {} translations equal to the two-dimensional walk's",
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

void DemoAct::print_tree() const {
  PageTable const* const table = nested_->table_for(targets_.empty() ? 0 : targets_.front().iova);
  TableShape const& shape = table->shape();
  say("  the tree of translations:");
  say(fmt::format("    device 0x{:x}", case_.device));
  say(fmt::format("     └─ nested domain   user page table at anchor {}: {} levels, {}-bit iovas, {}-endian", hex(table->root()),
                  shape.levels, shape.input_bits, configuration_->user->big_endian ? "big" : "little"));
  say(fmt::format("         └─ paging domain   {} levels of our own, {} runs of guest memory", guest_.domain()->shape().levels,
                  guest_.runs().size()));
  say("             └─ host memory");
}

void DemoAct::print_counts() const {
  say(fmt::format(
      "  counts          {} DMA reads, {} DMA writes, {} faults, {} walks; {} bytes of page tables of our own; {} checks, {}",
      reads_, writes_, faults_, port_->walks(), guest_.host().tables->bytes_in_use(), checks_,
      failures_ == 0 ? good("all hold") : bad(fmt::format("{} failed", failures_))));
}

void DemoAct::expect(bool holds, std::string const& what) {
  checks_++;
  if (holds) return;
  failures_++;
  put("  {} {}: {}\n", bad("failed"), case_.name, what);
}

void DemoAct::say(std::string const& line) const {
  if (!quiet_) put("{}\n", line);
}

}  // namespace swiommu::tools

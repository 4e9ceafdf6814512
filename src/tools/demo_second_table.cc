// The second table of the demonstration: written by the guest, made its anchor, and used.
#include "tools/demo_act.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "tools/numbers.h"
#include "tools/output.h"

namespace swiommu::tools {

namespace {
constexpr std::byte poison{0xdb};
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
    auto mapped =
        second_table_->map({iova, iova | low_bits(page_lg2)}, guest, {.access = access}, Existing::refuse, Cut::refuse, gather);
    gather.finish();
    return mapped;
  };
  constexpr std::size_t most = 64;
  for (Target const& target : targets_) {
    std::uint64_t const iova = align_down(target.iova, page_lg2);
    if (second_.size() >= most || second_.contains(iova)) continue;
    auto const page = guest_.allocate(page_lg2);
    if (!page) return std::unexpected(page.error());
    for (std::uint64_t n = 0; n < bit(page_lg2); n++) guest_.at(*page)[n] = demo_pattern(*page, n);
    SWIOMMU_TRY(map(iova, *page, Access::both()));
    second_.emplace(iova, *page);
  }
  SWIOMMU_TRY(choose_free_iovas());
  auto const page = guest_.allocate(page_lg2);
  if (!page) return std::unexpected(page.error());
  SWIOMMU_TRY(map(read_only_iova_, *page, Access::reading()));
  std::uint64_t const nowhere = align_down(std::uint64_t{0xdead} << 24, page_lg2);
  SWIOMMU_TRY(map(nowhere_iova_, outside_memory(nowhere & low_bits(geometry->shape().output_bits)), Access::both()));
  say(fmt::format("  second table    written by the guest at {} in its own format: {} of the same iovas, other pages",
                  hex(second_table_->root()), second_.size()));
  return {};
}

Result<void> DemoAct::choose_free_iovas() {
  TableShape const& shape = second_table_->shape();
  unsigned const page_lg2 = shape.smallest_page_lg2();
  auto const inputs = shape.lower.intersection(nested_->limits().aperture);
  std::uint64_t free = inputs ? (inputs->start + low_bits(page_lg2)) & ~low_bits(page_lg2) : 0;
  for (std::uint64_t* const chosen : {&hole_iova_, &read_only_iova_, &nowhere_iova_}) {
    for (bool found = false; !found;) {
      std::uint64_t const at = free;
      if (!inputs || !inputs->contains(Range::block(at, page_lg2)))
        return fail(ENOSPC, fmt::format("{}: no iova is free to provoke faults with", case_.name));
      Translation const t = nested_->translate(at, {}, Update::no);
      found = !t.ok() && !second_.contains(at);
      free = Range::block(at, t.ok() ? std::max<unsigned>(t.size_lg2, page_lg2) : page_lg2).last + 1;
      *chosen = at;
    }
  }
  return {};
}

std::uint64_t DemoAct::outside_memory(std::uint64_t address) const {
  unsigned const highest = std::min(second_table_->shape().output_bits, 41u) - 1;
  for (unsigned position = highest; position > 20; position--)
    if (guest_.at(address ^ bit(position)) == nullptr) return address ^ bit(position);
  return address;
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
      // An address in bits 51:12, on Arm perhaps with more bits below, or a page number in bits 43:0 (RISC-V).
      std::uint64_t const word = step->words[n], below = old & low_bits(12);
      if ((word & (bit_span(51, 12) | below)) != old && (word & bit_span(43, 0)) != old >> 12) continue;
      for (std::uint64_t const changed : {(word & ~(bit_span(51, 12) | below)) | root, (word & ~bit_span(43, 0)) | root >> 12})
        if (put_word(step->address + 8 * n, changed, is_new)) return true;
    }
  }
  return false;
}

// Writes the word, in the byte order in which it makes `is_right` true; in none, nothing has changed.
bool DemoAct::put_word(std::uint64_t address, std::uint64_t word, FunctionRef<bool()> is_right) {
  std::uint64_t before = 0;
  guest_.domain()->read(address, &before, sizeof before);
  for (std::uint64_t const stored : {word, __builtin_bswap64(word)}) {
    guest_.domain()->write(address, &stored, sizeof stored);
    if (is_right()) return true;
  }
  guest_.domain()->write(address, &before, sizeof before);
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
    for (std::uint64_t n = 0; right && n < buffer.size(); n++) right = buffer[n] == demo_pattern(guest, n);
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
      touched += static_cast<std::uint64_t>(std::count(guest_.at(target.guest), guest_.at(target.guest) + target.length,
                                                       poison) != static_cast<std::ptrdiff_t>(target.length));
  expect(poisoned == 0 && touched == 0, "no DMA uses the old table");
  say(fmt::format(
      "                  DMA to {} iovas reads and writes the new pages; no poison of the old ones was read or touched",
      second_.size()));
}

}  // namespace swiommu::tools

#include "vfio/devices/nvme/power_cut.h"

#include <fmt/format.h>

#include <algorithm>

namespace swiommu::vfio::nvme {

Result<> check(PowerCut const& cut, RecordReader const& record) {
  if (cut.nsid == 0 || cut.nsid > record.namespaces().size())
    return fail(EINVAL, fmt::format("there is no namespace {}; the record has {}", cut.nsid, record.namespaces().size()));
  if (cut.until > record.entries().size())
    return fail(EINVAL, fmt::format("there are no {} entries; the record has {}", cut.until, record.entries().size()));
  return {};
}

Result<CutOutcome> CutImage::make(PowerCut const& cut) {
  SWIOMMU_TRY(check(cut, record_));
  auto const done = std::span(record_.entries()).first(cut.until);
  auto const is_flush = [&](RecordEntry const& each) { return each.nsid == cut.nsid && each.kind == RecordKind::flush; };
  auto const flushes = static_cast<std::uint64_t>(std::ranges::count_if(done, is_flush));
  std::uint64_t heeded = flushes - std::min(flushes, cut.ignored_flushes);
  pieces_.clear();
  for (std::uint64_t number = 0; number < done.size(); number++) {
    RecordEntry const& entry = done[number];
    if (entry.nsid != cut.nsid || entry.length == 0) continue;
    if (!is_flush(entry)) {
      pieces_.push_back({number, entry.offset, entry.end()});
    } else if (heeded != 0) {
      heeded--;
      SWIOMMU_TRY(settle(entry));
    }
  }
  random_.seed(cut.seed);
  std::uint64_t const rate = 1 + random_() % 7;  // in eighths, so that there are cuts with little and with much that is lost
  CutOutcome outcome{.changes = pieces_.size()};
  for (Piece const& piece : pieces_) {
    bool const kept = cut.loss == Loss::none || (cut.loss == Loss::some && random_() % 8 >= rate);
    bool const torn = !kept && cut.loss == Loss::some && random_() % 2 == 0;
    outcome.torn += torn ? 1 : 0;
    outcome.lost += kept || torn ? 0 : 1;
    if (kept) SWIOMMU_TRY(apply(piece));
    if (torn) SWIOMMU_TRY(tear(piece, record_.namespaces()[cut.nsid - 1].block_bytes));
  }
  return outcome;
}

// What it keeps goes into the image; what lies outside of its range stays.
Result<> CutImage::settle(RecordEntry const& flush) {
  std::vector<Piece> rest;
  for (Piece const& piece : pieces_) {
    Piece const inside{piece.number, std::max(piece.start, flush.offset), std::min(piece.end, flush.end())};
    if (piece.number >= flush.before || inside.start >= inside.end) {
      rest.push_back(piece);
      continue;
    }
    SWIOMMU_TRY(apply(inside));
    if (piece.start < inside.start) rest.push_back({piece.number, piece.start, inside.start});
    if (inside.end < piece.end) rest.push_back({piece.number, inside.end, piece.end});
  }
  pieces_ = std::move(rest);
  return {};
}

Result<> CutImage::apply(Piece const& piece) {
  RecordEntry const& entry = record_.entries()[piece.number];
  bool done = false;
  if (entry.kind == RecordKind::write) {
    auto const data = record_.data(piece.number);
    if (!data) return std::unexpected(data.error());
    done = image_.write(piece.start, data->subspan(piece.start - entry.offset, piece.end - piece.start));
  } else {
    done = image_.zero(piece.start, piece.end - piece.start);
  }
  return done ? Result<>() : fail(errno, "cannot write the image");
}

// Identify's AWUPF is 0: of one block either nothing or all is written, of several any.
Result<> CutImage::tear(Piece const& piece, std::uint64_t block) {
  for (std::uint64_t at = piece.start; at < piece.end; at += block)
    if (random_() % 2 == 0) SWIOMMU_TRY(apply({piece.number, at, at + block}));
  return {};
}

}  // namespace swiommu::vfio::nvme

// What changes of a page table cost by themselves: no domain, no pinning, no waiting.
#include <benchmark/benchmark.h>

#include <memory>

#include "swiommu/page_table/gather.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu {
namespace {

constexpr Attributes read_write{.access = Access::both()};
constexpr std::uint64_t page = 4096;

// A table with all its memory touched once.
struct Table {
  explicit Table(benchmark::State const& state, bool flags = false)
      : table(std::move(*PageTable::create(
            {.format = static_cast<FormatName>(state.range(0)), .accessed_updates = flags, .dirty_updates = flags}, allocator))) {
  }
  bool map(Range range, std::uint64_t output) {
    return table->map(range, output, read_write, Existing::refuse, Cut::refuse, gather).has_value();
  }
  void unmap(Range range) {
    benchmark::DoNotOptimize(table->unmap(range, Cut::refuse, gather));
    gather.finish();
  }

  std::shared_ptr<TableAllocator> allocator = *TableAllocator::create();
  std::unique_ptr<PageTable> table;
  Gather gather;
};

void formats(benchmark::internal::Benchmark* bench) {
  for (FormatName const f : {FormatName::vtd_second_stage, FormatName::amd_v1, FormatName::x86_64, FormatName::arm_stage1,
                             FormatName::riscv, FormatName::s390_zpci})
    bench->Arg(static_cast<int>(f));
}

// One page after the other through 1 GiB; then the same for unmap. Timed apart.
void page_by_page(benchmark::State& state, bool times_map) {
  Table t(state);
  constexpr std::uint64_t pages = 1 << 18;
  for (auto _ : state) {
    if (!times_map) state.PauseTiming();
    for (std::uint64_t i = 0; i < pages; i++)
      if (!t.map({i * page, i * page + page - 1}, (i ^ 1) * page)) return state.SkipWithError("map");
    times_map ? state.PauseTiming() : state.ResumeTiming();
    for (std::uint64_t i = 0; i < pages; i++) t.unmap({i * page, i * page + page - 1});
    if (times_map) state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(pages));
}
void map_page(benchmark::State& state) { page_by_page(state, true); }
void unmap_page(benchmark::State& state) { page_by_page(state, false); }
BENCHMARK(map_page)->Apply(formats);
BENCHMARK(unmap_page)->Apply(formats);

// 1 GiB of 4 KiB entries in one call: the output is not aligned to more.
void bulk(benchmark::State& state, bool times_map) {
  Table t(state);
  constexpr std::uint64_t size = 1 << 30;
  (void)t.map({0, size - 1}, page), t.unmap({0, size - 1});
  for (auto _ : state) {
    if (!times_map) state.PauseTiming();
    if (!t.map({0, size - 1}, page)) return state.SkipWithError("map");
    times_map ? state.PauseTiming() : state.ResumeTiming();
    t.unmap({0, size - 1});
    if (times_map) state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(size / page));
}
void map_bulk(benchmark::State& state) { bulk(state, true); }
void unmap_bulk(benchmark::State& state) { bulk(state, false); }
BENCHMARK(map_bulk)->Apply(formats);
BENCHMARK(unmap_bulk)->Apply(formats);

// Large leaves, one after the other through 64 GiB.
void large(benchmark::State& state, unsigned lg2) {
  Table t(state);
  std::uint64_t const size = std::uint64_t{64} << 30, step = std::uint64_t{1} << lg2;
  for (auto _ : state) {
    for (std::uint64_t at = 0; at < size; at += step)
      if (!t.map({at, at + step - 1}, at)) return state.SkipWithError("map");
    state.PauseTiming();
    t.unmap({0, size - 1});
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(size / step));
}
void map_2m(benchmark::State& state) { large(state, 21); }
void map_1g(benchmark::State& state) { large(state, 30); }
BENCHMARK(map_2m)->Apply(formats);
BENCHMARK(map_1g)->Apply(formats);

void harvest(benchmark::State& state, bool dirty) {
  Table t(state, true);
  constexpr std::uint64_t size = 1 << 30;
  if (!t.map({0, size - 1}, page)) return state.SkipWithError("map");
  if (!t.table->shape().tracks_dirty) return state.SkipWithError("no dirty flags");
  std::uint64_t reported = 0;
  for (auto _ : state) {
    if (dirty) {
      state.PauseTiming();
      for (std::uint64_t at = 0; at < size; at += page) (void)t.table->walk(at, Access::writing(), Update::yes);
      state.ResumeTiming();
    }
    auto const count = [&](Range range) { reported += range.length(); };
    (void)t.table->read_flags(Flag::dirty, {0, size - 1}, Clear::yes, count);
  }
  if (reported != (dirty ? static_cast<std::uint64_t>(state.iterations()) * size : 0)) state.SkipWithError("not all reported");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(size / page));
}
void harvest_all_dirty(benchmark::State& state) { harvest(state, true); }
void harvest_all_clean(benchmark::State& state) { harvest(state, false); }
BENCHMARK(harvest_all_dirty)->Apply(formats);
BENCHMARK(harvest_all_clean)->Apply(formats);

}  // namespace
}  // namespace swiommu

// The walk: from an input address to a leaf, in any format, over any reader.
#pragma once
#include <array>

#include "page_table/format.h"
#include "page_table/table_memory.h"
#include "swiommu/page_table/page_table.h"
#include "swiommu/page_table/walk.h"

namespace swiommu {

// For walks that nobody looks at.
struct NoObserver {
  constexpr void operator()(auto const&...) const {}
};

template <PageTableFormat F>
class Walker {
 public:
  using Entry = typename F::Entry;

  explicit Walker(F const& format) : format_(format) {}

  // Translates `input` for `access`, from the table at `root`. An access that asks for nothing checks no permission.
  // `observe(level, table, index, entry)` is called for each word met; the entry is empty if the table was unreachable.
  // With Update::yes, accessed and dirty flags are written where the format is configured for it, after the permission
  // check and before the result is given out, so that a dirty flag is set before any write can be seen.
  template <TableReader<Entry> M, class Observer = NoObserver>
  [[nodiscard]] Walk walk(M& memory, std::uint64_t root, std::uint64_t input, Access access, Update update = Update::no,
                          Observer&& observe = {}) const {
    for (unsigned attempt = 0; attempt < maximum_attempts; attempt++) {
      Path path;
      Walk const result = descend(memory, root, input, access, path, observe);
      if constexpr (UpdatesEntries<F>) {
        if (result.ok() && update == Update::yes) {
          switch (touch(memory, path, access.write)) {
            case Exchange::done: return result;
            case Exchange::changed: continue;
            case Exchange::unreachable: return failed(result, Reason::table_unreachable);
          }
        }
      }
      return result;
    }
    // An owner who keeps changing the entries under the walker gets a fault, not an endless loop.
    return Walk{.reason = Reason::table_unreachable};
  }

 private:
  static constexpr unsigned maximum_attempts = 64;

  struct Step {
    std::uint64_t table;
    std::uint64_t index;
    Entry entry;
    std::uint8_t level;
  };
  struct Path {
    std::array<Step, maximum_levels> step{};
    unsigned length = 0;
  };

  static Walk failed(Walk walk, Reason reason) {
    walk.reason = reason;
    return walk;
  }

  template <class M, class Observer>
  Walk descend(M& memory, std::uint64_t root, std::uint64_t input, Access access, Path& path, Observer&& observe) const {
    Geometry const& g = format_.geometry();
    Walk result;
    unsigned l = g.top();
    result.level = static_cast<std::uint8_t>(l);
    if (!g.contains(input)) return failed(result, Reason::out_of_range);
    Access rights = Access::both();
    std::uint64_t table = root;
    for (;;) {
      std::uint64_t const i = g.index(l, input);
      std::optional<Entry> const loaded = memory.template load<Entry>(table, i);
      observe(l, table, i, loaded);
      result.level = static_cast<std::uint8_t>(l);
      result.size_lg2 = g.level[l].shift;
      result.entry_address = table + i * sizeof(Entry);
      if (!loaded) return failed(result, Reason::table_unreachable);
      Entry const e = *loaded;
      result.entry = e;
      EntryKind const kind = format_.kind(e, l);
      if (kind == EntryKind::leaf) {
        path.step[path.length++] = {table, i, e, static_cast<std::uint8_t>(l)};
        return leaf(result, e, l, input, access, rights);
      }
      if (kind == EntryKind::empty) return failed(result, Reason::not_mapped);
      if (kind == EntryKind::malformed) {
        if constexpr (ExplainsMalformed<F>) return failed(result, format_.reason(e, l));
        return failed(result, Reason::malformed);
      }
      path.step[path.length++] = {table, i, e, static_cast<std::uint8_t>(l)};
      if constexpr (CombinesRights<F>) rights = rights & format_.table_rights(e, l);
      table = format_.table_address(e, l);
      if constexpr (SkipsLevels<F>) {
        unsigned const next = format_.next_level(e, l);
        // Input bits of skipped levels must be zero.
        for (unsigned skipped = l - 1; skipped > next; skipped--) {
          if (g.index(skipped, input) == 0) continue;
          result.size_lg2 = g.level[skipped].shift;  // the hole does not reach down to what is translated
          return failed(result, Reason::not_mapped);
        }
        l = next;
      } else {
        l--;
      }
      if constexpr (HasPartialTables<F>)
        if (!format_.table_holds(e, l + 1, g.index(l, input))) {
          result.size_lg2 = g.level[l].shift;
          return failed(result, Reason::not_mapped);
        }
    }
  }

  Walk leaf(Walk result, Entry e, unsigned l, std::uint64_t input, Access access, Access rights) const {
    unsigned const lg2 = format_.leaf_size_lg2(e, l, input);
    result.size_lg2 = static_cast<std::uint8_t>(lg2);
    result.attributes = format_.attributes(e, l);
    result.attributes.access = result.attributes.access & rights;
    result.output = format_.leaf_address(e, l, input) | (input & low_bits(lg2));
    if (!result.attributes.access.covers(access)) return failed(result, Reason::permission);
    return result;
  }

  // Writes the flags from the root down to the leaf. A lost race means that the path may be another one now.
  template <class M>
  Exchange touch(M& memory, Path const& path, bool write) const
    requires UpdatesEntries<F>
  {
    for (unsigned n = 0; n < path.length; n++) {
      Step const& step = path.step[n];
      Entry const touched = format_.touched(step.entry, step.level, write);
      if (touched == step.entry) continue;
      Entry expected = step.entry;
      Exchange const outcome = memory.template exchange<Entry>(step.table, step.index, expected, touched);
      if (outcome != Exchange::done) return outcome;
    }
    return Exchange::done;
  }

  F const& format_;
};

}  // namespace swiommu

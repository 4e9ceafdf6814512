// For tests: somebody takes a page away while a port holds a guard in which it has translated to it. Used twice: against the
// library as it is, and against one that does not wait.
#pragma once
#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>

#include "base/poison.h"
#include "dma_poison.h"
#include "dma_tree.h"

namespace swiommu {

struct Removal {
  std::string_view name;
  std::optional<Pasid> pasid;  // through which the page is reached
  void (*take_away)(DmaTree&, std::optional<Pasid>);
};

// Each of these takes page 0 away from the PASID.
inline constexpr auto unmap = [](DmaTree& tree, std::optional<Pasid>) { tree.paging->unmap(DmaTree::pages(0)).value(); };
inline constexpr auto replace_mapping = [](DmaTree& tree, std::optional<Pasid>) { tree.replace(0, tree.spare(0)).value(); };
inline constexpr auto detach = [](DmaTree& tree, std::optional<Pasid> pasid) { tree.device->detach(pasid).value(); };
inline constexpr auto replace_domain = [](DmaTree& tree, std::optional<Pasid> pasid) {
  auto const other = PagingDomain::create(tree.host, {.levels = 3}).value();
  tree.device->replace(other, pasid).value();
};
inline constexpr auto invalidate = [](DmaTree& tree, std::optional<Pasid>) {
  tree.user->unmap(DmaTree::pages(0)).value();
  tree.nested->invalidate(DmaTree::pages(0)).value();
};
inline constexpr auto refresh = [](DmaTree& tree, std::optional<Pasid>) {
  tree.user->map(DmaTree::pages(0), DmaTree::page).value();
  tree.shadow->refresh(DmaTree::pages(0)).value();
};

inline constexpr Removal removals[] = {
    {"Unmap", {}, unmap},
    {"ReplaceMapping", {}, replace_mapping},
    {"Detach", {}, detach},
    {"ReplaceDomain", {}, replace_domain},
    {"UnmapUnderNested", DmaTree::nested_pasid, unmap},
    {"ReplaceMappingUnderNested", DmaTree::nested_pasid, replace_mapping},
    {"DetachNested", DmaTree::nested_pasid, detach},
    {"ReplaceNested", DmaTree::nested_pasid, replace_domain},
    {"InvalidateNested", DmaTree::nested_pasid, invalidate},
    {"UnmapUnderShadow", DmaTree::shadow_pasid, unmap},
    {"ReplaceMappingUnderShadow", DmaTree::shadow_pasid, replace_mapping},
    {"DetachShadow", DmaTree::shadow_pasid, detach},
    {"RefreshShadow", DmaTree::shadow_pasid, refresh},
};

// Has `flag` been set before so much time is over? To see that something does happen, however busy the machine is.
inline bool happens(std::atomic<bool> const& flag) {
  auto const until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!flag && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  return flag;
}

// Does the port meet poison where it still holds its guard? No race: the meeting is arranged. `soon` says how long to look out.
inline bool meets_poison(Removal const& removal, bool (*soon)(std::atomic<bool> const&)) {
  DmaTree tree(2);
  PoisonPages pages(*tree.memory);
  pages.make_good(0);
  auto const port = tree.device->open_port().value();
  std::atomic<bool> inside = false, poisoned = false;
  std::jthread remover([&] {
    while (!inside) std::this_thread::yield();
    removal.take_away(tree, removal.pasid);
    pages.poison_page(0);
    poisoned = true;
  });
  bool met = false;
  {
    Port::Guard const guard(*port);
    auto const chunk = port->translate(guard, Iova(8), Access::both(), removal.pasid);
    inside = true;
    if (chunk) met = soon(poisoned) || *reinterpret_cast<std::uint64_t*>(chunk->data) != PoisonPages::good;
  }
  remover.join();
  return met;
}

}  // namespace swiommu

// IntervalMap: values keyed by disjoint closed ranges of a 64-bit space, the whole space included.
//
// A balanced (AVL) tree in which each node also knows the free space directly below it, and the longest such space in its
// subtree, so that free space is found without visiting every entry. Depth is at most 1.44 log2(size) whatever the order of
// insertion, which may be a guest's choice. Entries stay where they are until erased: pointers to them may be kept.
// No locking: many threads may read, or one may change.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "swiommu/base/range.h"
#include "swiommu/base/result.h"

namespace swiommu {

// EEXIST: `wanted` overlaps `existing`.
[[nodiscard]] std::unexpected<Error> range_in_use(Range wanted, Range existing);

template <class V>
class IntervalMap {
 public:
  struct Entry {
    Range const range;
    V value;
  };

 private:
  struct Node : Entry {
    Node(Range keys, V&& held) : Entry{keys, std::move(held)} {}
    Node* parent = nullptr;
    Node* child[2] = {nullptr, nullptr};  // lower, higher addresses
    int height = 1;
    std::uint64_t gap = 0;          // free bytes directly below this entry
    std::uint64_t longest_gap = 0;  // the largest `gap` in this subtree
  };

  // Goes up through the entries that start at or below `last`.
  template <class E>
  class Iterator {
   public:
    using value_type = E;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    Iterator(Node* node, std::uint64_t last) : node_(node), last_(last) {}
    E& operator*() const { return *node_; }
    E* operator->() const { return node_; }
    Iterator& operator++() { return node_ = after(node_), *this; }
    Iterator operator++(int) { return Iterator(std::exchange(node_, after(node_)), last_); }
    bool operator==(Iterator const& other) const { return node_ == other.node_; }
    bool operator==(std::default_sentinel_t) const { return node_ == nullptr || node_->range.start > last_; }

   private:
    Node* node_ = nullptr;
    std::uint64_t last_ = 0;
  };

  template <class E>
  struct Overlapping {
    Iterator<E> first;
    Iterator<E> begin() const { return first; }
    std::default_sentinel_t end() const { return {}; }
  };

 public:
  IntervalMap() = default;
  IntervalMap(IntervalMap&& other) noexcept : root_(std::exchange(other.root_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  IntervalMap& operator=(IntervalMap&& other) noexcept {
    IntervalMap taken(std::move(other));
    std::swap(root_, taken.root_);
    std::swap(size_, taken.size_);
    return *this;
  }
  ~IntervalMap() { clear(); }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // Adds an entry. EEXIST: it overlaps another; EINVAL: range.start > range.last; ENOMEM. On an error the map is as it was
  // and `value` is destroyed.
  Result<Entry*> insert(Range range, V value) {
    return guarded([&]() -> Result<Entry*> {
      if (range.start > range.last) return fail(EINVAL, "a range that ends before it starts");
      if (Node const* const taken = lowest(range)) return range_in_use(range, taken->range);
      Node* const node = new Node(range, std::move(value));
      place(node);
      return node;
    });
  }

  // Replaces an entry of this map by two: one up to `last`, which is in its range and not the end of it, and one behind.
  // Returns the lower one. ENOMEM: everything is as it was.
  Result<Entry*> split(Entry const& entry, std::uint64_t last, V lower, V higher) {
    return guarded([&]() -> Result<Entry*> {
      Range const range = entry.range;
      auto low = std::make_unique<Node>(Range{range.start, last}, std::move(lower));
      auto high = std::make_unique<Node>(Range{last + 1, range.last}, std::move(higher));
      erase(entry);
      place(high.release());
      place(low.get());
      return low.release();
    });
  }

  // Removes an entry of this map and returns the next one above it, or nullptr. Never fails.
  Entry* erase(Entry const& entry) noexcept {
    Node* const node = static_cast<Node*>(const_cast<Entry*>(&entry));
    Node* const next = after(node);
    Node* changed = node->parent;
    if (node->child[0] != nullptr && node->child[1] != nullptr) {  // `next` is the lowest of child[1] and takes its place
      changed = next;
      if (next->parent != node) {
        changed = next->parent;
        replace(next, next->child[1]);
        link(next, 1, node->child[1]);
      }
      replace(node, next);
      link(next, 0, node->child[0]);
      next->height = node->height;
      next->longest_gap = node->longest_gap;
    } else {
      replace(node, node->child[node->child[0] == nullptr]);
    }
    if (next != nullptr) next->gap += node->gap + node->range.length();
    retrace(changed);
    retrace(next);
    delete node;
    --size_;
    return next;
  }

  void clear() noexcept {
    for (Node* node = std::exchange(root_, nullptr); node != nullptr;) {
      if (Node* const child = node->child[node->child[0] == nullptr]) {
        node = child;
        continue;
      }
      Node* const parent = node->parent;
      if (parent != nullptr) parent->child[parent->child[1] == node] = nullptr;
      delete node;
      node = parent;
    }
    size_ = 0;
  }

  // The entry that holds `address`, or nullptr.
  [[nodiscard]] Entry* find(std::uint64_t address) { return lowest({address, address}); }
  [[nodiscard]] Entry const* find(std::uint64_t address) const { return lowest({address, address}); }

  // The lowest entry that overlaps `range`, or nullptr.
  [[nodiscard]] Entry* first_overlap(Range range) { return lowest(range); }
  [[nodiscard]] Entry const* first_overlap(Range range) const { return lowest(range); }

  // The entries that overlap `range`, in ascending order. While they are looked at, others may be inserted and erased; the
  // one the loop stands at may not (use first_overlap and erase's answer for that).
  [[nodiscard]] Overlapping<Entry> overlapping(Range range) { return {{lowest(range), range.last}}; }
  [[nodiscard]] Overlapping<Entry const> overlapping(Range range) const { return {{lowest(range), range.last}}; }
  Iterator<Entry> begin() { return overlapping(Range::all()).begin(); }
  Iterator<Entry const> begin() const { return overlapping(Range::all()).begin(); }
  std::default_sentinel_t end() const { return {}; }

  // The lowest free range of `length` bytes inside `within` whose start is a multiple of `alignment`, a power of two; nothing
  // if there is none, or for a length of 0 or an alignment that is no power of two. O(log n), and as much again for each
  // free range that is long enough but, because of the alignment or the ends of `within`, does not do.
  [[nodiscard]] std::optional<Range> first_gap(Range within, std::uint64_t length, std::uint64_t alignment) const {
    if (length == 0 || !std::has_single_bit(alignment)) return std::nullopt;
    Request const request{within, length, alignment};
    if (auto const found = search_gap(root_, request)) return found;
    std::uint64_t start = 0;  // of the free space above all entries
    if (Node const* node = root_) {
      while (node->child[1] != nullptr) node = node->child[1];
      if (node->range.last == Range::all().last) return std::nullopt;
      start = node->range.last + 1;
    }
    return request.fit({start, Range::all().last});
  }

 private:
  template <class>
  friend struct IntervalMapInvariants;  // of the test

  struct Request {
    Range within;
    std::uint64_t length, alignment;

    // The lowest place in `free`.
    std::optional<Range> fit(Range free) const {
      auto const part = free.intersection(within);
      if (!part) return std::nullopt;
      std::uint64_t const start = (part->start + (alignment - 1)) & ~(alignment - 1);  // wraps to 0 beyond the top
      if (start < part->start || start > part->last || part->last - start < length - 1) return std::nullopt;
      return Range{start, start + (length - 1)};
    }
  };

  static std::optional<Range> search_gap(Node const* node, Request const& request) {
    for (; node != nullptr && node->longest_gap >= request.length; node = node->child[1]) {
      std::uint64_t const gap_start = node->range.start - node->gap;
      if (gap_start > request.within.start) {  // else all lower gaps end below `within`
        if (auto const found = search_gap(node->child[0], request)) return found;
      }
      if (node->gap >= request.length) {
        if (auto const found = request.fit({gap_start, node->range.start - 1})) return found;
      }
      if (node->range.last >= request.within.last) break;
    }
    return std::nullopt;
  }

  // Links a node whose range is free.
  void place(Node* node) {
    Node* parent = nullptr;
    Node* below = nullptr;
    Node* above = nullptr;
    for (Node* at = root_; at != nullptr; at = at->child[below == parent]) {
      parent = at;
      (node->range.start > at->range.last ? below : above) = at;
    }
    node->gap = node->range.start - (below != nullptr ? below->range.last + 1 : 0);
    if (above != nullptr) above->gap = above->range.start - node->range.last - 1;
    if (parent == nullptr)
      root_ = node;
    else
      link(parent, below == parent, node);
    ++size_;
    sum_up(node);
    retrace(parent);
    if (above != nullptr) retrace(above);
  }

  Node* lowest(Range range) const {
    Node* found = nullptr;  // the lowest one seen that does not end below `range`
    for (Node* node = root_; node != nullptr;) {
      bool const ends_below = node->range.last < range.start;
      if (!ends_below) found = node;
      node = node->child[ends_below];
    }
    return found != nullptr && found->range.start <= range.last ? found : nullptr;
  }

  static Node* after(Node* node) {
    if (Node* next = node->child[1]) {
      while (next->child[0] != nullptr) next = next->child[0];
      return next;
    }
    while (node->parent != nullptr && node->parent->child[1] == node) node = node->parent;
    return node->parent;
  }

  static int height(Node const* node) { return node != nullptr ? node->height : 0; }

  static void link(Node* parent, int side, Node* child) {
    parent->child[side] = child;
    if (child != nullptr) child->parent = parent;
  }

  // Puts `fresh`, which may be nullptr, where `old` hangs.
  void replace(Node* old, Node* fresh) {
    if (fresh != nullptr) fresh->parent = old->parent;
    if (old->parent == nullptr)
      root_ = fresh;
    else
      old->parent->child[old->parent->child[1] == old] = fresh;
  }

  // Computes what a node knows of its subtree.
  static void sum_up(Node* node) {
    node->height = 1 + std::max(height(node->child[0]), height(node->child[1]));
    node->longest_gap = node->gap;
    for (Node const* child : node->child) {
      if (child != nullptr) node->longest_gap = std::max(node->longest_gap, child->longest_gap);
    }
  }

  // Lifts the child on that side into the place of `node`.
  Node* rotate(Node* node, int side) {
    Node* const lifted = node->child[side];
    replace(node, lifted);
    link(node, side, lifted->child[!side]);
    link(lifted, !side, node);
    sum_up(node);
    sum_up(lifted);
    return lifted;
  }

  // Sums up and balances from `node`, which may be nullptr, up to where its parent knows already what comes of it. What a node
  // says of its subtree is always what its parent has been told.
  void retrace(Node* node) {
    for (; node != nullptr; node = node->parent) {
      int const height_before = node->height;
      std::uint64_t const gap_before = node->longest_gap;
      sum_up(node);
      int const balance = height(node->child[1]) - height(node->child[0]);
      if (balance >= -1 && balance <= 1) {
        if (node->height == height_before && node->longest_gap == gap_before) return;
        continue;
      }
      int const side = balance > 0;
      Node* const child = node->child[side];
      if (height(child->child[!side]) > height(child->child[side])) rotate(child, !side);
      node = rotate(node, side);
    }
  }

  Node* root_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace swiommu

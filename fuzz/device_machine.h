// The machine in which a device is fuzzed: a few pages of memory, a window of iovas that they are mapped into one by one, by a
// paging domain or by a table of the guest's over one, and a slot. What the device may not write stays as it is.
#pragma once
#include <array>
#include <bit>
#include <optional>

#include "fuzz_input.h"
#include "swiommu/device/device.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/vfio/device_model.h"
#include "watched_memory.h"

namespace swiommu::fuzzing {

class FuzzedSlot final : public vfio::Slot {
 public:
  explicit FuzzedSlot(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  Result<std::unique_ptr<Port>> open_port() override { return device_->open_port(); }
  [[nodiscard]] bool bus_master() const noexcept override { return master; }
  void raise(unsigned vector) noexcept override {
    if (!master || vector >= vectors) wrong = true;
    raised++;
  }
  void set_line(bool asserted) noexcept override {
    if (line == asserted) wrong = true;
    line = asserted;
  }
  void report(FaultRecord const&) noexcept override { faults++; }

  bool master = true, line = false;
  bool wrong = false;  // the model has done something that it must not
  unsigned vectors = 0;
  std::uint64_t raised = 0, faults = 0;

 private:
  std::shared_ptr<Device> const device_;
};

class DeviceMachine {
 public:
  // Of the window, from iova page 1 on; as many pages of memory, and some that are mapped nowhere.
  static constexpr unsigned window = 32, unmapped = 4, memory_pages = window + unmapped;
  static constexpr std::uint64_t end = (window + 1) * page_bytes;  // of the iovas

  DeviceMachine(bool watched, bool nested)
      : memory_(std::make_shared<WatchedMemory>(memory_pages + tables, memory_pages, watched)),
        host_(Host::create(memory_).value()),
        paging_(PagingDomain::create(host_, {.format = FormatName::vtd_second_stage, .levels = 3}).value()),
        device_(Device::create(host_, {.requester_id = 0x20}).value()) {
    if (nested) make_table();
    require(device_->attach(nested ? std::shared_ptr<Domain>(nested_) : paging_).has_value());
    for (unsigned n = 0; n < window; n++) change(n, first_mapping(n));
    restore();
  }

  struct Mapping {
    unsigned page = 0;  // of memory
    Access access;
    bool operator==(Mapping const&) const = default;
  };
  // As at first: memory is zero, and all of it can be read and written by the device, in some order.
  void restore() {
    for (unsigned n = 0; n < window; n++) map(n, first_mapping(n));
    for (unsigned n = 0; n < memory_pages; n++) std::memset(memory_->page(n), n < window ? 0 : 0xa5, page_bytes);
    for (unsigned n = 0; n < memory_pages; n++) keep(n);
  }
  // Page `n` of the window, or nothing in its place.
  void map(unsigned n, std::optional<Mapping> mapping) {
    if (mapping && nested_) mapping->access.read = true;  // x86-64 has no memory that is only written
    if (mapping == mappings_[n]) return;
    check();
    change(n, mapping);
    for (unsigned page = 0; page < memory_pages; page++) keep(page);
  }
  // Nothing in its place, or it again, elsewhere, or with fewer rights; true: any of the latter.
  bool change_mapping(FuzzInput& input) {
    unsigned const form = input.below(8), n = input.below(window);
    if (form == 0) {
      map(n, std::nullopt);
      return false;
    }
    unsigned const page = input.below(window);
    map(n, Mapping{.page = page, .access = form < 5 ? Access::both() : form < 7 ? Access::reading() : Access::writing()});
    return true;
  }
  // Nothing has changed that the device may not write.
  void check() const {
    for (unsigned n = 0; n < memory_pages; n++)
      require(allows(n, Access::writing()) || std::memcmp(memory_->page(n), kept_[n].data(), page_bytes) == 0);
  }
  // May the device access this page of memory?
  [[nodiscard]] bool allows(unsigned page, Access access) const {
    bool allowed = false;
    for (auto const& each : mappings_) allowed |= each && each->page == page && each->access.covers(access);
    return allowed;
  }

  // Where in memory an iova is: page * page_bytes + offset. Nothing: it is not mapped.
  [[nodiscard]] std::optional<std::uint64_t> place(std::uint64_t iova) const {
    std::uint64_t const n = iova / page_bytes - 1;  // below the window it wraps
    if (n >= window || !mappings_[n]) return std::nullopt;
    return mappings_[n]->page * page_bytes + iova % page_bytes;
  }
  // The guest writes its own memory: as far as it is mapped, rights aside.
  void put(std::uint64_t iova, std::span<std::byte const> bytes) {
    while (!bytes.empty()) {
      auto const part = bytes.first(std::min<std::uint64_t>(bytes.size(), page_bytes - iova % page_bytes));
      if (auto const at = place(iova)) {
        std::memcpy(memory_->page(static_cast<unsigned>(*at / page_bytes)) + *at % page_bytes, part.data(), part.size());
        std::memcpy(&kept_[*at / page_bytes][*at % page_bytes], part.data(), part.size());
      }
      iova += part.size();
      bytes = bytes.subspan(part.size());
    }
  }
  template <class T>
  void put(std::uint64_t iova, T const& value) {
    put(iova, std::as_bytes(std::span(&value, 1)));
  }
  template <class T>
  [[nodiscard]] std::optional<T> get(std::uint64_t iova) const {
    std::array<std::byte, sizeof(T)> bytes{};
    for (std::size_t n = 0; n < sizeof(T); n++) {
      auto const at = place(iova + n);
      if (!at) return std::nullopt;
      bytes[n] = memory_->page(static_cast<unsigned>(*at / page_bytes))[*at % page_bytes];
    }
    return std::bit_cast<T>(bytes);
  }

  [[nodiscard]] WatchedMemory& memory() { return *memory_; }
  [[nodiscard]] std::shared_ptr<Device> const& device() const { return device_; }

 private:
  static constexpr unsigned tables = 4;  // of the guest, the lowest first
  static Mapping first_mapping(unsigned n) { return {.page = n * 5 % window, .access = Access::both()}; }
  static std::uint64_t host_of(unsigned page) { return WatchedMemory::start + page * page_bytes; }
  // Guest addresses, if there are any: one page above the pages' numbers, so that none is 0.
  static std::uint64_t guest_of(unsigned page) { return (page + 1) * page_bytes; }
  static Range iovas_of(unsigned n) { return {(n + 1) * page_bytes, (n + 2) * page_bytes - 1}; }
  [[nodiscard]] std::uint64_t& word(unsigned table, unsigned n) {
    return reinterpret_cast<std::uint64_t*>(memory_->page(memory_pages + table))[n];
  }

  // Intel SDM 4.5: present, writable, user.
  void make_table() {
    std::uint64_t const last = guest_of(memory_pages + tables) - 1;
    require(paging_->map({guest_of(0), last}, HostAddress(host_of(0)), {.access = Access::both()}).has_value());
    for (unsigned table = 1; table < tables; table++) word(table, 0) = guest_of(memory_pages + table - 1) | 7;
    UserPageTable const table{.format = {.format = FormatName::x86_64, .levels = 4}, .root = guest_of(memory_pages + tables - 1)};
    nested_ = NestedDomain::create(paging_, table).value();
  }
  void change(unsigned n, std::optional<Mapping> mapping) {
    if (nested_) {
      word(0, n + 1) = mapping ? guest_of(mapping->page) | (mapping->access.write ? 7 : 5) : 0;
      require(nested_->invalidate(iovas_of(n)).has_value());
    } else {
      if (mappings_[n]) require(paging_->unmap(iovas_of(n)).has_value());
      if (mapping)
        require(paging_->map(iovas_of(n), HostAddress(host_of(mapping->page)), {.access = mapping->access}).has_value());
    }
    mappings_[n] = mapping;
  }
  void keep(unsigned page) {
    if (!allows(page, Access::writing())) std::memcpy(kept_[page].data(), memory_->page(page), page_bytes);
  }

  std::shared_ptr<WatchedMemory> const memory_;
  Host const host_;
  std::shared_ptr<PagingDomain> const paging_;
  std::shared_ptr<NestedDomain> nested_;
  std::shared_ptr<Device> const device_;
  std::array<std::optional<Mapping>, window> mappings_;
  std::array<std::array<std::byte, page_bytes>, memory_pages> kept_{};
};

}  // namespace swiommu::fuzzing

#include "swiommu/domain/context_domain.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "dma_tree.h"

namespace swiommu {
namespace {

// One word for each PASID: the root of its table, and bit 0 if that counts. The last one is that of DMA without PASID.
class WordDirectory final : public ContextSource {
 public:
  static constexpr std::uint32_t none = 511;

  WordDirectory(MemoryView const& guest, std::uint64_t directory) : guest_(guest), directory_(directory) {}

  [[nodiscard]] std::expected<DeviceConfiguration, ConfigurationFault> find(std::uint32_t,
                                                                            std::optional<std::uint32_t> pasid) const override {
    reads++;
    std::uint64_t const address = directory_ + 8 * (pasid.value_or(none) % 512);
    auto const word = guest_.load_word(address);
    if (!word) return std::unexpected(ConfigurationFault{.about = "unreadable", .entry_address = address});
    if ((*word & 1) == 0)
      return std::unexpected(ConfigurationFault{.about = "invalid", .entry_address = address, .entry = *word});
    DeviceConfiguration found;
    if ((*word & 2) != 0) {
      found.kind = DeviceConfiguration::Kind::bypass;
      found.bypass_base = *word & ~low_bits(12);
    }
    if ((*word & 4) != 0) found.rights = Access::reading();
    found.user = UserPageTable{.format = {.format = FormatName::x86_64, .levels = 4}, .root = *word & ~low_bits(12)};
    return found;
  }

  mutable std::atomic<unsigned> reads = 0;

 private:
  MemoryView const& guest_;
  std::uint64_t const directory_;
};

constexpr std::uint64_t page = DmaTree::page, iova = 0x7f0000000;

// The directory is guest page 0, data are pages 1 and 2. Two tables, one for each.
struct Contexts : testing::Test {
  Contexts() {
    for (std::uint64_t n : {1, 2}) *tree.memory->data(n) = std::byte(n);
    EXPECT_TRUE(first.map({iova, iova + page - 1}, 1 * page));
    EXPECT_TRUE(second.map({iova, iova + page - 1}, 2 * page));
    EXPECT_TRUE(tree.device->replace(domain));
  }
  void write(std::uint32_t pasid, std::uint64_t word) const {
    std::atomic_ref(reinterpret_cast<std::uint64_t*>(tree.memory->data(0))[pasid % 512]).store(word);
  }
  [[nodiscard]] std::uint64_t to(UserTable const& table) const { return table.description().root | 1; }
  // The byte there; 0xff for a fault.
  [[nodiscard]] unsigned read(std::optional<Pasid> pasid, std::uint64_t from = iova) const {
    unsigned char byte = 0;
    return port->read(Iova(from), &byte, 1, pasid).ok() ? byte : 0xff;
  }

  DmaTree tree{16};
  UserTable first{{.format = FormatName::x86_64, .levels = 4}, tree.guest, DmaTree::pages(3, 6)};
  UserTable second{{.format = FormatName::x86_64, .levels = 4}, tree.guest, DmaTree::pages(9, 6)};
  WordDirectory* directory = nullptr;
  std::shared_ptr<ContextDomain> domain = [this] {
    auto made = std::make_unique<WordDirectory>(*tree.paging, 0);
    directory = made.get();
    return ContextDomain::create(tree.paging, std::move(made)).value();
  }();
  std::unique_ptr<Port> port = tree.device->open_port().value();
};

TEST_F(Contexts, OneThatBecomesValidIsUsedAtOnce) {
  EXPECT_EQ(read(3), 0xffu);
  write(3, to(first) & ~std::uint64_t{1});
  EXPECT_EQ(read(3), 0xffu);
  write(3, to(first));
  EXPECT_EQ(read(3), 1u);
}

TEST_F(Contexts, AValidOneIsKeptUntilItIsForgotten) {
  write(3, to(first));
  write(4, to(first));
  EXPECT_EQ(read(3), 1u);
  EXPECT_EQ(read(4), 1u);
  unsigned const reads = directory->reads;
  write(3, to(second));
  write(4, 0);
  EXPECT_EQ(read(3), 1u);
  EXPECT_TRUE(domain->invalidate(Range::all()));  // tables, and not contexts
  EXPECT_EQ(read(3), 1u);
  EXPECT_EQ(directory->reads, reads);
  ASSERT_TRUE(domain->forget(3));
  EXPECT_EQ(read(3), 2u);
  EXPECT_EQ(read(4), 1u);
  ASSERT_TRUE(domain->forget_all());
  EXPECT_EQ(read(4), 0xffu);
}

TEST_F(Contexts, APasidIsNeverTranslatedAsAnother) {
  write(3, to(first));
  write(4, to(second));
  write(WordDirectory::none, to(second));
  for (unsigned round = 0; round < 3; round++) {
    EXPECT_EQ(read(3), 1u);
    EXPECT_EQ(read(4), 2u);
    EXPECT_EQ(read(std::nullopt), 2u);
    EXPECT_EQ(read(5), 0xffu);
  }
}

TEST_F(Contexts, APasidThatIsAttachedItselfIsNotDirected) {
  write(DmaTree::nested_pasid, to(first));
  EXPECT_EQ(read(DmaTree::nested_pasid, 2 * page), 2u);  // through the tree's own nested domain
  ASSERT_TRUE(tree.device->detach(DmaTree::nested_pasid));
  EXPECT_EQ(read(DmaTree::nested_pasid), 1u);
}

TEST_F(Contexts, PasidsBeyondTheDevicesOwnAreFaults) {
  write(0, to(first));
  EXPECT_EQ(read(bit(20)), 0xffu);
  EXPECT_EQ(read(0xffffffff), 0xffu);
}

TEST_F(Contexts, PasidZeroMayServeDmaWithoutOne) {
  write(0, to(first));
  write(WordDirectory::none, to(first));
  EXPECT_EQ(read(0), 1u);
  EXPECT_EQ(read(std::nullopt), 1u);
  write(0, to(second));
  write(WordDirectory::none, to(second));
  ASSERT_TRUE(domain->forget(0));
  EXPECT_EQ(read(0), 2u);
  EXPECT_EQ(read(std::nullopt), 2u);
}

TEST_F(Contexts, BypassAndRightsAreTheContexts) {
  write(3, 1 | 2);
  EXPECT_EQ(read(3, 2 * page), 2u);
  write(5, 0x70000000 | 1 | 2);
  EXPECT_EQ(read(5, 0x70000000 + 2 * page), 2u);
  EXPECT_EQ(read(5, 2 * page), 0xffu);
  write(4, to(first) | 4);
  EXPECT_EQ(read(4), 1u);
  std::byte const byte{7};
  auto const written = port->write(Iova(iova), &byte, 1, 4);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.fault->reason, Reason::permission);
  EXPECT_EQ(written.fault->pasid, 4u);
}

TEST_F(Contexts, AFaultNamesTheStructureThatSaysSo) {
  write(3, 0x1230);
  std::byte byte{};
  auto const result = port->read(Iova(iova), &byte, 1, 3);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.fault->reason, Reason::configuration);
  EXPECT_EQ(result.fault->entry_address, 24u);
  EXPECT_EQ(result.fault->entry, 0x1230u);
  EXPECT_EQ(result.fault->pasid, 3u);
  EXPECT_EQ(describe(*result.fault), "iova 0x7f0000000, pasid 0x3 read: the structure at 0x18 = 0x1230 leads to no page table");
}

TEST_F(Contexts, WhatTheParentUnmapsIsForgotten) {
  write(3, to(first));
  EXPECT_EQ(read(3), 1u);
  ASSERT_TRUE(tree.paging->unmap(DmaTree::pages(0)));
  EXPECT_EQ(read(3), 0xffu);
  ASSERT_TRUE(tree.map(0, 0));
  EXPECT_EQ(read(3), 1u);
}

TEST_F(Contexts, MoreThanAreKeptWorkAllTheSame) {
  for (std::uint32_t pasid = 0; pasid < 512; pasid++) write(pasid, pasid % 2 == 0 ? to(first) : to(second));
  for (std::uint32_t pasid = DmaTree::shadow_pasid + 1; pasid < 3 * ContextDomain::most_contexts; pasid++)
    EXPECT_EQ(read(pasid), 1 + pasid % 2);
}

TEST_F(Contexts, NothingOldIsUsedOnceForgettingHasReturned) {
  std::atomic<std::uint64_t> rounds = 0;
  std::atomic<unsigned> wanted = 1;
  std::atomic<bool> done = false;
  write(3, to(first));
  std::thread device([&] {
    while (!done) {
      // Between the two loads the context may change: then either will do.
      unsigned const before = wanted;
      unsigned const found = read(3);
      unsigned const after = wanted;
      if (before == after && before != 0) {
        EXPECT_EQ(found, before);
      }
      rounds++;
    }
  });
  for (unsigned n = 0; n < 200; n++) {
    wanted = 0;  // in between
    write(3, to(n % 2 == 0 ? second : first));
    ASSERT_TRUE(domain->forget(3));
    wanted = n % 2 == 0 ? 2 : 1;
    for (std::uint64_t const now = rounds; rounds < now + 2;) std::this_thread::yield();
  }
  done = true;
  device.join();
}

}  // namespace
}  // namespace swiommu

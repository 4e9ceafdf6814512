// Memory that vanishes without a word: DMA faults, nothing else happens.
#include "swiommu/memory/doubtful_memory.h"

#include <unistd.h>

#include "program_memory.h"

namespace swiommu {
namespace {

class RelocatedNever : public MovedMemoryTest {
 protected:
  RelocatedNever() {
    memory_->expect_losses();
    port_ = *device_->open_port();
  }
  [[nodiscard]] std::uint64_t bytes_read(std::uint64_t first, std::uint64_t pages) {
    std::vector<std::byte> bytes(pages * page);
    return port_->read(iova(first), bytes.data(), bytes.size()).done;
  }
};

TEST_F(RelocatedNever, DmaToATruncatedFileFaultsWhereItEnds) {
  int const descriptor = ::memfd_create("short", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(descriptor, 8 * page), 0);
  auto const pages = std::make_shared<Pages>(*SharedMemory::map(*memory_, descriptor, 0, 8 * page, true), account_);
  ASSERT_TRUE(space_->map(iova(0), {pages, 0, 8 * page}, read_write));
  EXPECT_EQ(bytes_read(0, 8), 8 * page);
  ASSERT_EQ(::ftruncate(descriptor, 5 * page), 0);
  EXPECT_EQ(bytes_read(0, 8), 5 * page);
  EXPECT_EQ(bytes_read(6, 1), 0u);
  EXPECT_FALSE(device_writes(5, 1));
  EXPECT_TRUE(device_writes(4, 1));
  auto const swapped = *port_->swap<std::uint32_t>(iova(7), 1);
  ASSERT_FALSE(swapped.ok());
  EXPECT_EQ(swapped.fault->reason, Reason::output_unreachable);
  EXPECT_EQ(swapped.fault->iova, iova(7).value);
  EXPECT_EQ(domain_->load_word(iova(6).value), std::nullopt);
  EXPECT_NE(domain_->load_word(iova(4).value), std::nullopt);
  std::array<std::byte, 2 * page> bytes;
  EXPECT_EQ(domain_->read(iova(4).value, bytes.data(), bytes.size()), page);
  EXPECT_EQ(domain_->write(iova(4).value, bytes.data(), bytes.size()), page);
  ASSERT_EQ(::ftruncate(descriptor, 8 * page), 0);
  EXPECT_EQ(bytes_read(0, 8), 8 * page);
  ::close(descriptor);
}

TEST_F(RelocatedNever, DmaToMemoryUnmappedUnseenFaults) {
  ProgramMemory program(4);
  program.fill(1);
  pin(program);
  EXPECT_TRUE(device_sees(1, 1));
  ::munmap(program.at(1), 2 * page);
  EXPECT_TRUE(device_faults(1));
  EXPECT_FALSE(device_writes(2, 1));
  EXPECT_TRUE(device_sees(3, 1));
}

TEST_F(RelocatedNever, CopiesFaultOnTheSideThatIsGone) {
  ProgramMemory program(4);
  program.fill(1);
  pin(program);
  EXPECT_TRUE(device_writes(2, 7));
  EXPECT_TRUE(port_->copy(iova(2), iova(0), page).ok());
  EXPECT_TRUE(program.holds(0, 9)) << "what page 2 holds";
  ::mprotect(program.at(1), page, PROT_READ);
  DmaResult const written = port_->copy(iova(2) + page / 2, iova(0) + page / 2, page);
  EXPECT_EQ(written.done, page / 2);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.fault->access, Access::writing());
  EXPECT_EQ(written.fault->iova, iova(1).value);
  ::mprotect(program.at(2), page, PROT_NONE);
  DmaResult const read = port_->copy(iova(2), iova(0), page);
  EXPECT_EQ(read.done, 0u);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.fault->access, Access::reading());
  EXPECT_EQ(read.fault->iova, iova(2).value);
}

TEST_F(RelocatedNever, DmaToProtectedMemoryFaults) {
  ProgramMemory program(4);
  program.fill(1);
  pin(program);
  ::mprotect(program.at(1), page, PROT_READ);
  ::mprotect(program.at(2), page, PROT_NONE);
  EXPECT_TRUE(device_sees(1, 1));
  EXPECT_FALSE(device_writes(1, 2));
  EXPECT_FALSE(port_->fetch_add<std::uint64_t>(iova(1), 1)->ok());
  EXPECT_TRUE(device_faults(2));
  ::mprotect(program.at(1), 2 * page, PROT_READ | PROT_WRITE);
  EXPECT_TRUE(device_sees(1, 1));
  EXPECT_TRUE(device_writes(2, 9));
  EXPECT_TRUE(program.holds(2, 9));
}

TEST_F(RelocatedNever, UserPageTablesThatVanishFault) {
  ProgramMemory program(4);
  pin(program);
  auto const table = *PageTable::open({.format = {.format = FormatName::x86_64, .levels = 4}, .root = iova(0).value}, *domain_);
  auto const reason = [&] { return table->walk(0x1234, Access::reading(), Update::yes).reason; };
  EXPECT_EQ(reason(), Reason::not_mapped);
  auto* const words = reinterpret_cast<std::uint64_t*>(program.at(0));
  words[0] = iova(1).value | 7;
  EXPECT_EQ(reason(), Reason::not_mapped);
  ::munmap(program.at(1), page);
  EXPECT_EQ(reason(), Reason::table_unreachable);
  ::munmap(program.at(0), page);
  EXPECT_EQ(reason(), Reason::table_unreachable);
}

TEST_F(RelocatedNever, WhatWasThereIsCopied) {
  ProgramMemory program(3);
  program.fill(1);
  ::munmap(program.at(2), page);
  std::vector<std::byte> bytes(3 * page, std::byte{0x55});
  EXPECT_EQ(read_doubtful(bytes.data(), program.at(0), 3 * page), 2 * page);
  EXPECT_EQ(bytes[2 * page - 1], std::byte{2});
  EXPECT_EQ(write_doubtful(program.at(1) + 100, bytes.data(), 2 * page), page - 100);
  EXPECT_EQ(*(program.at(2) - 1), std::byte{1});
  EXPECT_TRUE(can_be_written(program.at(1)));
  EXPECT_FALSE(can_be_written(program.at(2)));
  EXPECT_EQ(load_doubtful(reinterpret_cast<std::uint32_t*>(program.at(0))), 0x01010101u);
  EXPECT_EQ(load_doubtful(reinterpret_cast<std::uint32_t*>(program.at(2))), std::nullopt);
}

}  // namespace
}  // namespace swiommu

// The demonstration of one case, act by act.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "swiommu/device/port.h"
#include "swiommu/domain/context_source.h"
#include "swiommu/domain/mapping_visit.h"
#include "swiommu/domain/nested_domain.h"
#include "tools/case_folder.h"
#include "tools/demo_guest.h"

namespace swiommu::tools {

// What a device may touch: a piece of the user page table with memory of the guest behind it.
struct Target {
  std::uint64_t iova = 0;
  std::uint64_t guest = 0;   // address in guest memory
  std::uint64_t length = 0;  // bytes in a row
  Access access;
};

// Bytes that tell pages apart.
constexpr std::byte demo_pattern(std::uint64_t seed, std::uint64_t n) {
  return static_cast<std::byte>((seed >> 12) * 31 + n * 7 + 1);
}

class DemoAct {
 public:
  // `quiet`: print nothing but failures. The references must outlive the object.
  DemoAct(Case const& description, DemoGuest& guest, bool quiet) : case_(description), guest_(guest), quiet_(quiet) {}

  // Runs all acts. An error is an input that no demonstration can be given of; failed checks are counted.
  Result<void> run();

  [[nodiscard]] std::uint64_t checks() const { return checks_; }
  [[nodiscard]] std::uint64_t failures() const { return failures_; }

 private:
  Result<void> find_anchor();
  Result<void> attach();
  void read_through_both_levels();
  void write_through_both_levels();
  Result<void> compare_with_shadow(char const* when);
  Result<void> read_through(std::shared_ptr<Domain> domain);
  Result<void> write_second_table();
  Result<void> change_anchor();
  void use_second_table();
  Result<void> choose_free_iovas();
  Result<void> provoke_faults();
  void print_tree() const;
  void print_counts() const;

  [[nodiscard]] std::vector<Target> targets_of(Domain const& domain) const;
  Result<DeviceConfiguration> configuration() const;
  // Writes `root` in the place of the old one where the hardware finds it: in the guest's structure, or in the register.
  bool put_root(std::uint64_t root);
  bool put_word(std::uint64_t address, std::uint64_t word, FunctionRef<bool()> is_right);
  // The address with one bit changed, so that it lies outside of guest memory but within the table's outputs.
  [[nodiscard]] std::uint64_t outside_memory(std::uint64_t address) const;
  void expect_fault(char const* what, std::uint64_t iova, Access access, Reason reason);
  void expect(bool holds, std::string const& what);
  void say(std::string const& line) const;

  Case case_;
  DemoGuest& guest_;
  bool quiet_;
  std::optional<DeviceConfiguration> configuration_;
  std::shared_ptr<NestedDomain> nested_;
  std::shared_ptr<Device> device_;
  std::unique_ptr<Port> port_;
  std::vector<Target> targets_;
  std::map<std::uint64_t, std::uint64_t> second_;  // iova -> guest address of its page in the second table
  std::unique_ptr<PageTable> second_table_;
  // iovas that the guest's table does not map: the second one has nothing, a read-only page, one that leads out of memory.
  std::uint64_t hole_iova_ = 0;
  std::uint64_t read_only_iova_ = 0;
  std::uint64_t nowhere_iova_ = 0;
  std::uint64_t checks_ = 0, failures_ = 0, faults_ = 0, reads_ = 0, writes_ = 0;
};

}  // namespace swiommu::tools

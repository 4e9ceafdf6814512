// The two mechanisms side by side: a device each, over the same user page table.
#pragma once
#include "nesting/user_table.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/mapping_visit.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/shadow_domain.h"

namespace swiommu::nesting {

struct Mechanism {
  std::string name;
  bool remembers_faults = false;
  std::shared_ptr<Domain> domain;
  std::shared_ptr<Device> device;
  std::vector<std::unique_ptr<Port>> ports;

  Mechanism(std::string what, bool remembers, Guest const& guest, std::shared_ptr<Domain> tip)
      : name(std::move(what)), remembers_faults(remembers), domain(std::move(tip)), device(*Device::create(guest.host)) {
    ports.push_back(*device->open_port());
    EXPECT_TRUE(device->attach(domain));
    ports.push_back(*device->open_port());
  }
};

// Judges what devices see, by the models of the user page table and of the parent.
class Judge {
 public:
  Judge(Guest& guest, UserTable& table, Random& random) : guest_(guest), table_(table), random_(random) {}

  // One access of a device.
  void access(Mechanism& mechanism, std::uint64_t iova) {
    Port& port = *any_of(random_, mechanism.ports);
    switch (below(random_, 4)) {
      case 0: return read(mechanism, port, iova);
      case 1: return write(mechanism, port, iova);
      case 2: return locate(mechanism, port, iova);
      default: return translate(mechanism, iova);
    }
  }

  // Where nothing is outstanding, the mechanism says what the model says, in every respect.
  void exact(Mechanism& mechanism, std::uint64_t iova) {
    ASSERT_TRUE(table_.model.settled(iova));
    for (Access const access : {Access::reading(), Access::writing(), Access::both()}) {
      Outcome const expected = guest_.outcome(table_.model.current(iova), access);
      Translation const t = mechanism.domain->translate(tagged(iova), access, Update::no);
      ASSERT_EQ(t.ok(), expected.ok()) << about(mechanism, iova, access) << name(t.reason) << " instead of "
                                       << name(expected.reason);
      if (!t.ok()) {
        EXPECT_TRUE(t.reason == expected.reason || (expected.reason == Reason::not_mapped && is_spoilt(t.reason)))
            << about(mechanism, iova, access) << name(t.reason) << " instead of " << name(expected.reason);
        continue;
      }
      ASSERT_EQ(t.output, expected.host + iova % unit_size) << about(mechanism, iova, access);
      ASSERT_EQ(t.attributes.access, expected.rights) << about(mechanism, iova, access);
    }
  }

  // A fault of a DMA transfer that moved nothing.
  void fault(Mechanism const& mechanism, std::uint64_t iova, Access access, Reason reason) {
    for (UserValue const& value : table_.model.possible(iova)) {
      Reason const expected = guest_.outcome(value, access).reason;
      if (expected != Reason::none) return;
      if (!mechanism.remembers_faults) break;  // the first value is the current one
    }
    FAIL() << about(mechanism, iova, access) << "faults: " << name(reason);
  }

  // Pages of the guest that DMA has written to, each as the alternatives that it may have been.
  std::vector<std::vector<std::uint64_t>> written;

 private:
  [[nodiscard]] std::string about(Mechanism const& mechanism, std::uint64_t iova, Access access) const {
    char text[128];
    std::snprintf(text, sizeof text, "%s, iova 0x%llx, %s%s: ", mechanism.name.c_str(), static_cast<unsigned long long>(iova),
                  access.read ? "read" : "", access.write ? "write" : "");
    return text;
  }
  static bool is_spoilt(Reason reason) {
    return reason == Reason::malformed || reason == Reason::address_size || reason == Reason::access_flag ||
           reason == Reason::table_unreachable;
  }

  // Where the format ignores the top byte, devices put anything there.
  std::uint64_t tagged(std::uint64_t iova) {
    return table_.description.format.top_byte_ignored ? (iova & low_bits(56)) | random_() << 56 : iova;
  }

  // Is there a value that leads this access to the host address?
  bool allowed(std::uint64_t iova, Access access, std::uint64_t host) {
    for (UserValue const& value : table_.model.possible(iova)) {
      Outcome const outcome = guest_.outcome(value, access);
      if (outcome.ok() && outcome.host + iova % unit_size == host) return true;
    }
    return false;
  }

  void translate(Mechanism& mechanism, std::uint64_t iova) {
    if (!mechanism.remembers_faults || table_.model.settled(iova)) {
      // A domain without a table of its own knows the present only.
      Access const access = one_in(random_, 2) ? Access::reading() : Access::writing();
      Outcome const expected = guest_.outcome(table_.model.current(iova), access);
      Translation const t = mechanism.domain->translate(tagged(iova), access, one_in(random_, 2) ? Update::yes : Update::no);
      ASSERT_EQ(t.ok(), expected.ok()) << about(mechanism, iova, access) << name(t.reason) << " instead of "
                                       << name(expected.reason);
      if (t.ok()) {
        ASSERT_EQ(t.output, expected.host + iova % unit_size) << about(mechanism, iova, access);
      }
    }
  }

  void locate(Mechanism& mechanism, Port& port, std::uint64_t iova) {
    Access const access = one_in(random_, 3) ? Access::both() : one_in(random_, 2) ? Access::reading() : Access::writing();
    Port::Guard const guard(port);
    auto const chunk = port.translate(guard, Iova(tagged(iova)), access);
    if (!chunk) return fault(mechanism, iova, access, chunk.error().reason);
    std::uint64_t const host = guest_.memory->address_of(chunk->data);
    ASSERT_TRUE(allowed(iova, access, host)) << about(mechanism, iova, access) << std::hex << host;
  }

  // Words of one unit, or of a few in a row.
  void read(Mechanism& mechanism, Port& port, std::uint64_t iova) {
    iova = align_down(iova, 3) & ~(unit_size / 2);
    std::vector<std::uint64_t> words(one_in(random_, 4) ? 1 + below(random_, 3 * unit_size / 8) : 1);
    if (iova + words.size() * 8 < iova) words.resize(1);
    DmaResult const result = port.read(Iova(tagged(iova)), words.data(), words.size() * 8);
    for (std::uint64_t n = 0; n < result.done / 8; n++) {
      std::uint64_t const at = iova + n * 8;
      if (at % unit_size >= unit_size / 2 || !known(at)) continue;
      ASSERT_TRUE(allowed(at, Access::reading(), words[n])) << about(mechanism, at, Access::reading()) << std::hex << words[n];
    }
    if (result.fault && known(iova + result.done)) fault(mechanism, iova + result.done, Access::reading(), result.fault->reason);
  }

  void write(Mechanism& mechanism, Port& port, std::uint64_t iova) {
    iova = align_down(iova, 3) | unit_size / 2;
    std::uint64_t const word = ++last_word_;
    DmaResult const result = port.write(Iova(tagged(iova)), &word, sizeof(word));
    if (result.fault) return fault(mechanism, iova, Access::writing(), result.fault->reason);
    for (UserValue const& value : table_.model.possible(iova)) {
      Outcome const outcome = guest_.outcome(value, Access::writing());
      if (outcome.ok() && guest_.memory->word(outcome.host + iova % unit_size) == word) return note_written(iova, outcome.host);
    }
    FAIL() << about(mechanism, iova, Access::writing()) << "written to the wrong place";
  }

  void note_written(std::uint64_t iova, std::uint64_t host) {
    std::vector<std::uint64_t> guests;
    for (UserValue const& value : table_.model.possible(iova)) {
      Outcome const outcome = guest_.outcome(value, Access::writing());
      if (outcome.ok() && outcome.host == align_down(host, unit_lg2)) guests.push_back(value.guest);
    }
    written.push_back(std::move(guests));
  }

  [[nodiscard]] bool known(std::uint64_t iova) const {
    return table_.shape().lower.contains(iova) || (table_.shape().upper && table_.shape().upper->contains(iova));
  }

  Guest& guest_;
  UserTable& table_;
  Random& random_;
  std::uint64_t last_word_ = std::uint64_t{1} << 63;
};

}  // namespace swiommu::nesting

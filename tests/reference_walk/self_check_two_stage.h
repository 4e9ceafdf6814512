// Checks of two_stage.h, with RISC-V, x86 and zPCI stages.
#pragma once

#include "reference_walk/self_check_riscv.h"
#include "reference_walk/two_stage.h"
#include "reference_walk/x86.h"
#include "reference_walk/zpci.h"

namespace reference_walk::self_check {

inline void check_two_stages() {
  // First stage Sv39 at guest 0x10000 to 0x12000; second stage Sv39x4 at host 0x40000, one page
  // table for guest 0 to 0x1fffff: guest g is at host g + 0x80000000 unless changed.
  auto const build = [](u64 leaf_one, auto change) {
    Memory m;
    m.put(0x40000, pte(0x44000, V));
    m.put(0x44000, pte(0x45000, V));
    for (u64 g = 0; g < 0x200; ++g) m.put(0x45000 + 8 * g, pte(0x80000000 + (g << 12), rw));
    m.put(0x80010008, pte(0x11000, V));
    m.put(0x80011008, pte(0x12000, V));
    m.put(0x80012008, leaf_one);
    change(m);
    return m;
  };
  auto const none = [](Memory&) {};
  auto const guest = [](u64 g, u64 entry) { return [=](Memory& m) { m.put(0x45000 + 8 * (g >> 12), entry); }; };
  auto const both = [](RiscvOptions one = {}, RiscvOptions two = {}, TwoStageOptions o = {}) {
    return two_stage_walker(riscv_walker(RiscvMode::sv39, 0x10000, one), riscv_walker(RiscvMode::sv39x4, 0x40000, two), o);
  };
  u64 const address = 0x40201abc, leaf = pte(0x33000, rw);
  hits(build(leaf, none), both(), address, 0x80033abc, 12, true);
  hits(build(pte(0x33000, rw & ~W), none), both(), address, 0x80033abc, 12, false);
  hits(build(leaf, guest(0x33000, pte(0x5000, rw & ~W))), both(), address, 0x5abc, 12, false);
  // A table page need not be writable, nor the access be of one kind: it is read.
  hits(build(leaf, guest(0x12000, pte(0x80012000, rw & ~(W | D)))), both(), address, 0x80033abc, 12, true);
  faults(build(leaf, guest(0x12000, 0)), both(), address, "stage 2, table of stage 1: V = 0");
  faults(build(leaf, guest(0x12000, pte(0x80012000, V | X | U | A))), both(), address, "stage 2, table");
  faults(build(leaf, guest(0x33000, 0)), both(), address, "stage 2, final address: V = 0");
  faults(build(leaf & ~V, none), both(), address, "stage 1: V = 0");
  faults(build(pte(u64{1} << 41, rw), none), both(), address, "final address: guest address too wide");
  // An update of A in the first stage is a write to its table.
  const Memory update = build(leaf & ~A, guest(0x12000, pte(0x80012000, rw & ~W)));
  faults(update, both({.adue = true}), address, "update of a stage 1 entry");
  hits(update, both({.adue = true}, {}, {.updates_need_write = false}), address, 0x80033abc, 12, true);
  hits(build(leaf & ~A, none), both({.adue = true}), address, 0x80033abc, 12, true);
  // Memory types: the first stage's wins unless it is zero.
  const RiscvOptions types{.svpbmt = true};
  auto const io = guest(0x33000, pte(0x80033000, rw | u64{2} << 61));
  expect(hits(build(leaf, io), both(types, types), address, 0x80033abc, 12, true).pbmt == 2, "type", {}, Where::current());
  expect(hits(build(leaf | u64{1} << 61, io), both(types, types), address, 0x80033abc, 12, true).pbmt == 1, "type", {},
         Where::current());
  // The smaller of both sizes: a 2 MiB leaf of the first stage on 4 KiB pages.
  auto const large = [](Memory& m) { m.put(0x80011008, pte(0, rw)); };
  hits(build(leaf, large), both(), address, 0x80001abc, 12, true);

  // x86 on Sv39x4, its tables in the same guest pages; then the big-endian zPCI on nothing.
  const auto x86_tables = [](Memory& m) {
    for (u64 n = 0; n < 4; ++n) m.put(0x80020008 + 0x1000 * n, n < 3 ? 0x21007 + 0x1000 * n : 0x33007);
  };
  hits(build(leaf, x86_tables), two_stage_walker(x86_walker(0x20000), riscv_walker(RiscvMode::sv39x4, 0x40000)), 0x8040201abc,
       0x80033abc, 12, true);
  Memory zpci;
  zpci.put_big(0x100008, 0x110800);
  zpci.put_big(0x110810, 0x7654000);
  hits(zpci, two_stage_walker(zpci_walker({.type = ZpciTable::segment, .origin = 0x100000}), bare_walker()), 0x102abc, 0x7654abc,
       12, true);
  hits(zpci, two_stage_walker(bare_walker(), zpci_walker({.type = ZpciTable::segment, .origin = 0x100000})), 0x102abc, 0x7654abc,
       12, true);
}

}  // namespace reference_walk::self_check

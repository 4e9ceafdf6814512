// Names for the registers of BAR 0, and their bits: the datasheets of Xeon processors, volume 2, "Intel QuickData Technology
// registers (CB_BAR)". All multiples of 8 are called words here.
#pragma once
#include <cstdint>

namespace swiommu::vfio::ioat {

namespace offset {
// Of the BAR. The first word: CHANCNT, XFERCAP, GENCTRL and INTRCTRL of a byte each, ATTNSTATUS.
inline constexpr std::uint32_t chancnt = 0x00, xfercap = 0x01, genctrl = 0x02, intrctrl = 0x03, attnstatus = 0x04, cbver = 0x08,
                               intrdelay = 0x0c, csstatus = 0x0e, dmacapability = 0x10;
inline constexpr std::uint32_t channels = 0x80, channel_bytes = 0x80;
// Of a channel's registers. The first word: CHANCTRL, DMA_COMP, CHANCMD of a byte, a byte of nothing, DMACOUNT.
inline constexpr std::uint32_t chanctrl = 0x00, dma_comp = 0x02, chancmd = 0x04, dmacount = 0x06, chansts = 0x08,
                               chainaddr = 0x10, chancmp = 0x18, cdar = 0x20, chanerr = 0x28, chanerrmsk = 0x2c;
}  // namespace offset

inline constexpr unsigned version = 0x33;  // CBVER

namespace intrctrl {
inline constexpr std::uint8_t master_enable = 0x01, status = 0x02, asserted = 0x04, vector_per_channel = 0x08;
}

namespace chanctrl {
// Reads as "no interrupt any more", and is cleared, which allows the next one, by writing it.
inline constexpr std::uint16_t interrupt_disabled = 0x0001;
inline constexpr std::uint16_t error_completion = 0x0004, abort_on_any_error = 0x0008, error_interrupt = 0x0010;
inline constexpr std::uint16_t kept = 0xf33e;  // the other bits that can be written
}  // namespace chanctrl

namespace chancmd {
inline constexpr std::uint8_t append = 0x02, suspend = 0x04, resume = 0x10, reset = 0x20;
}

// CHANSTS: bits 2:0; bits 63:6 are the address of the last descriptor that was completed.
enum class ChannelState : std::uint8_t {
  active = 0,
  done = 1,
  suspended = 2,
  halted = 3,  // by an error, or a reset
  armed = 4,   // a chain is given, and no descriptors of it are
};

namespace chanerr {
inline constexpr std::uint32_t source_address = 1 << 0, destination_address = 1 << 1, next_address = 1 << 2,
                               next_alignment = 1 << 3, chain_address = 1 << 4, read_data = 1 << 8, write_data = 1 << 9,
                               control = 1 << 10, length = 1 << 11, completion_address = 1 << 12;
}

}  // namespace swiommu::vfio::ioat

#include "oracle/edu.h"

#include <cstring>

namespace swiommu::oracle {

void Edu::copy(std::uint64_t source, std::uint64_t destination, std::uint64_t length, unsigned direction) {
  qemu_.write64(place_.registers + 0x80, source);
  qemu_.write64(place_.registers + 0x88, destination);
  qemu_.write64(place_.registers + 0x90, length);
  qemu_.write64(place_.registers + 0x98, direction);
  qemu_.step_clock(100'000'000);  // it takes its time
}

void Edu::prepare() {
  std::vector<std::uint64_t> words(2 * slots);
  for (unsigned slot = 0; slot < slots; slot++) words[slots + slot] = written_value(slot);
  std::memcpy(qemu_.at(place_.buffer), words.data(), 8 * words.size());
  copy(place_.buffer, buffer, 8 * words.size(), from_memory);
  qemu_.run();
}

std::uint64_t Edu::fetched(unsigned slot) const {
  std::uint64_t word = 0;
  std::memcpy(&word, qemu_.at(place_.buffer + 8 * slot), sizeof word);
  return word;
}

}  // namespace swiommu::oracle

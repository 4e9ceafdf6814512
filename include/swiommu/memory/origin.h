// Where memory comes from, as whoever mapped it knows it: for words, and to choose iovas that are as well aligned.
#pragma once
#include <cstdint>
#include <string>

namespace swiommu {

struct Origin {
  enum class Kind : std::uint8_t {
    host,     // of the user of the library
    process,  // of a process
    file,     // given by descriptor
    device,   // of a device: a buffer that may be revoked
  };
  Kind kind = Kind::host;
  std::uint64_t address = 0;  // of the first byte: host address, address in the process, offset in the file or buffer
  std::int32_t process = 0;   // pid of who mapped it; 0: nobody knows

  // "0x7f0012340000 (pid 12)", for the byte at `offset`. May throw std::bad_alloc.
  [[nodiscard]] std::string describe(std::uint64_t offset = 0) const;
};

}  // namespace swiommu

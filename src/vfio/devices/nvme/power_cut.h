// What a namespace holds after its power was cut, out of a record of what was done to it.
#pragma once
#include <random>
#include <vector>

#include "vfio/devices/nvme/record_reader.h"

namespace swiommu::vfio::nvme {

// Which of the changes that no flush has kept are lost.
enum class Loss : std::uint8_t {
  none,
  all,
  some,  // each of them, or some of its blocks; chosen at random
};

struct PowerCut {
  std::uint32_t nsid = 1;
  std::uint64_t until = 0;  // so many entries were done before it
  Loss loss = Loss::none;
  std::uint64_t seed = 0;             // for Loss::some
  std::uint64_t ignored_flushes = 0;  // the last ones: as if the device had only said that it did them
};

// EINVAL: the record has no such namespace, or not so many entries.
Result<> check(PowerCut const& cut, RecordReader const& record);

// Of changes that no flush has kept.
struct CutOutcome {
  std::uint64_t changes = 0, lost = 0, torn = 0;
};

// Threads: one at a time.
class CutImage {
 public:
  // `image`: what the namespace held when the record began.
  CutImage(RecordReader& record, BackingFile const& image) : record_(record), image_(image) {}
  // The errors of check() and RecordReader::data(); the errno of writing the image.
  Result<CutOutcome> make(PowerCut const& cut);

 private:
  // Part of a change that is not kept yet.
  struct Piece {
    std::uint64_t number = 0, start = 0, end = 0;  // of the entry; bytes of the namespace
  };
  Result<> settle(RecordEntry const& flush);
  Result<> apply(Piece const& piece);
  Result<> tear(Piece const& piece, std::uint64_t block);

  RecordReader& record_;
  BackingFile const& image_;
  std::vector<Piece> pieces_;  // in the order of their entries
  std::mt19937_64 random_;
};

}  // namespace swiommu::vfio::nvme

#include "memory/image_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "swiommu/base/descriptor.h"

namespace swiommu {
namespace {

constexpr std::uint64_t first_reservation = std::uint64_t{1} << 20;

struct FreeStream {
  void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};

bool is_zero(std::byte const* bytes, std::size_t length) {
  return length == 0 || (bytes[0] == std::byte{0} && std::memcmp(bytes, bytes + 1, length - 1) == 0);
}

// Grows as bytes are appended. Pages of zeros are skipped, so that they cost no memory.
class Unpacked {
 public:
  explicit Unpacked(Mapping memory) : memory_(std::move(memory)) {}

  Result<> append(std::byte const* from, std::size_t length) {
    if (length > memory_.length() - used_) SWIOMMU_TRY(memory_.resize(std::max(memory_.length() * 2, used_ + length)));
    for (std::size_t done = 0; done < length;) {
      std::size_t const part = std::min<std::size_t>(host_page_size - (used_ & (host_page_size - 1)), length - done);
      if (!is_zero(from + done, part)) std::memcpy(memory_.data() + used_, from + done, part);
      used_ += part;
      done += part;
    }
    return {};
  }

  [[nodiscard]] std::uint64_t length() const { return used_; }

  Result<Mapping> finish() {
    SWIOMMU_TRY(memory_.resize(used_));
    return std::move(memory_);
  }

 private:
  Mapping memory_;
  std::uint64_t used_ = 0;
};

Result<Mapping> unpack(std::span<std::byte const> packed, std::uint64_t limit, std::string const& name) {
  std::unique_ptr<ZSTD_DStream, FreeStream> const stream(ZSTD_createDStream());
  if (!stream) return out_of_memory();
  auto memory = Mapping::zeros(first_reservation);
  if (!memory) return std::unexpected(memory.error());
  Unpacked unpacked(std::move(*memory));

  std::vector<std::byte> piece(ZSTD_DStreamOutSize());
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::size_t wanted = 0;  // 0: a frame has ended
  bool more_output = false;
  while (in.pos < in.size || more_output) {
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    std::size_t const before = in.pos;
    wanted = ZSTD_decompressStream(stream.get(), &out, &in);
    if (ZSTD_isError(wanted)) {
      char const* const hint =
          ZSTD_getErrorCode(wanted) == ZSTD_error_frameParameter_windowTooLarge ? " (made with --long=28 or more?)" : "";
      return fail(EINVAL,
                  fmt::format("{}: cannot unpack zstd at offset {:#x}: {}{}", name, in.pos, ZSTD_getErrorName(wanted), hint));
    }
    if (out.pos > limit - unpacked.length())
      return fail(EFBIG, fmt::format("{}: unpacks to more than the limit of {:#x} bytes", name, limit));
    SWIOMMU_TRY(unpacked.append(piece.data(), out.pos));
    more_output = wanted != 0 && out.pos == out.size;
    if (in.pos == before && out.pos == 0) break;
  }
  if (wanted != 0) return fail(EINVAL, fmt::format("{}: the file ends inside a zstd frame", name));
  if (unpacked.length() == 0) return fail(EINVAL, fmt::format("{}: unpacks to nothing", name));
  return unpacked.finish();
}

}  // namespace

Result<Mapping> open_image_file(std::filesystem::path const& path, std::uint64_t unpacked_limit) {
  std::string const name = path.string();
  // Without O_NONBLOCK a FIFO would wait for a writer.
  Descriptor const file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status;
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return fail(errno, name);
  if (S_ISDIR(status.st_mode)) return fail(EISDIR, name);
  if (!S_ISREG(status.st_mode)) return fail(EINVAL, fmt::format("{} is not a regular file", name));
  if (status.st_size == 0) return fail(EINVAL, fmt::format("{} is empty", name));

  auto bytes = Mapping::private_file(file.get(), static_cast<std::uint64_t>(status.st_size));
  if (!bytes) return fail(bytes.error().code, fmt::format("{}: {}", name, bytes.error().about));
  static constexpr unsigned char zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
  if (bytes->length() < sizeof zstd_magic || std::memcmp(bytes->data(), zstd_magic, sizeof zstd_magic) != 0) return bytes;
  return unpack(bytes->bytes(), unpacked_limit, name);
}

}  // namespace swiommu

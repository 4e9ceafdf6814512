// read(2), write(2) and their kin.
#include <sys/uio.h>
#include <unistd.h>

#include <climits>

#include <algorithm>
#include <optional>
#include <span>

#include "run/preload/answer.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"
#include "swiommu/memory/safe_copy.h"

using namespace swiommu::run;

SWIOMMU_EXPORTED(read, run_read)
SWIOMMU_EXPORTED(__read_chk, run_read_chk)
SWIOMMU_EXPORTED(pread, run_pread)
SWIOMMU_EXPORTED(pread64, run_pread64)
SWIOMMU_EXPORTED(__pread_chk, run_pread_chk)
SWIOMMU_EXPORTED(__pread64_chk, run_pread64_chk)
SWIOMMU_EXPORTED(write, run_write)
SWIOMMU_EXPORTED(pwrite, run_pwrite)
SWIOMMU_EXPORTED(pwrite64, run_pwrite64)
SWIOMMU_EXPORTED(readv, run_readv)
SWIOMMU_EXPORTED(writev, run_writev)
SWIOMMU_EXPORTED(preadv, run_preadv)
SWIOMMU_EXPORTED(preadv64, run_preadv64)
SWIOMMU_EXPORTED(pwritev, run_pwritev)
SWIOMMU_EXPORTED(pwritev64, run_pwritev64)
SWIOMMU_EXPORTED(preadv2, run_preadv2)
SWIOMMU_EXPORTED(preadv64v2, run_preadv64v2)
SWIOMMU_EXPORTED(pwritev2, run_pwritev2)
SWIOMMU_EXPORTED(pwritev64v2, run_pwritev64v2)

namespace {

enum class Direction : bool { in, out };

long transfer(Direction direction, int descriptor, void* memory, size_t length, std::optional<off_t> at = {}) {
  Reference const held = table().find(descriptor);
  if (!held) return -EBADF;
  if (at && *at < 0) return -EINVAL;
  int const kept = errno;
  long const result =
      direction == Direction::in ? held->read(descriptor, memory, length, at) : held->write(descriptor, memory, length, at);
  errno = kept;
  return result;
}

// As Linux does it for files that know nothing of vectors: piece by piece, until one is not done whole.
long transfer_vector(Direction direction, int descriptor, iovec const* parts, int count, std::optional<off_t> at = {}) {
  if (count < 0 || count > IOV_MAX) return -EINVAL;
  long total = 0;
  for (int number = 0; number < count; number++) {
    iovec part{};
    if (!swiommu::copy_from_doubtful(parts + number, std::as_writable_bytes(std::span(&part, 1)))) return -EFAULT;
    if (part.iov_len == 0) continue;
    long const done = transfer(direction, descriptor, part.iov_base, part.iov_len, at);
    if (done < 0) return total > 0 ? total : done;
    total += done;
    if (at) *at += done;
    if (static_cast<size_t>(done) < part.iov_len) break;
  }
  return total;
}

}  // namespace

ssize_t run_read(int descriptor, void* to, size_t length) {
  if (table().has(descriptor)) return answer(transfer(Direction::in, descriptor, to, length));
  return SWIOMMU_NEXT(read, run_read)(descriptor, to, length);
}

ssize_t run_read_chk(int descriptor, void* to, size_t length, size_t room) {
  if (table().has(descriptor) && length <= room) return answer(transfer(Direction::in, descriptor, to, length));
  return SWIOMMU_NEXT(__read_chk, run_read_chk)(descriptor, to, length, room);
}

ssize_t run_pread(int descriptor, void* to, size_t length, off_t at) {
  if (table().has(descriptor)) return answer(transfer(Direction::in, descriptor, to, length, at));
  return SWIOMMU_NEXT(pread, run_pread)(descriptor, to, length, at);
}

ssize_t run_pread64(int descriptor, void* to, size_t length, off_t at) {
  if (table().has(descriptor)) return answer(transfer(Direction::in, descriptor, to, length, at));
  return SWIOMMU_NEXT(pread64, run_pread64)(descriptor, to, length, at);
}

ssize_t run_pread_chk(int descriptor, void* to, size_t length, off_t at, size_t room) {
  if (table().has(descriptor) && length <= room) return answer(transfer(Direction::in, descriptor, to, length, at));
  return SWIOMMU_NEXT(__pread_chk, run_pread_chk)(descriptor, to, length, at, room);
}

ssize_t run_pread64_chk(int descriptor, void* to, size_t length, off_t at, size_t room) {
  if (table().has(descriptor) && length <= room) return answer(transfer(Direction::in, descriptor, to, length, at));
  return SWIOMMU_NEXT(__pread64_chk, run_pread64_chk)(descriptor, to, length, at, room);
}

ssize_t run_write(int descriptor, void const* from, size_t length) {
  if (table().has(descriptor)) return answer(transfer(Direction::out, descriptor, const_cast<void*>(from), length));
  return SWIOMMU_NEXT(write, run_write)(descriptor, from, length);
}

ssize_t run_pwrite(int descriptor, void const* from, size_t length, off_t at) {
  if (table().has(descriptor)) return answer(transfer(Direction::out, descriptor, const_cast<void*>(from), length, at));
  return SWIOMMU_NEXT(pwrite, run_pwrite)(descriptor, from, length, at);
}

ssize_t run_pwrite64(int descriptor, void const* from, size_t length, off_t at) {
  if (table().has(descriptor)) return answer(transfer(Direction::out, descriptor, const_cast<void*>(from), length, at));
  return SWIOMMU_NEXT(pwrite64, run_pwrite64)(descriptor, from, length, at);
}

ssize_t run_readv(int descriptor, iovec const* parts, int count) {
  if (table().has(descriptor)) return answer(transfer_vector(Direction::in, descriptor, parts, count));
  return SWIOMMU_NEXT(readv, run_readv)(descriptor, parts, count);
}

ssize_t run_writev(int descriptor, iovec const* parts, int count) {
  if (table().has(descriptor)) return answer(transfer_vector(Direction::out, descriptor, parts, count));
  return SWIOMMU_NEXT(writev, run_writev)(descriptor, parts, count);
}

ssize_t run_preadv(int descriptor, iovec const* parts, int count, off_t at) {
  if (table().has(descriptor)) return answer(transfer_vector(Direction::in, descriptor, parts, count, at));
  return SWIOMMU_NEXT(preadv, run_preadv)(descriptor, parts, count, at);
}

ssize_t run_preadv64(int descriptor, iovec const* parts, int count, off_t at) {
  if (table().has(descriptor)) return answer(transfer_vector(Direction::in, descriptor, parts, count, at));
  return SWIOMMU_NEXT(preadv64, run_preadv64)(descriptor, parts, count, at);
}

ssize_t run_pwritev(int descriptor, iovec const* parts, int count, off_t at) {
  if (table().has(descriptor)) return answer(transfer_vector(Direction::out, descriptor, parts, count, at));
  return SWIOMMU_NEXT(pwritev, run_pwritev)(descriptor, parts, count, at);
}

ssize_t run_pwritev64(int descriptor, iovec const* parts, int count, off_t at) {
  if (table().has(descriptor)) return answer(transfer_vector(Direction::out, descriptor, parts, count, at));
  return SWIOMMU_NEXT(pwritev64, run_pwritev64)(descriptor, parts, count, at);
}

ssize_t run_preadv2(int descriptor, iovec const* parts, int count, off_t at, int flags) {
  if (table().has(descriptor))
    return answer(transfer_vector(Direction::in, descriptor, parts, count, at == -1 ? std::nullopt : std::optional(at)));
  return SWIOMMU_NEXT(preadv2, run_preadv2)(descriptor, parts, count, at, flags);
}

ssize_t run_preadv64v2(int descriptor, iovec const* parts, int count, off_t at, int flags) {
  if (table().has(descriptor))
    return answer(transfer_vector(Direction::in, descriptor, parts, count, at == -1 ? std::nullopt : std::optional(at)));
  return SWIOMMU_NEXT(preadv64v2, run_preadv64v2)(descriptor, parts, count, at, flags);
}

ssize_t run_pwritev2(int descriptor, iovec const* parts, int count, off_t at, int flags) {
  if (table().has(descriptor))
    return answer(transfer_vector(Direction::out, descriptor, parts, count, at == -1 ? std::nullopt : std::optional(at)));
  return SWIOMMU_NEXT(pwritev2, run_pwritev2)(descriptor, parts, count, at, flags);
}

ssize_t run_pwritev64v2(int descriptor, iovec const* parts, int count, off_t at, int flags) {
  if (table().has(descriptor))
    return answer(transfer_vector(Direction::out, descriptor, parts, count, at == -1 ? std::nullopt : std::optional(at)));
  return SWIOMMU_NEXT(pwritev64v2, run_pwritev64v2)(descriptor, parts, count, at, flags);
}

// Holders that talk garbage, or stop in the middle of a sentence, do no harm to the owner or to other holders.
#include <dirent.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <random>

#include "mock_device.h"
#include "run/message.h"

using swiommu::run::Message;
using swiommu::run::Say;

namespace {

constexpr std::uint64_t page = 4096;

void say(int socket, void const* bytes, std::size_t length, int const* passed = nullptr, int count = 0) {
  iovec part{const_cast<void*>(bytes), length};
  alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))]{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), passed, count * sizeof(int));
  }
  sendmsg(socket, &message, MSG_NOSIGNAL);
}

void say(int socket, Message const& message, int passed = -1) { say(socket, &message, sizeof message, &passed, passed >= 0); }

Message message(Say what, std::uint64_t first = 0, std::uint64_t second = 0) {
  Message made{what};
  made.words = {first, second, 0, 0, ~0ULL};
  return made;
}

// Our end of a new connection.
int connect(int fd) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
  say(fd, message(Say::hello, swiommu::run::protocol_version), pair[1]);
  close(pair[1]);
  return pair[0];
}

// What the owner says next; 0 if it hangs up.
std::uint32_t hear(int socket) {
  Message heard{};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part{&heard, sizeof heard};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t const got = syscall(SYS_recvmsg, socket, &header, MSG_CMSG_CLOEXEC);
  return got == sizeof heard ? static_cast<std::uint32_t>(heard.say) : 0;
}

int open_descriptors() {
  int count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) count++;
  closedir(folder);
  return count;
}

bool works_in_child(int fd) {
  pid_t const child = fork();
  if (child == 0) _exit(works(fd) ? 21 : 1);
  expect_exit(child, 21);
  return true;
}

void noise(int fd, std::mt19937& random) {
  char bytes[300];
  for (int round = 0; round < 500; round++) {
    for (char& byte : bytes) byte = static_cast<char>(random());
    int const lent[3] = {0, 1, 2};
    say(fd, bytes, random() % sizeof bytes, lent, static_cast<int>(random() % 4));
  }
  say(fd, message(Say::hello, swiommu::run::protocol_version));     // without a socket
  say(fd, message(Say::hello, 99), 0);                              // of another version
  say(fd, message(Say::hello, swiommu::run::protocol_version), 0);  // with something else
  say(fd, message(Say::ioctl, IOMMU_DESTROY), 0);
}

void nonsense_requests(int fd, std::mt19937& random) {
  for (int round = 0; round < 200; round++) {
    int const connection = connect(fd);
    char bytes[200];
    for (char& byte : bytes) byte = static_cast<char>(random());
    Message request = message(static_cast<Say>(random() % 20), random(), random());
    int const lent[4] = {0, 1, 2, fd};
    switch (random() % 4) {
      case 0: say(connection, bytes, random() % sizeof bytes, lent, static_cast<int>(random() % 5)); break;
      case 1: say(connection, request, fd); break;
      case 2: say(connection, request, 0); break;
      default: say(connection, request); break;
    }
    if (random() % 2 == 0) close(connection);  // the others when the process ends
  }
}

// The owner asks back, and gets a wrong answer or none.
void wrong_answers(int fd, std::uint32_t ioas) {
  iommu_fault_alloc queue{};
  queue.size = sizeof queue;
  auto const queue_at = reinterpret_cast<std::uintptr_t>(&queue);
  void* const memory = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  iommu_ioas_map map{};
  map.size = sizeof map;
  map.flags = IOMMU_IOAS_MAP_READABLE;
  map.ioas_id = ioas;
  map.user_va = reinterpret_cast<std::uintptr_t>(memory);
  map.length = page;
  auto const map_at = reinterpret_cast<std::uintptr_t>(&map);
  for (int way = 0; way < 6; way++) {
    for (bool const mapping : {false, true}) {
      int const connection = connect(fd);
      say(connection,
          mapping ? message(Say::ioctl, IOMMU_IOAS_MAP, map_at) : message(Say::ioctl, IOMMU_FAULT_QUEUE_ALLOC, queue_at));
      CHECK(hear(connection) == static_cast<std::uint32_t>(mapping ? Say::memory : Say::install));
      Message refusal = message(Say::result);
      refusal.error = EMFILE;
      switch (way) {
        case 0: break;                                           // none: hangs up
        case 1: say(connection, message(Say::copy_out)); break;  // a question back
        case 2: say(connection, "x", 1); break;                  // too short
        case 3: say(connection, refusal); break;
        case 4: say(connection, message(Say::result, page), 1); break;  // a descriptor that has no memory
        case 5: {
          int const empty = memfd_create("empty", 0);
          say(connection, message(Say::result, 123456), empty);
          break;
        }
      }
      if (way >= 3 && mapping) CHECK(hear(connection) == static_cast<std::uint32_t>(Say::result));
      close(connection);
    }
  }
}

void too_many(int fd) {
  for (int at = 0; at < 1500; at++) connect(fd);
}

}  // namespace

int main() {
  std::mt19937 random(20261126);
  int const fd = open_iommu();
  std::uint32_t const ioas = make_address_space(fd);
  MockDevice const device = make_device(fd, ioas);
  CHECK(works(fd));
  int const before = open_descriptors();
  for (int round = 0; round < 4; round++) {
    pid_t const child = fork();
    if (child == 0) {
      if (round == 0) noise(fd, random);
      if (round == 1) nonsense_requests(fd, random);
      if (round == 2) wrong_answers(fd, ioas);
      if (round == 3) too_many(fd);
      _exit(22);
    }
    expect_exit(child, 22);
    CHECK(works(fd) && works_in_child(fd));
  }
  // Nothing has come of all that: no descriptor, and no objects but two queues for which somebody thanked nicely.
  for (int tries = 0; open_descriptors() != before; tries++) CHECK(tries < 100000);
  CHECK(make_address_space(fd) == std::max({device.mock_id, device.hwpt_id, device.device_id}) + 3);
  return 0;
}

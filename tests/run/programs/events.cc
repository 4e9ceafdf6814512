// The read end of a fault queue, in poll, epoll and select, here and in other processes.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>

#include "mock_device.h"

namespace {

struct Queue {
  int fd;     // /dev/iommu
  int queue;  // its descriptor
  std::uint32_t device;
};

Queue make_queue() {
  int const fd = open_iommu();
  std::uint32_t const ioas = make_address_space(fd);
  MockDevice const device = make_device(fd, ioas);
  iommu_fault_alloc alloc{};
  alloc.size = sizeof alloc;
  CHECK(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &alloc) == 0);
  iommu_hwpt_alloc page_table{};
  page_table.size = sizeof page_table;
  page_table.flags = IOMMU_HWPT_FAULT_ID_VALID;
  page_table.dev_id = device.device_id;
  page_table.pt_id = ioas;
  page_table.fault_id = alloc.out_fault_id;
  CHECK(ioctl(fd, IOMMU_HWPT_ALLOC, &page_table) == 0);
  TestCommand replace = test_command(TestOperation::mock_domain_replace, device.mock_id);
  replace.replace_pt_id = page_table.out_hwpt_id;
  CHECK(run_test_command(fd, replace) == 0);
  auto const queue = static_cast<int>(alloc.out_fault_fd);
  CHECK(fcntl(queue, F_GETFD) == FD_CLOEXEC);
  return {fd, queue, device.device_id};
}

void request_page(Queue const& queue, std::uint64_t iova) {
  TestCommand command = test_command(TestOperation::trigger_page_request, 0);
  command.page_request.device = queue.device;
  command.page_request.group = 1;
  command.page_request.permissions = 1;
  command.page_request.iova = iova;
  CHECK(run_test_command(queue.fd, command) == 0);
}

bool polls(int fd) {
  pollfd poll_of{fd, POLLIN, 0};
  return poll(&poll_of, 1, 0) == 1 && (poll_of.revents & POLLIN) != 0;
}

bool selects(int fd) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(fd, &set);
  timeval now{};
  return select(fd + 1, &set, nullptr, nullptr, &now) == 1;
}

std::uint64_t take(int fd) {
  iommu_hwpt_pgfault fault{};
  CHECK(read(fd, &fault, sizeof fault) == sizeof fault);
  iommu_hwpt_page_response const response{fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS};
  CHECK(write(fd, &response, sizeof response) == sizeof response);
  return fault.addr;
}

void in_the_owner() {
  Queue const queue = make_queue();
  int const epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN | EPOLLOUT, {}}, got{};
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, queue.queue, &event) == 0);
  CHECK(!polls(queue.queue) && !selects(queue.queue));
  CHECK(epoll_wait(epoll, &got, 1, 0) == 1 && got.events == EPOLLOUT);
  request_page(queue, 0x1000);
  request_page(queue, 0x2000);
  CHECK(polls(queue.queue) && selects(queue.queue));
  CHECK(epoll_wait(epoll, &got, 1, 0) == 1 && got.events == (EPOLLIN | EPOLLOUT));
  CHECK(take(queue.queue) == 0x1000 && polls(queue.queue));
  int const copy = dup(queue.queue);
  CHECK(take(copy) == 0x2000 && !polls(queue.queue) && !polls(copy) && !selects(copy));
  CHECK(epoll_wait(epoll, &got, 1, 0) == 1 && got.events == EPOLLOUT);
  char bytes[40];
  CHECK(read(queue.queue, bytes, sizeof bytes) == 0);
  CHECK(pread(queue.queue, bytes, sizeof bytes, 40) == -1 && errno == ESPIPE);
  // Closing /dev/iommu leaves the queue; closing the queue's descriptors ends it.
  CHECK(close(queue.fd) == 0 && !polls(copy));
  close(copy), close(queue.queue), close(epoll);
}

// The child waits; the parent's device asks; the child answers, and nobody finds anything to read any more.
void in_a_child() {
  Queue const queue = make_queue();
  int const ready = eventfd(0, EFD_CLOEXEC);
  pid_t const child = fork();
  if (child == 0) {
    int const epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{EPOLLIN, {}}, got{};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, queue.queue, &event) == 0);
    CHECK(epoll_wait(epoll, &got, 1, 0) == 0);
    std::uint64_t one = 1;
    CHECK(write(ready, &one, sizeof one) == sizeof one);
    CHECK(epoll_wait(epoll, &got, 1, 10000) == 1);
    CHECK(take(queue.queue) == 0x3000);
    CHECK(epoll_wait(epoll, &got, 1, 0) == 0);
    request_page(queue, 0x4000);
    CHECK(epoll_wait(epoll, &got, 1, 0) == 1);
    _exit(3);
  }
  std::uint64_t one = 0;
  CHECK(read(ready, &one, sizeof one) == sizeof one);
  request_page(queue, 0x3000);
  expect_exit(child, 3);
  CHECK(polls(queue.queue) && take(queue.queue) == 0x4000 && !polls(queue.queue));
  close(queue.fd), close(queue.queue), close(ready);
}

// A queue that a child makes belongs to the parent's engine, and its descriptor to the child alone.
void made_in_a_child() {
  int const fd = open_iommu();
  pid_t const child = fork();
  if (child == 0) {
    iommu_fault_alloc alloc{};
    alloc.size = sizeof alloc;
    CHECK(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &alloc) == 0);
    auto const queue = static_cast<int>(alloc.out_fault_fd);
    char bytes[40];
    CHECK(read(queue, bytes, sizeof bytes) == 0 && !polls(queue));
    CHECK(destroy(fd, alloc.out_fault_id) == EBUSY);
    CHECK(close(queue) == 0);
    for (int tries = 0; tries < 10000; tries++)  // the owner hears of it a moment later
      if (destroy(fd, alloc.out_fault_id) == 0) _exit(4);
    _exit(1);
  }
  expect_exit(child, 4);
  close(fd);
}

}  // namespace

int main() {
  in_the_owner();
  in_a_child();
  made_in_a_child();
  return 0;
}

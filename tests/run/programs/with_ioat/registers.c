// The registers of an I/OAT engine, mapped: each access takes effect when it is made, whatever handlers for faults the program has.
#include "../check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "swiommu/uapi/vfio.h"

enum { intrctrl = 0x03, cbver = 0x08, channel = 0x80, chancmd = channel + 0x04, chansts = channel + 0x08, chainaddr = channel + 0x10 };
enum { page = 4096, reset = 0x20, halted = 3 };

static int device;
static uint64_t bar;
static uint8_t volatile* registers;

#define AT(type, offset) (*(type volatile*)(registers + (offset)))

static void open_device(void) {
  device = open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
  CHECK(device >= 0);
  struct vfio_device_bind_iommufd bind = {.argsz = sizeof bind, .iommufd = open_iommu()};
  CHECK(ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind) == 0);
  struct vfio_region_info configuration = {.argsz = sizeof configuration, .index = VFIO_PCI_CONFIG_REGION_INDEX};
  CHECK(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &configuration) == 0);
  uint16_t const memory_and_master = 0x6;
  CHECK(pwrite(device, &memory_and_master, 2, (off_t)configuration.offset + 4) == 2);
  struct vfio_region_info region = {.argsz = sizeof region, .index = VFIO_PCI_BAR0_REGION_INDEX};
  CHECK(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region) == 0);
  bar = region.offset;
}

static uint8_t volatile* map(int protection) {
  void* const at = mmap(NULL, page, protection, MAP_SHARED, device, (off_t)bar);
  CHECK(at != MAP_FAILED);
  return at;
}

static sigjmp_buf back;
static int volatile faults;
static void on_fault(int signal, siginfo_t* information, void* context) {
  (void)context;
  CHECK(signal == SIGSEGV && information->si_signo == SIGSEGV);
  faults++;
  siglongjmp(back, 1);
}
static void on_fault_of_one_argument(int signal) {
  CHECK(signal == SIGSEGV);
  faults++;
  siglongjmp(back, 1);
}

#define EXPECT_FAULT(access)     \
  do {                           \
    int const before = faults;   \
    if (sigsetjmp(back, 1) == 0) \
      access;                    \
    CHECK(faults == before + 1); \
  } while (0)

static void of_every_width(void) {
  CHECK(AT(uint8_t, cbver) == 0x33);
  CHECK(AT(uint8_t, 0) == 1); /* channels */
  CHECK((AT(uint16_t, cbver) & 0xff) == 0x33);
  CHECK((AT(uint32_t, cbver) & 0xff) == 0x33);
  CHECK((AT(uint64_t, cbver) & 0xff) == 0x33);
  AT(uint64_t, chainaddr) = 0x123456789abcdec0;
  CHECK(AT(uint64_t, chainaddr) == 0x123456789abcdec0);
  CHECK(AT(uint32_t, chainaddr + 4) == 0x12345678);
  AT(uint32_t, chainaddr) = 0x40;
  CHECK(AT(uint64_t, chainaddr) == 0x1234567800000040);
  AT(uint8_t, intrctrl) = 8;
  AT(uint8_t, intrctrl) |= 1;
  CHECK(AT(uint8_t, intrctrl) == 9);
  CHECK(AT(uint8_t, intrctrl) == 8); /* reading it has disabled interrupts */
  AT(uint8_t, intrctrl) &= (uint8_t)~8;
  CHECK(AT(uint8_t, intrctrl) == 0);
}

/* What is found by looking could not be told apart from what was there before. */
static void take_effect_at_once(void) {
  for (int round = 0; round < 1000; round++) {
    AT(uint8_t, intrctrl) = 1;
    CHECK(AT(uint8_t, intrctrl) == 1);
    CHECK(AT(uint8_t, intrctrl) == 0);
    AT(uint8_t, chancmd) = reset;
    while ((AT(uint8_t, chancmd) & reset) != 0) {
    }
    CHECK((AT(uint64_t, chansts) & 7) == halted);
  }
}

static void beside_handlers_of_the_program(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, before;
  CHECK(sigaction(SIGSEGV, &action, &before) == 0);
  CHECK(before.sa_sigaction == on_fault && before.sa_flags == SA_SIGINFO); /* from before the mapping */
  int volatile* const nowhere = NULL;
  EXPECT_FAULT(*nowhere = 1);
  CHECK(AT(uint8_t, cbver) == 0x33);
  CHECK(signal(SIGSEGV, on_fault_of_one_argument) == (void*)on_fault);
  EXPECT_FAULT(*nowhere = 1);
  CHECK(signal(SIGSEGV, on_fault_of_one_argument) == on_fault_of_one_argument);
  CHECK(AT(uint8_t, cbver) == 0x33);
}

static void* with_all_blocked(void* nothing) {
  sigset_t all;
  sigfillset(&all);
  CHECK(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
  CHECK(AT(uint8_t, cbver) == 0x33);
  return nothing;
}

static void with_the_rights_that_the_program_has(void) {
  uint8_t volatile* const kept = registers;
  registers = map(PROT_READ);
  CHECK(AT(uint8_t, cbver) == 0x33);
  EXPECT_FAULT(AT(uint8_t, intrctrl) = 1);
  CHECK(mprotect((void*)registers, page, PROT_READ | PROT_WRITE) == 0);
  AT(uint8_t, intrctrl) = 8;
  CHECK(AT(uint8_t, intrctrl) == 8);
  CHECK(mprotect((void*)registers, page, PROT_NONE) == 0);
  EXPECT_FAULT((void)AT(uint8_t, intrctrl));
  CHECK(mprotect((void*)registers, page, PROT_READ) == 0);
  registers = mremap((void*)registers, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, kept);
  CHECK(registers == kept);
  CHECK(AT(uint8_t, intrctrl) == 8);
  EXPECT_FAULT(AT(uint8_t, intrctrl) = 1);
  registers = mremap((void*)kept, 0, page, MREMAP_MAYMOVE); /* a second mapping */
  CHECK((void*)registers != MAP_FAILED && registers != kept);
  CHECK(munmap((void*)kept, page) == 0);
  CHECK(AT(uint8_t, intrctrl) == 8);
  CHECK(munmap((void*)registers, page) == 0);
  EXPECT_FAULT((void)AT(uint8_t, intrctrl));
  registers = map(PROT_READ | PROT_WRITE);
}

static void not_in_a_child(void) {
  pid_t const child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    for (int n = 0; n < 64; n++) /* their place is not free */
      CHECK(mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != registers);
    _exit(AT(uint8_t, cbver));
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

#if defined(__x86_64__)
static void with_instructions_that_are_not_known(void) {
  typedef uint64_t Vector __attribute__((vector_size(16)));
  uint8_t volatile* const kept = registers;
  registers = map(PROT_READ | PROT_WRITE);
  Vector value;
  __asm__ volatile("movdqu %1, %0" : "=x"(value) : "m"(*(Vector volatile*)registers));
  CHECK((value[1] & 0xff) == 0x33);
  CHECK(AT(uint8_t, cbver) == 0x33); /* from now on without a fault */
  AT(uint64_t, chainaddr) = 0x2000;
  CHECK(AT(uint64_t, chainaddr) == 0x2000);
  CHECK(munmap((void*)registers, page) == 0);
  registers = kept;
  CHECK(AT(uint8_t, cbver) == 0x33);
}
#endif

static void* look(void* nothing) {
  for (int round = 0; round < 20000; round++) CHECK((AT(uint32_t, cbver) & 0xff) == 0x33);
  return nothing;
}

/* A handler that blocks everything while it runs accesses them too. */
static void on_user_signal(int signal) {
  CHECK(signal == SIGUSR1);
  CHECK(AT(uint8_t, cbver) == 0x33);
}

/* Type 1 takes registers for memory, with the rights that the program knows of; iommufd's own ioctls do not. */
static void can_be_mapped_for_dma(void) {
  int const group = open("/dev/vfio/1", O_RDWR | O_CLOEXEC), container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
  CHECK(group >= 0 && container >= 0);
  CHECK(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0);
  CHECK(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0);
  int const opened = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
  CHECK(opened >= 0);
  struct vfio_region_info region = {.argsz = sizeof region, .index = VFIO_PCI_BAR0_REGION_INDEX};
  CHECK(ioctl(opened, VFIO_DEVICE_GET_REGION_INFO, &region) == 0);
  void* const readable = mmap(NULL, region.size, PROT_READ, MAP_SHARED, opened, (off_t)region.offset);
  CHECK(readable != MAP_FAILED);
  struct vfio_iommu_type1_dma_map dma = {.argsz = sizeof dma,
                                         .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
                                         .vaddr = (uint64_t)readable,
                                         .iova = 0x100000,
                                         .size = region.size};
  CHECK(ioctl(container, VFIO_IOMMU_MAP_DMA, &dma) == -1 && errno == EFAULT);
  dma.flags = VFIO_DMA_MAP_FLAG_READ;
  CHECK(ioctl(container, VFIO_IOMMU_MAP_DMA, &dma) == 0);
  CHECK(mprotect(readable, page, PROT_READ | PROT_WRITE) == 0);
  dma = (struct vfio_iommu_type1_dma_map){sizeof dma, VFIO_DMA_MAP_FLAG_WRITE, (uint64_t)readable, 0x200000, page};
  CHECK(ioctl(container, VFIO_IOMMU_MAP_DMA, &dma) == 0);
  struct vfio_iommu_type1_dma_unmap all = {.argsz = sizeof all, .flags = VFIO_DMA_UNMAP_FLAG_ALL};
  CHECK(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &all) == 0);
  CHECK(munmap(readable, region.size) == 0);
  CHECK(close(opened) == 0 && close(container) == 0 && close(group) == 0);
}

int main(void) {
  can_be_mapped_for_dma();
  sigset_t all;
  sigfillset(&all);
  CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0); /* before there is any mapping */
  sigset_t user;
  sigemptyset(&user);
  sigaddset(&user, SIGUSR1);
  CHECK(sigprocmask(SIG_UNBLOCK, &user, NULL) == 0);
  open_device();
  struct sigaction const action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
  registers = map(PROT_READ | PROT_WRITE);
  of_every_width();
  struct sigaction const user_action = {.sa_handler = on_user_signal, .sa_mask = all};
  CHECK(sigaction(SIGUSR1, &user_action, NULL) == 0);
  CHECK(raise(SIGUSR1) == 0);
  beside_handlers_of_the_program();
  with_the_rights_that_the_program_has();
  pthread_t threads[4];
  CHECK(pthread_create(&threads[0], NULL, with_all_blocked, NULL) == 0);
  CHECK(pthread_join(threads[0], NULL) == 0);
  for (int n = 0; n < 4; n++) CHECK(pthread_create(&threads[n], NULL, look, NULL) == 0);
#if defined(__x86_64__)
  take_effect_at_once();
#endif
  for (int n = 0; n < 4; n++) CHECK(pthread_join(threads[n], NULL) == 0);
  not_in_a_child();
#if defined(__x86_64__)
  with_instructions_that_are_not_known();
#endif
  CHECK(close(device) == 0); /* the mapping stays */
  CHECK(AT(uint8_t, cbver) == 0x33);
  pthread_exit(NULL); /* and does not keep the program */
}

// What the program's calls reach, under names of our own.
#pragma once
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

extern "C" {
// open.cc
int run_open(char const* path, int flags, ...);
int run_open64(char const* path, int flags, ...);
int run_openat(int folder, char const* path, int flags, ...);
int run_openat64(int folder, char const* path, int flags, ...);
int run_open_2(char const* path, int flags);
int run_open64_2(char const* path, int flags);
int run_openat_2(int folder, char const* path, int flags);
int run_openat64_2(int folder, char const* path, int flags);
int run_creat(char const* path, mode_t mode);
int run_creat64(char const* path, mode_t mode);

// streams.cc
FILE* run_fopen(char const* path, char const* mode);
FILE* run_fopen64(char const* path, char const* mode);

// descriptors.cc
int run_close(int descriptor);
int run_close_range(unsigned first, unsigned last, int flags);
void run_closefrom(int first);
int run_dup(int descriptor);
int run_dup2(int descriptor, int to);
int run_dup3(int descriptor, int to, int flags);
int run_fcntl(int descriptor, int command, ...);
int run_fcntl64(int descriptor, int command, ...);

// ioctl.cc
int run_ioctl(int descriptor, unsigned long request, ...);

// transfer.cc
ssize_t run_read(int descriptor, void* to, size_t length);
ssize_t run_read_chk(int descriptor, void* to, size_t length, size_t room);
ssize_t run_pread(int descriptor, void* to, size_t length, off_t at);
ssize_t run_pread64(int descriptor, void* to, size_t length, off_t at);
ssize_t run_pread_chk(int descriptor, void* to, size_t length, off_t at, size_t room);
ssize_t run_pread64_chk(int descriptor, void* to, size_t length, off_t at, size_t room);
ssize_t run_write(int descriptor, void const* from, size_t length);
ssize_t run_pwrite(int descriptor, void const* from, size_t length, off_t at);
ssize_t run_pwrite64(int descriptor, void const* from, size_t length, off_t at);
ssize_t run_readv(int descriptor, iovec const* parts, int count);
ssize_t run_writev(int descriptor, iovec const* parts, int count);
ssize_t run_preadv(int descriptor, iovec const* parts, int count, off_t at);
ssize_t run_preadv64(int descriptor, iovec const* parts, int count, off_t at);
ssize_t run_pwritev(int descriptor, iovec const* parts, int count, off_t at);
ssize_t run_pwritev64(int descriptor, iovec const* parts, int count, off_t at);
ssize_t run_preadv2(int descriptor, iovec const* parts, int count, off_t at, int flags);
ssize_t run_preadv64v2(int descriptor, iovec const* parts, int count, off_t at, int flags);
ssize_t run_pwritev2(int descriptor, iovec const* parts, int count, off_t at, int flags);
ssize_t run_pwritev64v2(int descriptor, iovec const* parts, int count, off_t at, int flags);

// memory.cc
void* run_mmap(void* at, size_t length, int protection, int flags, int descriptor, off_t offset);
void* run_mmap64(void* at, size_t length, int protection, int flags, int descriptor, off_t offset);
int run_munmap(void* at, size_t length);
void* run_mremap(void* at, size_t length, size_t new_length, int flags, ...);
int run_madvise(void* at, size_t length, int advice);
int run_mprotect(void* at, size_t length, int protection);
int run_brk(void* end);
void* run_sbrk(intptr_t more);
int run_shmdt(void const* at);

// sockets.cc
ssize_t run_sendmsg(int socket, msghdr const* message, int flags);
int run_sendmmsg(int socket, mmsghdr* messages, unsigned count, int flags);
ssize_t run_recvmsg(int socket, msghdr* message, int flags);
int run_recvmmsg(int socket, mmsghdr* messages, unsigned count, int flags, timespec* timeout);

// processes.cc
pid_t run_fork();
pid_t run_bare_fork();
int run_posix_spawn(pid_t* pid, char const* path, posix_spawn_file_actions_t const* actions, posix_spawnattr_t const* attributes,
                    char* const* arguments, char* const* environment);
int run_posix_spawnp(pid_t* pid, char const* path, posix_spawn_file_actions_t const* actions, posix_spawnattr_t const* attributes,
                     char* const* arguments, char* const* environment);
int run_system(char const* command);
FILE* run_popen(char const* command, char const* mode);

// stat.cc
int run_access(char const* path, int mode);
int run_eaccess(char const* path, int mode);
int run_euidaccess(char const* path, int mode);
int run_faccessat(int folder, char const* path, int mode, int flags);
int run_statx(int folder, char const* path, int flags, unsigned mask, struct statx* status);
}

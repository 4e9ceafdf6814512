#include "run/hidden_thread.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <memory>
#include <new>

#include "run/blocked_signals.h"
#include "run/kernel_call.h"

namespace swiommu::run {
namespace {

struct Body {
  void* (*function)(void*);
  void* argument;
};

void* run_named(void* memory) {
  std::unique_ptr<Body> const owned(static_cast<Body*>(memory));
  Body const body = *owned;
  kernel_call(SYS_prctl, PR_SET_NAME, "swiommu");  // for those who look at threads
  return body.function(body.argument);
}

}  // namespace

bool start_hidden_thread(void* (*body)(void*), void* argument) {
  constexpr std::size_t stack_size = 512 << 10;
  std::unique_ptr<Body> memory(new (std::nothrow) Body{body, argument});
  pthread_attr_t attributes;
  if (!memory || pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, stack_size);
  BlockedSignals const blocked;
  pthread_t thread;
  bool const started = pthread_create(&thread, &attributes, &run_named, memory.get()) == 0;
  if (started) static_cast<void>(memory.release());
  pthread_attr_destroy(&attributes);
  return started;
}

}  // namespace swiommu::run

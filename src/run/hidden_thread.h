// A thread of ours in a program that knows nothing of it.
#pragma once

namespace swiommu::run {

// Detached, small, and with every signal blocked: no handler of the program ever runs in it. False: there can be none.
bool start_hidden_thread(void* (*body)(void*), void* argument);

}  // namespace swiommu::run

#include "swiommu/hardware/zpci_intercepts.h"

#include <cstring>
#include <type_traits>

#include "swiommu/hardware/zpci_guest_function.h"

using swiommu::zpci::GuestFunction;

namespace {

using Call = GuestFunction::Call;
static_assert(std::is_trivially_copyable_v<Call> && sizeof(Call) <= sizeof(swiommu_zpci_call));

GuestFunction& of(swiommu_zpci_function* function) { return *reinterpret_cast<GuestFunction*>(function); }

// Calls `body(Call&)` with what the caller keeps.
template <class Body>
swiommu_zpci_answer with_call(swiommu_zpci_call* kept, Body const& body) {
  Call call;
  std::memcpy(static_cast<void*>(&call), kept, sizeof(call));  // trivially copyable, as g++ 12 does not see
  swiommu_zpci_answer const answer = body(call);
  if (answer.outcome != SWIOMMU_ZPCI_AGAIN) call = {};
  std::memcpy(kept, &call, sizeof(call));
  return answer;
}

}  // namespace

extern "C" {

swiommu_zpci_answer swiommu_zpci_mpcifc(swiommu_zpci_function* function, uint64_t operand, swiommu_zpci_fib const* fib,
                                        swiommu_zpci_call* call) {
  return with_call(call, [&](Call& progress) { return of(function).modify(operand, *fib, progress); });
}

swiommu_zpci_answer swiommu_zpci_rpcit(swiommu_zpci_function* function, uint64_t operand, uint64_t start, uint64_t length,
                                       swiommu_zpci_call* call) {
  return with_call(call, [&](Call& progress) { return of(function).refresh(operand, start, length, progress); });
}

swiommu_zpci_answer swiommu_zpci_stpcifc(swiommu_zpci_function* function, uint64_t operand, swiommu_zpci_fib* fib) {
  return of(function).store(operand, *fib);
}

int swiommu_zpci_takes_loads(swiommu_zpci_function* function) { return of(function).takes_loads() ? 1 : 0; }
}

namespace swiommu::zpci {

swiommu_zpci_function* intercepts(GuestFunction& function) { return reinterpret_cast<swiommu_zpci_function*>(&function); }

}  // namespace swiommu::zpci

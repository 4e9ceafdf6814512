// The answers of instructions, by what they mean.
#pragma once
#include "swiommu/hardware/zpci_guest_function.h"

namespace swiommu::zpci {

inline Answer done() { return {.outcome = SWIOMMU_ZPCI_DONE, .condition_code = SWIOMMU_ZPCI_OK}; }
inline Answer again() { return {.outcome = SWIOMMU_ZPCI_AGAIN, .condition_code = SWIOMMU_ZPCI_BUSY}; }
inline Answer busy() { return {.outcome = SWIOMMU_ZPCI_DONE, .condition_code = SWIOMMU_ZPCI_BUSY}; }
inline Answer elsewhere() { return {.outcome = SWIOMMU_ZPCI_ELSEWHERE}; }
inline Answer failed(swiommu_zpci_status status) {
  return {.outcome = SWIOMMU_ZPCI_DONE, .condition_code = SWIOMMU_ZPCI_ERROR, .status = static_cast<std::uint8_t>(status)};
}
inline Answer invalid_handle() { return {.outcome = SWIOMMU_ZPCI_DONE, .condition_code = SWIOMMU_ZPCI_INVALID_HANDLE}; }
inline Answer operand_exception() { return {.outcome = SWIOMMU_ZPCI_EXCEPTION, .exception = SWIOMMU_ZPCI_OPERAND_EXCEPTION}; }

}  // namespace swiommu::zpci

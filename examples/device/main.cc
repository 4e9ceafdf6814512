#include "swiommu/base/result.h"

int main() {
  swiommu::Result<int> const answer = 42;
  return answer.has_value() ? 0 : 1;
}

#!/bin/bash
# Proves that hit_path.sh fails when a function locks, and only then.
set -euo pipefail
check=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/hit_path.sh
if [[ $(uname -m) != x86_64 ]]; then exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/functions.cc" <<'END'
#include <atomic>
std::atomic<long> word;
namespace sample {
[[gnu::noinline]] long loads(int n) { return word.load() + n; }
[[gnu::noinline]] long stores(int n) { word.store(n, std::memory_order_release); return n; }
[[gnu::noinline]] long adds(int n) { return word.fetch_add(n) + 1; }
[[gnu::noinline]] long exchanges(int n) { return word.exchange(n) + 1; }
[[gnu::noinline]] long fences(int n) { asm volatile("mfence" ::: "memory"); return n; }
[[gnu::noinline]] long overloaded(int n) { return n; }
[[gnu::noinline]] long overloaded(long n) { return word.fetch_add(n); }
}  // namespace sample
int main(int n, char**) {
  using namespace sample;
  return int(loads(n) + stores(n) + adds(n) + exchanges(n) + fences(n) + overloaded(n) + overloaded(long(n)));
}
END
g++ -std=c++20 -O2 "$work/functions.cc" -o "$work/program"

failures=0
# expect accepted|refused FUNCTION...
expect() {
  local wanted=$1 got=accepted
  shift
  if ! "$check" "$work/program" "$@" >"$work/output"; then got=refused; fi
  if [[ $got != "$wanted" ]]; then
    echo "hit_path_test: $* was $got, not $wanted"
    failures=$((failures + 1))
  fi
}
expect accepted sample::loads
expect accepted sample::loads sample::stores
expect refused sample::adds
expect refused sample::exchanges
expect refused sample::fences
expect refused sample::loads sample::adds
expect refused sample::overloaded
expect refused sample::nothing
expect refused sample::load
exit $((failures > 0))

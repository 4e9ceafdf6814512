#!/bin/bash
# The Linux kernel's own iommufd selftests, unmodified, under `swiommu run`: fetches and compiles them, runs each test by itself, and prints
# a table. With --sabotage the same for libraries that each have one defect: every one of them must fail some test.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
source tests/debian/packages.sh
source tests/debian/kernel_source.sh
source tests/linux/sources.sh
source tests/linux/huge_pages.sh
source tests/linux/results.sh
source tests/linux/vfio_selftests.sh

usage() {
  cat <<'END'
usage: ./dev conformance [OPTION...]

  --version V     only the selftests of Linux V: 6.12, 7.2 or 7.3; may be repeated
  -t NAME         only tests whose name matches; FIXTURE.VARIANT.TEST, * and ? match anything; may be repeated
  --list          print the names of the tests
  --vfio          the kernel's VFIO selftests instead, on an I/OAT engine; of 7.2 and 7.3
  --log DIR       keep what every test printed, and the log of its ioctls, in DIR/V/
  --sabotage      for each of ten deliberate defects, build the library with it, and demand that a test fails; with the
                  last of the versions
END
}

versions=() wanted=() log='' list=0 sabotage=0 vfio=0
while (($#)); do
  case $1 in
    --version) versions+=("${2:?--version needs a version}") && shift ;;
    -t) wanted+=("${2:?-t needs the name of a test}") && shift ;;
    --log) log=${2:?--log needs a folder} && shift ;;
    --list) list=1 ;;
    --sabotage) sabotage=1 ;;
    --vfio) vfio=1 ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
if ((${#versions[@]} == 0)); then versions=(6.12 7.2 7.3); fi
jobs=$(nproc)
seconds=60 # for one test; the harness itself ends it after 30
programs=build/release
as_root=() # the selftests are written for root, which a user can be in a namespace of his own
if ((EUID != 0)); then as_root=(unshare --user --map-root-user); fi

say() { printf '%s\n' "conformance: $*" >&2; }

work=$(mktemp -d)
trap 'give_back_huge_pages; rm -rf "$work"' EXIT
if [[ -z $log ]]; then log=$work/log; fi

# profile_of VERSION: its mock IOMMU as a profile
profile_of() {
  case $1 in
    6.12 | 7.2) echo kernel-selftest ;;
    *) echo "kernel-selftest-$1" ;;
  esac
}

matches() {
  local pattern
  if ((${#wanted[@]} == 0)); then return; fi
  for pattern in "${wanted[@]}"; do
    if [[ $1 == $pattern || $1 == *.$pattern ]]; then return; fi
  done
  return 1
}

# program_of VERSION NAME: the program that has the test
program_of() {
  case $2 in
    basic_fail_nth.*) echo "$conformance/linux-$1/iommufd_fail_nth" ;;
    *) echo "$conformance/linux-$1/iommufd" ;;
  esac
}

# run_test VERSION NAME: runs it, and writes what became of it to $log/VERSION/NAME.result
run_test() {
  local version=$1 name=$2 output=$log/$1/$2 status=0
  if needs_huge_pages "$name" && ! have_huge_pages; then
    echo "not run: no 2 MiB huge pages" >"$output.result"
    return
  fi
  if ((EUID != 0)) && [[ $name == *.fork_gone || $name == *.fork_present ]]; then
    echo "not run: the kernel lets only root open memory that processes share and that has no name" >"$output.result"
    return
  fi
  timeout --kill-after=5 "$seconds" ${as_root[@]+"${as_root[@]}"} "$programs/swiommu" run --profile "$(profile_of "$version")" --log "$output.ioctls" -- \
    "$(program_of "$version" "$name")" -r "$name" >"$output.out" 2>&1 </dev/null || status=$?
  result_of "$output.out" "$status" "$name" >"$output.result"
}

# run_all VERSION NAME...: those that need huge pages one after the other, since these are few; the others side by side
run_all() {
  local version=$1 name running=0
  shift
  mkdir -p "$log/$version"
  rm -f "$log/$version"/*.result
  for name; do
    if needs_huge_pages "$name"; then continue; fi
    if ((running == jobs)); then
      wait -n || true
      running=$((running - 1))
    fi
    run_test "$version" "$name" &
    running=$((running + 1))
  done
  wait
  for name; do
    if needs_huge_pages "$name"; then run_test "$version" "$name"; fi
  done
}

all_names() {
  local version=$1 name
  while IFS= read -r name; do
    if matches "$name"; then echo "$name"; fi
  done < <(names_of "$conformance/linux-$version/iommufd"; names_of "$conformance/linux-$version/iommufd_fail_nth")
}

mkdir -p "$conformance"
if ((vfio)); then
  reserve_huge_pages
  run_vfio "${versions[@]}"
  exit
fi
ready=()
for version in "${versions[@]}"; do
  if ! fetch "$version"; then
    say "Linux $version: not run: its source package cannot be fetched"
  elif ! compile "$version"; then
    say "Linux $version: not run: its selftests do not compile"
  else
    ready+=("$version")
  fi
done
if ((${#ready[@]} == 0)); then exit 1; fi

if ((list)); then
  for version in "${ready[@]}"; do all_names "$version" | sed "s/^/$version /"; done
  exit
fi

reserve_huge_pages
if ((sabotage)); then
  source tests/linux/sabotage.sh
  sabotage_all "${ready[-1]}"
  exit
fi
for version in "${ready[@]}"; do
  mapfile -t names < <(all_names "$version")
  say "Linux $version, $(<"$conformance/linux-$version/complete"): ${#names[@]} tests"
  run_all "$version" "${names[@]}"
done
print_table "${ready[@]}"

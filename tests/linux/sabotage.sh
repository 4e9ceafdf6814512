# Sourced by conformance.sh: libraries with one deliberate defect each (base/sabotage.h). If the selftests pass with a defect, what
# they ask the library is answered without looking.

defects=(pin-leaked wrong-page-mapped unmap-skipped rollback-skipped invalidation-ignored device-cache-kept dirty-bits-kept
  reserved-iovas-ignored allowed-iovas-ignored user-kept)

# build_sabotaged DEFECT FOLDER: the preloaded library with the defect, and the program that preloads it. Only the files that have the
# defect are compiled; their objects go before the archives that hold the sound ones, and so take their place.
build_sabotaged() {
  local defect=$1 folder=$2 source object command objects=''
  mkdir -p "$folder"
  while IFS= read -r source; do
    object=$folder/$(basename "$source").o
    command=$(ninja -C build/release -t commands libswiommu-run.so | grep -F -- " -c $PWD/$source" | head -n 1)
    command=$(sed -E "s@ -MF [^ ]+@ -MF $object.d@; s@ -o [^ ]+@ -o $object@" <<<"$command")
    (cd build/release && eval "$command -DSWIOMMU_SABOTAGE='\"$defect\"'") || return 1
    objects+=" $object"
  done < <(grep -rlF --include='*.cc' "sabotaged(\"$defect\")" src)
  if [[ -z $objects ]]; then
    say "nothing in src/ has the defect $defect"
    return 1
  fi
  command=$(ninja -C build/release -t commands libswiommu-run.so | tail -n 1)
  (cd build/release && eval "${command/ -o libswiommu-run.so/ -o $folder/libswiommu-run.so$objects}") || return 1
  ln -f build/release/swiommu "$folder/swiommu"
}

failures_of() { grep -l '^failed:' "$1"/*.result | sed -e 's@.*/@@' -e 's@\.result$@@'; }

# sabotage_all VERSION: fails if a defect goes unnoticed, or if something fails without any
sabotage_all() {
  local version=$1 logs=$log defect names unnoticed=0 failed
  mapfile -t names < <(all_names "$version")
  log=$logs/sound
  run_all "$version" "${names[@]}"
  if failed=$(failures_of "$log/$version"); then
    say "without any defect these fail already: $(abbreviate <<<"$failed")"
    return 1
  fi
  for defect in "${defects[@]}"; do
    programs=$conformance/sabotage/$defect
    log=$logs/$defect
    if ! build_sabotaged "$defect" "$programs"; then return 1; fi
    run_all "$version" "${names[@]}"
    if ! failed=$(failures_of "$log/$version"); then
      printf '%-24s NOT NOTICED: %d tests, none failed\n' "$defect" "${#names[@]}"
      unnoticed=1
    else
      printf '%-24s noticed by %d of %d: %s\n' "$defect" "$(wc -l <<<"$failed")" "${#names[@]}" "$(abbreviate <<<"$failed")"
    fi
  done
  return $unnoticed
}

# abbreviate: the first few names of the input
abbreviate() { awk 'NR <= 3 { printf "%s%s", (NR > 1 ? ", " : ""), $0 } END { if (NR > 3) printf ", ..." }'; }

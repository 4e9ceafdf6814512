#!/bin/bash
# Power cuts. Boots Debian's kernel once with a disk that records what is written and flushed; the guest makes a filesystem and changes
# files, of which it knows when they are kept. Then the host cuts the power at many places of the record: what flushes had kept by then is
# on the disk, of the rest nothing, all, or anything. In each such image the filesystem must be whole, after what a system does by itself
# when it starts (e2fsck -p: the journal), and each file that the guest had been told to be kept must have what it had.
#
#   power_cuts.sh [--cuts N] [--steps N] [--seed N] [--block-size 512|4096] [--again] [--sabotage]
#
#   --again     without booting: other cuts of the last record
#   --sabotage  the disk lies: the last few flushes before each cut count for nothing. Fails if nobody notices.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
source tests/debian/packages.sh
source tests/qemu/fetch.sh
source tests/guest/fetch.sh
source tests/guest/step.sh

say() { printf '%s\n' "power cuts: $*" >&2; }
refuse() {
  say "$*"
  exit 2
}

cuts=1000 steps=600 seed=$RANDOM block_size=512 again='' ignored=0
while (($#)); do
  case $1 in
    --cuts | --steps | --seed)
      if [[ ! ${2:-} =~ ^[1-9][0-9]{0,8}$ ]]; then refuse "$1 takes a number, not '${2:-}'"; fi
      declare "${1#--}=$2"
      shift
      ;;
    --block-size)
      if [[ ${2:-} != 512 && ${2:-} != 4096 ]]; then refuse "--block-size takes 512 or 4096, not '${2:-}'"; fi
      block_size=$2
      shift
      ;;
    --again) again=1 ;;
    --sabotage) ignored=4 ;;
    *) refuse "there is no option '$1'; there are --cuts, --steps, --seed, --block-size, --again, --sabotage" ;;
  esac
  shift
done
if ((steps > 16000)); then refuse "--steps takes at most 16000"; fi
folder=$guest/power_cuts
export SWIOMMU=$PWD/build/release/swiommu

# What the guest is to do: NUMBER KIND NAME COUNT
make_steps() {
  awk -v seed="$seed" -v steps="$steps" '
    function below(limit) { return int(rand() * limit) }
    BEGIN {
      srand(seed)
      for (n = 1; n <= steps; n++) {
        if (below(3) == 0) { print n, "leave", "left" below(20), 1 + below(4000); continue }
        name = "file" below(40)
        count = 1 + below(below(8) == 0 ? 4000 : 400)
        kind = below(10)
        if (!(name in size)) { kind = "create"; size[name] = count }
        else if (kind < 2 && size[name] < 8000) { kind = "append"; size[name] += count }
        else if (kind < 5) { kind = "overwrite"; count = 1 + below(size[name]) }
        else if (kind < 8) { kind = "replace"; size[name] = count }
        else { kind = "delete"; delete size[name] }
        print n, kind, name, count
      }
    }'
}

# What comes of it, by doing the same here: NUMBER KIND NAME MD5 SIZE of all steps that are to be kept
make_expected() (
  sync() { :; }
  mkdir "$folder/files"
  cd "$folder/files"
  while read -r number kind name count; do
    step "$number" "$kind" "$name" "$count"
    if [[ $kind == leave ]]; then continue; fi
    sum=- size=0
    if [[ -e $name ]]; then
      sum=$(md5sum <"$name") sum=${sum%% *}
      size=$(stat -c %s "$name")
    fi
    echo "$number $kind $name $sum $size"
  done
  rm -rf "$folder/files"
)

boot() {
  local console=$folder/console root=$guest/amd64/root
  fetch_qemu "$guest/qemu" qemu-system-x86 || refuse "QEMU cannot be fetched"
  fetch_guest amd64 linux-image-amd64 || refuse "the guest's kernel cannot be fetched"
  rm -rf "$folder"
  mkdir -p "$folder"
  make_steps >"$folder/steps"
  make_expected <"$folder/steps" >"$folder/expected"
  tests/guest/initrd.sh "$root" "$folder/initrd" tests/guest/power_cuts_init tests/guest/step.sh "$folder/steps"
  say "$(<"$guest/amd64/complete"), $steps steps, seed $seed, blocks of $block_size bytes"
  QEMU=$(start_of "$guest/qemu" qemu-system-x86_64) LOG=$folder/log \
    OPTIONS="namespace=$folder/marks.img,size=64M,block-size=$block_size,record=$folder/record" timeout --foreground 3600 \
    examples/qemu/boot.sh nested "$root/boot/"vmlinuz-* "$folder/initrd" "$folder/disk.img" </dev/null 2>&1 | tr -d '\r' |
    tee "$console" | grep --line-buffered --text -E '^(guest:|qemu|swiommu)' >&2 || true
  grep -q --text '^guest: passed$' "$console" || refuse "the guest has failed; see $console"
  "$SWIOMMU" replay "$folder/record" --list >"$folder/list"
  # ENTRY STEP: the write of a mark; what it is about had been kept before it was written
  awk '$2 == "write" && $3 == 2 { print $1, $4 / 4096 }' "$folder/list" >"$folder/marks"
  (($(wc -l <"$folder/marks") == $(wc -l <"$folder/expected") + 1)) || refuse "the record has other marks than the guest has made"
  # Nothing is lost if nothing is cut.
  "$SWIOMMU" replay "$folder/record" --onto "$folder/whole.img" >&2
  cmp "$folder/disk.img" "$folder/whole.img" || refuse "the record does not make the disk that the guest had"
  rm "$folder/whole.img"
}

if [[ -z $again ]]; then
  boot
elif [[ ! -e $folder/marks ]]; then
  refuse "there is no record yet: go without --again"
fi
entries=$(tail -n 1 "$folder/list" | awk '{ print $1 + 1 }') first=$(awk 'NR == 1 { print $1 + 1 }' "$folder/marks")
say "$(awk 'NR > 1 { count[$2]++ } END { for (each in count) printf "%s %s, ", count[each], each }' "$folder/list")$(wc -l <"$folder/marks") marks," \
  "$(stat -c %s "$folder/record") bytes; $cuts cuts after entry $first of $entries, each with nothing, with all, and with some of it lost"
if ((cuts > entries - first + 1)); then refuse "the record has only $((entries - first + 1)) places to cut; see --steps"; fi

seq "$first" "$entries" | awk -v seed="$seed" 'BEGIN { srand(seed) } { printf "%.9f %d\n", rand(), $1 }' | sort |
  awk -v cuts="$cuts" 'NR <= cuts { print $2 }' | sort -n >"$folder/cuts"
started=$SECONDS
# The digits of both numbers: what awk computes beyond 31 bits it may print as 2.5e+10.
awk -v seed="$seed" '{ print $1, "none"; print $1, "all"; print $1, seed $1 }' "$folder/cuts" |
  xargs -P "$(nproc)" -L 1 bash -c 'tests/guest/check_cut.sh "$1" "$3" "$4" "$2"' check "$folder" "$ignored" >"$folder/results"
failed=$(grep -c FAILED "$folder/results" || true)
awk '{ for (n = 3; n <= 5; n++) sum[n] += $n } $3 > 0 { open++ } $6 == "passed" { passed++; files += $7 }
  END { printf "%d images, %d of them with changes that no flush had kept (%d in all; %d lost, %d torn): %d passed, with %d files, %d failed\n",
    NR, open, sum[3], sum[4], sum[5], passed, files, NR - passed }' "$folder/results"
say "$((SECONDS - started)) s; $folder/results"
if ((failed)); then grep FAILED "$folder/results" | sort -n | head -n 10; fi
if ((ignored)); then
  ((failed > 0)) && say "with $ignored flushes ignored before each cut $failed images are wrong, as they must be"
else
  ((failed == 0 && $(wc -l <"$folder/results") == 3 * cuts))
fi

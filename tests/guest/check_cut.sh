#!/bin/bash
# One power cut: makes the image, lets e2fsck do what it does by itself when a system starts, and looks for what had been kept by then.
# Prints a line: the cut, what was lost ("none", "all" or a seed), changes that no flush had kept, how many of them are lost and torn,
# and "passed" with the number of files that had to be there, or what is wrong.
#
#   check_cut.sh FOLDER CUT LOSS IGNORED_FLUSHES: FOLDER has record, marks and expected (power_cuts.sh)
set -euo pipefail
export LC_ALL=C.UTF-8
folder=$1 cut=$2 loss=$3 ignored=$4
work=$(mktemp -d "$folder/cut-XXXXXX")
trap 'rm -rf "$work"' EXIT

lose=()
if [[ $loss != none ]]; then lose=(--lose "$loss"); fi
outcome=$("$SWIOMMU" replay "$folder/record" --onto "$work/image" --until "$cut" ${lose[@]+"${lose[@]}"} --ignore-flushes "$ignored")
read -r unflushed lost torn < <(sed 's/.*of \([0-9]*\) changes.* kept \([0-9]*\) are lost and \([0-9]*\) torn/\1 \2 \3/' <<<"$outcome")

# say WORD...: the end
say() {
  printf '%8s %20s %6s %6s %6s  %s\n' "$cut" "$loss" "$unflushed" "$lost" "$torn" "$*"
  exit 0
}

status=0
e2fsck -p "$work/image" >"$work/fsck" 2>&1 || status=$?
if ((status > 1)); then say "FAILED: e2fsck -p: $(tr '\n' ' ' <"$work/fsck")"; fi
e2fsck -f -n "$work/image" >"$work/fsck" 2>&1 || say "FAILED: e2fsck -n: $(tr '\n' ' ' <"$work/fsck")"
mkdir "$work/files"
debugfs -R "rdump / $work/files" "$work/image" >"$work/debugfs" 2>&1 || say "FAILED: debugfs: $(tr '\n' ' ' <"$work/debugfs")"

# Steps come one after the other: those up to the last mark are done, the next one of `expected` may be half done.
done=$(awk -v cut="$cut" '$1 < cut && $2 > last { last = $2 } END { print last + 0 }' "$folder/marks")
awk -v done="$done" -v work="$work" '
  $1 > done { current = $0; name = $3; exit }
  { state[$3] = $4 " " $5 }
  END {
    for (each in state) {
      split(state[each], of, " ")
      if (each == name) print current, state[each] >(work "/current")
      else if (of[1] == "-") print each >(work "/gone")
      else print of[1] "  " each >(work "/there")
    }
  }' "$folder/expected"
cd "$work/files"
files=0
if [[ -e ../there ]]; then files=$(wc -l <../there); fi
if ((files)); then md5sum --check --quiet ../there >../md5 2>&1 || say "FAILED: after step $done: $(tr '\n' ' ' <../md5)"; fi
if [[ -e ../gone ]]; then
  while read -r name; do
    if [[ -e $name ]]; then say "FAILED: $name is there, which was deleted by step $done"; fi
  done <../gone
fi
if [[ ! -e ../current ]]; then say "passed $files files"; fi

# What is half done has been done to a file that was kept before.
read -r number kind name sum size old_sum old_size <../current
found=- found_size=0
if [[ -e $name ]]; then
  found=$(md5sum <"$name") found=${found%% *}
  found_size=$(stat -c %s "$name")
fi
case $kind in
  create) say "passed $files files" ;;
  append) if ((found_size >= old_size)) && [[ $(head -c "$old_size" "$name" | md5sum) == "$old_sum "* ]]; then say "passed $files files"; fi ;;
  overwrite) if [[ $found_size == "$old_size" ]]; then say "passed $files files"; fi ;;
  replace | delete) if [[ $found == "$old_sum" || $found == "$sum" ]]; then say "passed $files files"; fi ;;
esac
say "FAILED: $name, which step $number ($kind) was about to change, is neither what it was nor what it becomes"

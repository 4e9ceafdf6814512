#!/bin/bash
# What `swiommu run` does with the programs that it is given, and what they see of it.
#
#   tests/run/launcher.sh SWIOMMU COMPILER
set -euo pipefail
export LC_ALL=C.UTF-8
swiommu=$1 compiler=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
unset LD_PRELOAD

# expect STATUS PATTERN COMMAND...: the exit status, and a pattern that the output has
expect() {
  local status=$1 pattern=$2 found=0
  shift 2
  "$@" >"$work/out" 2>&1 || found=$?
  if [[ $found != "$status" ]] || { [[ -n $pattern ]] && ! grep -qE -- "$pattern" "$work/out"; }; then
    printf 'expected %s and "%s", found %s from: %s\n' "$status" "$pattern" "$found" "$*" >&2
    cat "$work/out" >&2
    failures=1
  fi
}

# Exit status, signals, arguments and environment are the program's own.
expect 7 '' "$swiommu" run -- sh -c 'exit 7'
expect 0 '^<a b><><--log><\[x,y\]><-->$' "$swiommu" run -- sh -c 'printf "<%s>" "$@"; echo' sh 'a b' '' --log '[x,y]' --
expect 0 '^<--log><x>$' "$swiommu" run --log /dev/null sh -c 'printf "<%s>" "$@"; echo' sh --log x
expect 143 '' bash -c '"$0" run -- sh -c "kill -TERM \$\$"' "$swiommu"
expect 0 'caught' "$swiommu" run -- bash -c 'trap "echo caught; exit 0" INT; kill -INT $$; exit 1'
expect 0 '/first.so:.*libswiommu-run.so$' env LD_PRELOAD=/first.so "$swiommu" run -- sh -c 'echo "$LD_PRELOAD"'
expect 0 ' crw' "$swiommu" run -- sh -c 'echo " $(stat -c %A /dev/iommu)"'

# What cannot be run, in one line, with the status that a shell gives.
expect 127 '^swiommu: .*no-such-program' "$swiommu" run -- no-such-program
expect 127 '^swiommu: ./no-such-program' "$swiommu" run -- ./no-such-program
expect 126 'is a folder' "$swiommu" run -- /tmp/
echo text >"$work/text"
expect 126 'Permission denied' "$swiommu" run -- "$work/text"
expect 2 'no program' "$swiommu" run
expect 2 'no program' "$swiommu" run --
expect 2 'there is no device' "$swiommu" run --device x -- true
expect 2 '--unknown' "$swiommu" run --unknown -- true
expect 2 "$work/none/log" "$swiommu" run --log "$work/none/log" -- true

echo 'int main(void) { return 0; }' >"$work/program.c"
if "$compiler" -static "$work/program.c" -o "$work/static" 2>/dev/null; then
  expect 126 'static.* is linked statically: a preloaded library cannot reach it$' "$swiommu" run -- "$work/static"
  printf '#!%s\n' "$work/static" >"$work/script"
  chmod +x "$work/script"
  expect 126 'script is a script, whose interpreter: .*static is linked statically' "$swiommu" run -- "$work/script"
fi
printf '#!/bin/sh\nexit 5\n' >"$work/good"
chmod +x "$work/good"
expect 5 '' "$swiommu" run -- "$work/good"
PATH=$work:$PATH expect 5 '' "$swiommu" run -- good
# an ELF file of 32 bits
printf '\177ELF\001\001\001%*s' 120 '' >"$work/foreign"
chmod +x "$work/foreign"
expect 126 'for another architecture' "$swiommu" run -- "$work/foreign"
if ((EUID != 0)) && [[ -u /usr/bin/su ]]; then expect 126 'gains rights' "$swiommu" run -- /usr/bin/su --help; fi

# One line an ioctl, of all processes, whole.
cat >"$work/calls.c" <<'END'
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
  int const fd = open("/dev/iommu", O_RDWR);
  unsigned destroy[2] = {8, 77};
  fork(), fork(), fork();
  for (int at = 0; at < 50; at++) ioctl(fd, 0x3b80, destroy);
  while (wait(0) > 0) continue;
  return close(fd);
}
END
"$compiler" "$work/calls.c" -o "$work/calls"
expect 0 '' "$swiommu" run --log "$work/log" -- "$work/calls"
if others=$(grep -vE '^\[[0-9]+\] .*ENOENT: ' "$work/log") || (($(wc -l <"$work/log") != 400)); then
  printf 'the log has %s lines, with these that are none: %s\n' "$(wc -l <"$work/log")" "$others" >&2
  failures=1
fi
exit $failures

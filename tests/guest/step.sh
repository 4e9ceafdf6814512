# Sourced by the guest of power_cuts.sh, and by the host: what the guest does to its files, a step each.

# lines NAME NUMBER COUNT: what step NUMBER puts into a file; no two lines of all the steps are the same
lines() { awk -v name="$1" -v step="$2" -v count="$3" 'BEGIN { for (n = 0; n < count; n++) printf "%-8s %9d %12d\n", name, step, n }'; }

# step NUMBER KIND NAME COUNT: in the current folder. When it returns it is to be kept, but for `leave`, which nobody waits for.
# A new file's name is kept with the file; a new name of an old file, and that a name is gone, with the folder.
step() {
  case $2 in
    create) lines "$3" "$1" "$4" >"$3" && sync "$3" ;;
    append) lines "$3" "$1" "$4" >>"$3" && sync "$3" ;;
    overwrite) lines "$3" "$1" "$4" | dd of="$3" bs=65536 conv=notrunc 2>/dev/null && sync "$3" ;;
    replace) lines "$3" "$1" "$4" >"$3.new" && sync "$3.new" && mv -f "$3.new" "$3" && sync . ;;
    delete) rm "$3" && sync . ;;
    leave) lines "$3" "$1" "$4" >"$3" ;;
  esac
}

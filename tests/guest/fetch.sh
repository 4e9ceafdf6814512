# Sourced, after tests/debian/packages.sh: gets Debian's kernel for a guest, and what its first program needs, and unpacks them. All stays
# in build/guest.

guest=$PWD/build/guest

# fetch_guest ARCHITECTURE PACKAGE_OF_THE_KERNEL: build/guest/ARCHITECTURE/root
fetch_guest() {
  local architecture=$1 folder=$guest/$1 state=$guest/apt-$1 kernel package
  if [[ -e $folder/complete ]]; then return; fi
  rm -rf "$folder" "$state"
  mkdir -p "$folder/packages" "$folder/root"
  debian_lists "$state" "$architecture" trixie || return 1
  kernel=$(debian "$state" "$architecture" apt-cache depends "$2" 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  if [[ -z $kernel ]]; then
    say "there is no $2"
    return 1
  fi
  say "fetching $kernel ($architecture)"
  (cd "$folder/packages" && debian "$state" "$architecture" apt-get download "$kernel" busybox-static e2fsprogs libc6 \
    libext2fs2t64 libcom-err2 libblkid1 libuuid1 >&2) || return 1
  for package in "$folder"/packages/*.deb; do dpkg-deb --extract "$package" "$folder/root" || return 1; done
  echo "$kernel" >"$folder/complete"
  rm -rf "$folder/packages" "$state"
}

# Sourced, after tests/debian/packages.sh: gets Debian's kernel for a guest, and what its first program needs, and unpacks them. All stays
# in build/guest.

guest=$PWD/build/guest

# fetch_guest ARCHITECTURE PACKAGE_OF_THE_KERNEL: build/guest/ARCHITECTURE/root; of Debian 12 if the mirror does not have all of Debian 13's
fetch_guest() {
  if [[ -e $guest/$1/complete ]]; then return; fi
  unpack_guest trixie libext2fs2t64 "$@" || unpack_guest bookworm libext2fs2 "$@"
}

# unpack_guest SUITE LIBRARY_OF_EXT4 ARCHITECTURE PACKAGE_OF_THE_KERNEL
unpack_guest() {
  local suite=$1 library=$2 architecture=$3 folder=$guest/$3 state=$guest/apt-$3 kernel package part
  rm -rf "$folder" "$state"
  mkdir -p "$folder"/{packages,root/usr/{bin,sbin,lib}}
  for part in bin sbin lib; do ln -s "usr/$part" "$folder/root/$part"; done
  debian_lists "$state" "$architecture" "$suite" || return 1
  kernel=$(debian "$state" "$architecture" apt-cache depends "$4" 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  if [[ -z $kernel ]]; then
    say "there is no $4 ($suite)"
    return 1
  fi
  say "fetching $kernel ($architecture, $suite)"
  (cd "$folder/packages" && debian "$state" "$architecture" apt-get download "$kernel" busybox-static e2fsprogs libc6 \
    "$library" libcom-err2 libblkid1 libuuid1 >&2) || return 1
  for package in "$folder"/packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$folder/root" --keep-directory-symlink || return 1
  done
  echo "$kernel ($suite)" >"$folder/complete"
  rm -rf "$folder/packages" "$state"
}

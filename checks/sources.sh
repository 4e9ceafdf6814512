# For the other checks: sources PATTERN... prints the files of the tree that match a name pattern, ended by NUL. It needs no
# git, and leaves out what was built and the recorded tables.
sources() {
  local names=(-name "$1")
  shift
  while (($#)); do
    names+=(-o -name "$1")
    shift
  done
  find . \( -path ./build -o -path './build-*' -o -path ./.git -o -path ./.cache -o -path ./tests/corpus \) -prune -o \
    -type f \( "${names[@]}" \) -print0 | sort -z
}

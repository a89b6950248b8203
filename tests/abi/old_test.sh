#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plugins compiled against earlier headers still load and pass: old/VERSION/*.so, built by the examples' one-line commands with
# -O2 -s and never rebuilt. Within an ABI major a file here that turns red is a broken promise.
set -eu
test "$(uname -m)" = x86_64 || { echo "SKIPPED: the kept binaries are for x86_64"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tool="$BUILD/tests/abi/plugin_tool"
for so in "$SRC"/tests/abi/old/*/*.so; do
  cp "$so" "$tmp/x.so" # a checkout's folders may be writable by others
  chmod 644 "$tmp/x.so"
  "$tool" load "$tmp/x.so" >"$tmp/log" 2>&1 || { echo "$so"; cat "$tmp/log"; exit 1; }
  case $so in
    *source*) set -- interval=0 count=30 ;;
    *sink*) set -- "path=$tmp/out" ;;
    *) set -- ;;
  esac
  "$tool" check "$tmp/x.so" "$@" >"$tmp/log" || { echo "$so"; cat "$tmp/log"; exit 1; }
  echo "$so: $(tail -1 "$tmp/log")"
done

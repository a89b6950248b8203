#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The log alone in somebody else's program: the example builds out of tree by its one line against the installed package, and keeps
# what it was given until it could hand it on.
# shellcheck disable=SC2046 # words are what pkg-config gives
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cmake --install "$BUILD" --prefix "$tmp/usr" --component dev >"$tmp/install.log"
PKG_CONFIG_PATH=$(dirname "$(find "$tmp/usr" -name connectd-store.pc)")
export PKG_CONFIG_PATH
cd "$tmp"
cp "$(find "$tmp/usr" -name queue.c)" .
sanitize=
lib=$(find "$tmp/usr" -name libconnectd-store.a)
if nm "$lib" | grep -q __asan_; then sanitize=-fsanitize=address,undefined; fi
if nm "$lib" | grep -q __tsan_; then sanitize=-fsanitize=thread; fi
# shellcheck disable=SC2086
cc -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror $sanitize queue.c -o queue $(pkg-config --cflags --libs connectd-store)

test "$(wc -l <queue.c)" -le 40
mkdir q
seq 1 1000 | ./queue q put
# What could not be printed is not removed.
./queue q take >/dev/full 2>err && { echo 'took into a full device'; exit 1; }
grep -q 'takes no more' err
seq 1001 2000 | ./queue q put
./queue q put </dev/null
./queue q take >taken
seq 1 2000 | cmp - taken
test -z "$(./queue q take)"
seq 5 | ./queue q put
test "$(./queue q take | paste -sd,)" = 1,2,3,4,5
echo 'a queue on the log alone keeps what it was given'

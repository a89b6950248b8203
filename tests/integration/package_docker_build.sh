#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Dockerfile's two stages without Docker: its own RUN lines in two Debian folders, and the daemon answering in the second as its user.
#   package_docker_build.sh [FOLDER]      FOLDER keeps the downloaded base system for next time
set -euo pipefail
SRC=${SRC:-$(cd "$(dirname "$0")/../.." && pwd)}
[ "$(id -u)" = 0 ] || { echo 'skipped: needs root'; exit 77; }
command -v debootstrap >/dev/null || { echo 'skipped: needs debootstrap'; exit 77; }
dir=$(mktemp -d -p /var/tmp connectd-docker.XXXXXX)
base=${1:-$dir/base}
cleanup() {
    for stage in build image; do for m in proc dev; do umount "$dir/$stage/$m" 2>/dev/null || true; done; done
    mountpoint -q "$dir/build/proc" || mountpoint -q "$dir/build/dev" || mountpoint -q "$dir/image/proc" || mountpoint -q "$dir/image/dev" || rm -rf "$dir"
}
trap cleanup EXIT

# The lines of the N-th stage's RUN, as one shell command.
run_of() { sed -e ':a' -e '/\\$/N; s/\\\n/ /; ta' "$SRC/packaging/Dockerfile" | awk -v n="$1" '/^FROM/ {s++} /^RUN/ && s == n {sub(/^RUN /, ""); print}'; }
stage() { # stage NAME: a fresh folder of it
    cp -a "$base" "$dir/$1"
    mount -t proc proc "$dir/$1/proc"
    mount --bind /dev "$dir/$1/dev"
    cp -L /etc/resolv.conf "$dir/$1/etc/resolv.conf"
    apt-config dump Acquire >"$dir/$1/etc/apt/apt.conf.d/99acquire" # this machine's proxy, if it has one
}

[ -e "$base/bin/sh" ] || debootstrap --variant=minbase bookworm "$base" >"$dir/debootstrap.log" 2>&1 || { tail "$dir/debootstrap.log"; echo 'skipped: no base system to be had'; exit 77; }
stage build
mkdir "$dir/build/src"
(cd "$SRC" && tar c --exclude=./build --exclude='./build-*' --exclude=./.git .) | tar x -C "$dir/build/src"
run_of 1 | while read -r line; do echo "build: ${line:0:100}"; chroot "$dir/build" sh -c "$line" </dev/null >>"$dir/log" 2>&1 || { tail -30 "$dir/log"; exit 1; }; done
stage image
run_of 2 | while read -r line; do echo "image: ${line:0:100}"; chroot "$dir/image" sh -c "$line" </dev/null >>"$dir/log" 2>&1 || { tail -30 "$dir/log"; exit 1; }; done
cp -a "$dir/build/out/." "$dir/image/"

cat >"$dir/image/try" <<'X'
set -eu
connectd version
for p in postgres-cdc syslog file http-sink; do connectd plugins | grep -q "^$p .*loaded"; done
connectd run --config /etc/connectd/connectd.yaml & daemon=$!
n=0; until connectd status --quiet; do n=$((n + 1)); [ $n -lt 100 ]; sleep 0.1; done
echo x >/var/log/connectd/writable
kill $daemon; wait $daemon
X
chroot --userspec=connectd:connectd "$dir/image" env STATE_DIRECTORY=/var/lib/connectd RUNTIME_DIRECTORY=/run/connectd sh /try
echo 'the image is built, and answers'

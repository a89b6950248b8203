#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` lays out: everything a user expects, with the right permissions, and enough for a plugin author to build against.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
DESTDIR=$dir cmake --install "$BUILD" >/dev/null
prefix=$dir$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$BUILD/CMakeCache.txt")
etc=$prefix/etc
[ "$prefix" != "$dir/usr" ] || etc=$dir/etc
bad=0
there() { # there MODE PATH
    local mode
    mode=$(stat -c %a "$2" 2>/dev/null || echo missing)
    [ "$mode" = "$1" ] || { echo "${2#"$dir"}: $mode, not $1"; bad=1; }
}
there 755 "$prefix/bin/connectd"
for plugin in postgres-cdc syslog file http-sink; do there 644 "$prefix/lib/connectd/plugins/$plugin.so"; done
there 644 "$etc/connectd/connectd.yaml"
there 755 "$etc/connectd/pipelines.d"
there 750 "$etc/connectd/secrets"
for unit in connectd.service connectd-syslog.socket connectd-syslog-tcp.socket; do there 644 "$prefix/lib/systemd/system/$unit"; done
there 644 "$prefix/lib/sysusers.d/connectd.conf"
there 644 "$prefix/share/man/man1/connectd.1"
there 644 "$prefix/share/bash-completion/completions/connectd"
there 644 "$prefix/share/zsh/vendor-completions/_connectd"
there 644 "$prefix/share/fish/vendor_completions.d/connectd.fish"
for doc in README.md CHANGELOG.md copyright drop-ins/file-sink.conf drop-ins/tail-home.conf connectors/syslog.md examples/postgres-to-http.yaml; do
    there 644 "$prefix/share/doc/connectd/$doc"
done
find "$dir" -name '*.a' -prune -o -type f -perm /022 -print | grep . && { echo 'others may write these'; bad=1; }
for f in "$prefix/bin/connectd" "$prefix"/lib/connectd/plugins/*.so; do
    if readelf -d "$f" | grep -E 'RPATH|RUNPATH'; then echo "$f looks for libraries where it was built"; bad=1; fi
done
"$prefix/bin/connectd" version | grep -q "^connectd [0-9]" || { echo 'connectd version'; bad=1; }

# An author's first steps, with nothing but what was installed.
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name connectd.pc)")
export PKG_CONFIG_PATH
examples=$(find "$prefix" -type d -name plugin-examples)
for kind in source sink; do
    # shellcheck disable=SC2046
    cc -Wall -Wextra -Werror -shared -fPIC "$examples/hello-$kind.c" -o "$dir/hello-$kind.so" $(pkg-config --cflags connectd)
done
"$prefix/bin/connectd" plugins --plugin-path "$dir" | grep -q hello-sink || { echo 'the examples do not load'; bad=1; }
printf '#include <connectd/testhost.h>\nint main(void) { return 0; }\n' >"$dir/t.c"
sanitize=$(sed -n 's/^CN_SANITIZE:[^=]*=//p' "$BUILD/CMakeCache.txt")
# shellcheck disable=SC2046
cc ${sanitize:+-fsanitize=$sanitize} "$dir/t.c" -o "$dir/t" $(pkg-config --cflags --libs connectd-testhost)
exit $bad

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the author's package into a temporary prefix and builds the examples and templates out of tree against it.
# shellcheck disable=SC2046 # words are what pkg-config gives
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tool="$BUILD/tests/abi/plugin_tool"
prefix="$tmp/usr"
cmake --install "$BUILD" --prefix "$prefix" --component dev >"$tmp/install.log"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name connectd.pc)")
export PKG_CONFIG_PATH

# The one-line commands, as the examples themselves give them.
mkdir "$tmp/out"
cp "$SRC"/plugin-api/example/* "$tmp/out"
cd "$tmp/out"
cc -shared -fPIC hello-source.c -o hello-source.so $(pkg-config --cflags connectd)
cc -shared -fPIC hello-sink.c -o hello-sink.so $(pkg-config --cflags connectd)
c++ -shared -fPIC hello-transform.cpp -o hello-transform.so $(pkg-config --cflags connectd)
examples="hello-source hello-sink hello-transform"
if command -v rustc >/dev/null; then
  rustc --crate-type cdylib -C panic=abort hello_rust.rs -o hello-rust.so
  examples="$examples hello-rust"
else
  echo "SKIPPED: the Rust example: no rustc"
fi

for file in hello-source.c hello-sink.c; do
  test "$(wc -l <$file)" -le 60 || { echo "$file is longer than 60 lines"; exit 1; }
done
for name in $examples; do
  symbols=$(nm -D --defined-only $name.so | awk '{print $3}')
  test "$symbols" = connectd_plugin_v1 || { echo "$name.so exports: $symbols"; exit 1; }
  "$tool" load $name.so
done

# They pass the conformance suite, and run.
"$tool" check hello-source.so interval=0 count=30 >check.log || { cat check.log; exit 1; }
"$tool" check hello-sink.so path="$tmp/sink.out" >check.log || { cat check.log; exit 1; }
"$tool" check hello-transform.so >check.log || { cat check.log; exit 1; }
"$tool" run hello-source.so interval=0 count=2 2>position.log | grep -q '"hello 1"'
grep -q '{"next":2}' position.log
echo '"you"' | "$tool" run hello-transform.so greeting='hey ' | grep -q '"value":"hey you"'
rm -f "$tmp/sink.out"
echo '{"topic":"a","offset":3,"value":{"x":1}}' | "$tool" run hello-sink.so path="$tmp/sink.out" | grep -q '"offset":3,"verdict":"ok"'
test "$(cat "$tmp/sink.out")" = '{"x":1}'
if test -e hello-rust.so; then
  "$tool" check hello-rust.so >check.log || { cat check.log; exit 1; }
  "$tool" run hello-rust.so 2>position.log | grep -q '"hello from Rust 99"'
fi

# A new plugin of either kind builds, passes its own test, and the suite. (The test host may be built with sanitizers.)
sanitize=
lib=$(find "$prefix" -name libconnectd-testhost.a)
if nm "$lib" | grep -q __asan_; then sanitize=-fsanitize=address,undefined; fi
if nm "$lib" | grep -q __tsan_; then sanitize=-fsanitize=thread; fi
for kind in source sink; do
  "$tool" new my-$kind "$tmp/my-$kind" $kind >new.log
  make -s -C "$tmp/my-$kind" CFLAGS="-Wall -Wextra -Werror -fPIC $(pkg-config --cflags connectd)"
  make -s -C "$tmp/my-$kind" test CC="cc $sanitize" | grep -q ok
done
"$tool" check "$tmp/my-source/my-source.so" interval=0 >check.log || { cat check.log; exit 1; }
"$tool" check "$tmp/my-sink/my-sink.so" path="$tmp/my.out" >check.log || { cat check.log; exit 1; }

# The same through CMake's package.
mkdir "$tmp/cm"
cp hello-sink.c "$tmp/cm"
cat >"$tmp/cm/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.18)
project(x C)
find_package(connectd 0.1 REQUIRED)
add_library(hello-sink MODULE hello-sink.c)
target_link_libraries(hello-sink PRIVATE connectd::plugin-api)
get_target_property(lib connectd::testhost IMPORTED_LOCATION)
if(NOT EXISTS ${lib})
  message(FATAL_ERROR "no ${lib}")
endif()
END
cmake -S "$tmp/cm" -B "$tmp/cm/build" -DCMAKE_PREFIX_PATH="$prefix" >cmake.log
cmake --build "$tmp/cm/build" >cmake.log
test -e "$tmp/cm/build/libhello-sink.so"
test -z "$(pkg-config --libs connectd)"
test "$(realpath -m "$(pkg-config --variable=plugindir connectd)")" = "$prefix/lib/connectd/plugins"
test "$(pkg-config --variable=userplugindir connectd)" = /usr/local/lib/connectd/plugins
echo "examples and templates build out of tree and pass"

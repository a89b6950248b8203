# shellcheck shell=bash
# Shared by the scripts: where things are, how to talk, how to install what is missing.
# Sourced, never run. Sets ROOT (the checkout) and YES (1 = ask nothing).
# shellcheck disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export YES=${YES:-0}
[ -t 0 ] && [ -t 1 ] || YES=1

if [ -t 1 ]; then B=$'\e[1m' D=$'\e[2m' G=$'\e[32m' R=$'\e[31m' Y=$'\e[33m' N=$'\e[0m'; else B='' D='' G='' R='' Y='' N=''; fi
step() { printf '%s==>%s %s%s%s\n' "$G" "$N" "$B" "$*" "$N"; }
note() { printf '    %s\n' "$*"; }
warn() { printf '%swarning:%s %s\n' "$Y" "$N" "$*" >&2; }
die() { printf '%serror:%s %s\n' "$R" "$N" "$*" >&2; exit 1; }

# What each task needs, as Debian packages.
PACKAGES_BUILD='gcc libc6-dev cmake ninja-build pkg-config libpq-dev libyaml-dev libjansson-dev libzstd-dev liblz4-dev zlib1g-dev libsnappy-dev libcurl4-openssl-dev libpcre2-dev libsystemd-dev libssl-dev'
PACKAGES_DEMO='postgresql python3 bsdutils procps'
PACKAGES_TEST='g++ make libcmocka-dev postgresql python3 python3-kafka bsdutils procps'
PACKAGES_INTEROP='clang libclang-rt-14-dev openjdk-17-jdk-headless maven systemd python3-seccomp'
PACKAGES_LONG='rsyslog nginx-light wrk linux-perf libsqlite3-dev liblmdb-dev openjdk-17-jdk-headless maven'

missing_packages() {
    local p
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || printf '%s ' "$p"
    done
}

# The unit files that some package's installation has switched on, one a line.
enabled_units() { find /etc/systemd/system -maxdepth 2 -type l -path '*.wants/*' 2>/dev/null | sort; }

# need_packages PACKAGE…: installs those that are missing, after listing them; starts and enables nothing.
need_packages() {
    local missing as_root='' before after fresh
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
        die "this system is neither Debian nor Ubuntu, so packages can not be installed here. Use containers instead: docker compose up (see docker-compose.yml)"
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "packages are missing ($missing) and this user has no sudo. Ask an administrator to run: apt-get install $missing"
        as_root=sudo
    fi
    step "Packages to install: $missing"
    note "(nothing they bring is started or enabled)"
    if [ "$YES" != 1 ]; then
        local answer
        read -r -p "    Install them now? [Y/n] " answer
        case $answer in '' | y* | Y*) ;; *) die "not installed; run again when you like" ;; esac
    fi
    before=$(enabled_units)
    $as_root sh -eu -c '
        keep=; conf=/etc/postgresql-common/createcluster.conf
        if [ ! -e /usr/sbin/policy-rc.d ]; then printf "#!/bin/sh\nexit 101\n" > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; keep=policy; fi
        trap "[ -z \"\$keep\" ] || rm -f /usr/sbin/policy-rc.d" EXIT
        own=; if [ ! -e "$conf" ]; then mkdir -p "${conf%/*}"; echo "create_main_cluster = false" > "$conf"; own=1; fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get -q update || true
        # Someone else (unattended upgrades) may hold the lock for a while.
        apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold --no-install-recommends install "$@"
        # No cluster was made; later ones shall be as the package means them.
        if [ -n "$own" ] && [ -e "$conf.ucf-dist" ]; then mv "$conf.ucf-dist" "$conf"; fi
    ' sh $missing || die "apt-get could not install: $missing"
    after=$(enabled_units)
    fresh=$(comm -13 <(printf '%s\n' "$before") <(printf '%s\n' "$after") | sed 's|.*/||' | sort -u)
    # apt-daily and the like belong to the system, not to us: only what this installation switched on goes off.
    if [ -n "$fresh" ]; then
        # shellcheck disable=SC2086
        # shellcheck disable=SC2046,SC2086
        $as_root systemctl --no-reload -q disable $fresh 2>/dev/null || $as_root find /etc/systemd/system -maxdepth 2 -type l \( $(printf -- '-name %s -o ' $fresh) -false \) -delete
    fi
}

# build PRESET [cmake arguments…]: configures (once) and builds build/PRESET.
build() {
    local preset=$1; shift
    # A folder configured on another machine, or before a move, is made anew.
    if [ -e "$ROOT/build/$preset/CMakeCache.txt" ] && ! grep -qx "CMAKE_HOME_DIRECTORY:INTERNAL=$ROOT" "$ROOT/build/$preset/CMakeCache.txt"; then
        rm -rf "$ROOT/build/$preset"
    fi
    (cd "$ROOT" && cmake --preset "$preset" "$@" >"$ROOT/build/$preset.configure.log" 2>&1) || { cat "$ROOT/build/$preset.configure.log" >&2; die "configure failed (preset $preset)"; }
    cmake --build "$ROOT/build/$preset" --parallel "$(nproc)" >"$ROOT/build/$preset.build.log" 2>&1 || { tail -60 "$ROOT/build/$preset.build.log" >&2; die "build failed (preset $preset); the whole log: build/$preset.build.log"; }
}

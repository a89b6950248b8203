# SPDX-License-Identifier: Apache-2.0
# A throw-away PostgreSQL for tests and the demo. Source this file; works as root (as user postgres) and as any user.
#
#   pg_start DIR [setting=value ...]   makes a cluster in DIR (made if needed, must be empty) and starts it on a free port of
#                                      127.0.0.1; sets PGHOST, PGPORT, PGUSER, PGDATABASE for psql and prints the port
#   pg_stop DIR                        stops it at once and removes DIR
#   pg_restart DIR [fast|immediate]    the same port afterwards
#   pg_signal DIR SIGNAL               to the postmaster (KILL: a crash)
#
# wal_level is logical and the time zone UTC; syncing is off, as nothing here shall survive the machine.
# PG_BIN chooses another version than the newest: PG_BIN=/usr/lib/postgresql/15/bin.

pg_bin() {
    if [ -n "${PG_BIN:-}" ]; then echo "$PG_BIN"; return; fi
    for d in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr) /usr/pgsql-*/bin /usr/local/pgsql/bin; do
        if [ -x "$d/initdb" ]; then echo "$d"; return; fi
    done
    d=$(command -v initdb) && dirname "$d"
}

# Runs a command as the user that owns the cluster: root may not.
pg_as() {
    if [ "$(id -u)" = 0 ]; then (cd /tmp && runuser -u postgres -- "$@"); else "$@"; fi
}

# A port nobody listens on.
pg_free_port() {
    python3 - <<'PY'
import socket
s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])
PY
}

pg_start() {
    pg_dir=$1; shift
    pg_b=$(pg_bin)
    if [ -z "$pg_b" ]; then echo "pg.sh: no PostgreSQL server found" >&2; return 77; fi
    mkdir -p "$pg_dir" || return 1
    if [ "$(id -u)" = 0 ]; then chown postgres "$pg_dir" || return 1; fi
    chmod 700 "$pg_dir"
    pg_as "$pg_b/initdb" -D "$pg_dir/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 -N >"$pg_dir.initdb.log" 2>&1 ||
        { cat "$pg_dir.initdb.log" >&2; return 1; }
    rm -f "$pg_dir.initdb.log"
    for pg_try in 1 2 3 4 5; do
        PGPORT=$(pg_free_port)
        {
            echo "listen_addresses = '127.0.0.1'"; echo "port = $PGPORT"; echo "unix_socket_directories = '$pg_dir'"
            echo "wal_level = logical"; echo "max_wal_senders = 20"; echo "max_replication_slots = 20"; echo "max_connections = 60"
            echo "timezone = 'UTC'"; echo "log_timezone = 'UTC'"; echo "fsync = off"; echo "full_page_writes = off"
            echo "log_line_prefix = '%m [%p] '"; echo "logging_collector = off"; echo "synchronous_commit = on"
            for pg_s in "$@"; do echo "${pg_s%%=*} = '${pg_s#*=}'"; done
        } >"$pg_dir.conf"
        if [ "$(id -u)" = 0 ]; then chown postgres "$pg_dir.conf"; fi
        mv "$pg_dir.conf" "$pg_dir/data/postgresql.auto.conf"
        if pg_as "$pg_b/pg_ctl" -D "$pg_dir/data" -l "$pg_dir/log" -w -t 60 start >/dev/null 2>&1; then
            PGHOST=127.0.0.1 PGUSER=postgres PGDATABASE=postgres
            export PGHOST PGPORT PGUSER PGDATABASE
            echo "$PGPORT"
            return 0
        fi
    done
    cat "$pg_dir/log" >&2
    return 1
}

pg_stop() {
    [ -d "$1" ] || return 0
    pg_as "$(pg_bin)/pg_ctl" -D "$1/data" -m immediate -w -t 60 stop >/dev/null 2>&1
    rm -rf "$1"
}

pg_restart() {
    pg_as "$(pg_bin)/pg_ctl" -D "$1/data" -l "$1/log" -m "${2:-fast}" -w -t 60 restart >/dev/null 2>&1
}

pg_signal() {
    kill -"$2" "$(head -1 "$1/data/postmaster.pid")"
}

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The conformance suite over every connector of the tree, with something real at their other ends: files, senders, a server
# that answers 200, a throw-away PostgreSQL.
set -eu
tmp=$(mktemp -d)
pids=
clean() {
  for pid in $pids; do kill "$pid" 2>/dev/null || true; done
  test ! -d "$tmp/pg/data" || as_postgres "$pgbin/pg_ctl -D $tmp/pg/data -m immediate -w stop" >/dev/null 2>&1 || true
  rm -rf "$tmp"
}
trap clean EXIT
tool="$BUILD/tests/abi/plugin_tool"
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# PostgreSQL refuses to run as root.
as_postgres() { if test "$(id -u)" = 0; then su postgres -c "$1"; else sh -c "$1"; fi; }

failed=0
check() {
  name=$1 component=$2
  shift 2
  if test ! -e "$BUILD/plugins/$name.so"; then echo "SKIPPED: $component: not built"; return; fi
  if COMPONENT=$component "$tool" check "$BUILD/plugins/$name.so" "$@" >"$tmp/log"; then
    echo "$component: $(tail -1 "$tmp/log")"
    grep -A1 '^  skipped' "$tmp/log" || true
  else
    echo "$component:"
    cat "$tmp/log"
    failed=1
  fi
}

seq -f 'line %g' 1 500 >"$tmp/in.log"
check file source/file "path=$tmp/in.log" topic=lines
check file sink/file "path=$tmp/out.jsonl"

port=$(free_port)
python3 - "$port" <<'END' &
import itertools, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in itertools.count():
    s.sendto(b"<34>1 2026-01-02T03:04:05Z host app 1 id - message %d" % i, ("127.0.0.1", int(sys.argv[1])))
    time.sleep(0.02)
END
pids="$pids $!"
check syslog source/syslog "udp=127.0.0.1:$port" tcp=127.0.0.1:0

port=$(free_port)
python3 - "$port" >"$tmp/http.log" 2>&1 <<'END' &
import http.server, sys
class Accept(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Accept).serve_forever()
END
pids="$pids $!"
check http-sink sink/http-sink "url=http://127.0.0.1:$port/in"
check http-sink sink/http-sink "url=http://127.0.0.1:$(free_port)/nobody" # and nobody at the other end

pgbin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
if test -z "$pgbin"; then
  echo "SKIPPED: postgres-cdc: no PostgreSQL here"
else
  port=$(free_port)
  chmod 755 "$tmp"
  mkdir "$tmp/pg"
  test "$(id -u)" != 0 || chown postgres "$tmp/pg"
  as_postgres "$pgbin/initdb -D $tmp/pg/data -A trust -U postgres" >/dev/null
  as_postgres "$pgbin/pg_ctl -D $tmp/pg/data -l $tmp/pg/log -w start -o '-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$tmp/pg -c wal_level=logical -c fsync=off'" >/dev/null
  psql -h 127.0.0.1 -p "$port" -U postgres -q -c "create table t (id int primary key, name text)" -c "insert into t select g, 'name ' || g from generate_series(1, 40) g"
  check postgres-cdc source/postgres-cdc database.hostname=127.0.0.1 "database.port=$port" database.user=postgres database.password=x database.dbname=postgres topic.prefix=p
fi
exit $failed

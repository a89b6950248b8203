#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What systemd is told, over a notify socket of our own: ready without waiting for remote systems, reloading, alive, stopping."""
import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import Daemon, Scratch, free_port  # noqa: E402

# Nobody listens on the port: the task tries for ever, and the daemon is ready all the same.
PIPELINE = 'pipeline: p\nsource: {connector: postgres-cdc, topic.prefix: p, database: {hostname: 127.0.0.1, port: %d, dbname: x, user: x, password: x}}\n'


class Notify:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(30)
        self.seen = []

    def until(self, text):
        """Reads messages until one contains the text; returns it."""
        while True:
            self.seen.append(self.socket.recv(4096).decode())
            if text in self.seen[-1]:
                return self.seen[-1]


def main():
    with Scratch('systemd') as scratch:
        os.mkdir(scratch.file('run'))
        notify = Notify(scratch.file('notify'))
        env = {'NOTIFY_SOCKET': scratch.file('notify'), 'WATCHDOG_USEC': '200000', 'RUNTIME_DIRECTORY': scratch.file('run')}
        daemon = Daemon(scratch, {'p': PIPELINE % free_port()}, env=env)
        with daemon:
            notify.until('READY=1')
            assert not any('RELOADING' in m for m in notify.seen), notify.seen
            assert os.path.exists(scratch.file('run/control.sock')), 'the control socket is bound before READY=1'
            notify.until('WATCHDOG=1')
            assert 'connector' in notify.until('STATUS=')
            # The control socket stands where systemd wants it, and the data folder leads to it.
            assert os.path.islink(os.path.join(daemon.data, 'control.sock'))
            assert daemon.run('status', '--names', check=False).stdout == 'p-source\n'
            daemon.process.send_signal(signal.SIGHUP)
            assert 'MONOTONIC_USEC=' in notify.until('RELOADING=1')
            notify.until('READY=1')
        notify.until('STOPPING=1')
        assert not os.path.lexists(os.path.join(daemon.data, 'control.sock'))
    print('systemd hears what it must')


main()

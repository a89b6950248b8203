#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sandbox_exec.py UNIT UID GID COMMAND…: runs the command with what the unit file takes away that needs no mount: no capabilities, no new
privileges, no writable and executable memory, and only the system calls that SystemCallFilter= leaves (EPERM for the rest)."""
import ctypes
import os
import re
import subprocess
import sys

import seccomp

PR_SET_MDWE, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 65, 38, 24


def group(name, seen=()):
    """The system calls of a systemd filter set, nested sets resolved."""
    out = subprocess.run(['systemd-analyze', 'syscall-filter', name], capture_output=True, text=True, check=True).stdout
    calls = set()
    for word in re.findall(r'^    (?!#)(\S+)$', out, re.M):
        if word.startswith('@'):
            calls |= group(word, seen + (name,)) if word not in seen else set()
        else:
            calls.add(word)
    return calls


def allowed(unit):
    calls = set()
    for line in re.findall(r'^SystemCallFilter=(.*)$', open(unit).read(), re.M):
        for word in line.lstrip('~').split():
            calls = calls - group(word) if line.startswith('~') else calls | group(word)
    return calls


def confine(unit):
    libc = ctypes.CDLL(None, use_errno=True)
    for cap in range(64):
        libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_MDWE, 1, 0, 0, 0)  # kernels before 6.3 do not know it
    rules = seccomp.SyscallFilter(seccomp.ERRNO(1))
    for call in allowed(unit) | {'execve'}:
        try:
            rules.add_rule(seccomp.ALLOW, call)
        except (ValueError, RuntimeError):
            pass  # of another architecture
    return rules


unit, uid, gid, command = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
rules = confine(unit)
os.setgroups([])
os.setresgid(gid, gid, gid)
os.setresuid(uid, uid, uid)
os.umask(0o077)
rules.load()
os.execv(command[0], command)

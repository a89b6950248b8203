#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""store_full.py ROUNDS   store_full on a small ext4 of its own. Needs root and loop devices; exit status 77 (skipped) without."""
import os, subprocess, sys, tempfile  # noqa: E401

from store_cut import Skip, isolate, must

CHILD = os.path.join(os.environ['BUILD'], 'tests/crash/store_full')


def main(rounds):
    isolate()
    shm = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shm) as top:
        image, mount = os.path.join(top, 'image'), os.path.join(top, 'mount')
        os.mkdir(mount)
        with open(image, 'wb') as f:
            f.truncate(64 << 20)
        must('mkfs.ext4', '-q', '-F', '-m', '0', image)
        must('mount', '-o', 'loop', image, mount)
        try:
            return subprocess.run([CHILD, mount, rounds, os.environ.get('SEED', '1')]).returncode
        finally:
            must('umount', mount)


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1]))
    except Skip as why:
        print(f'SKIPPED: {why}')
        sys.exit(77)

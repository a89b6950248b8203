#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A writing process that dies at random instants, over and over on the same store; what it was acknowledged is kept outside and must be there.

    store_cut.py kill N      kill -9: shows that the logic holds, not that anything was synced
    store_cut.py power N     the file system under it is shut down (EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN) and mounted again: what it had not
                             been told to sync is gone. Needs root and loop devices; exit status 77 (skipped) without.

The N cuts are shared out over ext4 with three sets of mount options, XFS where there is one, each with and without the file system's log
written. Every fifth recovery is cut itself. Mounts live in a mount namespace of their own, so that none is left behind.
"""
import fcntl, os, random, shutil, subprocess, sys, tempfile, threading, time

CHILD = os.path.join(os.environ['BUILD'], 'tests/crash/store_child')
OPS, MORE = 1500, 60                     # of a script; that one process gets done before it is cut
SHUTDOWN = 0x8004587D                    # _IOR('X', 125, u32), the same for both
LOG_FLUSH, NO_LOG_FLUSH = 1, 2
KINDS = [('ext4', 'defaults'), ('ext4', 'noauto_da_alloc,commit=1'), ('ext4', 'data=writeback,nodelalloc'), ('xfs', 'defaults')]


class Skip(Exception):
    pass


def must(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise Skip(f'{command[0]} is not there')
    if done.returncode:
        raise Skip(f"{' '.join(command)}: {done.stderr.strip()}")


class Ledger:
    """What the child said, read as it says it; its pipe outlives it."""

    def __init__(self, mode, *args):
        self.acked = self.begun = 0
        self.given = -1
        self.child = subprocess.Popen([CHILD, mode, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.child.stdout:
            what, op = line.split()
            if what == b'b':
                self.begun = int(op) + 1
            elif what == b'a':
                self.acked = int(op) + 1
            else:
                self.given = int(op)

    def wait(self, acked, seconds):
        """Until so much is acknowledged, however busy the machine is; not for ever, and not for one that ended."""
        until = time.monotonic() + seconds
        while self.acked < acked and self.reader.is_alive() and time.monotonic() < until:
            time.sleep(0.0005)

    def end(self):
        self.child.kill()
        self.child.wait()
        self.reader.join()
        self.child.stdout.close()


class Folder:
    """A place that only kills."""
    name = 'kill -9'

    def __init__(self, top):
        self.top = top

    def open(self):
        return os.path.join(self.top, 'store')

    def cut(self):
        pass

    def close(self):
        pass


class Disk:
    """A file system in a file."""

    def __init__(self, top, kind, options, flag):
        self.image, self.mount = os.path.join(top, 'image'), os.path.join(top, 'mount')
        self.name = f"{kind} {options} {'with its log' if flag == LOG_FLUSH else 'without its log'}"
        self.options, self.flag, self.up = options, flag, False
        os.makedirs(self.mount, exist_ok=True)
        with open(self.image, 'wb') as f:
            f.truncate((48 if kind == 'ext4' else 320) << 20)
        must(f'mkfs.{kind}', '-q', *(['-F'] if kind == 'ext4' else ['-f']), self.image)
        self.open()

    def open(self):
        if not self.up:
            must('mount', '-o', f'loop,{self.options}', self.image, self.mount)
        self.up = True
        return os.path.join(self.mount, 'store')

    def cut(self):
        fd = os.open(self.mount, os.O_RDONLY)
        fcntl.ioctl(fd, SHUTDOWN, self.flag.to_bytes(4, sys.byteorder))
        os.close(fd)

    def close(self):
        if not self.up:
            return
        self.up = False
        for _ in range(100):            # a reader of the kernel's may still hold it
            if not subprocess.run(['umount', self.mount], capture_output=True).returncode:
                return
            time.sleep(0.01)
        raise SystemExit(f'{self.mount} can not be unmounted')


class Torture:
    def __init__(self, place, seed):
        self.place, self.dice = place, random.Random(seed)
        self.seed, self.at, self.acked, self.cuts, self.recoveries = seed * 1000, 0, 0, 0, 0
        self.begin()

    def begin(self):
        shutil.rmtree(self.place.open(), ignore_errors=True)
        os.mkdir(self.place.open())
        fd = os.open(os.path.dirname(self.place.open()), os.O_RDONLY)
        os.fsync(fd)                    # the folder is its owner's to make durable
        os.close(fd)
        self.seed, self.at, self.given = self.seed + 1, 0, -1

    def cut(self, mode, *args, after=0, within):
        ledger = Ledger(mode, self.place.open(), *args)
        ledger.wait(after, 5)
        time.sleep(self.dice.random() * within)
        self.place.cut()
        ledger.end()
        self.place.close()
        return ledger

    def check(self, acked, begun):
        last = begun >= OPS or self.dice.random() < 0.05
        done = subprocess.run([CHILD, 'last' if last else 'check', self.place.open(), str(self.seed), str(OPS), str(acked), str(begun), str(self.given)],
                              capture_output=True, text=True)
        if done.returncode:
            print(f'{self.place.name}, seed {self.seed}, acknowledged {acked}, begun {begun}: {done.stderr.strip()}')
            if os.environ.get('STORE_CUT_KEEP'):
                shutil.copytree(self.place.open(), os.environ['STORE_CUT_KEEP'], dirs_exist_ok=True)
            return False
        self.at = int(done.stdout.split()[1])
        if last:
            self.begin()
        return True

    def once(self):
        slow = self.dice.random() < 0.03  # so long that the kernel writes back by itself
        after = self.at + self.dice.randrange(MORE) if self.dice.random() < 0.8 else 0
        ledger = self.cut('live', self.seed, OPS, self.at, after=after, within=1.6 if slow else 0.01)
        acked, begun = max(ledger.acked, self.at), max(ledger.begun, self.at)
        self.acked += max(0, ledger.acked - self.at)
        self.given = max(self.given, ledger.given)
        self.cuts += 1
        if self.dice.random() < 0.2:
            self.cut('open', within=0.01)
            self.recoveries += 1
        return self.check(acked, begun)


def torture(place, cuts, seed):
    t = Torture(place, seed)
    lost = 0
    while t.cuts < cuts and not lost:
        lost += not t.once()
    place.close()
    print(f'{place.name}: {t.cuts} cuts, {t.recoveries} more in recovery, {t.acked} operations acknowledged, {lost} times not as the model says', flush=True)
    return t.cuts, t.recoveries, t.acked, lost


def kinds_here(top):
    """ext4 must be there, XFS may be."""
    for kind, options in KINDS:
        try:
            if kind != 'ext4':
                Disk(top, kind, options, LOG_FLUSH).close()
            yield kind, options
        except Skip as e:
            print(f'left out: {kind}: {e}')


def places(top, mode):
    """How many there are, and each made when its turn comes."""
    if mode == 'kill':
        return 1, [Folder(top)]
    every = [(*kind, flag) for kind in kinds_here(top) for flag in (NO_LOG_FLUSH, LOG_FLUSH)]
    return len(every), (Disk(top, *one) for one in every)


def isolate():
    if os.geteuid():
        raise Skip('power cuts need root')
    if os.environ.get('STORE_CUT_ISOLATED'):
        return
    os.environ['STORE_CUT_ISOLATED'] = '1'
    if subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode:
        raise Skip('no mount namespaces here')
    os.execvp('unshare', ['unshare', '-m', '--propagation', 'private', sys.executable, *sys.argv])


def main(mode, cuts):
    if mode == 'power':
        isolate()
    seed = int(os.environ.get('SEED', '1'))
    shm = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    sums = [0, 0, 0, 0]
    with tempfile.TemporaryDirectory(dir=shm) as top:
        count, every = places(top, mode)
        for i, place in enumerate(every):
            try:
                sums = [a + b for a, b in zip(sums, torture(place, -(-cuts // count), seed * 100 + i))]
            finally:
                place.close()
    what = 'kills' if mode == 'kill' else 'power cuts'
    print(f'{sums[0]} {what} and {sums[1]} in recovery, {sums[2]} operations acknowledged, {sums[3]} cuts after which something was lost or wrong')
    return 1 if sums[3] else 0


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1], int(sys.argv[2])))
    except Skip as why:
        print(f'SKIPPED: {why}')
        sys.exit(77)

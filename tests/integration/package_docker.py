#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docker-compose.yml and the Dockerfile, as far as that goes without Docker: they parse, what they name exists, and the image is built from
the packages that scripts/ installs. Their pipelines are checked with all the others."""
import os
import re
import subprocess
import sys

SRC = os.environ['SRC']


def read(name):
    with open(os.path.join(SRC, name)) as f:
        return f.read()


def compose():
    try:
        import yaml
    except ImportError:
        print('not looked at, needs python3-yaml: docker-compose.yml')
        return
    top = yaml.safe_load(read('docker-compose.yml'))
    volumes = set(top['volumes'])
    for name, service in top['services'].items():
        assert 'image' in service or 'build' in service, name
        if 'build' in service:
            assert os.path.exists(os.path.join(SRC, service['build']['context'], service['build']['dockerfile'])), name
        for other in service.get('depends_on', ()):
            assert other in top['services'], '%s depends on %s' % (name, other)
        for mount in service['volumes']:
            source = mount.split(':')[0]
            assert os.path.exists(os.path.join(SRC, source)) if source.startswith('.') else source in volumes, '%s: %s' % (name, mount)


def dockerfile():
    text = re.sub(r'\\\n', ' ', read('packaging/Dockerfile'))
    build = re.search(r'^FROM .* AS build\nRUN .*--no-install-recommends +(.*)$', text, re.M).group(1).split()
    wanted = re.search(r"^PACKAGES_BUILD='(.*)'$", read('scripts/lib/common.sh'), re.M).group(1).split()
    assert set(wanted) <= set(build), 'the Dockerfile lacks %s' % ' '.join(sorted(set(wanted) - set(build)))
    image = text.split('FROM ')[-1]
    for folder in ('/var/lib/connectd', '/var/log/connectd', '/run/connectd'):
        assert re.search(r'install -d -o connectd -g connectd[^&]* %s\b' % folder, image), '%s is not the daemon\'s' % folder


def libraries():
    """Every library that the binary and its plugins need comes with one of the image's packages."""
    build = os.environ['BUILD']
    packages = set(re.findall(r'\b(lib[a-z0-9+.-]+|zlib1g)\b', read('packaging/Dockerfile').split('FROM ')[-1]))
    files = [os.path.join(build, 'bin/connectd')] + [os.path.join(build, 'plugins', f) for f in ('postgres-cdc.so', 'syslog.so', 'file.so', 'http-sink.so')]
    needed = set()
    for f in files:
        needed |= set(re.findall(r'NEEDED.*\[(.*)\]', subprocess.run(['readelf', '-d', f], capture_output=True, text=True, check=True).stdout))
    for so in sorted(needed):
        if re.match(r'lib(c|m|gcc_s|asan|ubsan|tsan)\.so|ld-linux', so):
            continue
        stem = re.sub(r'\.so\.?', '', so).replace('libcrypto', 'libssl')  # one package has both
        stem = {'libz1': 'zlib1g', 'libsnappy1': 'libsnappy1v5'}.get(stem, stem)  # packages with names of their own
        names = [p for p in packages if p.replace('-', '') == stem.replace('-', '')]
        assert names, '%s is in none of %s' % (so, ' '.join(sorted(packages)))


def main():
    compose()
    dockerfile()
    libraries()
    print('docker-compose.yml and packaging/Dockerfile hold together')


main()

// SPDX-License-Identifier: Apache-2.0
// Sends numbered RFC 5424 messages as fast as the socket takes them:  syslog_send tcp|udp PORT COUNT SIZE [PER_SECOND]
//
// TCP: octet-counted frames in 256 KiB writes. UDP: datagrams by sendmmsg with UDP_SEGMENT, so that one core can over-drive a receiver.
// Prints "N sent in S s". PER_SECOND bounds the rate (0 = none).
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { BLOCK = 256 * 1024, GSO_MAX = 60 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// One message of exactly `size` bytes, numbered; all of one size, as UDP_SEGMENT wants.
static void message(char *out, size_t size, long n) {
    int head = snprintf(out, size, "<14>1 2026-01-01T00:00:00.000000Z host sender 123 ID47 - n=%010ld ", n);
    memset(out + head, 'x', size - (size_t)head);
}

static void pace(double start, long sent, long per_second) {
    double ahead = per_second ? (double)sent / (double)per_second - (now() - start) : 0;
    if (ahead > 0.0005) usleep((useconds_t)(ahead * 1e6));
}

static void write_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) { perror("write"); exit(1); }
        p += w, n -= (size_t)w;
    }
}

static void send_tcp(int fd, long count, size_t size, long per_second) {
    char *block = malloc(BLOCK), prefix[16];
    size_t used = 0, digits = (size_t)snprintf(prefix, sizeof(prefix), "%zu ", size);
    double start = now();
    for (long n = 0; n < count; n++) {
        if (used + digits + size > BLOCK) write_all(fd, block, used), used = 0, pace(start, n, per_second);
        memcpy(block + used, prefix, digits);
        message(block + used + digits, size + 1, n);
        used += digits + size;
    }
    write_all(fd, block, used);
    free(block);
}

static void send_udp(int fd, long count, size_t size, long per_second) {
    long burst = (long)(60000 / size) < GSO_MAX ? (long)(60000 / size) : GSO_MAX;
    uint16_t segment = (uint16_t)size;
    if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &(int){segment}, sizeof(int))) burst = 1;
    char *block = malloc(size * (size_t)burst + 1);
    double start = now();
    for (long n = 0; n < count;) {
        long k = count - n < burst ? count - n : burst;
        for (long i = 0; i < k; i++) message(block + (size_t)i * size, size + 1, n + i);
        if (send(fd, block, size * (size_t)k, 0) < 0 && errno != ECONNREFUSED && errno != ENOBUFS) { perror("send"); exit(1); }
        n += k;
        pace(start, n, per_second);
    }
    free(block);
}

int main(int argc, char **argv) {
    if (argc < 5) return fprintf(stderr, "usage: syslog_send tcp|udp PORT COUNT SIZE [PER_SECOND]\n"), 2;
    int tcp = strcmp(argv[1], "tcp") == 0, fd = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtol(argv[2], NULL, 10)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&to, sizeof(to))) return perror("connect"), 1;
    long count = strtol(argv[3], NULL, 10), rate = argc > 5 ? strtol(argv[5], NULL, 10) : 0;
    size_t size = (size_t)strtol(argv[4], NULL, 10);
    double start = now();
    (tcp ? send_tcp : send_udp)(fd, count, size, rate);
    close(fd);
    printf("%ld sent in %.3f s\n", count, now() - start);
    return 0;
}

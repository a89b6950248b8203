// SPDX-License-Identifier: Apache-2.0
// Checksums and ids whose values are part of formats: CRC-32C (Castagnoli), murmur2 as Kafka's partitioner, random UUIDs.
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

// CRC-32C of p[0..n), continuing from `crc` (0 to start). Uses SSE4.2 or ARMv8 instructions where the CPU has them.
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n); // the same by table, on any CPU
// Which single byte, when it alone was changed, makes the CRC-32C of n bytes differ by `difference` (the one xor the other)? Bytes that would
// explain it, the last one first, at most `max`; the xor of old and new byte is `mask`. About one of 16 million bytes does so by accident.
struct crc_byte { uint64_t position; uint8_t mask; };
size_t crc32c_one_byte(uint32_t difference, uint64_t n, struct crc_byte *ret, size_t max);
// murmur2 with seed 0x9747b28c, as org.apache.kafka.common.utils.Utils.murmur2.
uint32_t murmur2(const void *p, size_t n);
// java.lang.String.hashCode over ASCII/UTF-8 bytes decoded as UTF-16, for Kafka's internal-topic partitioners.
int32_t java_string_hash(const char *utf8, size_t n);

struct uuid { uint8_t b[16]; };
struct uuid uuid_random(void);
bool uuid_eq(struct uuid a, struct uuid b);
bool uuid_is_zero(struct uuid u);
void uuid_kafka(struct uuid u, char out[23]);      // 22 characters of URL-safe base64, as Kafka prints topic ids
int uuid_from_kafka(const char *text, size_t n, struct uuid *ret); // 0 or -1
void uuid_hex(struct uuid u, char out[37]);        // 8-4-4-4-12
uint64_t random_u64(void);

#endif

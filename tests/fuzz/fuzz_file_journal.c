// SPDX-License-Identifier: Apache-2.0
// Any bytes as a slot and as a header of the file sink's journal: what is accepted encodes to the same bytes again. Byte 0 chooses which, and
// whether the checksum is made right first, so that the fields behind it are reached.
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void little(uint8_t *to, uint32_t v) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(v >> 8 * i);
}

static void slot(uint8_t *p, size_t n, bool mend) {
    struct journal_state s;
    if (mend && n >= 8) {
        uint32_t size = (uint32_t)p[4] | (uint32_t)p[5] << 8 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 24;
        if (size >= 4 && size <= n) little(p, journal_crc(p + 4, size - 4));
    }
    if (journal_decode(p, n, &s) != 0) return;
    size_t again = journal_size(&s);
    uint8_t *bytes = malloc(again);
    struct journal_state back;
    journal_encode(&s, bytes);
    if (journal_decode(bytes, again, &back) != 0 || back.sequence != s.sequence || back.count != s.count || back.length != s.length) abort();
    for (uint32_t i = 0; i < s.count; i++)
        if (back.entries[i].next != s.entries[i].next || strcmp(back.entries[i].topic, s.entries[i].topic) != 0) abort();
    journal_state_done(&back);
    journal_state_done(&s);
    free(bytes);
}

static void header(const uint8_t *p, size_t n) {
    uint8_t bytes[JOURNAL_HEADER] = {0}, again[JOURNAL_HEADER];
    char name[JOURNAL_NAME_MAX + 1];
    uint32_t slot_bytes;
    memcpy(bytes, p, n < sizeof bytes ? n : sizeof bytes);
    if (journal_header_decode(bytes, sizeof bytes, name, &slot_bytes) != 0) return;
    journal_header_encode(again, name, slot_bytes);
    if (strlen(name) == ((size_t)bytes[16] | (size_t)bytes[17] << 8) && (memcmp(again, bytes, 8) != 0 || memcmp(again + 12, bytes + 12, 8) != 0)) abort(); // of any version
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    uint8_t *copy = malloc(size > 1 ? size - 1 : 1);
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 2) header(copy, size - 1);
    else slot(copy, size - 1, data[0] & 1);
    free(copy);
    return 0;
}

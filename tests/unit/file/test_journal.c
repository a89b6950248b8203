// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"
#include "test.h"
#include "tmpdir.h"

static struct journal_state state_of(uint32_t parts, const char *topic) {
    struct journal_state s = {.sequence = 7, .length = 1234567890123, .records = 42, .started_ms = 1768046400000, .roll = 3, .count = parts};
    s.entries = calloc(parts ? parts : 1, sizeof *s.entries);
    for (uint32_t i = 0; i < parts; i++) {
        char name[300];
        snprintf(name, sizeof name, "%s%u", topic, i);
        s.entries[i] = (struct journal_entry){strdup(name), i * 7, (int32_t)i, 1000000000000 + i};
    }
    return s;
}

static void assert_same(const struct journal_state *a, const struct journal_state *b) {
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->length, b->length);
    assert_int_equal(a->records, b->records);
    assert_int_equal(a->started_ms, b->started_ms);
    assert_int_equal(a->roll, b->roll);
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        assert_string_equal(a->entries[i].topic, b->entries[i].topic);
        assert_int_equal(a->entries[i].partition, b->entries[i].partition);
        assert_int_equal(a->entries[i].tag, b->entries[i].tag);
        assert_int_equal(a->entries[i].next, b->entries[i].next);
    }
}

TEST(the_checksum_is_crc32c) {
    assert_int_equal(journal_crc("123456789", 9), 0xe3069283);
    assert_int_equal(journal_crc("", 0), 0);
}

TEST(a_state_survives_its_bytes) {
    for (uint32_t parts = 0; parts < 5; parts++) {
        struct journal_state s = state_of(parts, "topic-"), back;
        uint8_t *bytes = malloc(journal_size(&s));
        journal_encode(&s, bytes);
        assert_int_equal(journal_decode(bytes, journal_size(&s), &back), 0);
        assert_same(&s, &back);
        journal_state_done(&back);
        journal_state_done(&s);
        free(bytes);
    }
}

TEST(a_state_cut_at_any_byte_is_none) {
    struct journal_state s = state_of(3, "topic-"), back;
    size_t n = journal_size(&s);
    uint8_t *bytes = malloc(n);
    journal_encode(&s, bytes);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1);
        memcpy(exact, bytes, cut);
        assert_int_equal(journal_decode(exact, cut, &back), -1);
        free(exact);
    }
    free(bytes);
    journal_state_done(&s);
}

TEST(a_state_with_any_bit_flipped_is_none) {
    struct journal_state s = state_of(2, "topic-"), back;
    size_t n = journal_size(&s);
    uint8_t *bytes = malloc(n);
    journal_encode(&s, bytes);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(journal_decode(bytes, n, &back), -1);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(bytes);
    journal_state_done(&s);
}

TEST(a_header_with_any_bit_flipped_is_none) {
    uint8_t bytes[JOURNAL_HEADER];
    char name[JOURNAL_NAME_MAX + 1];
    uint32_t slot;
    journal_header_encode(bytes, "shop-file", 8192);
    assert_int_equal(journal_header_decode(bytes, sizeof bytes, name, &slot), 0);
    assert_string_equal(name, "shop-file");
    assert_int_equal(slot, 8192);
    for (size_t bit = 0; bit < 8 * 33; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(journal_header_decode(bytes, sizeof bytes, name, &slot), -1);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(journal_header_decode(bytes, JOURNAL_HEADER - 1, name, &slot), -1);
}

static char *path_in(const char *dir) {
    char *p;
    assert_true(asprintf(&p, "%s/.out.journal", dir) > 0);
    return p;
}

TEST(what_was_committed_last_is_what_is_opened) {
    char *path = path_in(tmpdir_new());
    struct journal j;
    struct journal_state s = state_of(2, "t"), back;
    assert_int_equal(journal_open(&j, &file_io_system, path, "me", &back), JOURNAL_ABSENT);
    assert_int_equal(journal_create(&j, &file_io_system, path, "me", &s), JOURNAL_OK);
    for (int i = 0; i < 9; i++) {
        s.length = i;
        s.entries[1].next++;
        assert_int_equal(journal_commit(&j, &s), 0);
        journal_close(&j);
        assert_int_equal(journal_open(&j, &file_io_system, path, "me", &back), JOURNAL_OK);
        assert_same(&s, &back);
        journal_state_done(&back);
    }
    journal_close(&j);
    journal_state_done(&s);
    free(path);
}

TEST(a_torn_slot_leaves_the_commit_before) {
    char *path = path_in(tmpdir_new());
    struct journal j;
    struct journal_state s = state_of(2, "t"), back;
    assert_int_equal(journal_create(&j, &file_io_system, path, "me", &s), JOURNAL_OK); // slot 0
    for (int i = 0; i < 4; i++) {
        struct journal_state before = s;
        uint8_t slot[JOURNAL_SLOT];
        unsigned to = j.next_slot;
        assert_int_equal(journal_commit(&j, &s), 0);
        int fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, slot, sizeof slot, JOURNAL_HEADER + (off_t)to * JOURNAL_SLOT), sizeof slot);
        for (size_t cut = 0; cut + 8 < journal_size(&s); cut += 7) {
            uint8_t torn[JOURNAL_SLOT] = {0};
            memcpy(torn, slot, cut);
            assert_int_equal(pwrite(fd, torn, sizeof torn, JOURNAL_HEADER + (off_t)to * JOURNAL_SLOT), sizeof torn);
            journal_close(&j);
            assert_int_equal(journal_open(&j, &file_io_system, path, "me", &back), JOURNAL_OK);
            assert_int_equal(back.sequence, before.sequence);
            assert_int_equal(j.next_slot, to);
            journal_state_done(&back);
        }
        assert_int_equal(pwrite(fd, slot, sizeof slot, JOURNAL_HEADER + (off_t)to * JOURNAL_SLOT), sizeof slot);
        close(fd);
        journal_close(&j);
        assert_int_equal(journal_open(&j, &file_io_system, path, "me", &back), JOURNAL_OK);
        journal_state_done(&back);
    }
    journal_close(&j);
    journal_state_done(&s);
    free(path);
}

TEST(a_journal_that_is_too_small_grows) {
    char *path = path_in(tmpdir_new());
    struct journal j;
    struct journal_state s = state_of(1, "t"), many = state_of(500, "a-rather-long-name-of-a-topic-"), back;
    assert_int_equal(journal_create(&j, &file_io_system, path, "me", &s), JOURNAL_OK);
    many.sequence = s.sequence;
    assert_int_equal(journal_commit(&j, &many), 0);
    assert_true(j.slot_bytes > JOURNAL_SLOT);
    assert_int_equal(journal_commit(&j, &many), 0);
    struct journal second;
    assert_int_equal(journal_open(&second, &file_io_system, path, "me", &back), JOURNAL_BUSY); // the lock moved along
    journal_close(&j);
    assert_int_equal(journal_open(&j, &file_io_system, path, "me", &back), JOURNAL_OK);
    assert_same(&many, &back);
    journal_close(&j);
    journal_state_done(&back);
    journal_state_done(&many);
    journal_state_done(&s);
    free(path);
}

TEST(a_journal_is_of_one_task_and_one_connector) {
    char *path = path_in(tmpdir_new());
    struct journal j, second;
    struct journal_state s = state_of(1, "t"), back;
    assert_int_equal(journal_create(&j, &file_io_system, path, "me", &s), JOURNAL_OK);
    assert_int_equal(journal_open(&second, &file_io_system, path, "me", &back), JOURNAL_BUSY);
    journal_close(&j);
    assert_int_equal(journal_open(&second, &file_io_system, path, "you", &back), JOURNAL_FOREIGN);
    assert_string_equal(second.name, "me");
    journal_close(&second);
    journal_state_done(&s);
    free(path);
}

TEST(a_damaged_journal_is_not_made_anew) {
    const char *dir = tmpdir_new();
    char *path = path_in(dir);
    struct journal j;
    struct journal_state s = state_of(1, "t"), back;
    tmpdir_file(dir, ".out.journal", "short");
    assert_int_equal(journal_open(&j, &file_io_system, path, "me", &back), JOURNAL_DAMAGED);
    unlink(path);
    assert_int_equal(journal_create(&j, &file_io_system, path, "me", &s), JOURNAL_OK);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "x", 1, JOURNAL_HEADER + 9), 1); // the only slot
    close(fd);
    journal_close(&j);
    assert_int_equal(journal_open(&j, &file_io_system, path, "me", &back), JOURNAL_DAMAGED);
    journal_state_done(&s);
    free(path);
}

TEST(the_rest_of_an_interrupted_creation_is_no_hindrance) {
    const char *dir = tmpdir_new();
    char *path = path_in(dir);
    struct journal j;
    struct journal_state s = state_of(1, "t"), back;
    tmpdir_bytes(dir, ".out.journal.new", "rest of a creation that was interrupted", 30);
    assert_int_equal(journal_create(&j, &file_io_system, path, "me", &s), JOURNAL_OK);
    journal_close(&j);
    assert_int_equal(journal_open(&j, &file_io_system, path, "me", &back), JOURNAL_OK);
    journal_state_done(&back);
    journal_close(&j);
    journal_state_done(&s);
    free(path);
}

// SPDX-License-Identifier: Apache-2.0
// topics, produce and consume through a real control socket over the backend in memory.
#include <sys/socket.h>
#include <unistd.h>

#include "backend/backend_mem.h"
#include "base/mem.h"
#include "cli/serve.h"
#include "store/store.h"
#include "test.h"
#include "tmpdir.h"

struct fixture { char *path; struct served served; struct control *control; };

static int handle(void *arg, struct control_call *call, struct err *err) {
    static const struct { const char *name; int (*run)(struct served *, struct control_call *, struct err *); } rows[] = {
        {"topics", serve_topics}, {"topic-create", serve_topic_create}, {"topic-delete", serve_topic_delete}, {"consume", serve_consume}, {"produce", serve_produce}};
    for (size_t i = 0; i < countof(rows); i++)
        if (strcmp(rows[i].name, call_command(call)) == 0) return rows[i].run(arg, call, err);
    return err_set(err, ERR_UNSUPPORTED, "no such request");
}

static void set_up(struct fixture *f) {
    struct err err;
    *f = (struct fixture){.path = xasprintf("%s/control.sock", tmpdir_new()), .served = {.backend = backend_mem_new()}};
    struct control_options o = {.path = f->path, .handle = handle, .arg = &f->served};
    assert_ok(control_open(&o, &f->control, &err), err);
}
static void tear_down(struct fixture *f) {
    control_close(f->control);
    f->served.backend->ops->close(f->served.backend);
    free(f->path);
}

static int dial(struct fixture *f, const char *text) {
    struct err err;
    int fd;
    assert_ok(control_connect(f->path, &fd, &err), err);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    return fd;
}

static void assert_reads(int fd, const char *want) {
    struct buf got = {0};
    char room[4096];
    for (ssize_t n; (n = read(fd, room, sizeof room)) > 0;) buf_put(&got, room, (size_t)n);
    close(fd);
    assert_string_equal(buf_cstr(&got), want);
    buf_done(&got);
}

static void assert_answer(struct fixture *f, const char *request, const char *want) { assert_reads(dial(f, request), want); }

static void produce(struct fixture *f, const char *text, const char *want) {
    int fd = dial(f, text);
    shutdown(fd, SHUT_WR);
    assert_reads(fd, want);
}

#define DONE "{\"done\":true,\"exit\":0}\n"
#define ORDERS_JSON "{\"command\":\"produce\",\"topic\":\"orders\",\"json_lines\":true}\n"

static void fill(struct fixture *f) {
    produce(f, ORDERS_JSON "{\"key\":\"a\",\"value\":{\"n\":1},\"timestamp\":10,\"headers\":[[\"h\",\"x\"]]}\n{\"key\":\"b\",\"value\":null,\"timestamp\":11}\n",
            "{\"topic\":\"orders\",\"produced\":2}\n" DONE);
    produce(f, "{\"command\":\"produce\",\"topic\":\"another\",\"json_lines\":true}\n{\"value\":\"plain\",\"timestamp\":12}",
            "{\"topic\":\"another\",\"produced\":1}\n" DONE);
}
#define ANOTHER_0 "{\"topic\":\"another\",\"partition\":0,\"offset\":0,\"timestamp\":12,\"key\":null,\"value\":\"plain\",\"headers\":[]}\n"
#define ORDERS_0 "{\"topic\":\"orders\",\"partition\":0,\"offset\":0,\"timestamp\":10,\"key\":\"a\",\"value\":{\"n\":1},\"headers\":[[\"h\",\"x\"]]}\n"
#define ORDERS_1 "{\"topic\":\"orders\",\"partition\":0,\"offset\":1,\"timestamp\":11,\"key\":\"b\",\"value\":null,\"headers\":[]}\n"

TEST(what_was_produced_is_consumed_in_topic_and_offset_order) {
    struct fixture f;
    set_up(&f);
    fill(&f);
    assert_answer(&f, "{\"command\":\"consume\",\"regex\":\".*\",\"from_beginning\":true,\"until_end\":true}\n", ANOTHER_0 ORDERS_0 ORDERS_1 DONE);
    assert_answer(&f, "{\"command\":\"consume\",\"regex\":\"ord.*\",\"from_beginning\":true,\"until_end\":true,\"max\":1}\n", ORDERS_0 DONE);
    assert_answer(&f, "{\"command\":\"consume\",\"regex\":\"orders\",\"offset\":1,\"until_end\":true}\n", ORDERS_1 DONE);
    assert_answer(&f, "{\"command\":\"consume\",\"regex\":\"orders\",\"until_end\":true}\n", DONE);
    assert_answer(&f, "{\"command\":\"consume\",\"regex\":\"order\",\"from_beginning\":true,\"until_end\":true}\n", DONE);
    tear_down(&f);
}

TEST(partitions_come_one_after_the_other) {
    struct fixture f;
    set_up(&f);
    assert_answer(&f, "{\"command\":\"topic-create\",\"topic\":\"orders\",\"partitions\":3}\n", DONE);
    for (int i = 0; i < 2; i++)
        produce(&f, ORDERS_JSON "{\"value\":2,\"partition\":2,\"timestamp\":1}\n{\"value\":1,\"partition\":1,\"timestamp\":1}\n{\"value\":0,\"partition\":0,\"timestamp\":1}\n",
                "{\"topic\":\"orders\",\"produced\":3}\n" DONE);
#define LINE(p, o) "{\"topic\":\"orders\",\"partition\":" #p ",\"offset\":" #o ",\"timestamp\":1,\"key\":null,\"value\":" #p ",\"headers\":[]}\n"
    assert_answer(&f, "{\"command\":\"consume\",\"regex\":\"orders\",\"from_beginning\":true,\"until_end\":true}\n",
                  LINE(0, 0) LINE(0, 1) LINE(1, 0) LINE(1, 1) LINE(2, 0) LINE(2, 1) DONE);
    assert_answer(&f, "{\"command\":\"consume\",\"regex\":\"orders\",\"from_beginning\":true,\"until_end\":true,\"partition\":1}\n", LINE(1, 0) LINE(1, 1) DONE);
    tear_down(&f);
}

TEST(a_live_consumer_gets_what_comes_and_ends_at_its_number) {
    struct fixture f;
    set_up(&f);
    fill(&f);
    int fd = dial(&f, "{\"command\":\"consume\",\"regex\":\"orders\",\"from_beginning\":true,\"max\":3}\n");
    char first;
    assert_int_equal(recv(fd, &first, 1, MSG_PEEK), 1); // it has begun
    produce(&f, ORDERS_JSON "{\"value\":\"new\",\"timestamp\":13}\n", "{\"topic\":\"orders\",\"produced\":1}\n" DONE);
    assert_reads(fd, ORDERS_0 ORDERS_1 "{\"topic\":\"orders\",\"partition\":0,\"offset\":2,\"timestamp\":13,\"key\":null,\"value\":\"new\",\"headers\":[]}\n" DONE);
    tear_down(&f);
}

TEST(a_group_goes_on_where_it_stood) {
    struct fixture f;
    set_up(&f);
    fill(&f);
    static const char first[] = "{\"command\":\"consume\",\"regex\":\"orders\",\"group\":\"g\",\"from_beginning\":true,\"max\":1}\n";
    static const char rest[] = "{\"command\":\"consume\",\"regex\":\"orders\",\"group\":\"g\",\"from_beginning\":true,\"until_end\":true}\n";
    assert_answer(&f, first, ORDERS_0 DONE);
    assert_answer(&f, rest, ORDERS_1 DONE);
    assert_answer(&f, rest, DONE);
    tear_down(&f);
}

TEST(plain_lines_get_the_key_that_was_given) {
    struct fixture f;
    set_up(&f);
    produce(&f, "{\"command\":\"produce\",\"topic\":\"t\",\"key\":\"k\"}\nhello\n\nlast", "{\"topic\":\"t\",\"produced\":3}\n" DONE);
    int fd = dial(&f, "{\"command\":\"consume\",\"regex\":\"t\",\"from_beginning\":true,\"until_end\":true}\n");
    struct buf got = {0};
    char room[4096];
    for (ssize_t n; (n = read(fd, room, sizeof room)) > 0;) buf_put(&got, room, (size_t)n);
    close(fd);
    assert_has(buf_cstr(&got), "\"key\":\"k\",\"value\":\"hello\"");
    assert_has(buf_cstr(&got), "\"offset\":1,");
    assert_has(buf_cstr(&got), "\"key\":\"k\",\"value\":\"\"");
    assert_has(buf_cstr(&got), "\"value\":\"last\"");
    buf_done(&got);
    tear_down(&f);
}

TEST(a_line_that_is_wrong_is_named_and_what_came_before_counts) {
    struct fixture f;
    set_up(&f);
    produce(&f, ORDERS_JSON "{\"value\":\"ok\"}\n{\"value\":\n",
            "{\"topic\":\"orders\",\"produced\":1}\n{\"done\":true,\"exit\":1,\"error\":\"line 2: not JSON at byte 9: value expected, input ends\"}\n");
    tear_down(&f);
}

TEST(topics_are_listed_described_and_deleted) {
    struct fixture f;
    set_up(&f);
    fill(&f);
    struct buf got = {0};
    char room[4096];
    int fd = dial(&f, "{\"command\":\"topics\"}\n");
    for (ssize_t n; (n = read(fd, room, sizeof room)) > 0;) buf_put(&got, room, (size_t)n);
    close(fd);
    assert_has(buf_cstr(&got), "{\"name\":\"orders\",\"partitions\":1,\"records\":2,");
    buf_clear(&got);
    fd = dial(&f, "{\"command\":\"topics\",\"topic\":\"orders\"}\n");
    for (ssize_t n; (n = read(fd, room, sizeof room)) > 0;) buf_put(&got, room, (size_t)n);
    close(fd);
    assert_has(buf_cstr(&got), "{\"name\":\"orders\",\"partitions\":[{\"partition\":0,\"log_start\":0,\"high_watermark\":2,");
    buf_done(&got);
    assert_answer(&f, "{\"command\":\"topics\",\"topic\":\"order\"}\n", "{\"done\":true,\"exit\":1,\"error\":\"there is no topic order\",\"hint\":\"did you mean orders?\"}\n");
    assert_answer(&f, "{\"command\":\"topic-create\",\"topic\":\"orders\"}\n", "{\"done\":true,\"exit\":1,\"error\":\"topic orders is there already\"}\n");
    assert_answer(&f, "{\"command\":\"topic-delete\",\"topic\":\"orders\"}\n", DONE);
    assert_answer(&f, "{\"command\":\"topic-delete\",\"topic\":\"orders\"}\n", "{\"done\":true,\"exit\":1,\"error\":\"there is no topic orders\",\"hint\":\"connectd topics lists them\"}\n");
    tear_down(&f);
}

TEST(a_pattern_that_is_wrong_is_refused) {
    struct fixture f;
    set_up(&f);
    assert_answer(&f, "{\"command\":\"consume\",\"regex\":\"a(\",\"until_end\":true}\n",
                  "{\"done\":true,\"exit\":1,\"error\":\"pattern 'a(' is wrong at character 3: missing closing parenthesis\"}\n");
    tear_down(&f);
}

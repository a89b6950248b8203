// SPDX-License-Identifier: Apache-2.0
// The engines under test: CASE(name) defines a case over `b` and `engine` and registers it once for each engine.
#ifndef BACKEND_ENGINES_H
#define BACKEND_ENGINES_H

#include "test.h"

#include "backend/backend.h"

struct engine {
    struct backend *(*open)(void);
    void (*close)(struct backend *b);
    void (*fill_disk)(struct backend *b, bool on); // commits answer NOSPACE while on; NULL: can not
};
extern const struct engine engine_memory, engine_embedded, engine_packed; // packed: embedded, batches compressed

static inline void engine_run(const struct engine *e, void (*run)(const struct engine *, struct backend *)) {
    struct backend *b = e->open();
    run(e, b);
    e->close(b);
}

#define CASE(name)                                                                                                     \
    static void name(const struct engine *engine, struct backend *b);                                                  \
    TEST(memory_##name) {                                                                                              \
        (void)state;                                                                                                   \
        engine_run(&engine_memory, name);                                                                              \
    }                                                                                                                  \
    TEST(embedded_##name) {                                                                                            \
        (void)state;                                                                                                   \
        engine_run(&engine_embedded, name);                                                                            \
    }                                                                                                                  \
    TEST(packed_##name) {                                                                                              \
        (void)state;                                                                                                   \
        engine_run(&engine_packed, name);                                                                              \
    }                                                                                                                  \
    static void name(__attribute__((unused)) const struct engine *engine, struct backend *b)

#endif

// SPDX-License-Identifier: Apache-2.0
#include "runtime/stack.h"

#include <errno.h>
#include <execinfo.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/thread.h"

enum { FRAMES = 48, OWN_FRAMES = 2 }; // the handler and the kernel's return to it

static int stack_signal(void) { return SIGRTMIN + 4; }

// One question at a time; a late answer to an earlier one finds nobody waiting and writes nothing.
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static sem_t answered;
static void *frames[FRAMES];
static _Atomic int frame_count;
static _Atomic pthread_t waiting_for; // 0: for nobody

static void on_signal(int sig) {
    (void)sig;
    int saved = errno;
    pthread_t self = pthread_self();
    if (atomic_compare_exchange_strong(&waiting_for, &self, 0)) {
        atomic_store(&frame_count, backtrace(frames, FRAMES));
        sem_post(&answered);
    }
    errno = saved;
}

static void setup(void) {
    void *warm[2];
    backtrace(warm, 2); // loads libgcc now, not in the handler
    sem_init(&answered, 0, 0);
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&a.sa_mask);
    sigaction(stack_signal(), &a, NULL);
}

void stack_thread(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, setup);
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, stack_signal());
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
}

static bool wait_answer(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 200000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int r;
    while ((r = sem_timedwait(&answered, &until)) != 0 && errno == EINTR) {}
    return r == 0;
}

bool stack_of(pthread_t thread, struct buf *out) {
    LOCK_SCOPE(&one);
    atomic_store(&waiting_for, thread);
    bool ok = pthread_kill(thread, stack_signal()) == 0 && wait_answer();
    // An answer that is under way after all is waited for: it writes to `frames`.
    if (!ok && atomic_exchange(&waiting_for, 0) == 0) ok = wait_answer();
    if (!ok) return false;
    int n = atomic_load(&frame_count);
    char **names = backtrace_symbols(frames, n);
    for (int i = OWN_FRAMES; names && i < n; i++) buf_printf(out, "%s\n", names[i]);
    free(names);
    return true;
}

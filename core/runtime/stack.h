// SPDX-License-Identifier: Apache-2.0
// The stack of another thread of this process, by a signal it handles: for calls that do not return.
//
// stack_thread is called once by each thread whose stack may be asked for. Thread-safe.
#ifndef RUNTIME_STACK_H
#define RUNTIME_STACK_H

#include <pthread.h>

#include "base/buf.h"

void stack_thread(void); // lets the signal through on this thread
// Appends one line a frame. False when the thread did not answer within 200 ms. The thread must be alive.
bool stack_of(pthread_t thread, struct buf *out);

#endif

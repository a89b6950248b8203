/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks nothing. */
#include "good_sink.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: strings are UTF-8. */
#define VALUE(t, b, record) cn_set_value(b, record, cn_string(b, "caf\xe9", 4), CN_NO_SCHEMA)
#include "good_source.h"

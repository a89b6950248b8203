/* SPDX-License-Identifier: Apache-2.0 */
/* The table of extension "connectd.build/1", for hosts. Static, never freed, thread-safe. */
#ifndef CONNECTD_SDK_BUILD_TABLE_H
#define CONNECTD_SDK_BUILD_TABLE_H

#include <connectd/ext/build.h>

const struct cn_build *cn_build_table(void);

#endif

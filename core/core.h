// SPDX-License-Identifier: Apache-2.0
// What the program is called and which version it is.
#ifndef CORE_CORE_H
#define CORE_CORE_H

const char *connectd_version(void); // "0.1.0"

#endif

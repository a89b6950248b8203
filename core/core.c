// SPDX-License-Identifier: Apache-2.0
#include "core.h"

#include <connectd/version.h>

const char *connectd_version(void) { return CN_VERSION; }

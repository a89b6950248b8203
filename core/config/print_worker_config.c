// SPDX-License-Identifier: Apache-2.0
// Writes configs/connectd.yaml from the table of worker options: `ninja update-connectd-yaml`.
#include <stdio.h>

#include "config/worker_config.h"

int main(void) {
    struct buf out = {0};
    worker_config_print(&out);
    fwrite(out.p, 1, out.n, stdout);
    buf_done(&out);
    return ferror(stdout) ? 1 : 0;
}

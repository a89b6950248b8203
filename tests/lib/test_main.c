// SPDX-License-Identifier: Apache-2.0
// main of every test program that registers cases with TEST.
#include <stdio.h>

#include "test_int.h"

// Keeps the cases whose names contain `part`.
static void select_cases(const char *part) {
    size_t kept = 0;
    for (size_t i = 0; i < test_list.n; i++)
        if (strstr(test_list.cases[i].name, part)) test_list.cases[kept++] = test_list.cases[i];
    test_list.n = kept;
}

int main(int argc, char **argv) {
    const char *slash = strrchr(argv[0], '/');
    if (argc > 1 && !strcmp(argv[1], "-l")) {
        for (size_t i = 0; i < test_list.n; i++) puts(test_list.cases[i].name);
        return 0;
    }
    if (argc > 1) select_cases(argv[1]);
    if (!test_list.n) {
        fputs("no case is called so\n", stderr);
        return 2;
    }
    return _cmocka_run_group_tests(slash ? slash + 1 : argv[0], test_list.cases, test_list.n, NULL, NULL) ? 1 : 0;
}

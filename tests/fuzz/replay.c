// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over files instead of under libFuzzer: every file of the folders (or every file) given, in order.
//
// So each target's corpus is an ordinary test, with and without sanitizers. A folder that does not exist is empty.
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        if (f) fclose(f);
        return 1;
    }
    // Exactly as large as the input, so that a sanitizer sees a read past its end.
    uint8_t *data = malloc(st.st_size ? (size_t)st.st_size : 1);
    size_t n = data ? fread(data, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    replayed++;
    return 0;
}

static int is_visible(const struct dirent *d) { return d->d_name[0] != '.'; }

static int replay_folder(const char *dir) {
    struct dirent **names;
    int n = scandir(dir, &names, is_visible, alphasort), failed = 0;
    if (n < 0) return errno == ENOENT ? 0 : 1;
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
        free(names[i]);
        failed |= replay_file(path);
    }
    free(names);
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        bool file = !stat(argv[i], &st) && !S_ISDIR(st.st_mode);
        failed |= file ? replay_file(argv[i]) : replay_folder(argv[i]);
    }
    printf("%u inputs\n", replayed);
    return failed;
}

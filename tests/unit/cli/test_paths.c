// SPDX-License-Identifier: Apache-2.0
#include "cli/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"
#include "tmpdir.h"

static void no_environment(void) {
    unsetenv("CONNECTD_DATA");
    unsetenv("STATE_DIRECTORY");
    unsetenv("RUNTIME_DIRECTORY");
}

static void assert_data(const char *given, const char *configured, const char *want) {
    struct buf out = {0};
    paths_data(given, configured, &out);
    assert_buf(&out, want);
    buf_done(&out);
}

TEST(the_data_folder_is_the_first_that_somebody_names) {
    no_environment();
    assert_data(NULL, NULL, "connectd-data");
    setenv("STATE_DIRECTORY", "/var/lib/connectd:/var/lib/other", 1);
    assert_data(NULL, NULL, "/var/lib/connectd");
    setenv("CONNECTD_DATA", "/mine", 1);
    assert_data(NULL, NULL, "/mine");
    assert_data(NULL, "/configured", "/configured");
    assert_data("/given", "/configured", "/given");
}

TEST(the_daemon_binds_where_systemd_or_the_data_folder_is) {
    struct buf out = {0};
    no_environment();
    paths_control(NULL, "/data", &out);
    assert_buf(&out, "/data/control.sock");
    setenv("RUNTIME_DIRECTORY", "/run/connectd", 1);
    paths_control(NULL, "/data", &out);
    assert_buf(&out, "/run/connectd/control.sock");
    paths_control("/else/where", "/data", &out);
    assert_buf(&out, "/else/where");
    buf_done(&out);
}

TEST(a_command_looks_where_it_is_told_and_else_where_there_is_a_socket) {
    struct buf out = {0};
    const char *dir = tmpdir_new();
    char want[300];
    no_environment();
    paths_control_of_client(NULL, "/data", &out);
    assert_buf(&out, "/data/control.sock");
    paths_control_of_client("/sock", "/data", &out);
    assert_buf(&out, "/sock");
    setenv("RUNTIME_DIRECTORY", dir, 1);
    tmpdir_file(dir, "control.sock", "");
    snprintf(want, sizeof want, "%s/control.sock", dir);
    paths_control_of_client(NULL, NULL, &out);
    assert_buf(&out, want);
    setenv("CONNECTD_DATA", "/mine", 1);
    paths_control_of_client(NULL, NULL, &out);
    assert_buf(&out, "/mine/control.sock");
    buf_done(&out);
    no_environment();
}

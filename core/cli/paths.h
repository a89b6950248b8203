// SPDX-License-Identifier: Apache-2.0
// Where things are when nobody says: the data folder, the control socket, connectd.yaml, plugins.
#ifndef CLI_PATHS_H
#define CLI_PATHS_H

#include "base/buf.h"

#define CONFIG_DEFAULT "/etc/connectd/connectd.yaml"

// The data folder: `given` (--data), `configured` (connectd.yaml), $CONNECTD_DATA, $STATE_DIRECTORY, ./connectd-data.
void paths_data(const char *given, const char *configured, struct buf *out);
// The socket a daemon binds: `configured`, $RUNTIME_DIRECTORY/control.sock, DATA/control.sock. DATA/control.sock always leads to it.
void paths_control(const char *configured, const char *data_dir, struct buf *out);
// The socket a command connects to: `given` (--control); DATA/control.sock for --data or $CONNECTD_DATA; else the first there is of
// $RUNTIME_DIRECTORY/control.sock, /run/connectd/control.sock, ./connectd-data/control.sock.
void paths_control_of_client(const char *given, const char *data_dir, struct buf *out);
// Folders of plugins: the installed ones, or, for a binary in a build folder, BUILD/plugins.
size_t paths_plugins(char **ret, size_t max);

#endif

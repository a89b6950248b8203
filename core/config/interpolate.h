// SPDX-License-Identifier: Apache-2.0
// Secret references in option values, resolved when a connector starts and never stored or shown resolved.
//
//   ${env:VAR}              an environment variable of the daemon
//   ${file:NAME}            a whole file in the secrets folder, without its last newline
//   ${file:/path:key}       a key of a properties file, as Kafka Connect's FileConfigProvider
//   ${directory:/dir:name}  a whole file, as Kafka Connect's DirectoryConfigProvider
//   ${credential:NAME}      from systemd (LoadCredential=), in $CREDENTIALS_DIRECTORY
//   $${                     a literal ${
// `${topic}` and the like, without a colon, are left alone: they are templates of transforms.
#ifndef CONFIG_INTERPOLATE_H
#define CONFIG_INTERPOLATE_H

#include "base/buf.h"
#include "base/err.h"

struct secret_places {
    const char *secrets_dir;     // of ${file:NAME}; NULL: there is none
    const char *credentials_dir; // NULL: $CREDENTIALS_DIRECTORY
};

bool interpolate_has_reference(struct str text); // also an unknown provider's
bool interpolate_is_reference(struct str text);  // one reference and nothing else
int interpolate_check(struct str text, struct err *err) MUST_USE; // reads nothing: that every provider is known
// Appends the text with every reference replaced. Errors name the reference, never a value.
int interpolate(const struct secret_places *from, struct str text, struct buf *ret, struct err *err) MUST_USE;

#endif

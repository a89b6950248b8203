/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where versions stand; CMake reads CN_VERSION from here. */
#ifndef CONNECTD_VERSION_H
#define CONNECTD_VERSION_H

#define CN_VERSION "0.1.0"

/* The ABI of connectd_plugin_v1. Within a major, structs only grow at their end and old plugins keep loading; 0 is a
   draft: until 1.0 the major stays 0 and a minor may break with a note in CHANGELOG.md. */
#define CN_ABI_MAJOR 0
#define CN_ABI_MINOR 1

#endif

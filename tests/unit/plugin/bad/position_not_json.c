/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: positions are JSON objects. */
#define OFFSET "next=%lld"
#include "good_source.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* A transform in C++: puts a greeting in front of values that are text. Exceptions stay inside. Build it with
 *   c++ -shared -fPIC hello-transform.cpp -o hello-transform.so $(pkg-config --cflags connectd) */
#include <connectd/sdk.h>

#include <exception>
#include <string>

namespace {

struct hello {
    cn_host *host;
    const char *greeting; // option
    std::string text;
};

// offsetof wants a plain struct: options are bound into one, and taken over from there.
struct hello_options {
    const char *greeting;
};
const cn_option options[] = {
    CN_STR("greeting", struct hello_options, greeting, "hello, ", 0, "Hello", "What to put in front."),
};

int hello_open(cn_host *h, void **ret) {
    hello_options o{};
    if (CN_BIND(h, options, &o) != 0) return -1;
    *ret = new (std::nothrow) hello{h, o.greeting, {}};
    return *ret ? 0 : cn_failf(h, CN_FAIL_TRANSIENT, nullptr, "out of memory");
}

int hello_apply(void *self, cn_batch *b, uint32_t record) {
    auto *t = static_cast<hello *>(self);
    const cn_cell value = cn_record_at(b, record)->value;
    if (value.type != CN_STRING) return CN_KEEP;
    try {
        t->text.assign(t->greeting).append(cn_bytes_at(b, value.u.at), value.n);
    } catch (const std::exception &e) {
        return cn_fail_recordf(t->host, record, nullptr, "%s", e.what());
    }
    cn_set_value(b, record, cn_string(b, t->text.data(), t->text.size()), CN_NO_SCHEMA);
    return CN_KEEP;
}

void hello_close(void *self) { delete static_cast<hello *>(self); }

const cn_transform_ops ops = {sizeof ops, 0, nullptr, hello_open, hello_apply, hello_close};
CN_COMPONENT(component, CN_TRANSFORM, "Hello", nullptr, "Greets every text", options, ops);

} // namespace

CN_PLUGIN("hello-transform", "1.0.0", "The connectd authors", "Apache-2.0", nullptr, &component)

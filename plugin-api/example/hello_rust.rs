// SPDX-License-Identifier: Apache-2.0
//! A source in Rust without crates: counts in its topic, and after a restart goes on where it was. Build it with
//!   rustc --crate-type cdylib -C panic=abort hello_rust.rs -o hello-rust.so
//!
//! The structs below are the part of connectd/*.h it uses. Batches are built through the extension "connectd.build/1",
//! which gives the header's inline functions as a table.
#![allow(non_camel_case_types)]
use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_ulong, c_void};
use std::ptr::null;

/// A terminated text, for C.
macro_rules! c {
    ($text:expr) => {
        concat!($text, "\0").as_ptr() as *const c_char
    };
}

// ── connectd/host.h, plugin.h, record.h, ext/build.h: only what is called has a type, the rest keeps its place ──
type Slot = *const c_void;

#[repr(C)]
struct cn_host {
    ops: *const cn_host_ops,
}
#[repr(C)]
struct cn_host_ops {
    struct_size: u32,
    reserved: u32,
    config: Slot,
    connector_name: Slot,
    task_index: Slot,
    task_count: Slot,
    log: Slot,
    fail: unsafe extern "C" fn(*mut cn_host, c_int, *const c_char, *const c_char, u32),
    progress: Slot,
    metric: Slot,
    now_us: Slot,
    monotonic_ms: Slot,
    wake_fd: unsafe extern "C" fn(*mut cn_host) -> c_int,
    stopping: Slot,
    settle: Slot,
    spool_dir: Slot,
    spool_account: Slot,
    listen: Slot,
    schema_put: Slot,
    schema_get: Slot,
    extension: unsafe extern "C" fn(*mut cn_host, *const c_char) -> *const c_void,
}
#[repr(C)]
struct cn_batch {
    _opaque: [u8; 0],
}
#[repr(C)]
struct cn_stored_position {
    partition: *const c_char,
    offset: *const c_char,
}
#[repr(C, align(8))]
#[derive(Default)]
struct cn_cell {
    kind: u8,
    reserved: [u8; 3],
    n: u32,
    value: i64,
}
#[repr(C)]
struct cn_build {
    struct_size: u32,
    reserved: u32,
    alloc: Slot,
    text: Slot,
    topic: unsafe extern "C" fn(*mut cn_batch, *const c_void, u64) -> u32,
    schema_use: Slot,
    record: unsafe extern "C" fn(*mut cn_batch, u32) -> u32,
    cells: Slot,
    string: unsafe extern "C" fn(*mut cn_batch, *const c_void, u64, *mut cn_cell),
    bytes: Slot,
    set: Slot,
    set_key: Slot,
    set_value: unsafe extern "C" fn(*mut cn_batch, u32, *const cn_cell, u16),
    set_timestamp: Slot,
    set_partition: Slot,
    header_add: Slot,
    position: unsafe extern "C" fn(*mut cn_batch, *const c_char, *const c_char),
}
#[repr(C)]
struct cn_source_ops {
    struct_size: u32,
    reserved: u32,
    plan: Slot,
    validate: Slot,
    check: Slot,
    open: unsafe extern "C" fn(*mut cn_host, *const cn_stored_position, u32, *mut *mut c_void) -> c_int,
    poll: unsafe extern "C" fn(*mut c_void, *mut cn_batch, u32) -> c_int,
    committed: Slot,
    tick: Slot,
    close: unsafe extern "C" fn(*mut c_void),
}
#[repr(C)]
struct cn_component {
    struct_size: u32,
    kind: u32,
    name: *const c_char,
    aliases: *const c_char,
    summary: *const c_char,
    options: Slot,
    option_count: u32,
    option_size: u32,
    ops: *const cn_source_ops,
}
#[repr(C)]
struct cn_plugin {
    struct_size: u32,
    abi_major: u16,
    abi_minor: u16,
    name: *const c_char,
    version: *const c_char,
    author: *const c_char,
    license: *const c_char,
    home: *const c_char,
    components: *const Component,
    component_count: u32,
    reserved: u32,
    extension: Slot,
}
const CN_SOURCE: u32 = 1;
const CN_POLL_OK: c_int = 0;
const CN_POLL_IDLE: c_int = 1;
const CN_FAIL_BUG: c_int = 6;
const CN_NO_SCHEMA: u16 = u16::MAX;

#[repr(C)]
struct pollfd {
    fd: c_int,
    events: i16,
    revents: i16,
}
extern "C" {
    fn poll(fds: *mut pollfd, n: c_ulong, timeout: c_int) -> c_int;
}

// ── the source ──
struct Hello {
    host: *mut cn_host,
    build: *const cn_build,
    next: u64,
}
const COUNT: u64 = 100;

/// The number of `{"next":N}`.
fn parse_next(json: &str) -> Option<u64> {
    json.strip_prefix("{\"next\":")?.strip_suffix('}')?.parse().ok()
}

unsafe extern "C" fn open(h: *mut cn_host, positions: *const cn_stored_position, n: u32, ret: *mut *mut c_void) -> c_int {
    let build = ((*(*h).ops).extension)(h, c!("connectd.build/1")) as *const cn_build;
    if build.is_null() {
        ((*(*h).ops).fail)(h, CN_FAIL_BUG, c!("this connectd lacks the extension connectd.build/1"), null(), 0);
        return -1;
    }
    let mut next = 0;
    if n > 0 {
        let offset = CStr::from_ptr((*positions).offset).to_str().unwrap_or("");
        next = parse_next(offset).unwrap_or(0);
    }
    *ret = Box::into_raw(Box::new(Hello { host: h, build, next })) as *mut c_void;
    0
}

unsafe extern "C" fn source_poll(task: *mut c_void, b: *mut cn_batch, timeout_ms: u32) -> c_int {
    let t = &mut *(task as *mut Hello);
    let build = &*t.build;
    if t.next == COUNT {
        let mut wake = pollfd { fd: ((*(*t.host).ops).wake_fd)(t.host), events: 1, revents: 0 };
        poll(&mut wake, 1, timeout_ms as c_int);
        return CN_POLL_IDLE;
    }
    let text = format!("hello from Rust {}", t.next);
    let mut value = cn_cell::default();
    t.next += 1;
    let offset = format!("{{\"next\":{}}}\0", t.next);
    let record = (build.record)(b, (build.topic)(b, "hello-rust".as_ptr() as *const c_void, 10));
    (build.string)(b, text.as_ptr() as *const c_void, text.len() as u64, &mut value);
    (build.set_value)(b, record, &value, CN_NO_SCHEMA);
    (build.position)(b, c!("{\"source\":\"hello-rust\"}"), offset.as_ptr() as *const c_char);
    CN_POLL_OK
}

unsafe extern "C" fn close(task: *mut c_void) {
    drop(Box::from_raw(task as *mut Hello));
}

// ── the descriptor: static and immutable, so it may be shared ──
unsafe impl Sync for cn_source_ops {}
unsafe impl Sync for cn_component {}
unsafe impl Sync for cn_plugin {}
#[repr(transparent)]
struct Component(*const cn_component);
unsafe impl Sync for Component {}

static OPS: cn_source_ops = cn_source_ops {
    struct_size: std::mem::size_of::<cn_source_ops>() as u32,
    reserved: 0,
    plan: null(),
    validate: null(),
    check: null(),
    open,
    poll: source_poll,
    committed: null(),
    tick: null(),
    close,
};
static COMPONENT: cn_component = cn_component {
    struct_size: std::mem::size_of::<cn_component>() as u32,
    kind: CN_SOURCE,
    name: c!("hello-rust"),
    aliases: null(),
    summary: c!("Says hello from Rust"),
    options: null(),
    option_count: 0,
    option_size: 0,
    ops: &OPS,
};
static COMPONENTS: [Component; 1] = [Component(&COMPONENT)];
static PLUGIN: cn_plugin = cn_plugin {
    struct_size: std::mem::size_of::<cn_plugin>() as u32,
    abi_major: 0,
    abi_minor: 1,
    name: c!("hello-rust"),
    version: c!("1.0.0"),
    author: c!("The connectd authors"),
    license: c!("Apache-2.0"),
    home: null(),
    components: COMPONENTS.as_ptr(),
    component_count: 1,
    reserved: 0,
    extension: null(),
};

#[no_mangle]
pub extern "C" fn connectd_plugin_v1() -> *const c_void {
    &PLUGIN as *const cn_plugin as *const c_void
}

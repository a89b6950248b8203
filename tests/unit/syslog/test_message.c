// SPDX-License-Identifier: Apache-2.0
// Messages as real senders write them, and what is made of each. One line a message:
//
//   facility.severity format time host app procid msgid [structured data] "text" !error
//
// "-" is an absent field; a '~' behind the time says that part of it was guessed, a time in parentheses that it names no moment.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "message.h"
#include "test.h"

static const int64_t now_us = 1768046400000000; // 2026-01-10T12:00:00Z

static void put_slice(char *to, size_t cap, struct slice s) {
    size_t n = strlen(to);
    if (!s.p) snprintf(to + n, cap - n, " -");
    else snprintf(to + n, cap - n, " %.*s", (int)s.n, s.p);
}

static void put_when(char *to, size_t cap, const struct when *w) {
    size_t n = strlen(to);
    if (!w->known) {
        if (w->text.p) snprintf(to + n, cap - n, " (%.*s)", (int)w->text.n, w->text.p);
        else snprintf(to + n, cap - n, " -");
        return;
    }
    struct tm tm;
    time_t s = (time_t)((w->us - ((w->us % 1000000) + 1000000) % 1000000) / 1000000);
    gmtime_r(&s, &tm);
    char date[64];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t us = ((w->us % 1000000) + 1000000) % 1000000;
    if (us) snprintf(to + n, cap - n, " %s.%06lld%s", date, (long long)us, w->guessed ? "~" : "");
    else snprintf(to + n, cap - n, " %s%s", date, w->guessed ? "~" : "");
}

static void put_data(char *to, size_t cap, const struct message *m) {
    for (unsigned i = 0; i < m->element_count; i++) {
        size_t n = strlen(to);
        const struct sd_element *e = &m->elements[i];
        snprintf(to + n, cap - n, "%s[%.*s", i ? "" : " ", (int)e->id.n, e->id.p);
        for (unsigned k = 0; k < e->count; k++) {
            const struct sd_param *p = &m->params[e->first + k];
            n = strlen(to);
            snprintf(to + n, cap - n, " %.*s=%.*s", (int)p->name.n, p->name.p, (int)p->value.n, p->value.p);
        }
        n = strlen(to);
        snprintf(to + n, cap - n, "]");
    }
}

static char *shown_n(const char *text, size_t length, struct zone *zone) {
    static struct message m;
    static char out[8192];
    static const char *const names[] = {"?", "3164", "5424"};
    message_parse(&m, text, length, now_us, zone);
    if (m.priority < 0) snprintf(out, sizeof out, "- %s", names[m.format]);
    else snprintf(out, sizeof out, "%d.%d %s", m.priority >> 3, m.priority & 7, names[m.format]);
    put_when(out, sizeof out, &m.when);
    put_slice(out, sizeof out, m.hostname);
    put_slice(out, sizeof out, m.app);
    put_slice(out, sizeof out, m.procid);
    put_slice(out, sizeof out, m.msgid);
    put_data(out, sizeof out, &m);
    size_t n = strlen(out);
    snprintf(out + n, sizeof out - n, " \"%.*s\"", (int)m.text.n, m.text.p ? m.text.p : "");
    n = strlen(out);
    if (m.error) snprintf(out + n, sizeof out - n, " !%s@%u", m.error, m.error_at);
    return out;
}

// From an allocation of exactly that size, so that a sanitizer sees a read past the end.
static char *shown(const char *text, struct zone *zone) {
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1), *out;
    memcpy(copy, text, n);
    out = shown_n(copy, n, zone);
    free(copy);
    return out;
}

struct row { const char *text, *want; };

static void check(const struct row *rows, size_t n, const char *zone_name) {
    struct zone zone;
    assert_int_equal(zone_parse(&zone, zone_name), 0);
    unsigned wrong = 0;
    for (size_t i = 0; i < n; i++) {
        const char *got = shown(rows[i].text, &zone);
        if (strcmp(got, rows[i].want) == 0) continue;
        wrong++;
        print_error("%s\n  want %s\n  got  %s\n", rows[i].text, rows[i].want, got);
    }
    assert_int_equal(wrong, 0);
}
#define CHECK(rows, zone) check(rows, sizeof(rows) / sizeof *(rows), zone)

TEST(rfc_5424_messages_give_their_fields) {
    static const struct row rows[] = {
        {"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed for lonvick on /dev/pts/8",
         "4.2 5424 2003-10-11T22:14:15.003000 mymachine.example.com su - ID47 \"'su root' failed for lonvick on /dev/pts/8\""},
        {"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
         "20.5 5424 2003-08-24T12:14:15.000003 192.0.2.1 myproc 8710 - \"%% It's time to make the do-nuts.\""},
        {"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=\"3\" eventSource=\"Application\" eventID=\"1011\"] \xef\xbb\xbf" "An application event",
         "20.5 5424 2003-10-11T22:14:15.003000 mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=3 eventSource=Application eventID=1011] \"An application event\""},
        {"<165>1 2003-10-11T22:14:15.003Z m e - ID47 [a@1 iut=\"3\"][b@1 class=\"high\"]",
         "20.5 5424 2003-10-11T22:14:15.003000 m e - ID47 [a@1 iut=3][b@1 class=high] \"\""},
        {"<0>1 - - - - - -", "0.0 5424 - - - - - \"\""},
        {"<191>1 - - - - - - x", "23.7 5424 - - - - - \"x\""},
        {"<14>12 - host app - - - version of two digits", "1.6 5424 - host app - - \"version of two digits\""},
        {"<14>1 - host app - - -", "1.6 5424 - host app - - \"\""},
        {"<14>1 2026-01-01T00:00:00Z host app 1 header-only", "1.6 5424 2026-01-01T00:00:00 host app 1 header-only \"\""},
        {"<14>1 2026-01-01T00:00:00Z host", "1.6 5424 2026-01-01T00:00:00 host - - - \"\" !header ends early@31"},
        {"<14>1 2026-01-01T00:00:00Z host app main-thread m - procid not a number", "1.6 5424 2026-01-01T00:00:00 host app main-thread m \"procid not a number\""},
        {"<14>1 2026-01-01T00:00:00Z host app 1 m - app[12]: 3164 inside", "1.6 5424 2026-01-01T00:00:00 host app 1 m \"app[12]: 3164 inside\""},
        {"<14>1 2026-01-01T00:00:00Z host app 1 m - BOM", "1.6 5424 2026-01-01T00:00:00 host app 1 m \"BOM\""},
    };
    CHECK(rows, "UTC");
}

TEST(structured_data_is_read_as_senders_write_it) {
    static const struct row rows[] = {
        {"<14>1 - h a - - [x] no params", "1.6 5424 - h a - - [x] \"no params\""},
        {"<14>1 - h a - - [] empty", "1.6 5424 - h a - - [] \"empty\""},
        {"<14>1 - h a - - [x a=\"1\"] [not data] text", "1.6 5424 - h a - - [x a=1] \"[not data] text\""},
        {"<14>1 - h a - - [x a=\"1\" a=\"2\"][x a=\"3\"] same names", "1.6 5424 - h a - - [x a=1 a=2][x a=3] \"same names\""},
        {"<14>1 - h a - - [x a=\"q\\\"b\\\\c\\]d\"] escapes", "1.6 5424 - h a - - [x a=q\\\"b\\\\c\\]d] \"escapes\""},
        {"<14>1 - h a - - [x a=\"1]2\" b=\"z\"] bracket not escaped", "1.6 5424 - h a - - [x a=1]2 b=z] \"bracket not escaped\""},
        {"<14>1 - h a - - [x a=\"say \"hi\"!\" b=\"2\"] quote not escaped", "1.6 5424 - h a - - [x a=say \"hi\"! b=2] \"quote not escaped\""},
        {"<14>1 - h a - - [an-id-that-is-longer-than-the-thirty-two-allowed a=\"1\"] x", "1.6 5424 - h a - - [an-id-that-is-longer-than-the-thirty-two-allowed a=1] \"x\""},
        // VMware ESXi, every version
        {"<166>1 2023-04-12T08:13:45.123Z esx01 Hostd 2099 - [Originator@6876 sub=Vpxa opID=abc-12 user=root] text",
         "20.6 5424 2023-04-12T08:13:45.123000 esx01 Hostd 2099 - [Originator@6876 sub=Vpxa opID=abc-12 user=root] \"text\""},
        // F5: a colon behind the message id
        {"<134>1 2020-11-05T18:03:57+01:00 bigip tmm1 11213 01230140: - RST sent", "16.6 5424 2020-11-05T17:03:57 bigip tmm1 11213 01230140: \"RST sent\""},
        {"<14>1 - h a - - no data at all", "1.6 5424 - h a - - \"no data at all\" !structured data is missing@16"},
        {"<14>1 - h a - - [x a=\"1 never closed", "1.6 5424 - h a - - \"[x a=\"1 never closed\" !structured data is malformed@36"},
        {"<14>1 - h a - - [error: it failed] text", "1.6 5424 - h a - - \"[error: it failed] text\" !structured data is malformed@26"},
        {"<14>1 - h a - - [x a=\"1\"]text without the space", "1.6 5424 - h a - - [x a=1] \"text without the space\""},
    };
    CHECK(rows, "UTC");
}

TEST(more_structured_data_than_is_read_stays_text) {
    char text[8192];
    struct zone zone = {0};
    size_t n = (size_t)sprintf(text, "<14>1 - h a - - [x");
    for (int i = 0; i < 300; i++) n += (size_t)sprintf(text + n, " a%d=\"%d\"", i, i);
    sprintf(text + n, "] m");
    const char *got = shown(text, &zone);
    assert_non_null(strstr(got, "\"[x a0=\"0\" a1="));
    assert_non_null(strstr(got, "!more structured data than 64 elements or 256 parameters@"));
}

TEST(timestamps_of_5424_keep_what_they_lose) {
    static const struct row rows[] = {
        {"<14>1 2026-01-01T00:00:00.123456789Z h a - - - x", "1.6 5424 2026-01-01T00:00:00.123456~ h a - - \"x\""},
        {"<14>1 2026-01-01T00:00:00.123456000Z h a - - - x", "1.6 5424 2026-01-01T00:00:00.123456 h a - - \"x\""},
        {"<14>1 2026-01-01T00:00:00.1234567890123456789012345678901234567890123456789012345678901Z h a - - - x", "1.6 5424 2026-01-01T00:00:00.123456~ h a - - \"x\""},
        {"<14>1 2026-01-01T00:00:00 h a - - - no zone", "1.6 5424 2026-01-01T00:00:00~ h a - - \"no zone\""},
        {"<14>1 2026-01-01t00:00:00z h a - - - small letters", "1.6 5424 2026-01-01T00:00:00 h a - - \"small letters\""},
        {"<14>1 2026-01-01T00:00:00+0530 h a - - - x", "1.6 5424 2025-12-31T18:30:00 h a - - \"x\""},
        {"<14>1 2016-12-31T23:59:60Z h a - - - leap second", "1.6 5424 2017-01-01T00:00:00~ h a - - \"leap second\""},
        {"<14>1 2024-02-29T00:00:00Z h a - - - x", "1.6 5424 2024-02-29T00:00:00 h a - - \"x\""},
        {"<14>1 2023-02-29T00:00:00Z h a - - - no such day", "1.6 5424 (2023-02-29T00:00:00Z) h a - - \"no such day\" !timestamp is not RFC 3339@6"},
        {"<14>1 2026-13-01T00:00:00Z h a - - - x", "1.6 5424 (2026-13-01T00:00:00Z) h a - - \"x\" !timestamp is not RFC 3339@6"},
        {"<14>1 2026-01-01T25:00:00Z h a - - - x", "1.6 5424 (2026-01-01T25:00:00Z) h a - - \"x\" !timestamp is not RFC 3339@6"},
        {"<14>1 1969-12-31T23:59:59.5Z h a - - - x", "1.6 5424 1969-12-31T23:59:59.500000 h a - - \"x\""},
    };
    CHECK(rows, "UTC");
}

TEST(rfc_3164_messages_give_their_fields) {
    static const struct row rows[] = {
        {"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8", "4.2 3164 2025-10-11T22:14:15~ mymachine su - - \"'su root' failed for lonvick on /dev/pts/8\""},
        {"<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", "1.5 3164 2026-02-05T17:32:18~ 10.0.0.99 - - - \"Use the BFG!\""},
        {"<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time", "20.5 3164 1987-08-24T05:34:00~ mymachine myproc 10 - \"%% It's time\""},
        {"<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!", "0.0 3164 1990-10-22T10:52:01~ TZ-6 - - - \"scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!\""},
        {"<86>Jan  5 10:00:01 web1 sshd[1234]: Accepted publickey", "10.6 3164 2026-01-05T10:00:01~ web1 sshd 1234 - \"Accepted publickey\""},
        {"<22>Jan  5 10:00:01 mx postfix/smtpd[99]: connect", "2.6 3164 2026-01-05T10:00:01~ mx postfix/smtpd 99 - \"connect\""},
        {"<86>Jan  5 10:00:01 old sshd(pam_unix)[7]: session opened", "10.6 3164 2026-01-05T10:00:01~ old sshd(pam_unix) 7 - \"session opened\""},
        {"<13>Jan  5 10:00:01 su: no host", "1.5 3164 2026-01-05T10:00:01~ - su - - \"no host\""},
        {"<13>Jan  5 10:00:01 su[12]: no host", "1.5 3164 2026-01-05T10:00:01~ - su 12 - \"no host\""},
        {"<13>Jan  5 10:00:01 hostonly", "1.5 3164 2026-01-05T10:00:01~ hostonly - - - \"\""},
        {"<13>Jan  5 10:00:01 - app: nil host", "1.5 3164 2026-01-05T10:00:01~ - app - - \"nil host\""},
        {"<13>Jan  5 10:00:01 fe80::1 app: v6", "1.5 3164 2026-01-05T10:00:01~ fe80::1 app - - \"v6\""},
        {"<13>Jan  5 10:00:01 2001:db8:: app: v6 that ends in colons", "1.5 3164 2026-01-05T10:00:01~ 2001:db8:: app - - \"v6 that ends in colons\""},
        {"<13>Jan  5 10:00:01 192.168.33.8-1 app: Dell", "1.5 3164 2026-01-05T10:00:01~ 192.168.33.8-1 app - - \"Dell\""},
        {"<13>Jan  5 10:00:01 host/slash app: x", "1.5 3164 2026-01-05T10:00:01~ host/slash app - - \"x\""},
        {"<13>Jan  5 10:00:01 [host] app: x", "1.5 3164 2026-01-05T10:00:01~ [host] app - - \"x\""},
        {"<13>Jan  5 10:00:01 @host app: x", "1.5 3164 2026-01-05T10:00:01~ @host app - - \"x\""},
        {"<13>Jan  5 10:00:01 1234 app: number as host", "1.5 3164 2026-01-05T10:00:01~ 1234 app - - \"number as host\""},
        {"<13>Jan  5 10:00:01   padded   app: x", "1.5 3164 2026-01-05T10:00:01~ padded app - - \"x\""},
        {"<13>Jan  5 10:00:01 h this-tag-is-far-longer-than-the-thirty-two-characters-allowed: x", "1.5 3164 2026-01-05T10:00:01~ h this-tag-is-far-longer-than-the-thirty-two-characters-allowed - - \"x\""},
        {"<13>Jan  5 10:00:01 h app[12 no bracket", "1.5 3164 2026-01-05T10:00:01~ h - - - \"app[12 no bracket\""},
        {"<13>Jan  5 10:00:01 h snmpd[2345] no colon", "1.5 3164 2026-01-05T10:00:01~ h snmpd 2345 - \"no colon\""},
        {"<13>Jan  5 10:00:01 h app[main]: x", "1.5 3164 2026-01-05T10:00:01~ h app main - \"x\""},
        {"<13>Jan  5 10:00:01 h {\"a\": \"b\"}", "1.5 3164 2026-01-05T10:00:01~ h - - - \"{\"a\": \"b\"}\""},
        {"<13>Jan  5 10:00:01 {\"a\": \"b\"}", "1.5 3164 2026-01-05T10:00:01~ - - - - \"{\"a\": \"b\"}\""},
        {"<13>Jan  5 10:00:01 h [not structured data]", "1.5 3164 2026-01-05T10:00:01~ h - - - \"[not structured data]\""},
        {"<13>Jan  5 10:00:01 h http://example.org/ fetched", "1.5 3164 2026-01-05T10:00:01~ h - - - \"http://example.org/ fetched\""},
        {"<13>Jan  5 10:00:01 h std::exception: x", "1.5 3164 2026-01-05T10:00:01~ h - - - \"std::exception: x\""},
        {"<13>Jan  5 10:00:01 h CEF:0|V|P|1|100|name|5|src=1.2.3.4", "1.5 3164 2026-01-05T10:00:01~ h - - - \"CEF:0|V|P|1|100|name|5|src=1.2.3.4\""},
        {"<13>Jan  5 10:00:01 h LEEF:2.0|V|P|1|100|^|src=1.2.3.4", "1.5 3164 2026-01-05T10:00:01~ h - - - \"LEEF:2.0|V|P|1|100|^|src=1.2.3.4\""},
        {"<13>Jan  5 10:00:01 last message repeated 3 times", "1.5 3164 2026-01-05T10:00:01~ - - - - \"last message repeated 3 times\""},
        {"<13>Jan  5 10:00:01 h last message repeated 3 times", "1.5 3164 2026-01-05T10:00:01~ h - - - \"last message repeated 3 times\""},
        {"<13>Jan  5 10:00:01 h MSWinEventLog\t1\tSecurity\t42", "1.5 3164 2026-01-05T10:00:01~ h - - - \"MSWinEventLog\t1\tSecurity\t42\""},
        {"<13>Jan  5 10:00:01 h \xef\xbb\xbfmarked", "1.5 3164 2026-01-05T10:00:01~ h - - - \"marked\""},
    };
    CHECK(rows, "UTC");
}

TEST(times_as_devices_write_them) {
    static const struct row rows[] = {
        {"<13>Jan 5 10:00:01 h a: one space", "1.5 3164 2026-01-05T10:00:01~ h a - - \"one space\""},
        {"<13>Jan 05 10:00:01 h a: zero", "1.5 3164 2026-01-05T10:00:01~ h a - - \"zero\""},
        {"<13>NOV 22 10:00:01 h a: capitals", "1.5 3164 2025-11-22T10:00:01~ h a - - \"capitals\""},
        {"<7> Aug 29 02:14:07 h a: space behind the priority", "0.7 3164 2025-08-29T02:14:07~ h a - - \"space behind the priority\""},
        {"<13>Jan  5 10:00:01.156 h a: x", "1.5 3164 2026-01-05T10:00:01.156000~ h a - - \"x\""},
        {"<13>Jan  5 10:00:01.156789 h a: x", "1.5 3164 2026-01-05T10:00:01.156789~ h a - - \"x\""},
        {"<13>Jan  5 10:00:01. h a: bare point", "1.5 3164 2026-01-05T10:00:01~ h a - - \"bare point\""},
        {"<13>Jan  5 10:00:01: h a: colon", "1.5 3164 2026-01-05T10:00:01~ h a - - \"colon\""},
        {"<13>2020 Jan 5 10:00:01 h a: year before", "1.5 3164 2020-01-05T10:00:01~ h a - - \"year before\""},
        {"<13>Jan 5 10:00:01 2020 h a: year behind", "1.5 3164 2020-01-05T10:00:01~ h a - - \"year behind\""},
        {"<166>Apr 15 2007 21:28:13: %PIX-6-302013: Built", "20.6 3164 2007-04-15T21:28:13~ - %PIX-6-302013 - - \"Built\""},
        {"<166>Apr 15 2007 21:28:13 fw : %ASA-6-302013: Built", "20.6 3164 2007-04-15T21:28:13~ fw - - - \": %ASA-6-302013: Built\""},
        {"<166>Jul 20 2023 09:21:58 fw: %ASA-6-302013: Built", "20.6 3164 2023-07-20T09:21:58~ fw %ASA-6-302013 - - \"Built\""},
        {"<13>Jan  5 10:00:01 CDT h a: zone", "1.5 3164 2026-01-05T15:00:01~ h a - - \"zone\""},
        {"<13>Jan  5 10:00:01 WEST: h a: zone", "1.5 3164 2026-01-05T09:00:01~ h a - - \"zone\""},
        {"<13>Jan  5 10:00:01 AKST h a: zone", "1.5 3164 2026-01-05T19:00:01~ h a - - \"zone\""},
        {"<13>Jan  5 10:00:01 IST h a: means three", "1.5 3164 2026-01-05T10:00:01~ h a - - \"means three\""},
        {"<13>Jan  5 2024 10:00:01 +02:00 h a: zone and year: exact", "1.5 3164 2024-01-05T08:00:01 h a - - \"zone and year: exact\""},
        {"<13>2024-01-05T10:11:12.123456+02:00 h a: iso", "1.5 3164 2024-01-05T08:11:12.123456 h a - - \"iso\""},
        {"<13>2024-01-05 10:11:12 h a: iso with a space", "1.5 3164 2024-01-05T10:11:12~ h a - - \"iso with a space\""},
        {"<13>2024-01-05 10:11:12,345 h a: comma", "1.5 3164 2024-01-05T10:11:12.345000~ h a - - \"comma\""},
        {"<13>2024/01/05 10:11:12 h a: slashes", "1.5 3164 2024-01-05T10:11:12~ h a - - \"slashes\""},
        {"<134>05/21/2017:00:00:00 GMT ns 0-PPE-0 : default TCP", "16.6 3164 2017-05-21T00:00:00 ns - - - \"0-PPE-0 : default TCP\""},
        {"<134>21/05/2017:00:00:00 GMT ns x", "16.6 3164 2017-05-21T00:00:00 ns - - - \"x\""},
        {"<134>1 1374257428.108113605 MX84 events type=vpn", "16.6 3164 2013-07-19T18:10:28.108113~ MX84 - - - \"events type=vpn\""},
        {"<134>1374257428 h a: x", "16.6 3164 2013-07-19T18:10:28 h a - - \"x\""},
        {"<134>1374257428123 h a: x", "16.6 3164 2013-07-19T18:10:28.123000 h a - - \"x\""},
        {"<187>237: *Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured", "23.3 3164 2026-03-01T18:46:11~ - %SYS-5-CONFIG_I - 237 \"Configured\""},
        {"<187>29: sw1: 30: .Mar  1 18:46:11.123: %LINK-3-UPDOWN: up", "23.3 3164 2026-03-01T18:46:11.123000~ sw1 %LINK-3-UPDOWN - 29 \"up\""},
        {"<187>sw1: 29: Mar  1 18:46:11 UTC: %LINK-3-UPDOWN: up", "23.3 3164 2026-03-01T18:46:11~ sw1 %LINK-3-UPDOWN - 29 \"up\""},
        {"<187>29: 00:01:01: %LINK-3-UPDOWN: up", "23.3 3164 (00:01:01) - %LINK-3-UPDOWN - 29 \"up\""},
        {"<187>00:01:01: %LINK-3-UPDOWN: up", "23.3 3164 (00:01:01) - %LINK-3-UPDOWN - - \"up\""},
        {"<187>1d02h: %LINK-3-UPDOWN: up", "23.3 3164 (1d02h) - %LINK-3-UPDOWN - - \"up\""},
        {"<187>5w1d: %LINK-3-UPDOWN: up", "23.3 3164 (5w1d) - %LINK-3-UPDOWN - - \"up\""},
        {"<187>1 2: up", "23.3 3164 (1 2) - - - - \"up\""},
        {"<13>Feb 30 10:00:01 no such day", "1.5 3164 - - - - - \"Feb 30 10:00:01 no such day\""},
    };
    CHECK(rows, "UTC");
}

TEST(a_missing_year_is_the_one_that_puts_the_message_nearest_to_now) {
    static const struct row rows[] = {
        {"<13>Dec 31 23:59:59 h a: last year's", "1.5 3164 2025-12-31T23:59:59~ h a - - \"last year's\""},
        {"<13>Jan 11 00:00:00 h a: a clock ahead", "1.5 3164 2026-01-11T00:00:00~ h a - - \"a clock ahead\""},
        {"<13>Jul 10 00:00:00 h a: nearly half a year ahead", "1.5 3164 2026-07-10T00:00:00~ h a - - \"nearly half a year ahead\""},
        {"<13>Jul 13 00:00:00 h a: more than half a year ahead", "1.5 3164 2025-07-13T00:00:00~ h a - - \"more than half a year ahead\""},
        {"<13>Feb 29 00:00:00 h a: only in leap years", "1.5 3164 2026-03-01T00:00:00~ h a - - \"only in leap years\""},
    };
    CHECK(rows, "UTC");
}

TEST(a_missing_zone_is_the_configured_one) {
    static const struct row rows[] = {
        {"<13>Jan  5 10:00:01 h a: x", "1.5 3164 2026-01-05T07:30:01~ h a - - \"x\""},
        {"<13>2024-01-05T10:11:12 h a: x", "1.5 3164 2024-01-05T07:41:12~ h a - - \"x\""},
        {"<13>2024-01-05T10:11:12Z h a: x", "1.5 3164 2024-01-05T10:11:12 h a - - \"x\""},
        {"<13>Jan  1 00:10:00 h a: still the old year there", "1.5 3164 2025-12-31T21:40:00~ h a - - \"still the old year there\""},
    };
    CHECK(rows, "+02:30");
}

TEST(the_local_zone_follows_daylight_saving) {
    struct zone zone;
    char *before = getenv("TZ") ? strdup(getenv("TZ")) : NULL;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    assert_int_equal(zone_parse(&zone, "local"), 0);
    assert_int_equal(zone_offset(&zone, 1767607200), 3600);  // 2026-01-05T10:00
    assert_int_equal(zone_offset(&zone, 1783245600), 7200);  // 2026-07-05T10:00
    assert_int_equal(zone_offset(&zone, 1774749599), 3600);  // 2026-03-29T01:59:59, the last before the gap
    assert_int_equal(zone_offset(&zone, 1774753200), 7200);  // 03:00
    assert_int_equal(zone_offset(&zone, -86400), 3600);
    if (before) setenv("TZ", before, 1);
    else unsetenv("TZ");
    tzset();
    free(before);
}

TEST(time_zones_are_local_utc_or_an_offset) {
    struct zone z;
    assert_int_equal(zone_parse(&z, "-03:30"), 0);
    assert_int_equal(z.offset, -12600);
    assert_int_equal(zone_parse(&z, "+2"), 0);
    assert_int_equal(z.offset, 7200);
    assert_int_equal(zone_parse(&z, "Z"), 0);
    assert_int_equal(zone_parse(&z, "Europe/Berlin"), -1);
    assert_int_equal(zone_parse(&z, "+99:00"), -1);
    assert_int_equal(zone_parse(&z, ""), -1);
}

TEST(priorities_of_all_kinds) {
    static const struct row rows[] = {
        {"<013>Jan  5 10:00:01 h a: leading zero", "1.5 3164 2026-01-05T10:00:01~ h a - - \"leading zero\""},
        {"<192>Jan  5 10:00:01 h a: above", "- 3164 2026-01-05T10:00:01~ h a - - \"above\" !priority above 191@0"},
        {"<999>1 - h a - - - above", "- 5424 - h a - - \"above\" !priority above 191@0"},
        {"<1234>Jan  5 10:00:01 h a: x", "- ? - - - - - \"<1234>Jan  5 10:00:01 h a: x\" !no priority@0"},
        {"<>x", "- ? - - - - - \"<>x\" !no priority@0"},
        {"<1", "- ? - - - - - \"<1\" !no priority@0"},
        {"<-1>x", "- ? - - - - - \"<-1>x\" !no priority@0"},
        {"just text", "- ? - - - - - \"just text\" !no priority@0"},
        {"", "- ? - - - - - \"\" !no priority@0"},
        {"<13>", "1.5 3164 - - - - - \"\""},
        {"<13>app: no time", "1.5 3164 - - app - - \"no time\""},
        {"<13>some words: no time", "1.5 3164 - - - - - \"some words: no time\""},
        {"<13>1 day ago it rained", "1.5 3164 - - - - - \"1 day ago it rained\""},
        {"CEF:0|V|P|1|100|name|5|", "- ? - - - - - \"CEF:0|V|P|1|100|name|5|\" !no priority@0"},
    };
    CHECK(rows, "UTC");
}

TEST(trailers_are_no_part_of_the_text) {
    struct zone zone = {0};
    assert_string_equal(shown("<13>app: x\n", &zone), "1.5 3164 - - app - - \"x\"");
    assert_string_equal(shown("<13>app: x\r\n", &zone), "1.5 3164 - - app - - \"x\"");
    assert_string_equal(shown_n("<13>app: x\n\0", 12, &zone), "1.5 3164 - - app - - \"x\"");
    assert_string_equal(shown("<13>app: two\nlines\n", &zone), "1.5 3164 - - app - - \"two\nlines\"");
}

TEST(a_message_cut_at_any_byte_is_still_taken_apart) {
    static const char *const whole[] = {
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 12 ID47 [exampleSDID@32473 iut=\"3\" e=\"a\\\"b\"][b x=1] text",
        "<187>29: sw1: 30: .Mar  1 2024 18:46:11.123 CEST: %LINK-3-UPDOWN[12]: up",
    };
    struct zone zone = {0};
    for (size_t w = 0; w < 2; w++)
        for (size_t n = 0; n <= strlen(whole[w]); n++) {
            char *cut = malloc(n + 1);
            memcpy(cut, whole[w], n);
            cut[n] = '\0';
            (void)shown(cut, &zone);
            free(cut);
        }
}

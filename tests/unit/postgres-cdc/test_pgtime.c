// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <stdlib.h>

#include "pgtime.h"

static void date_is(const char *text, const char *iso) {
    char out[PGTIME_PRINT_MAX];
    int64_t days;
    assert_int_equal(pgtime_date(text_of(text), &days), PGTIME_OK);
    assert_str(((struct str){out, pgtime_print_date(out, days)}), iso);
}

TEST(dates_of_all_eras_are_read_and_printed) {
    int64_t days;
    date_is("2024-02-29", "2024-02-29");
    date_is("1970-01-01", "1970-01-01");
    date_is("0001-01-01", "0001-01-01");
    date_is("0001-12-31 BC", "0000-12-31");
    date_is("0044-03-15 BC", "-0043-03-15");
    date_is("9999-12-31", "9999-12-31");
    date_is("21016-11-04", "+21016-11-04");
    assert_int_equal(pgtime_date(text_of("1970-01-01"), &days), 0);
    assert_int_equal(days, 0);
    assert_int_equal(pgtime_date(text_of("2000-03-01"), &days), 0);
    assert_int_equal(days, 11017);
    assert_int_equal(pgtime_date(text_of("infinity"), &days), PGTIME_PLUS_INFINITY);
    assert_int_equal(pgtime_date(text_of("-infinity"), &days), PGTIME_MINUS_INFINITY);
}

TEST(every_day_of_eight_hundred_years_goes_there_and_back) {
    char out[PGTIME_PRINT_MAX];
    for (int64_t day = -146097; day < 146097; day++) {
        int64_t back;
        size_t n = pgtime_print_date(out, day);
        assert_int_equal(pgtime_date((struct text){out, n}, &back), PGTIME_OK);
        assert_int_equal(back, day);
    }
}

TEST(times_are_microseconds_up_to_the_end_of_the_day) {
    int64_t us;
    char out[PGTIME_PRINT_MAX];
    assert_int_equal(pgtime_time(text_of("13:14:15.123456"), &us), 0);
    assert_int_equal(us, 47655123456);
    assert_int_equal(pgtime_time(text_of("13:14:15.5"), &us), 0);
    assert_int_equal(us, 47655500000);
    assert_str(((struct str){out, pgtime_print_time(out, us, 0)}), "13:14:15.5");
    assert_str(((struct str){out, pgtime_print_time(out, us, 6)}), "13:14:15.500000");
    assert_str(((struct str){out, pgtime_print_time(out, us, 9)}), "13:14:15.500000000");
    assert_int_equal(pgtime_time(text_of("24:00:00"), &us), 0);
    assert_int_equal(us, 86400000000);
    assert_int_equal(pgtime_time(text_of("24:00:01"), &us), PGTIME_BAD);
    assert_int_equal(pgtime_time(text_of("13:14"), &us), PGTIME_BAD);
    assert_int_equal(pgtime_time(text_of("13:14:15x"), &us), PGTIME_BAD);
}

TEST(zoned_times_come_out_in_utc) {
    int64_t us;
    assert_int_equal(pgtime_timetz(text_of("13:14:15.5+02"), &us), 0);
    assert_int_equal(us, 40455500000);
    assert_int_equal(pgtime_timetz(text_of("01:00:00+05:30"), &us), 0);
    assert_int_equal(us, 70200000000); /* the evening before */
    assert_int_equal(pgtime_timetz(text_of("23:00:00-02:00:30"), &us), 0);
    assert_int_equal(us, 3630000000);
    assert_int_equal(pgtime_timetz(text_of("24:00:00+00"), &us), 0);
    assert_int_equal(us, 86400000000);
    assert_int_equal(pgtime_timetz(text_of("13:14:15"), &us), PGTIME_BAD);
}

TEST(timestamps_carry_their_day_and_zone) {
    struct moment m;
    int64_t us;
    assert_int_equal(pgtime_timestamp(text_of("2024-02-29 13:14:15.123456"), &m), 0);
    assert_int_equal(pgtime_micros(m, &us), 0);
    assert_int_equal(us, 1709212455123456);
    assert_int_equal(pgtime_timestamp(text_of("1969-12-31 23:59:59.999999"), &m), 0);
    assert_int_equal(pgtime_micros(m, &us), 0);
    assert_int_equal(us, -1);
    assert_int_equal(pgtime_timestamptz(text_of("2024-03-01 00:30:00+02"), &m), 0);
    assert_int_equal(m.days, pgtime_days_of(2024, 2, 29));
    assert_int_equal(m.micros, 81000000000);
    assert_int_equal(pgtime_timestamptz(text_of("0044-03-15 12:00:00+00 BC"), &m), 0);
    assert_int_equal(m.days, pgtime_days_of(-43, 3, 15));
    assert_int_equal(pgtime_timestamp(text_of("294276-12-31 23:59:59.999999"), &m), 0);
    assert_int_equal(pgtime_micros(m, &us), -1); /* past 64 bits since 1970: said, not wrapped */
    assert_int_equal(pgtime_timestamptz(text_of("2024-03-01 00:30:00"), &m), PGTIME_BAD);
    assert_int_equal(pgtime_timestamp(text_of("2024-13-01 00:30:00"), &m), PGTIME_BAD);
}

TEST(intervals_are_read_in_postgres_style) {
    struct interval v;
    char out[PGTIME_PRINT_MAX];
    assert_int_equal(pgtime_interval(text_of("1 year 2 mons 3 days 04:05:06.789"), &v), 0);
    assert_int_equal(pgtime_duration_micros(&v), 37091106789000);
    assert_str(((struct str){out, pgtime_print_interval(out, &v)}), "P1Y2M3DT4H5M6.789S");
    assert_int_equal(pgtime_interval(text_of("00:00:00"), &v), 0);
    assert_str(((struct str){out, pgtime_print_interval(out, &v)}), "P0Y0M0DT0H0M0S");
    assert_int_equal(pgtime_interval(text_of("-1 days +02:03:04"), &v), 0);
    assert_int_equal(v.days, -1);
    assert_int_equal(v.hours, 2);
    assert_int_equal(pgtime_interval(text_of("-00:00:01.5"), &v), 0);
    assert_str(((struct str){out, pgtime_print_interval(out, &v)}), "P0Y0M0DT0H0M-1.5S");
    assert_int_equal(pgtime_interval(text_of("1 fortnight"), &v), PGTIME_BAD);
    assert_int_equal(pgtime_interval(text_of(""), &v), PGTIME_BAD);
    assert_int_equal(pgtime_interval(text_of("1 year "), &v), PGTIME_BAD);
}

TEST(a_text_cut_anywhere_is_read_or_refused_but_never_overrun) {
    static const char *const texts[] = {"0044-03-15 12:13:14.123456+05:30:10 BC", "1 year 2 mons -3 days -04:05:06.789", "13:14:15.5+02:30"};
    for (size_t k = 0; k < 3; k++)
        for (size_t n = 0; n <= strlen(texts[k]); n++) {
            char *exact = malloc(n ? n : 1); /* ASan sees the first byte behind it */
            memcpy(exact, texts[k], n);
            struct text t = {exact, n};
            struct moment m;
            struct interval v;
            int64_t us;
            pgtime_timestamp(t, &m);
            pgtime_timestamptz(t, &m);
            pgtime_interval(t, &v);
            pgtime_timetz(t, &us);
            pgtime_date(t, &us);
            free(exact);
        }
}

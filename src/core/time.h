/* Proleptic Gregorian calendar arithmetic, exact and without tables of zones. */
#ifndef ODS_TIME_H
#define ODS_TIME_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <ods/buffer.h>

int64_t time_monotonic_us(void);
int64_t time_wall_us(void);
int64_t time_cpu_us(void); /* what all threads of the process have used of processors */
/* The moment wait_ms from now (at once when it is negative), for pthread_cond_timedwait() with a
 * condition of CLOCK_MONOTONIC. */
struct timespec time_deadline(int64_t wait_ms);

/* Days since 1970-01-01 to year (astronomical: 0 is 1 BC), month 1-12, day 1-31, and back. */
void time_civil(int64_t days, int64_t *year, int *month, int *day);
int64_t time_days(int64_t year, int month, int day);

/* floor division with a non-negative remainder, which is what times before 1970 need */
static inline int64_t time_floor_div(int64_t value, int64_t unit, int64_t *rest)
{
    int64_t quotient = value / unit, remainder = value % unit;
    if (remainder < 0) {
        remainder += unit;
        quotient--;
    }
    *rest = remainder;
    return quotient;
}

/* Append as PostgreSQL prints them. Trailing zeros of the microseconds are left out. */
void time_format_date(struct buffer *out, int64_t days); /* 2025-12-19, 0002-11-30 BC */
void time_format_timestamp(struct buffer *out, int64_t us, bool utc); /* …, "+00" when utc */
void time_format_time(struct buffer *out, int64_t us); /* 13:51:30.5, -838:59:59, 24:00:00 */

/* The same with picoseconds: from 0 to 999,999, added to a timestamp; for a time they have the sign
 * of its microseconds. */
void time_format_fine_timestamp(struct buffer *out, int64_t us, int32_t ps, bool utc);
void time_format_fine_time(struct buffer *out, int64_t us, int32_t ps);

/* Recognises what Debezium's PostgreSQL connector sends for 'infinity' and '-infinity': special
 * numbers. 1: infinity, -1: -infinity, 0: an ordinary value. `us` is what a MicroTimestamp holds; a
 * millisecond Timestamp's number goes through time_ms_infinite(), a NanoTimestamp's through
 * time_ns_infinite(). */
int time_date_infinite(int64_t days);
int time_us_infinite(int64_t us);
int time_ms_infinite(int64_t ms);
int time_ns_infinite(int64_t ns);

/* PostgreSQL's ranges: date 4714-11-24 BC to 5874897-12-31, timestamp from the same first day. */
#define TIME_DAYS_MIN INT64_C(-2440588)
#define TIME_DAYS_MAX INT64_C(2145042905)
#define TIME_US_MIN   (TIME_DAYS_MIN * INT64_C(86400000000))

/* "hh:mm[:ss[.f…]]" up to 24:00:00 into microseconds since midnight and the picoseconds above them
 * (1 for what is finer still). Returns how many characters it read, 0 if there is no time. */
size_t time_parse_time(const char *text, size_t length, int64_t *us, int32_t *ps);

/* Nothing, "Z" or "±hh[:mm[:ss]]". */
bool time_is_zone(const char *text, size_t length);

/* An interval of months, days, microseconds and, of any sign, picoseconds as PostgreSQL prints it:
 * "1 year 2 mons 3 days 04:05:06.78". */
void time_format_interval(struct buffer *out, int64_t months, int64_t days, int64_t us, int32_t ps);

/* An ISO 8601 duration, "P1Y2M3DT4H5M6.78S", each part with its own sign. False: it is none, or out
 * of an interval's range. */
bool time_parse_interval(const char *text, size_t length, int64_t *months, int64_t *days,
                         int64_t *us, int32_t *ps);

/* Parse ISO 8601 "[+-]YYYY…-MM-DD[Thh:mm:ss[.f…]][Z|±hh[:mm[:ss]]]" into microseconds since 1970
 * UTC (without a zone: as if UTC) and the picoseconds above them. False when it is anything else,
 * or out of int64's range. "zoned" tells whether a zone was there. */
bool time_parse_days(const char *text, size_t length, int64_t *days, int64_t *us, int32_t *ps,
                     bool *zoned); /* days since 1970, and what is above them, or below by a zone */
bool time_parse_timestamp(const char *text, size_t length, int64_t *us, int32_t *ps, bool *zoned);

#endif

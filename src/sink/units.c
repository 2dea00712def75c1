/* The unit of a number that is a date or time, in a record without schema. See units.h.
 *
 * Debezium's time.precision.mode=adaptive, the default, chooses the unit by the source's precision:
 * milliseconds for up to 3 digits, microseconds for up to 6, nanoseconds for more; MySQL's times of
 * day are microseconds (documentation of each connector, "Temporal types"). Here only the target's
 * precision is known. It may differ from the source's: no column of a target has the seven to
 * nine digits of SQL Server or Oracle, and a column without precision may be for any. So a number
 * is accepted where the connector's default leaves only one unit, and refused where it would be a
 * likely value in another unit too. The size of the number never chooses the unit; and 0 is the
 * same in each.
 */
#include "sink/units.h"

#include <stdio.h>

#include "core/time.h"

#define DAY_MS       INT64_C(86400000)
#define DAY_US       (DAY_MS * 1000)
#define LIKELY_MS    INT64_C(7258118400000)   /* 2200-01-01: later dates mean "no end" */
#define LATEST_MS    INT64_C(253402300800000) /* 10000-01-01 */
#define LATEST_DAYS  INT64_C(2932897)         /* the same */
#define MYSQL_US     INT64_C(3020400000000)   /* 839 hours */

static int64_t magnitude_of(int64_t number)
{
    return number == INT64_MIN ? INT64_MAX : number < 0 ? -number : number;
}

static enum ods_status refuse(const struct unit_asked *asked, const char *why, const char *setting,
                              struct error *error)
{
    return error_set(error, ODS_REJECT,
                     "the number %lld comes without schema, and %s: set source.%s, or name the "
                     "type of the source's column in source_types",
                     (long long) asked->number, why, setting);
}

/* --- timestamps ------------------------------------------------------------------------------ */

/* May the source's precision or unit differ from what the target's column shows? */
static bool hides_unit(enum connector connector, int32_t precision)
{
    switch (connector) {
    case CONNECTOR_SQLSERVER: /* datetime2 is datetime2(7) */
    case CONNECTOR_ORACLE:    /* DATE, and timestamp(9) */
        return precision != 4 && precision != 5;
    case CONNECTOR_DB2:
    case CONNECTOR_OTHER:
        return true;
    default:
        return false;
    }
}

static enum ods_status milliseconds(const struct unit_asked *asked, enum semantic *type,
                                    struct error *error)
{
    *type = SEM_TIMESTAMP_MS;
    if (magnitude_of(asked->number) < LATEST_MS || asked->connector == CONNECTOR_POSTGRESQL ||
        time_ms_infinite(asked->number))
        return ODS_OK;
    return refuse(asked,
                  "in milliseconds, which the column's precision tells, lies beyond the year 9999",
                  "timestamp_unit", error);
}

static enum ods_status microseconds(const struct unit_asked *asked, enum semantic *type,
                                    struct error *error)
{
    bool same_types = asked->connector == CONNECTOR_POSTGRESQL, bare = asked->precision < 0;
    int64_t magnitude = magnitude_of(asked->number);
    *type = SEM_TIMESTAMP_US;
    if (time_us_infinite(asked->number))
        return ODS_OK;
    /* A column without precision: milliseconds of any year that a connector sends. */
    int64_t least = same_types || !bare ? DAY_MS : 1;
    int64_t most = same_types || !bare ? LIKELY_MS : LATEST_MS;
    if (magnitude >= least && magnitude < most)
        return refuse(asked,
                      "may be milliseconds: in microseconds it lies within a few months or years "
                      "of 1970",
                      "timestamp_unit", error);
    if (magnitude >= LATEST_MS * 1000 && !same_types)
        return refuse(asked, "in microseconds lies beyond the year 9999",
                      "timestamp_unit", error);
    return ODS_OK;
}

static enum ods_status timestamp_type(const struct unit_asked *asked, enum semantic *type,
                                      struct error *error)
{
    static const enum semantic types[] = {[UNIT_DAYS] = SEM_DATE,
                                          [UNIT_MS] = SEM_TIMESTAMP_MS,
                                          [UNIT_US] = SEM_TIMESTAMP_US,
                                          [UNIT_NS] = SEM_TIMESTAMP_NS};
    enum time_unit unit = asked->source->timestamp_unit;
    int32_t precision = asked->precision;
    *type = unit == UNIT_AUTO ? SEM_TIMESTAMP_US : types[unit];
    if (unit != UNIT_AUTO || asked->number == 0)
        return ODS_OK;
    if (precision >= 0 && precision <= 3)
        return milliseconds(asked, type, error);
    if (hides_unit(asked->connector, precision))
        return refuse(asked,
                      "the column's type does not tell its unit, which this connector takes by the "
                      "source's type",
                      "timestamp_unit", error);
    return microseconds(asked, type, error);
}

/* --- times of day ---------------------------------------------------------------------------- */

static enum ods_status beyond_a_day(const struct unit_asked *asked, const char *unit,
                                    struct error *error)
{
    char why[96];
    snprintf(why, sizeof why, "in %s, this connector's unit for the column, is no time of day",
             unit);
    return refuse(asked, why, "time_unit", error);
}

static enum ods_status time_type(const struct unit_asked *asked, enum semantic *type,
                                 struct error *error)
{
    static const enum semantic types[] = {[UNIT_DAYS] = SEM_TIME_US,
                                          [UNIT_MS] = SEM_TIME_MS,
                                          [UNIT_US] = SEM_TIME_US,
                                          [UNIT_NS] = SEM_TIME_NS};
    enum time_unit unit = asked->source->time_unit;
    enum connector connector = asked->connector;
    int64_t number = asked->number;
    /* A column of intervals says nothing of the source's precision. */
    int32_t precision = asked->what == UNIT_OF_LAPSE ? -1 : asked->precision;
    bool coarse = precision >= 0 && precision <= 3;
    *type = unit == UNIT_AUTO ? SEM_TIME_US : types[unit];
    if (unit != UNIT_AUTO || asked->number == 0)
        return ODS_OK;
    if (connector == CONNECTOR_MYSQL)
        return magnitude_of(asked->number) < MYSQL_US
                   ? ODS_OK
                   : beyond_a_day(asked, "microseconds", error);
    if (connector == CONNECTOR_UNKNOWN) {
        if (magnitude_of(asked->number) > DAY_MS && magnitude_of(asked->number) <= DAY_US)
            return ODS_OK;
        return refuse(asked,
                      "is milliseconds, microseconds or nanoseconds by the connector, which "
                      "source.connector names",
                      "time_unit", error);
    }
    /* Db2's times have no fraction, whatever precision the target's column has. */
    if (connector == CONNECTOR_DB2 || (coarse && connector != CONNECTOR_OTHER)) {
        *type = SEM_TIME_MS;
        return number > 0 && number <= DAY_MS ? ODS_OK
                                              : beyond_a_day(asked, "milliseconds", error);
    }
    if (hides_unit(connector, precision))
        return refuse(asked,
                      "the column's type does not tell its unit, which this connector takes by the "
                      "source's type",
                      "time_unit", error);
    return number > 0 && number <= DAY_US ? ODS_OK
                                          : beyond_a_day(asked, "microseconds", error);
}

/* Is the source a database without intervals? Then the number is a time of day. */
static bool has_no_intervals(enum connector connector)
{
    return connector == CONNECTOR_MYSQL || connector == CONNECTOR_SQLSERVER ||
           connector == CONNECTOR_DB2;
}

/* --- dates ----------------------------------------------------------------------------------- */

static enum ods_status date_type(const struct unit_asked *asked, enum semantic *type,
                                 struct error *error)
{
    *type = SEM_DATE;
    if (asked->connector == CONNECTOR_ORACLE) { /* its DATE is a timestamp of whole seconds */
        struct unit_asked date = *asked;
        date.precision = 0;
        return timestamp_type(&date, type, error);
    }
    if (magnitude_of(asked->number) < LATEST_DAYS || asked->connector == CONNECTOR_POSTGRESQL ||
        time_date_infinite(asked->number))
        return ODS_OK;
    return error_set(error, ODS_REJECT,
                     "the number %lld comes without schema, and in days, as which a connector "
                     "sends dates, lies beyond the year 9999: name the type of the source's column "
                     "in source_types",
                     (long long) asked->number);
}

enum ods_status unit_of_number(const struct unit_asked *asked, enum semantic *type,
                               struct error *error)
{
    switch (asked->what) {
    case UNIT_OF_DATE:
        return date_type(asked, type, error);
    case UNIT_OF_TIME:
        return time_type(asked, type, error);
    case UNIT_OF_TIMESTAMP:
        return timestamp_type(asked, type, error);
    case UNIT_OF_LAPSE:
        *type = SEM_DURATION_US;
        return has_no_intervals(asked->connector) ? time_type(asked, type, error) : ODS_OK;
    }
    return ODS_OK;
}

/* The settings of targets of type "delta" and "iceberg". */
#include "sink/lake/settings.h"

#include <regex.h>
#include <string.h>

#define MIB INT64_C(1048576)
#define HOUR INT64_C(3600000)
#define DAY INT64_C(86400000)

#define AT(member) offsetof(struct lake_settings, member)

static const char *const compressions[] = {"snappy", "zstd", "none", NULL};

/* Those of iceberg alone, of both, and of delta alone: each type's are one piece of them. */
#define OF_ICEBERG 12
#define OF_DELTA   1

static const struct setting rows[] = {
    {"catalog.uri", SETTING_STRING, AT(catalog_uri), "", .max = 4000, .flags = SETTING_SECRET,
     .inherits = "`catalog.sqlite` in the `location`, where that is a folder",
     .doc = "The catalog, which says what a table is now: `postgresql://user@host/database` "
            "(tables `iceberg_tables` and `iceberg_namespace_properties`, made where they are "
            "missing) or `sqlite:///path/catalog.sqlite`, as PyIceberg and Java's JDBC catalog "
            "have them; or a server of the Iceberg REST catalog, `https://host/path`, without "
            "`/v1`."},
    {"catalog.name", SETTING_STRING, AT(catalog_name), "ods", .min = 1, .max = 200,
     .doc = "The catalog's name within its database; readers name it too."},
    {"catalog.warehouse", SETTING_STRING, AT(warehouse), "", .max = 2000,
     .doc = "Of a REST catalog: the warehouse, which it is asked for."},
    {"catalog.prefix", SETTING_STRING, AT(catalog_prefix), "", .max = 1000,
     .inherits = "as the server says",
     .doc = "Of a REST catalog: what stands in its paths behind `/v1/`."},
    {"catalog.token", SETTING_STRING, AT(catalog_token), "", .max = 16000,
     .flags = SETTING_HIDDEN,
     .doc = "Of a REST catalog: a bearer token."},
    {"catalog.credential", SETTING_STRING, AT(catalog_credential), "", .max = 16000,
     .flags = SETTING_HIDDEN,
     .doc = "Of a REST catalog: `id:secret`, for which a token is asked by OAuth2 "
            "(`client_credentials`), and anew before it expires."},
    {"catalog.oauth2_uri", SETTING_STRING, AT(oauth2_uri), "", .max = 4000,
     .inherits = "`v1/oauth/tokens` of the catalog",
     .doc = "Where the token is asked for."},
    {"catalog.scope", SETTING_STRING, AT(oauth2_scope), "catalog", .max = 2000,
     .doc = "The scope that it is asked for with."},
    {"catalog.timeout_ms", SETTING_MS, AT(catalog_timeout_ms), "10000", .min = 100, .max = 600000,
     .doc = "How long a request to a catalog may take, of REST or in PostgreSQL."},
    {"maintenance.snapshots", SETTING_INT, AT(snapshots), "1000", .min = 1, .max = 100000,
     .doc = "Not more snapshots of a table are kept beyond those of `maintenance.keep_for`, since "
            "each commit writes the list of them anew. The table's own "
            "`history.expire.min-snapshots-to-keep` is kept too."},
    {"maintenance.keep_for", SETTING_DURATION, AT(keep_ms), "1h", .min = 0, .max = 3650 * DAY,
     .doc = "No snapshot younger than this goes, however many there are: readers of changes may "
            "be behind that far."},
    {"format_version", SETTING_INT, AT(format_version), "2", .min = 2, .max = 3,
     .doc = "Of Iceberg's format, for tables that are made: 2 has files of position deletes, which "
            "every reader knows, and 3 has deletion vectors, one a data file, and ids of rows. A "
            "table that is there stays of the version that it has."},
    {"location", SETTING_STRING, AT(location), .min = 1, .max = 3000, .flags = SETTING_REQUIRED,
     .doc = "Where the tables are: a folder by its whole path (made when it is missing), or "
            "`s3://bucket/prefix`. Below it a table stands in `<schema>/<table>`, as `schema` "
            "and `target` in tables.yaml name them; there the default `public` stands for the "
            "source's own schema, or its database."},
    {"library", SETTING_STRING, AT(library), "", .max = 3000, .inherits = "looked for",
     .doc = "The lake engine, `libods_lake.so`, by its path. Without it `ODS_LAKE_LIBRARY` in "
            "the environment names it, else it is looked for beside the program and in "
            "`../lib/ods-sink`."},
    {"commit_bytes", SETTING_BYTES, AT(commit_bytes), "67108864", .min = 64 * 1024,
     .max = 1024 * MIB,
     .doc = "A commit is made when the records that wait for it take this much memory, with "
            "what was read of them. A pipeline's lanes in a process share it: of two each commits "
            "at the half, and so does one that is alone, which fills a batch while it writes "
            "another. Batches grow up to that, whatever `batch.max_events` and "
            "`batch.max_bytes` say."},
    {"commit_ms", SETTING_MS, AT(commit_ms), "10000", .min = 1, .max = 3600000,
     .doc = "Or when the oldest has waited this long. Small values mean fresh tables of many "
            "small files."},
    {"s3.endpoint", SETTING_STRING, AT(endpoint), "", .max = 2000, .inherits = "AWS",
     .doc = "Of an S3-compatible storage: `http://127.0.0.1:9000`."},
    {"s3.region", SETTING_STRING, AT(region), "", .max = 100,
     .inherits = "`AWS_REGION` of the environment, else `us-east-1`",
     .doc = "The region."},
    {"s3.path_style", SETTING_BOOL, AT(path_style), "true",
     .doc = "With an `s3.endpoint`: the bucket is the path's first part, and not the host's."},
    {"s3.access_key_id", SETTING_STRING, AT(access_key_id), "", .max = 1000,
     .inherits = "the environment (`AWS_ACCESS_KEY_ID`), else the machine's role",
     .doc = "`${file:/run/secrets/key}` and `${NAME}` keep it out of this file."},
    {"s3.secret_access_key", SETTING_STRING, AT(secret_access_key), "", .max = 4000,
     .flags = SETTING_HIDDEN, .inherits = "as `s3.access_key_id`",
     .doc = "Likewise."},
    {"s3.session_token", SETTING_STRING, AT(session_token), "", .max = 16000,
     .flags = SETTING_HIDDEN, .inherits = "as `s3.access_key_id`",
     .doc = "Likewise."},
    {"s3.timeout_ms", SETTING_MS, AT(timeout_ms), "10000", .min = 100, .max = 600000,
     .doc = "How long a request may take."},
    {"s3.retries", SETTING_INT, AT(retries), "2", .min = 0, .max = 20,
     .doc = "How often reads and uploads are tried again at once. A commit is sent once: its "
            "outcome is read back where the answer was lost."},
    {"compression", SETTING_ENUM, AT(compression), "snappy", .choices = compressions,
     .doc = "Of data files (Parquet)."},
    {"target_file_bytes", SETTING_BYTES, AT(file_bytes), "134217728", .min = MIB,
     .max = 4096 * MIB,
     .doc = "A data file is closed when it is about so large."},
    {"partition_by", SETTING_PROPERTIES, AT(partition_by), .max = 10000,
     .doc = "By table of the target (`table` or `schema.table`), the columns whose values part "
            "its files: `{ orders = \"region, day\"; }`; of Iceberg also `year`, `month`, `day` "
            "and `hour(column)`, `bucket(16, column)`, `truncate(4, column)`. It is decided when "
            "the table is made."},
    {"sort_by", SETTING_PROPERTIES, AT(sort_by), .max = 10000,
     .doc = "By table, the columns in whose order the rows of a file are: readers that ask for "
            "a range of them skip most files."},
    {"table_properties", SETTING_PROPERTIES, AT(properties), .max = 200,
     .doc = "Properties of tables that are made."},
    {"maintenance.enabled", SETTING_BOOL, AT(maintain), "true",
     .doc = "Compact, write checkpoints, expire and vacuum after commits, where it is due. Of "
            "several pipelines that write the same tables give it to one."},
    {"maintenance.every", SETTING_DURATION, AT(every_ms), "1h", .min = 0, .max = 3650 * DAY,
     .doc = "How often each table has its turn, also one that gets no rows: what is too old "
            "goes, and what waits for it is put together. One table at a time, for the first time "
            "a minute after it was opened. 0: after commits only."},
    {"maintenance.lease", SETTING_DURATION, AT(lease_ms), "10m", .min = 1000, .max = DAY,
     .doc = "Of a group's processes that have a table one maintains it, for so long from when it "
            "last had something to do; where it dies, the others wait that long. Their clocks "
            "should agree to within this. 0: each of them does."},
    {"maintenance.small_files", SETTING_INT, AT(small_files), "16", .min = 2, .max = 100000,
     .doc = "So many small files of one partition are put together after a commit; those of all "
            "partitions when the table has its turn (maintenance.every) and so many in all."},
    {"maintenance.small_bytes", SETTING_BYTES, AT(small_bytes), "33554432", .min = 1024,
     .max = 1024 * MIB,
     .doc = "A file below this size is small; at most half of target_file_bytes."},
    {"maintenance.deleted_percent", SETTING_INT, AT(deleted_percent), "10", .min = 1, .max = 100,
     .doc = "When of a table's rows more than this are deleted, the files of which more than this "
            "are deleted are rewritten; also when so many small files are put together. One such "
            "file of a large table waits until then."},
    {"maintenance.max_bytes", SETTING_BYTES, AT(compact_bytes), "536870912", .min = MIB,
     .max = 65536 * MIB,
     .doc = "How much is read at a time; the rest is left for later."},
    {"maintenance.busy_percent", SETTING_INT, AT(busy_percent), "50", .min = 1, .max = 100,
     .doc = "So much of the time at most goes into putting files together, since commits wait "
            "for it: of 25, after one that took 3 s the next waits 9 s. 100: it never waits."},
    {"maintenance.checkpoint_every", SETTING_INT, AT(checkpoint_every), "20", .min = 1,
     .max = 10000,
     .doc = "After so many commits the log of a Delta table gets a checkpoint, and of a table of "
            "either format it is looked for what may be deleted."},
    {"maintenance.expire", SETTING_DURATION, AT(expire_ms), "7d", .min = HOUR, .max = 3650 * DAY,
     .doc = "Versions (snapshots) older than this may no longer be read. Incremental readers "
            "must not be further behind. Where a Delta table's `delta.logRetentionDuration` is "
            "longer, that counts."},
    {"maintenance.vacuum", SETTING_DURATION, AT(vacuum_ms), "7d", .min = HOUR, .max = 3650 * DAY,
     .doc = "Files that no version names which is younger than this are deleted, and so are "
            "files of writers that died, once they are that old."},
    {"index_folder", SETTING_STRING, AT(index_folder), "", .max = 3000,
     .inherits = "ordinary memory",
     .doc = "Where the indexes of keys (about 50 bytes a key) have their memory: in files of this "
            "folder, which the system writes out when memory is short, and which nobody sees. For "
            "tables whose index does not fit, on a fast disk. Space is taken when a table is "
            "opened, and given back with the process."},
    {"change_data", SETTING_BOOL, AT(change_data), "true",
     .doc = "Tables of rows that are made get a change data feed "
            "(`delta.enableChangeDataFeed`): each commit says which rows were inserted, "
            "updated, from what to what, and deleted. Without it commits are several times "
            "cheaper."},
};

static enum ods_status check_location(const void *own, struct error *error)
{
    const struct lake_settings *settings = own;
    if (*settings->location == '/' || (strncmp(settings->location, "s3://", 5) == 0 &&
                                       settings->location[5] && settings->location[5] != '/'))
        return ODS_OK;
    return error_set(error, ODS_FATAL,
                     "location: a folder by its whole path (/var/lib/lake) or s3://bucket/prefix, "
                     "and not %.80s",
                     settings->location);
}

/* A table of Delta Lake is parted by columns alone. */
static enum ods_status check_delta(const void *own, struct error *error)
{
    const struct lake_settings *settings = own;
    const struct properties *parted = &settings->partition_by;
    for (size_t i = 0; i < parted->count; i++)
        if (strchr(parted->items[i].value, '('))
            return error_set(error, ODS_FATAL,
                             "partition_by: %.200s = \"%.200s\": transforms are Iceberg's; tables "
                             "of Delta Lake are parted by columns as they are: name one that the "
                             "source has, or that a transform of tables.yaml makes",
                             parted->items[i].name, parted->items[i].value);
    return check_location(own, error);
}

const struct setting_group delta_settings_group = {
    .title = "targets of type `delta`",
    .intro = "Tables of Delta Lake: [lake.md](lake.md) says what they contain and how they are "
             "read, [types-lake.md](types-lake.md) what becomes of values. Needs the lake engine, "
             "which is a library of its own.",
    .size = sizeof(struct lake_settings),
    .rows = rows + OF_ICEBERG,
    .count = sizeof rows / sizeof *rows - OF_ICEBERG,
    .check = check_delta,
};

#define BLANK  "[[:space:]]*"
#define COLUMN BLANK "[^(),[:space:]][^(),]*"
#define TRANSFORM                                                                                  \
    "(" BLANK "|" COLUMN                                                                           \
    "|" BLANK "(identity|years?|months?|days?|hours?)" BLANK "\\(" COLUMN "\\)" BLANK              \
    "|" BLANK "(bucket|truncate)" BLANK "\\(" BLANK "0*[1-9][0-9]{0,8}" BLANK "," COLUMN "\\)"     \
    BLANK ")"

/* As the engine reads it when a table is made. */
static enum ods_status check_transforms(const struct properties *parted, struct error *error)
{
    regex_t form;
    const struct property *wrong = NULL;
    if (regcomp(&form, "^" TRANSFORM "(," TRANSFORM ")*$", REG_EXTENDED | REG_NOSUB) != 0)
        return error_out_of_memory(error);
    for (size_t i = 0; !wrong && i < parted->count; i++)
        if (regexec(&form, parted->items[i].value, 0, NULL, 0) != 0)
            wrong = &parted->items[i];
    regfree(&form);
    if (!wrong)
        return ODS_OK;
    return error_set(error, ODS_FATAL,
                     "partition_by: %.200s = \"%.200s\": write columns, and of these identity, "
                     "year, month, day and hour(column), bucket(16, column) and "
                     "truncate(4, column), with commas between them",
                     wrong->name, wrong->value);
}

static enum ods_status check_iceberg(const void *own, struct error *error)
{
    static const char *const schemes[] = {"postgresql://", "postgres://", "sqlite:///", "https://",
                                          "http://"};
    const struct lake_settings *settings = own;
    const char *uri = settings->catalog_uri;
    bool known = !*uri && *settings->location == '/';
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        known |= strncmp(uri, schemes[i], strlen(schemes[i])) == 0;
    enum ods_status status = check_location(own, error);
    if (status == ODS_OK)
        status = check_transforms(&settings->partition_by, error);
    if (status == ODS_OK && *settings->catalog_token && *settings->catalog_credential)
        return error_set(error, ODS_FATAL,
                         "catalog.token and catalog.credential: only one may be set");
    if (status != ODS_OK || known)
        return status;
    return error_set(error, ODS_FATAL,
                     *uri ? "catalog.uri: postgresql://user@host/database, "
                            "sqlite:///path/catalog.sqlite or, of a REST catalog, https://host/path"
                          : "catalog.uri: tables in S3 need one: postgresql://user@host/database, "
                            "sqlite:///path/catalog.sqlite or, of a REST catalog, "
                            "https://host/path");
}

const struct setting_group iceberg_settings_group = {
    .title = "targets of type `iceberg`",
    .intro = "Tables of Apache Iceberg, version 2 or 3 of the format: [lake.md](lake.md) says what "
             "they contain and how they are read, [types-lake.md](types-lake.md) what becomes of "
             "values. Needs the lake engine, which is a library of its own.",
    .size = sizeof(struct lake_settings),
    .rows = rows,
    .count = sizeof rows / sizeof *rows - OF_DELTA,
    .check = check_iceberg,
};

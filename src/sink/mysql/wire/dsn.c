/* See dsn.h. A dsn is that of databases of type mysql: one form for source and target. */
#include "sink/mysql/wire/dsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

PQconninfoOption *mysql_dsn_parse(const char *dsn)
{
    static const char *const schemes[] = {"mysql://", "mariadb://"};
    char *why = NULL, *text = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t length = strlen(schemes[i]);
        if (strncmp(dsn, schemes[i], length) == 0 &&
            asprintf(&text, "postgresql://%s", dsn + length) < 0)
            text = NULL;
    }
    PQconninfoOption *options = PQconninfoParse(text ? text : dsn, &why);
    PQfreemem(why); /* not used: it may quote the dsn, with the password */
    free(text);
    return options;
}

const char *mysql_dsn_option(const PQconninfoOption *options, const char *name)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, name) == 0)
            return options->val && *options->val ? options->val : NULL;
    return NULL;
}

static void set_tls(MYSQL *mysql, const PQconninfoOption *options, const char *mode)
{
    my_bool verifies = strncmp(mode, "verify", 6) == 0, enforces = strcmp(mode, "disable") != 0;
    if (enforces)
        mysql_ssl_set(mysql, mysql_dsn_option(options, "sslkey"),
                      mysql_dsn_option(options, "sslcert"),
                      mysql_dsn_option(options, "sslrootcert"), NULL, NULL);
    mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verifies);
    mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &enforces);
}

static bool connect_by(MYSQL *mysql, const PQconninfoOption *options, unsigned long flags)
{
    const char *host = mysql_dsn_option(options, "host"), *port = mysql_dsn_option(options, "port");
    bool is_socket = host && *host == '/';
    return mysql_real_connect(
               mysql,
               is_socket ? NULL
               : host    ? host
                         : "127.0.0.1",
               mysql_dsn_option(options, "user"), mysql_dsn_option(options, "password"),
               mysql_dsn_option(options, "dbname"), port ? (unsigned) strtoul(port, NULL, 10) : 0,
               is_socket ? host : NULL, flags) != NULL;
}

enum ods_status mysql_dsn_connect(MYSQL *mysql, const char *dsn, unsigned long flags, bool *failed,
                                  struct error *error)
{
    PQconninfoOption *options = mysql_dsn_parse(dsn);
    *failed = false;
    if (!options)
        return error_set(error, ODS_FATAL,
                         "the dsn can't be read: expected host=… port=… dbname=… user=… "
                         "password=…, or mysql://user@host:port/name");
    const char *mode = mysql_dsn_option(options, "sslmode");
    if (!mode || strcmp(mode, "allow") == 0)
        mode = "disable"; /* libmariadb has no way back from a handshake that failed */
    if (strcmp(mode, "prefer") == 0)
        mode = mysql_dsn_option(options, "sslrootcert") ? "require" : "disable";
    set_tls(mysql, options, mode);
    *failed = !connect_by(mysql, options, flags);
    PQconninfoFree(options);
    return *failed ? ODS_RETRY : ODS_OK;
}

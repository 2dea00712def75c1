/* How tables and columns that the sink makes are to be, as ods-sink.conf says for the target: a
 * part of its settings. What they hold is told for each table by tables.yaml. */
#ifndef MAKING_H
#define MAKING_H

enum toast_compression { TOAST_COMPRESSION_AUTO, TOAST_COMPRESSION_DEFAULT };

struct making_settings {
    enum toast_compression toast_compression;
};

#endif

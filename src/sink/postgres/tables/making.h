/* The settings of a target in ods-sink.conf that concern tables and columns which the sink makes.
 * tables.yaml says for each table what it holds. */
#ifndef MAKING_H
#define MAKING_H

enum toast_compression { TOAST_COMPRESSION_AUTO, TOAST_COMPRESSION_DEFAULT };

struct making_settings {
    enum toast_compression toast_compression;
};

#endif

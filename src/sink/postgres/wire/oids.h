/* Types of parameters and columns that the sink names by number (PostgreSQL's pg_type.dat). */
#ifndef OIDS_H
#define OIDS_H

enum {
    OID_BYTEA = 17,
    OID_CHAR = 18,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_XID = 28,
    OID_CID = 29,
    OID_XML = 142,
    OID_POINT = 600,
    OID_LSEG = 601,
    OID_PATH = 602,
    OID_BOX = 603,
    OID_POLYGON = 604,
    OID_LINE = 628,
    OID_CIRCLE = 718,
    OID_MONEY = 790,
    OID_BYTEA_ARRAY = 1001,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_TIMESTAMPTZ = 1184,
    OID_TIMESTAMPTZ_ARRAY = 1185,
    OID_INTERVAL = 1186,
    OID_TIMETZ = 1266,
    OID_BIT = 1560,
    OID_TSVECTOR = 3614,
    OID_TSRANGE = 3908,
    OID_TSTZRANGE = 3910,
    OID_DATERANGE = 3912,
    OID_TSMULTIRANGE = 4533,
    OID_TSTZMULTIRANGE = 4534,
    OID_DATEMULTIRANGE = 4535,
};

#endif

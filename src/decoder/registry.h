/* The decoders that registry.c lists. */
#ifndef DECODER_REGISTRY_H
#define DECODER_REGISTRY_H

#include <ods/decoder.h>

extern const struct decoder_ops decoder_debezium, decoder_maxwell;

#endif

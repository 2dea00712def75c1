/* Bytes sealed for the holder of a private key: JSON Web Encryption in its compact form (RFC 7516).
 *
 *   BASE64URL(header).BASE64URL(wrapped key).BASE64URL(nonce).BASE64URL(ciphertext).BASE64URL(tag)
 *
 * The bytes are encrypted by AES-256-GCM under a key of their own, which the header's "alg" hands
 * to the reader: RSA-OAEP-256 for an RSA key; ECDH-ES with a one-time X25519 key (RFC 8037), whose
 * wrapped key is empty. "kid" names the reader's key. Any JOSE library opens it.
 */
#ifndef JWE_H
#define JWE_H

#include <ods/buffer.h>
#include <ods/status.h>

struct jwe_key; /* RSA or X25519; never changes, so that threads may share it */

/* From a PEM file as openssl writes it. ODS_FATAL: there is none, or it will not do; no part of the
 * file is in the error. */
enum ods_status jwe_key_read_public(struct jwe_key **key, const char *file, struct error *error);
enum ods_status jwe_key_read_private(struct jwe_key **key, const char *file, struct error *error);
void jwe_key_free(struct jwe_key *key); /* NULL is fine */

/* The first 16 hexadecimal digits of the SHA-256 of the public key as DER (SubjectPublicKeyInfo):
 * the same for both halves of a pair. */
#define JWE_KEY_ID_BYTES 17
const char *jwe_key_id(const struct jwe_key *key);

/* Appends the sealed bytes. ODS_RETRY: memory is out. */
enum ods_status jwe_seal(const struct jwe_key *key, const void *bytes, size_t length,
                         struct buffer *out, struct error *error);
/* Appends what was sealed, with that of the private keys which its header names. ODS_REJECT: it is
 * not of that form, none of the keys is the right one, or it was altered. */
enum ods_status jwe_open(struct jwe_key *const *keys, size_t count, const char *text, size_t length,
                         struct buffer *out, struct error *error);

#endif

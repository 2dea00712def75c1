/* See jwe.h. */
#include "core/jwe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <yyjson.h>

#include "core/base64.h"

#define AES_BYTES     32
#define NONCE_BYTES   12
#define TAG_BYTES     16
#define X25519_BYTES  32
#define RSA_BITS_LEAST 2048
#define WRAPPED_MAX   2048 /* an RSA key of 16384 bits */
#define HEADER_MAX    1024
#define PARTS         5

struct jwe_key {
    EVP_PKEY *pair; /* or its public half */
    bool rsa;
    char id[JWE_KEY_ID_BYTES];
};

/* --- keys ----------------------------------------------------------------------------------- */

static bool set_id(struct jwe_key *key)
{
    unsigned char *der = NULL, digest[SHA256_DIGEST_LENGTH];
    int length = i2d_PUBKEY(key->pair, &der);
    if (length <= 0)
        return false;
    SHA256(der, (size_t) length, digest);
    OPENSSL_free(der);
    for (size_t i = 0; i < JWE_KEY_ID_BYTES / 2; i++)
        snprintf(key->id + 2 * i, 3, "%02x", digest[i]);
    return true;
}

/* Private keys with a passphrase are refused, not asked for: a command may have no terminal. */
static int no_passphrase(char *room, int size, int writing, void *context)
{
    *(bool *) context = true;
    return -1;
}

static enum ods_status read_key(struct jwe_key **out, const char *file, bool private,
                                struct error *error)
{
    const char *what = private ? "private key" : "public key";
    bool locked = false;
    *out = NULL;
    FILE *in = fopen(file, "re");
    if (!in)
        return error_set(error, ODS_FATAL, "can't read the %s %s: %s", what, file,
                         strerror(errno));
    struct jwe_key *key = calloc(1, sizeof *key);
    if (key)
        key->pair = private ? PEM_read_PrivateKey(in, NULL, no_passphrase, &locked)
                            : PEM_read_PUBKEY(in, NULL, no_passphrase, &locked);
    fclose(in);
    ERR_clear_error();
    if (!key)
        return error_set(error, ODS_FATAL, "out of memory for the %s %s", what, file);
    key->rsa = key->pair && EVP_PKEY_is_a(key->pair, "RSA");
    if (locked)
        error_set(error, ODS_FATAL, "the private key %s has a passphrase: take it off into a file "
                                    "that only you can read (openssl pkey -in … -out …)", file);
    else if (!key->pair)
        error_set(error, ODS_FATAL, "%s holds no %s in PEM (\"-----BEGIN %s-----\")%s", file, what,
                  private ? "PRIVATE KEY" : "PUBLIC KEY",
                  private ? "" : ": openssl pkey -in PRIVATE.pem -pubout writes it");
    else if (!key->rsa && !EVP_PKEY_is_a(key->pair, "X25519"))
        error_set(error, ODS_FATAL, "%s is neither an X25519 nor an RSA key", file);
    else if (key->rsa && EVP_PKEY_get_bits(key->pair) < RSA_BITS_LEAST)
        error_set(error, ODS_FATAL, "%s is an RSA key of %d bits; it needs %d at least", file,
                  EVP_PKEY_get_bits(key->pair), RSA_BITS_LEAST);
    else if (!set_id(key))
        error_set(error, ODS_FATAL, "out of memory for the %s %s", what, file);
    else {
        *out = key;
        return ODS_OK;
    }
    jwe_key_free(key);
    return ODS_FATAL;
}

enum ods_status jwe_key_read_public(struct jwe_key **key, const char *file, struct error *error)
{
    return read_key(key, file, false, error);
}

enum ods_status jwe_key_read_private(struct jwe_key **key, const char *file, struct error *error)
{
    return read_key(key, file, true, error);
}

void jwe_key_free(struct jwe_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pair);
    free(key);
}

const char *jwe_key_id(const struct jwe_key *key)
{
    return key->id;
}

/* --- base64url, without padding ------------------------------------------------------------- */

static void put_part(struct buffer *out, const void *bytes, size_t length)
{
    char *at = buffer_take(out, BASE64_ENCODED(length));
    if (!at)
        return;
    base64_encode(bytes, length, at);
    for (char *c = at; c < at + BASE64_ENCODED(length); c++)
        *c = (char) (*c == '+' ? '-' : *c == '/' ? '_' : *c);
    out->length -= (3 - length % 3) % 3;
}

static bool read_part(const char *text, size_t length, struct buffer *out)
{
    size_t padded = (length + 3) / 4 * 4;
    char *plain = malloc(padded + 1);
    unsigned char *bytes = (unsigned char *) buffer_take(out, BASE64_DECODED_MAX(padded) + 1);
    size_t read = 0;
    bool good = plain && bytes;
    for (size_t i = 0; good && i < padded; i++) {
        char c = i < length ? text[i] : '=';
        good = c != '+' && c != '/' && (i >= length || c != '=');
        plain[i] = (char) (c == '-' ? '+' : c == '_' ? '/' : c);
    }
    good = good && base64_decode(plain, padded, bytes, &read);
    out->length -= bytes ? BASE64_DECODED_MAX(padded) + 1 - read : 0;
    free(plain);
    return good;
}

/* --- the key of the bytes ------------------------------------------------------------------- */

/* The two halves of X25519 together, hashed as RFC 7518, 4.6 says. */
static bool agree(EVP_PKEY *own, EVP_PKEY *peer, unsigned char secret[AES_BYTES])
{
    static const unsigned char info[] = {0, 0, 0, 7, 'A', '2', '5', '6', 'G', 'C', 'M',
                                         0, 0, 0, 0, 0,   0,   0,   0,   0,   0,   1,   0};
    unsigned char input[4 + X25519_BYTES + sizeof info] = {0, 0, 0, 1};
    size_t length = X25519_BYTES;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
    bool good = context && EVP_PKEY_derive_init(context) == 1 &&
                EVP_PKEY_derive_set_peer(context, peer) == 1 &&
                EVP_PKEY_derive(context, input + 4, &length) == 1 && length == X25519_BYTES;
    EVP_PKEY_CTX_free(context);
    memcpy(input + 4 + X25519_BYTES, info, sizeof info);
    if (good)
        SHA256(input, sizeof input, secret);
    OPENSSL_cleanse(input, sizeof input);
    return good;
}

static EVP_PKEY_CTX *oaep(const struct jwe_key *key, int (*begin)(EVP_PKEY_CTX *))
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pair, NULL);
    if (context && begin(context) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1)
        return context;
    EVP_PKEY_CTX_free(context);
    return NULL;
}

static bool put_rsa(const struct jwe_key *key, unsigned char secret[AES_BYTES], struct buffer *out)
{
    char header[HEADER_MAX];
    unsigned char wrapped[WRAPPED_MAX];
    size_t length = sizeof wrapped;
    EVP_PKEY_CTX *context = oaep(key, EVP_PKEY_encrypt_init);
    bool good = context && RAND_bytes(secret, AES_BYTES) == 1 &&
                EVP_PKEY_encrypt(context, wrapped, &length, secret, AES_BYTES) == 1;
    EVP_PKEY_CTX_free(context);
    int written = snprintf(header, sizeof header,
                           "{\"alg\":\"RSA-OAEP-256\",\"enc\":\"A256GCM\",\"kid\":\"%s\"}",
                           key->id);
    put_part(out, header, (size_t) written);
    buffer_puts(out, ".");
    put_part(out, wrapped, good ? length : 0);
    return good;
}

static bool put_x25519(const struct jwe_key *key, unsigned char secret[AES_BYTES],
                       struct buffer *out)
{
    struct buffer header;
    unsigned char half[X25519_BYTES];
    size_t length = sizeof half;
    EVP_PKEY *once = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    bool good = once && EVP_PKEY_get_raw_public_key(once, half, &length) == 1 &&
                agree(once, key->pair, secret);
    EVP_PKEY_free(once);
    buffer_init(&header);
    buffer_printf(&header,
                  "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"kid\":\"%s\",\"epk\":{\"kty\":"
                  "\"OKP\",\"crv\":\"X25519\",\"x\":\"",
                  key->id);
    put_part(&header, half, sizeof half);
    buffer_puts(&header, "\"}}");
    put_part(out, header.bytes, header.length);
    buffer_puts(out, ".");
    good = good && !header.failed;
    buffer_done(&header);
    return good;
}

/* --- sealing -------------------------------------------------------------------------------- */

/* The header as it stands in the text is authenticated too. */
static bool encrypt(const unsigned char secret[AES_BYTES], const char *header, size_t header_length,
                    const void *bytes, size_t length, struct buffer *out)
{
    unsigned char nonce[NONCE_BYTES], tag[TAG_BYTES];
    unsigned char *room = malloc(length + 1);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int put = 0;
    bool good = room && context && length <= INT32_MAX && RAND_bytes(nonce, NONCE_BYTES) == 1 &&
                EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, secret, nonce) == 1 &&
                EVP_EncryptUpdate(context, NULL, &put, (const unsigned char *) header,
                                  (int) header_length) == 1 &&
                EVP_EncryptUpdate(context, room, &put, bytes, (int) length) == 1 &&
                EVP_EncryptFinal_ex(context, room + put, &put) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1;
    EVP_CIPHER_CTX_free(context);
    if (good) {
        buffer_puts(out, ".");
        put_part(out, nonce, sizeof nonce);
        buffer_puts(out, ".");
        put_part(out, room, length);
        buffer_puts(out, ".");
        put_part(out, tag, sizeof tag);
    }
    free(room);
    return good && !out->failed;
}

enum ods_status jwe_seal(const struct jwe_key *key, const void *bytes, size_t length,
                         struct buffer *out, struct error *error)
{
    unsigned char secret[AES_BYTES];
    size_t start = out->length;
    struct buffer header; /* as it stands in the text: out may move */
    bool good = key->rsa ? put_rsa(key, secret, out) : put_x25519(key, secret, out);
    buffer_init(&header);
    if (good && !out->failed) {
        const char *text = out->bytes + start;
        const char *dot = memchr(text, '.', out->length - start);
        buffer_add(&header, text, (size_t) (dot - text));
        good = !header.failed && encrypt(secret, header.bytes, header.length, bytes, length, out);
    }
    OPENSSL_cleanse(secret, sizeof secret);
    buffer_done(&header);
    ERR_clear_error();
    return good && !out->failed
               ? ODS_OK
               : error_set(error, ODS_RETRY, "%zu bytes can't be encrypted: out of memory", length);
}

/* --- opening -------------------------------------------------------------------------------- */

struct parts {
    const char *text[PARTS];
    size_t length[PARTS];
};

static bool split(const char *text, size_t length, struct parts *parts)
{
    const char *end = text + length;
    for (size_t i = 0; i < PARTS; i++) {
        const char *dot = i + 1 < PARTS ? memchr(text, '.', (size_t) (end - text)) : end;
        if (!dot)
            return false;
        parts->text[i] = text;
        parts->length[i] = (size_t) (dot - text);
        text = dot + 1;
    }
    return parts->length[0] <= HEADER_MAX * 2 && parts->length[1] <= WRAPPED_MAX * 2 &&
           parts->length[2] == 16 && parts->length[4] == 22;
}

static const char *member(yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));
    return text ? text : "";
}

static bool unwrap_rsa(const struct jwe_key *key, const struct parts *parts,
                       unsigned char secret[AES_BYTES])
{
    struct buffer wrapped;
    unsigned char room[WRAPPED_MAX];
    size_t length = sizeof room;
    buffer_init(&wrapped);
    EVP_PKEY_CTX *context = oaep(key, EVP_PKEY_decrypt_init);
    bool good = context && read_part(parts->text[1], parts->length[1], &wrapped) &&
                EVP_PKEY_decrypt(context, room, &length, (unsigned char *) wrapped.bytes,
                                 wrapped.length) == 1 &&
                length == AES_BYTES;
    if (good)
        memcpy(secret, room, AES_BYTES);
    OPENSSL_cleanse(room, sizeof room);
    EVP_PKEY_CTX_free(context);
    buffer_done(&wrapped);
    return good;
}

static bool unwrap_x25519(const struct jwe_key *key, yyjson_val *header,
                          unsigned char secret[AES_BYTES])
{
    const char *half = member(yyjson_obj_get(header, "epk"), "x");
    struct buffer raw;
    buffer_init(&raw);
    EVP_PKEY *peer = NULL;
    bool good = read_part(half, strlen(half), &raw) && raw.length == X25519_BYTES;
    if (good)
        peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, (unsigned char *) raw.bytes,
                                           raw.length);
    good = peer && agree(key->pair, peer, secret);
    EVP_PKEY_free(peer);
    buffer_done(&raw);
    return good;
}

static bool decrypt(const unsigned char secret[AES_BYTES], const struct parts *parts,
                    struct buffer *out)
{
    struct buffer nonce, tag, bytes;
    size_t before = out->length;
    buffer_init(&nonce);
    buffer_init(&tag);
    buffer_init(&bytes);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int put = 0;
    bool good = context && read_part(parts->text[2], parts->length[2], &nonce) &&
                read_part(parts->text[3], parts->length[3], &bytes) &&
                read_part(parts->text[4], parts->length[4], &tag) && bytes.length <= INT32_MAX;
    unsigned char *room = good ? (unsigned char *) buffer_take(out, bytes.length + 1) : NULL;
    good = room &&
           EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, secret,
                              (unsigned char *) nonce.bytes) == 1 &&
           EVP_DecryptUpdate(context, NULL, &put, (const unsigned char *) parts->text[0],
                             (int) parts->length[0]) == 1 &&
           EVP_DecryptUpdate(context, room, &put, (unsigned char *) bytes.bytes,
                             (int) bytes.length) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag.bytes) == 1 &&
           EVP_DecryptFinal_ex(context, room + put, &put) == 1;
    out->length = before + (good ? bytes.length : 0);
    EVP_CIPHER_CTX_free(context);
    buffer_done(&nonce);
    buffer_done(&tag);
    buffer_done(&bytes);
    return good;
}

static const struct jwe_key *find_key(struct jwe_key *const *keys, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i]->id, id) == 0)
            return keys[i];
    return NULL;
}

static enum ods_status open_with(const struct jwe_key *key, yyjson_val *header,
                                 const struct parts *parts, struct buffer *out,
                                 struct error *error)
{
    unsigned char secret[AES_BYTES];
    const char *algorithm = member(header, "alg");
    if (strcmp(algorithm, key->rsa ? "RSA-OAEP-256" : "ECDH-ES") != 0 ||
        strcmp(member(header, "enc"), "A256GCM") != 0)
        return error_set(error, ODS_REJECT, "it is encrypted in a way that this version does not "
                                            "know, or not for this kind of key");
    bool good = (key->rsa ? unwrap_rsa(key, parts, secret)
                          : unwrap_x25519(key, header, secret)) &&
                decrypt(secret, parts, out);
    OPENSSL_cleanse(secret, sizeof secret);
    ERR_clear_error();
    return good ? ODS_OK
                : error_set(error, ODS_REJECT, "it was altered since it was encrypted, or is not "
                                               "whole (key %s)", key->id);
}

enum ods_status jwe_open(struct jwe_key *const *keys, size_t count, const char *text, size_t length,
                         struct buffer *out, struct error *error)
{
    struct parts parts;
    struct buffer json;
    buffer_init(&json);
    yyjson_doc *document = NULL;
    if (split(text, length, &parts) && read_part(parts.text[0], parts.length[0], &json))
        document = yyjson_read(json.bytes, json.length, 0);
    yyjson_val *header = yyjson_doc_get_root(document);
    const char *id = member(header, "kid");
    const struct jwe_key *key = find_key(keys, count, id);
    enum ods_status status;
    if (!document)
        status = error_set(error, ODS_REJECT, "it is no JSON Web Encryption in compact form");
    else if (!key)
        status = error_set(error, ODS_REJECT, "it is encrypted for the key %.16s", id);
    else
        status = open_with(key, header, &parts, out, error);
    yyjson_doc_free(document);
    buffer_done(&json);
    return status;
}

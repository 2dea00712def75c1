/* Signing in. See amqp_sasl.h. */
#include "source/amqp/amqp_sasl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <proton/sasl.h>
#include <proton/sasl_plugin.h>

#include "core/base64.h"

#define ITERATIONS_MAX 1000000 /* a server that asks for more would only keep us busy */
#define SALT_MAX       1024

/* In the order in which one is chosen. */
static const struct amqp_mechanism {
    const char *name;
    enum broker_sasl sasl;
    bool named; /* it needs a user */
    bool plain; /* the password itself is sent */
    const EVP_MD *(*hash)(void);
} mechanisms[] = {
    {"SCRAM-SHA-512", BROKER_SASL_SCRAM_512, true, false, EVP_sha512},
    {"SCRAM-SHA-256", BROKER_SASL_SCRAM_256, true, false, EVP_sha256},
    {"PLAIN", BROKER_SASL_PLAIN, true, true, NULL},
    {"EXTERNAL", BROKER_SASL_EXTERNAL, false, false, NULL},
    {"ANONYMOUS", BROKER_SASL_ANONYMOUS, false, false, NULL},
};

static struct amqp_sasl *sasl_of(pn_transport_t *transport)
{
    return pnx_sasl_get_context(transport);
}

static void send_out(pn_transport_t *transport, struct amqp_sasl *sasl, enum pnx_sasl_state state)
{
    pnx_sasl_set_bytes_out(transport, pn_bytes(sasl->out.length, buffer_text(&sasl->out)));
    pnx_sasl_set_desired_state(transport, state);
}

static void fail(pn_transport_t *transport, struct amqp_sasl *sasl, const char *problem)
{
    sasl->problem = problem;
    pnx_sasl_error(transport, problem, "amqp:unauthorized-access");
    pnx_sasl_set_desired_state(transport, SASL_ERROR);
}

/* --- choosing --------------------------------------------------------------------------------- */

static bool is_offered(const char *offered, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = offered; *at; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word == length && strncasecmp(at, name, length) == 0)
            return true;
        at += word;
    }
    return false;
}

static bool is_wanted(const struct broker_settings *broker, const struct amqp_mechanism *mechanism)
{
    if (broker->sasl != BROKER_SASL_AUTO)
        return broker->sasl == mechanism->sasl;
    if (*broker->user)
        return mechanism->named;
    return mechanism->sasl == BROKER_SASL_EXTERNAL ? *broker->certificate
                                                   : mechanism->sasl == BROKER_SASL_ANONYMOUS;
}

static void put_name(struct buffer *out, const char *name)
{
    for (; *name; name++) {
        if (*name == '=')
            buffer_puts(out, "=3D");
        else if (*name == ',')
            buffer_puts(out, "=2C");
        else
            buffer_add(out, name, 1);
    }
}

static bool put_first(struct amqp_sasl *sasl)
{
    static const char header[] = "n,,";
    unsigned char random[24];
    if (RAND_bytes(random, sizeof random) != 1)
        return false;
    base64_encode((const char *) random, sizeof random, sasl->nonce);
    sasl->nonce[32] = '\0';
    buffer_reset(&sasl->first);
    buffer_puts(&sasl->first, "n=");
    put_name(&sasl->first, sasl->broker->user);
    buffer_printf(&sasl->first, ",r=%s", sasl->nonce);
    buffer_puts(&sasl->out, header);
    buffer_add(&sasl->out, sasl->first.bytes, sasl->first.length);
    return !sasl->first.failed;
}

static bool put_initial(struct amqp_sasl *sasl)
{
    const struct broker_settings *broker = sasl->broker;
    buffer_reset(&sasl->out);
    if (sasl->mechanism->hash)
        return put_first(sasl) && !sasl->out.failed;
    if (sasl->mechanism->plain) {
        buffer_add(&sasl->out, "", 1);
        buffer_puts(&sasl->out, broker->user);
        buffer_add(&sasl->out, "", 1);
        buffer_puts(&sasl->out, broker->password);
    } else if (sasl->mechanism->sasl == BROKER_SASL_EXTERNAL) {
        buffer_puts(&sasl->out, broker->user);
    } else {
        buffer_puts(&sasl->out, "anonymous");
    }
    return !sasl->out.failed;
}

static bool choose(pn_transport_t *transport, const char *offered)
{
    struct amqp_sasl *sasl = sasl_of(transport);
    snprintf(sasl->offered, sizeof sasl->offered, "%s", offered);
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
        if (!is_offered(offered, mechanisms[i].name) || !is_wanted(sasl->broker, &mechanisms[i]))
            continue;
        sasl->mechanism = &mechanisms[i];
        pnx_sasl_set_selected_mechanism(transport, mechanisms[i].name);
        if (!put_initial(sasl))
            return false;
        send_out(transport, sasl, SASL_POSTED_INIT);
        return true;
    }
    sasl->problem =
        "it offers no way to sign in that the settings user, certificate and sasl allow";
    return false;
}

/* --- SCRAM ------------------------------------------------------------------------------------ */

/* What stands behind "x=" in the server's message; NULL: it has none. */
static const char *attribute(const char *message, char name, size_t *length)
{
    while (message) {
        if (message[0] == name && message[1] == '=') {
            *length = strcspn(message + 2, ",");
            return message + 2;
        }
        message = strchr(message, ',');
        message = message ? message + 1 : NULL;
    }
    return NULL;
}

static void sign(const EVP_MD *hash, const unsigned char *key, const void *text, size_t length,
                 unsigned char *signature)
{
    unsigned int size;
    HMAC(hash, key, EVP_MD_size(hash), text, length, signature, &size);
}

/* The proof that we know the password, and what the server's own must be. */
static bool prove(struct amqp_sasl *sasl, const unsigned char *salt, size_t salt_length,
                  int iterations, const struct buffer *text, unsigned char *proof)
{
    const EVP_MD *hash = sasl->mechanism->hash();
    int size = EVP_MD_size(hash);
    const char *password = sasl->broker->password;
    unsigned char salted[EVP_MAX_MD_SIZE], key[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE];
    bool good = PKCS5_PBKDF2_HMAC(password, (int) strlen(password), salt, (int) salt_length,
                                  iterations, hash, size, salted) == 1;
    if (good) {
        sign(hash, salted, "Client Key", strlen("Client Key"), key);
        good = EVP_Digest(key, (size_t) size, stored, NULL, hash, NULL) == 1;
    }
    if (good) {
        sign(hash, stored, text->bytes, text->length, proof);
        for (int i = 0; i < size; i++)
            proof[i] ^= key[i];
        sign(hash, salted, "Server Key", strlen("Server Key"), key);
        sign(hash, key, text->bytes, text->length, sasl->proof_key);
    }
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(stored, sizeof stored);
    return good;
}

/* The answer to the server's first message. False: that is not as it should be. */
static bool put_final(struct amqp_sasl *sasl, const char *server)
{
    size_t nonce_length, salt_length, count_length;
    const char *nonce = attribute(server, 'r', &nonce_length);
    const char *salt = attribute(server, 's', &salt_length);
    const char *count = attribute(server, 'i', &count_length);
    unsigned char bytes[SALT_MAX], proof[EVP_MAX_MD_SIZE];
    char proof_text[BASE64_ENCODED(EVP_MAX_MD_SIZE) + 1];
    size_t bytes_length;
    int iterations = count ? (int) strtol(count, NULL, 10) : 0;
    if (!nonce || nonce_length <= strlen(sasl->nonce) ||
        strncmp(nonce, sasl->nonce, strlen(sasl->nonce)) != 0 || !salt ||
        BASE64_DECODED_MAX(salt_length) + 1 > sizeof bytes ||
        !base64_decode(salt, salt_length, bytes, &bytes_length) || iterations < 1 ||
        iterations > ITERATIONS_MAX)
        return false;
    struct buffer text;
    buffer_init(&text);
    buffer_reset(&sasl->out);
    buffer_printf(&sasl->out, "c=biws,r=%.*s", (int) nonce_length, nonce);
    buffer_add(&text, sasl->first.bytes, sasl->first.length);
    buffer_printf(&text, ",%s,", server);
    buffer_add(&text, sasl->out.bytes, sasl->out.length);
    size_t size = (size_t) EVP_MD_size(sasl->mechanism->hash());
    bool good = !text.failed && prove(sasl, bytes, bytes_length, iterations, &text, proof);
    if (good) {
        base64_encode((const char *) proof, size, proof_text);
        buffer_printf(&sasl->out, ",p=%.*s", (int) BASE64_ENCODED(size), proof_text);
    }
    buffer_done(&text);
    return good && !sasl->out.failed;
}

/* The server's last message: it knows the password too. */
static bool check_server(struct amqp_sasl *sasl, const char *server)
{
    size_t length, size = (size_t) EVP_MD_size(sasl->mechanism->hash()), got;
    const char *signature = attribute(server, 'v', &length);
    unsigned char bytes[EVP_MAX_MD_SIZE + 4];
    sasl->proven = signature && BASE64_DECODED_MAX(length) + 1 <= sizeof bytes &&
                   base64_decode(signature, length, bytes, &got) && got == size &&
                   CRYPTO_memcmp(bytes, sasl->proof_key, size) == 0;
    return sasl->proven;
}

static const char *take_reply(struct amqp_sasl *sasl, const pn_bytes_t *received)
{
    buffer_reset(&sasl->reply);
    buffer_add(&sasl->reply, received->start, received->size);
    return buffer_text(&sasl->reply);
}

static void answer(pn_transport_t *transport, const pn_bytes_t *received)
{
    struct amqp_sasl *sasl = sasl_of(transport);
    bool scram = sasl->mechanism && sasl->mechanism->hash;
    const char *server = scram ? take_reply(sasl, received) : "";
    if (scram && server[0] == 'v' && check_server(sasl, server)) {
        buffer_reset(&sasl->out);
        send_out(transport, sasl, SASL_POSTED_RESPONSE);
    } else if (scram && server[0] != 'v' && put_final(sasl, server)) {
        send_out(transport, sasl, SASL_POSTED_RESPONSE);
    } else {
        fail(transport, sasl, "its answer to our signing in is not as it should be");
    }
}

static void take_outcome(pn_transport_t *transport, const pn_bytes_t *received)
{
    struct amqp_sasl *sasl = sasl_of(transport);
    bool scram = sasl->mechanism && sasl->mechanism->hash;
    if (!scram || pn_sasl_outcome(pn_sasl(transport)) != PN_SASL_OK)
        return;
    if (received && received->size)
        check_server(sasl, take_reply(sasl, received));
    if (!sasl->proven)
        sasl->problem = "it did not prove that it knows the password";
}

/* --- what the library asks for ---------------------------------------------------------------- */

static void forget(pn_transport_t *transport)
{
}

static const char *list_none(pn_transport_t *transport)
{
    return "";
}

static bool serve(pn_transport_t *transport)
{
    return false;
}

static bool begin(pn_transport_t *transport)
{
    return true;
}

static void prepare(pn_transport_t *transport)
{
}

static void refuse_init(pn_transport_t *transport, const char *mechanism,
                        const pn_bytes_t *received)
{
}

static void refuse_response(pn_transport_t *transport, const pn_bytes_t *received)
{
}

static bool encrypts(pn_transport_t *transport)
{
    return false;
}

static ssize_t most(pn_transport_t *transport)
{
    return 0;
}

static ssize_t code(pn_transport_t *transport, pn_bytes_t in, pn_bytes_t *out)
{
    return 0;
}

static const pnx_sasl_implementation implementation = {
    .free = forget,
    .list_mechanisms = list_none,
    .init_server = serve,
    .init_client = begin,
    .prepare_write = prepare,
    .process_init = refuse_init,
    .process_response = refuse_response,
    .process_mechanisms = choose,
    .process_challenge = answer,
    .process_outcome = take_outcome,
    .can_encrypt = encrypts,
    .max_encrypt_size = most,
    .encode = code,
    .decode = code,
};

void amqp_sasl_init(struct amqp_sasl *sasl, const struct broker_settings *broker)
{
    *sasl = (struct amqp_sasl){.broker = broker};
    buffer_init(&sasl->out);
    buffer_init(&sasl->first);
    buffer_init(&sasl->reply);
}

void amqp_sasl_done(struct amqp_sasl *sasl)
{
    if (sasl->out.bytes)
        OPENSSL_cleanse(sasl->out.bytes, sasl->out.capacity);
    buffer_done(&sasl->out);
    buffer_done(&sasl->first);
    buffer_done(&sasl->reply);
}

void amqp_sasl_use(struct amqp_sasl *sasl, pn_transport_t *transport)
{
    sasl->mechanism = NULL;
    sasl->proven = false;
    sasl->problem = NULL;
    sasl->offered[0] = '\0';
    pn_sasl(transport);
    pnx_sasl_set_implementation(transport, &implementation, sasl);
}

const char *amqp_sasl_name(const struct amqp_sasl *sasl)
{
    return sasl->mechanism ? sasl->mechanism->name : "";
}

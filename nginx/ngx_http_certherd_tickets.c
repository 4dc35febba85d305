
/*
 * Session tickets of TLS 1.3 with the keys of the pool, so that a visitor
 * resumes on any of its edges.  The agent has checked who signed them; they are
 * opened here, kept in this worker's memory and wiped when their time is over.
 *
 * OpenSSL asks for ticket keys by a callback of the context that the listener
 * began with, for whatever server the connection belongs to.  Servers without
 * "certherd on" must find what nginx, or OpenSSL itself, does for them: so the
 * callback is set for the moment of its use only, when it is known whose
 * connection is served.  Nothing else runs in a worker meanwhile.
 */


#include "ngx_http_certherd_module.h"

#include <openssl/core_names.h>

#include "base/secret.h"
#include "wire/tickets.h"


typedef struct {
    u_char                     id[CH_TICKET_ID_B];
    time_t                     from;
    time_t                     until;
    u_char                     block[CH_TICKET_BLOCK_B];
} ngx_http_certherd_ticket_key_t;


static struct {
    ngx_http_certherd_ticket_key_t  keys[CH_TICKET_KEYS_MAX];  /* by "from" */
    ngx_uint_t                      n;
    uint64_t                        version;    /* of the set they are from */
    uint64_t                        complained; /* about this one */
} ngx_http_certherd_tickets;


static int
ngx_http_certherd_ticket_callback(ngx_ssl_conn_t *ssl_conn, u_char *name,
    u_char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc);


static ngx_http_certherd_ticket_key_t *
ngx_http_certherd_ticket_find(const u_char *id)
{
    ngx_uint_t                       i;
    ngx_http_certherd_ticket_key_t  *key;

    for (i = 0; i < ngx_http_certherd_tickets.n; i++) {
        key = &ngx_http_certherd_tickets.keys[i];

        if (ngx_memcmp(key->id, id, CH_TICKET_ID_B) == 0) {
            return key;
        }
    }

    return NULL;
}


/* What makes tickets now: as ch_tickets_current. */

static ngx_http_certherd_ticket_key_t *
ngx_http_certherd_ticket_current(void)
{
    ngx_uint_t                       i;
    ngx_http_certherd_ticket_key_t  *key, *current;

    current = NULL;

    for (i = 0; i < ngx_http_certherd_tickets.n; i++) {
        key = &ngx_http_certherd_tickets.keys[i];

        if (key->from > ngx_time()) {
            break;
        }

        current = key->until > ngx_time() ? key : NULL;
    }

    return current;
}


static void
ngx_http_certherd_tickets_expire(void)
{
    ngx_uint_t                       i, n;
    ngx_http_certherd_ticket_key_t  *keys;

    keys = ngx_http_certherd_tickets.keys;

    for (i = 0, n = 0; i < ngx_http_certherd_tickets.n; i++) {
        if (keys[i].until > ngx_time()) {
            if (n != i) {
                keys[n] = keys[i];
            }

            n++;
        }
    }

    if (n < ngx_http_certherd_tickets.n) {
        ch_wipe(&keys[n], (ngx_http_certherd_tickets.n - n) * sizeof(keys[0]));
        ngx_http_certherd_tickets.n = n;
    }
}


static int
ngx_http_certherd_ticket_open(const struct ch_ticket_key *sealed,
    struct ch_record *record, u_char *block)
{
    int                           rc;
    size_t                        i;
    ngx_uint_t                    k;
    ngx_array_t                  *keys;
    struct ch_recipient_key      *key;
    struct ch_ticket_binding      binding;
    const struct ch_sealed_view  *copy;

    rc = CH_ENOTFOUND;
    keys = &ngx_http_certherd_main_conf()->keys;
    ch_tickets_binding(sealed, record->name, record->name_len, &binding);

    for (i = 0; i < sealed->n_sealed; i++) {
        copy = &sealed->sealed[i];

        for (k = 0; k < keys->nelts; k++) {
            key = ((struct ch_recipient_key **) keys->elts)[k];

            if (copy->kem_id != key->pub.kem
                || ngx_memcmp(copy->recipient_id, key->pub.id,
                              CH_RECIPIENT_ID_B) != 0)
            {
                continue;
            }

            rc = ch_ticket_key_open(key, &binding, copy->enc, copy->enc_len,
                                    copy->ct, copy->ct_len, block);
            if (rc == CH_OK) {
                return CH_OK;
            }
        }
    }

    return rc;
}


static void
ngx_http_certherd_tickets_complain(struct ch_record *record, int rc,
    ngx_log_t *log)
{
    if (ngx_http_certherd_tickets.complained == record->version) {
        return;
    }

    ngx_http_certherd_tickets.complained = record->version;

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "certherd: keys of session tickets cannot be opened: %s",
                  rc == CH_ENOTFOUND
                  ? "no certherd_recipient_key is among their recipients"
                  : "they are damaged");
}


/* In place of what there was: what is in the set no more is wiped. */

static void
ngx_http_certherd_tickets_take(struct ch_record *record,
    struct ch_tickets *tickets, ngx_log_t *log)
{
    int                              rc;
    size_t                           i;
    ngx_uint_t                       n;
    ngx_http_certherd_ticket_key_t  *key, *old;
    ngx_http_certherd_ticket_key_t   keys[CH_TICKET_KEYS_MAX];

    ngx_memzero(keys, sizeof(keys));

    for (i = 0, n = 0; i < tickets->n; i++) {
        if (tickets->keys[i].until_s <= ngx_time()) {
            continue;
        }

        key = &keys[n];
        old = ngx_http_certherd_ticket_find(tickets->keys[i].id);

        if (old) {
            ngx_memcpy(key->block, old->block, CH_TICKET_BLOCK_B);

        } else {
            rc = ngx_http_certherd_ticket_open(&tickets->keys[i], record,
                                               key->block);
            if (rc != CH_OK) {
                ngx_http_certherd_tickets_complain(record, rc, log);
                continue;
            }
        }

        ngx_memcpy(key->id, tickets->keys[i].id, CH_TICKET_ID_B);
        key->from = tickets->keys[i].from_s;
        key->until = tickets->keys[i].until_s;
        n++;
    }

    ngx_memcpy(ngx_http_certherd_tickets.keys, keys, sizeof(keys));
    ngx_http_certherd_tickets.n = n;
    ngx_http_certherd_tickets.version = record->version;

    ch_wipe(keys, sizeof(keys));
}


void
ngx_http_certherd_tickets_follow(ngx_log_t *log)
{
    struct ch_record   record;
    struct ch_tickets  tickets;

    ngx_http_certherd_tickets_expire();

    if (ngx_http_certherd_acquire_tickets(&record, log) != NGX_OK) {
        return;
    }

    /* An older set is no news, whoever put it there. */

    if (record.version >= ngx_http_certherd_tickets.version
        && ch_tickets_decode(record.tickets, record.tickets_len, &tickets)
           == CH_OK)
    {
        ngx_http_certherd_tickets_take(&record, &tickets, log);
    }

    ngx_http_certherd_release();
}


void
ngx_http_certherd_tickets_stop(void)
{
    ch_wipe(&ngx_http_certherd_tickets, sizeof(ngx_http_certherd_tickets));
}


time_t
ngx_http_certherd_tickets_age(void)
{
    ngx_http_certherd_ticket_key_t  *key;

    key = ngx_http_certherd_ticket_current();

    return key ? ngx_time() - key->from : -1;
}


/*
 * RFC 8446 section 4.2.1.  The version is chosen after this callback, and before
 * tickets are looked at.
 */

static ngx_uint_t
ngx_http_certherd_tls13_offered(ngx_ssl_conn_t *ssl_conn)
{
    int            most;
    size_t         len, i;
    const u_char  *p;

    most = SSL_get_max_proto_version(ssl_conn);

    if ((SSL_get_options(ssl_conn) & SSL_OP_NO_TLSv1_3)
        || (most != 0 && most < TLS1_3_VERSION)
        || SSL_client_hello_get0_ext(ssl_conn, TLSEXT_TYPE_supported_versions,
                                     &p, &len)
           != 1)
    {
        return 0;
    }

    for (i = 1; i + 1 < len; i += 2) {
        if (p[i] == 0x03 && p[i + 1] == 0x04) {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_certherd_tickets_hello(ngx_ssl_conn_t *ssl_conn, SSL_CTX *listener,
    ngx_http_certherd_srv_conf_t *scf)
{
    ngx_uint_t                 ours;
    ngx_http_certherd_conn_t  *cx;

    /* Early data could be played back with a ticket, on each edge once. */

    ours = scf->enable && scf->tickets && ngx_http_certherd_ticket_current()
           && SSL_get_max_early_data(ssl_conn) == 0
           && ngx_http_certherd_tls13_offered(ssl_conn);

    SSL_CTX_set_tlsext_ticket_key_evp_cb(
        listener, ours ? ngx_http_certherd_ticket_callback : NULL);

    if (!scf->enable) {
        return;
    }

    cx = ngx_http_certherd_conn(ngx_ssl_get_connection(ssl_conn));
    cx->tickets = ours;

    if (ours) {
        SSL_clear_options(ssl_conn, SSL_OP_NO_TICKET);

    } else {
        SSL_set_options(ssl_conn, SSL_OP_NO_TICKET);
    }
}


void
ngx_http_certherd_tickets_chosen(ngx_ssl_conn_t *ssl_conn,
    ngx_http_certherd_srv_conf_t *scf, ngx_http_certherd_conn_t *cx)
{
    if (cx == NULL || !cx->tickets || SSL_version(ssl_conn) != TLS1_3_VERSION) {

        /*
         * Not on the SSL_CTX: that would take tickets away from static servers
         * behind a listener whose default server has certherd on.  Those of
         * TLS 1.3 are then handles of the session cache.
         */

        SSL_set_options(ssl_conn, SSL_OP_NO_TICKET);
        return;
    }

    SSL_clear_options(ssl_conn, SSL_OP_NO_TICKET);
    SSL_set_num_tickets(ssl_conn, scf->tickets);
}


/* Called when a ticket is to be made, before OpenSSL looks which kind of. */

static int
ngx_http_certherd_ticket_begin(ngx_ssl_conn_t *ssl_conn, void *arg)
{
    SSL_CTX  *listener = arg;

    ngx_uint_t                 ours;
    ngx_http_certherd_conn_t  *cx;

    cx = ngx_http_certherd_conn(ngx_ssl_get_connection(ssl_conn));
    ours = cx && cx->tickets && SSL_get_max_early_data(ssl_conn) == 0;

    if (ours && ngx_http_certherd_ticket_current() == NULL) {
        SSL_set_options(ssl_conn, SSL_OP_NO_TICKET);
        ours = 0;
    }

    if (ours) {
        /* All of it is in the ticket: without an id nginx does not cache it. */
        (void) SSL_SESSION_set1_id(SSL_get_session(ssl_conn), (u_char *) "", 0);
    }

    SSL_CTX_set_tlsext_ticket_key_evp_cb(
        listener, ours ? ngx_http_certherd_ticket_callback : NULL);

    return 1;
}


void
ngx_http_certherd_tickets_hook(SSL_CTX *ctx)
{
    SSL_CTX_set_session_ticket_cb(ctx, ngx_http_certherd_ticket_begin, NULL,
                                  ctx);
}


static ngx_int_t
ngx_http_certherd_ticket_mac(ngx_http_certherd_ticket_key_t *key,
    EVP_MAC_CTX *mac)
{
    OSSL_PARAM  params[3];

    params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
                                         key->block + 1 + CH_TICKET_AES_B,
                                         CH_TICKET_HMAC_B);
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 "SHA256", 0);
    params[2] = OSSL_PARAM_construct_end();

    return EVP_MAC_CTX_set_params(mac, params) == 1 ? NGX_OK : NGX_ERROR;
}


/*
 * RFC 5077 section 4, as SSL_CTX_set_tlsext_ticket_key_evp_cb has it.  A ticket
 * that is opened is replaced (2): clients use one once (RFC 8446 appendix C.4).
 * 0: no such key, a full handshake.
 */

static int
ngx_http_certherd_ticket_callback(ngx_ssl_conn_t *ssl_conn, u_char *name,
    u_char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
    int                              rc;
    u_char                          *aes;
    ngx_http_certherd_ticket_key_t  *key;

    key = enc ? ngx_http_certherd_ticket_current()
              : ngx_http_certherd_ticket_find(name);

    if (key == NULL || key->until <= ngx_time()) {
        return enc ? -1 : 0;
    }

    aes = key->block + 1;

    if (enc) {
        ngx_memcpy(name, key->id, CH_TICKET_ID_B);
        rc = RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1
             && EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, aes, iv)
                == 1;

    } else {
        rc = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, aes, iv) == 1;
    }

    if (!rc || ngx_http_certherd_ticket_mac(key, mac) != NGX_OK) {
        return -1;
    }

    return enc ? 1 : 2;
}

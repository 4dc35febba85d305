
/*
 * tls-alpn-01 (RFC 8737): a CA opens a TLS connection that offers "acme-tls/1"
 * and nothing else, and wants to see a certificate that is made of the token
 * and of our account's thumbprint, which is pinned in this configuration.  The
 * replica says the token; what it could say otherwise is never shown.
 *
 * Such a connection leaves nginx's context in its first hello, and with it
 * whatever is configured there: it gets one certificate, no session, and is
 * closed when the handshake is done.  Strangers may open it as well: that
 * costs one signature more than any handshake here, and only while a challenge
 * of that name is open.
 */


#include "ngx_http_certherd_module.h"

#include <openssl/rand.h>

#include "crypto/alpn_cert.h"


#define NGX_HTTP_CERTHERD_ALPN_CERTS  64


typedef struct {
    u_char                     digest[CH_SHA256_B];  /* of what it is made of */
    X509                      *cert;
} ngx_http_certherd_alpn_cert_t;


/* Of this worker; the key is in no file and signs nothing else. */
static struct {
    SSL_CTX                       *ctx;
    EVP_PKEY                      *key;
    ngx_http_certherd_alpn_cert_t  certs[NGX_HTTP_CERTHERD_ALPN_CERTS];
} ngx_http_certherd_alpn;


static const u_char  ngx_http_certherd_alpn_list[] = {
    sizeof(CH_ALPN_PROTOCOL) - 1, 'a', 'c', 'm', 'e', '-', 't', 'l', 's', '/',
    '1'
};


/* RFC 7301 section 3.1: a list, behind its length. */

ngx_uint_t
ngx_http_certherd_alpn_offered(ngx_ssl_conn_t *ssl_conn)
{
    size_t         len;
    const u_char  *p;

    return SSL_client_hello_get0_ext(ssl_conn,
                      TLSEXT_TYPE_application_layer_protocol_negotiation,
                      &p, &len)
           == 1
           && len == 2 + sizeof(ngx_http_certherd_alpn_list)
           && p[0] == 0 && p[1] == sizeof(ngx_http_certherd_alpn_list)
           && ngx_memcmp(p + 2, ngx_http_certherd_alpn_list,
                         sizeof(ngx_http_certherd_alpn_list))
              == 0;
}


static int
ngx_http_certherd_alpn_select(ngx_ssl_conn_t *ssl_conn,
    const unsigned char **out, unsigned char *outlen, const unsigned char *in,
    unsigned int inlen, void *arg)
{
    /* It is all that was offered. */

    *out = ngx_http_certherd_alpn_list + 1;
    *outlen = ngx_http_certherd_alpn_list[0];

    return SSL_TLSEXT_ERR_OK;
}


/* In the place of nginx's, which would go back to a server's context. */

static int
ngx_http_certherd_alpn_servername(ngx_ssl_conn_t *ssl_conn, int *ad, void *arg)
{
    return SSL_TLSEXT_ERR_OK;
}


static ngx_int_t
ngx_http_certherd_alpn_init(void)
{
    SSL_CTX  *ctx;

    if (ngx_http_certherd_alpn.ctx) {
        return NGX_OK;
    }

    ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    SSL_CTX_set_alpn_select_cb(ctx, ngx_http_certherd_alpn_select, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx,
                                           ngx_http_certherd_alpn_servername);
    /* The second hello, after a HelloRetryRequest. */
    SSL_CTX_set_client_hello_cb(ctx, ngx_http_certherd_client_hello, NULL);
    /* In TLS 1.2 no id, so that nothing is put into nginx's cache. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);

    if (ngx_http_certherd_alpn.key == NULL
        && ch_key_generate(&ngx_http_certherd_alpn.key) != CH_OK)
    {
        SSL_CTX_free(ctx);
        return NGX_ERROR;
    }

    ngx_http_certherd_alpn.ctx = ctx;

    return NGX_OK;
}


void
ngx_http_certherd_alpn_stop(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_CERTHERD_ALPN_CERTS; i++) {
        X509_free(ngx_http_certherd_alpn.certs[i].cert);
        ngx_http_certherd_alpn.certs[i].cert = NULL;
    }

    SSL_CTX_free(ngx_http_certherd_alpn.ctx);
    ngx_http_certherd_alpn.ctx = NULL;

    EVP_PKEY_free(ngx_http_certherd_alpn.key);
    ngx_http_certherd_alpn.key = NULL;
}


/* Made once, as long as no other name takes its place. */

static X509 *
ngx_http_certherd_alpn_get(ngx_str_t *name, u_char *authorization, size_t len)
{
    u_char                          text[NGX_HTTP_CERTHERD_NAME_MAX + 1
                                         + CH_RECORD_TOKEN_MAX + 1
                                         + NGX_HTTP_CERTHERD_THUMBPRINT_LEN];
    u_char                          digest[CH_SHA256_B];
    ngx_http_certherd_alpn_cert_t  *slot;

    ngx_memcpy(text, name->data, name->len);
    text[name->len] = '\0';
    ngx_memcpy(text + name->len + 1, authorization, len);

    if (ch_sha256(text, name->len + 1 + len, digest) != CH_OK) {
        return NULL;
    }

    slot = &ngx_http_certherd_alpn.certs[digest[0]
                                         % NGX_HTTP_CERTHERD_ALPN_CERTS];

    if (slot->cert && ngx_memcmp(slot->digest, digest, sizeof(digest)) == 0) {
        return slot->cert;
    }

    X509_free(slot->cert);
    slot->cert = NULL;

    if (ch_alpn_cert_make(ngx_http_certherd_alpn.key, (char *) text,
                          (char *) authorization, len, ngx_time(), &slot->cert)
        != CH_OK)
    {
        return NULL;
    }

    ngx_memcpy(slot->digest, digest, sizeof(digest));

    return slot->cert;
}


static ngx_int_t
ngx_http_certherd_alpn_switch(ngx_ssl_conn_t *ssl_conn, X509 *cert)
{
    u_char  nonce[CH_SHA256_B];

    if (SSL_set_SSL_CTX(ssl_conn, ngx_http_certherd_alpn.ctx) == NULL
        || SSL_use_cert_and_key(ssl_conn, cert, ngx_http_certherd_alpn.key,
                                NULL, 1) != 1)
    {
        return NGX_ERROR;
    }

    /* No session comes in, and none goes out. */

    if (RAND_bytes(nonce, sizeof(nonce)) != 1
        || SSL_set_session_id_context(ssl_conn, nonce, sizeof(nonce)) != 1
        || SSL_set_num_tickets(ssl_conn, 0) != 1)
    {
        return NGX_ERROR;
    }

    (void) SSL_set_options(ssl_conn, SSL_OP_NO_TICKET);

    /* A CA has no certificate to show. */

    SSL_set_verify(ssl_conn, SSL_VERIFY_NONE, NULL);

    return NGX_OK;
}


ngx_int_t
ngx_http_certherd_alpn_hello(ngx_connection_t *c, ngx_http_certherd_conn_t *cx)
{
    u_char                       text[CH_RECORD_TOKEN_MAX + 1
                                      + NGX_HTTP_CERTHERD_THUMBPRINT_LEN];
    u_char                      *p;
    X509                        *cert;
    ngx_str_t                   *thumbprint;
    ngx_http_certherd_pending_t  pending;

    /* QUIC has no such challenge: RFC 8737 section 3 wants TCP. */

    if (!cx->exact || c->type != SOCK_STREAM) {
        return NGX_DECLINED;
    }

    ngx_http_certherd_pending(&cx->sni, &pending, c->log);

    if (pending.len == 0) {
        return NGX_DECLINED;
    }

    thumbprint = ngx_http_certherd_pinned(pending.hint, &cx->sni, c->log);

    if (thumbprint == NULL) {
        return NGX_DECLINED;
    }

    p = ngx_cpymem(text, pending.token, pending.len);
    *p++ = '.';
    p = ngx_cpymem(p, thumbprint->data, thumbprint->len);

    if (ngx_http_certherd_alpn_init() != NGX_OK) {
        goto failed;
    }

    cert = ngx_http_certherd_alpn_get(&cx->sni, text, p - text);

    if (cert == NULL
        || ngx_http_certherd_alpn_switch(c->ssl->connection, cert) != NGX_OK)
    {
        goto failed;
    }

    /* nginx looks at this when the handshake is done, before any request. */

    c->close = 1;

    return NGX_OK;

failed:

    if (ngx_http_certherd_may_log(c->log)) {
        ngx_ssl_error(NGX_LOG_ERR, c->log, 0,
                      "certherd: cannot answer the challenge of \"%V\"",
                      &cx->sni);
    }

    ERR_clear_error();

    return NGX_ERROR;
}


/*
 * 421 (RFC 9110 section 15.5.20) for a request whose Host the certificate of
 * its connection does not cover.
 */


#include "ngx_http_certherd_module.h"

#include <openssl/x509v3.h>

#include "crypto/pair.h"


static ngx_uint_t
ngx_http_certherd_cert_covers(X509 *x509, ngx_str_t *host)
{
    return x509
           && X509_check_host(x509, (char *) host->data, host->len,
                              X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
                              |X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}


/* A resumed connection was shown no certificate: that of its name counts. */

static ngx_uint_t
ngx_http_certherd_resumed_covers(ngx_connection_t *c,
    ngx_http_certherd_conn_t *cx, ngx_str_t *host)
{
    X509              *x509, *parsed;
    ngx_uint_t         covers;
    struct ch_record   record;

    if (ngx_http_certherd_acquire(&cx->sni, &record, c->log) != NGX_OK) {
        return 0;
    }

    parsed = NULL;
    x509 = ngx_http_certherd_cache_peek(&record);

    if (x509 == NULL
        && ch_pair_parse(record.leaf, record.leaf_len, &parsed) == CH_OK)
    {
        x509 = parsed;
    }

    covers = ngx_http_certherd_cert_covers(x509, host);

    X509_free(parsed);
    ERR_clear_error();
    ngx_http_certherd_release();

    return covers;
}


/*
 * The fallback is there for names that nobody has registered, which it need
 * not cover; it is no way round to those that somebody has.
 */

static ngx_uint_t
ngx_http_certherd_fallback_covers(ngx_connection_t *c,
    ngx_http_certherd_conn_t *cx, ngx_str_t *host)
{
    ngx_http_certherd_found_t       found;
    ngx_http_certherd_main_conf_t  *mcf;

    mcf = ngx_http_certherd_main_conf();

    if (ngx_http_certherd_cert_covers(mcf->fallback.leaf, host)) {
        return 1;
    }

    return (cx->sni.len == 0 || ngx_http_certherd_same(&cx->sni, host))
           && ngx_http_certherd_lookup(host, &found, c->log) == NGX_OK
           && !found.live;
}


static ngx_uint_t
ngx_http_certherd_covers(ngx_connection_t *c, ngx_http_certherd_conn_t *cx,
    ngx_str_t *host)
{
    ngx_ssl_conn_t  *ssl_conn;

    ssl_conn = c->ssl->connection;

    if (cx == NULL) {
        /* The handshake was made by a server with a certificate of its own. */
        return ngx_http_certherd_cert_covers(SSL_get_certificate(ssl_conn),
                                             host);
    }

    if (cx->fallback) {
        return ngx_http_certherd_fallback_covers(c, cx, host);
    }

    if (ngx_http_certherd_same(&cx->sni, host)) {
        return 1;
    }

    if (SSL_session_reused(ssl_conn)) {
        return ngx_http_certherd_resumed_covers(c, cx, host);
    }

    return ngx_http_certherd_cert_covers(SSL_get_certificate(ssl_conn), host);
}


ngx_int_t
ngx_http_certherd_misdirected_handler(ngx_http_request_t *r)
{
    u_char                         data[NGX_HTTP_CERTHERD_NAME_MAX];
    ngx_str_t                      host, covered;
    ngx_connection_t              *c;
    ngx_http_certherd_conn_t      *cx;
    ngx_http_certherd_srv_conf_t  *scf;

    c = r->connection;
    scf = ngx_http_get_module_srv_conf(r, ngx_http_certherd_module);

    if (c->ssl == NULL || !scf->enable || r->headers_in.server.len == 0) {
        return NGX_DECLINED;
    }

    host.data = data;

    if (ngx_http_certherd_normalize(&r->headers_in.server, host.data,
                                    &host.len)
        != NGX_OK)
    {
        return NGX_HTTP_MISDIRECTED_REQUEST;
    }

    cx = ngx_http_certherd_conn(c);

    if (cx && cx->covered_len) {
        covered.data = cx->covered;
        covered.len = cx->covered_len;

        if (ngx_http_certherd_same(&covered, &host)) {
            return NGX_DECLINED;
        }
    }

    if (!ngx_http_certherd_covers(c, cx, &host)) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "certherd: the certificate of this connection does not "
                      "cover \"%V\"", &host);
        return NGX_HTTP_MISDIRECTED_REQUEST;
    }

    if (cx) {
        cx->covered_len = host.len;
        ngx_memcpy(cx->covered, host.data, host.len);
    }

    return NGX_DECLINED;
}

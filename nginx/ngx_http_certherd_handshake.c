
/*
 * The three hooks into a TLS handshake, in the order in which OpenSSL calls
 * them.  They act for servers with "certherd on" only.
 *
 *   ClientHello   binds sessions to the name (RFC 8446 section 4.6.1 lets a
 *                 client try any ticket with any name), so that no session of
 *                 one name is ever resumed under another
 *   server name   alert 112 (unrecognized_name, RFC 6066 section 3) for unknown
 *                 and removed names before any public-key work; this one is
 *                 called for resumed sessions as well
 *   certificate   puts the certificate of the name in the place of whatever is
 *                 configured; not called for resumed sessions
 *
 * A hello that offers "acme-tls/1" alone goes its own way from the first one
 * on: alpn.c.
 */


#include "ngx_http_certherd_module.h"

#include "crypto/keys.h"


static int  ngx_http_certherd_conn_index = -1;


static int ngx_http_certherd_servername(ngx_ssl_conn_t *ssl_conn, int *ad,
    void *arg);
static int ngx_http_certherd_certificate(ngx_ssl_conn_t *ssl_conn, void *arg);


ngx_http_certherd_conn_t *
ngx_http_certherd_conn(ngx_connection_t *c)
{
    return SSL_get_ex_data(c->ssl->connection, ngx_http_certherd_conn_index);
}


/* Once for each, though a HelloRetryRequest brings a second ClientHello. */

static void
ngx_http_certherd_count_result(ngx_http_certherd_conn_t *cx, ngx_uint_t result)
{
    if (cx) {
        if (cx->counted) {
            return;
        }

        cx->counted = 1;

        if (!cx->live && !cx->failed) {
            ngx_http_certherd_count(NGX_HTTP_CERTHERD_UNKNOWN_NAMES);
        }
    }

    ngx_http_certherd_count(result);
}


/* The server_name extension as it was sent: RFC 6066 section 3. */

static void
ngx_http_certherd_sent_name(ngx_ssl_conn_t *ssl_conn, ngx_str_t *name)
{
    size_t         left, list, len;
    const u_char  *p;

    ngx_str_null(name);

    if (SSL_client_hello_get0_ext(ssl_conn, TLSEXT_TYPE_server_name, &p, &left)
        != 1
        || left < 5)
    {
        return;
    }

    list = (size_t) p[0] << 8 | p[1];
    len = (size_t) p[3] << 8 | p[4];

    if (list != left - 2 || p[2] != TLSEXT_NAMETYPE_host_name
        || len != list - 3)
    {
        return;
    }

    name->data = (u_char *) p + 5;
    name->len = len;
}


/*
 * The server that nginx's own servername callback is going to choose.  It has
 * to be known earlier than that callback is called.
 */

static ngx_http_core_srv_conf_t *
ngx_http_certherd_virtual_server(ngx_http_connection_t *hc, ngx_str_t *name)
{
    ngx_http_core_srv_conf_t  *cscf;
    ngx_http_virtual_names_t  *names;
#if (NGX_PCRE)
    ngx_uint_t                 i;
#endif

    names = hc->addr_conf->virtual_names;

    if (names == NULL || name->len == 0) {
        return hc->addr_conf->default_server;
    }

    cscf = ngx_hash_find_combined(&names->names,
                                  ngx_hash_key(name->data, name->len),
                                  name->data, name->len);
    if (cscf) {
        return cscf;
    }

#if (NGX_PCRE)

    for (i = 0; i < names->nregex; i++) {
        if (ngx_regex_exec(names->regex[i].regex->regex, name, NULL, 0) >= 0) {
            return names->regex[i].server;
        }
    }

#endif

    return hc->addr_conf->default_server;
}


/* Looked up once per handshake; what follows goes by what was found here. */

static ngx_http_certherd_conn_t *
ngx_http_certherd_conn_init(ngx_connection_t *c, ngx_str_t *name)
{
    ngx_http_certherd_conn_t       *cx;
    ngx_http_certherd_found_t       found;
    ngx_http_certherd_main_conf_t  *mcf;

    cx = ngx_pcalloc(c->pool, sizeof(ngx_http_certherd_conn_t) + name->len);
    if (cx == NULL) {
        return NULL;
    }

    cx->sni.data = (u_char *) cx + sizeof(ngx_http_certherd_conn_t);
    cx->sni.len = name->len;
    ngx_memcpy(cx->sni.data, name->data, name->len);

    if (name->len) {
        if (ngx_http_certherd_lookup_keep(&cx->sni, &found, c->log) != NGX_OK) {
            cx->failed = 1;
        }

        cx->live = found.live;
        cx->exact = found.exact;

        if (!cx->live && !cx->failed) {
            ngx_http_certherd_cache_forget(&cx->sni);
        }
    }

    mcf = ngx_http_certherd_main_conf();
    cx->fallback = (!cx->live && !cx->failed && mcf->fallback.leaf != NULL);

    if (SSL_set_ex_data(c->ssl->connection, ngx_http_certherd_conn_index, cx)
        == 0)
    {
        return NULL;
    }

    return cx;
}


static ngx_int_t
ngx_http_certherd_bind_session(ngx_ssl_conn_t *ssl_conn,
    ngx_http_certherd_srv_conf_t *scf, ngx_http_certherd_conn_t *cx)
{
    u_char  *p;
    u_char   digest[CH_SHA256_B];
    u_char   text[sizeof(scf->salt) + 1 + NGX_HTTP_CERTHERD_NAME_MAX];

    p = ngx_cpymem(text, scf->salt, sizeof(scf->salt));

    /* A session of a name does not outlive it as one of the fallback. */

    *p++ = cx->fallback ? 'F' : 'N';
    p = ngx_cpymem(p, cx->sni.data, cx->sni.len);

    return ch_sha256(text, (size_t) (p - text), digest) == CH_OK
           && SSL_set_session_id_context(ssl_conn, digest, sizeof(digest)) == 1
           ? NGX_OK : NGX_ERROR;
}


/* Of the context that the connection began with: OpenSSL keeps to its tickets. */

static SSL_CTX *
ngx_http_certherd_listener(ngx_http_connection_t *hc)
{
    ngx_http_ssl_srv_conf_t  *sscf;

    sscf = hc->addr_conf->default_server
           ->ctx->srv_conf[ngx_http_ssl_module.ctx_index];

    return sscf->ssl.ctx;
}


static ngx_int_t
ngx_http_certherd_begin_handshake(ngx_ssl_conn_t *ssl_conn)
{
    u_char                         data[NGX_HTTP_CERTHERD_NAME_MAX];
    ngx_str_t                      sent, name;
    ngx_uint_t                     alpn;
    ngx_connection_t              *c;
    ngx_http_connection_t         *hc;
    ngx_http_certherd_conn_t      *cx;
    ngx_http_core_srv_conf_t      *cscf;
    ngx_http_certherd_srv_conf_t  *scf;

    c = ngx_ssl_get_connection(ssl_conn);

    if (c->ssl->handshaked) {
        return NGX_OK;  /* a renegotiation, which nginx refuses */
    }

    hc = c->data;
    ngx_http_certherd_sent_name(ssl_conn, &sent);

    name.data = data;

    if (ngx_http_certherd_normalize(&sent, name.data, &name.len) != NGX_OK) {
        name.len = 0;
    }

    alpn = ngx_http_certherd_alpn_offered(ssl_conn);
    cscf = ngx_http_certherd_virtual_server(hc, &name);
    scf = cscf->ctx->srv_conf[ngx_http_certherd_module.ctx_index];
    cx = ngx_http_certherd_conn(c);

    if (cx) {
        /*
         * The second hello, after a HelloRetryRequest: RFC 8446 section 4.1.2
         * lets no client change its name there, or what it offers, and the
         * session is bound.
         */
        if (cx->server != scf || !ngx_http_certherd_same(&cx->sni, &name)
            || cx->alpn != alpn)
        {
            return NGX_ABORT;
        }

        if (alpn) {
            return NGX_OK;
        }
    }

    if (!scf->enable || cx) {
        ngx_http_certherd_tickets_hello(ssl_conn,
                                        ngx_http_certherd_listener(hc), scf);
        return NGX_OK;
    }

    cx = ngx_http_certherd_conn_init(c, &name);
    if (cx == NULL) {
        return NGX_ERROR;
    }

    cx->server = scf;

    if (alpn) {
        cx->alpn = 1;
        return ngx_http_certherd_alpn_hello(c, cx);
    }

    ngx_http_certherd_tickets_hello(ssl_conn, ngx_http_certherd_listener(hc),
                                    scf);

    return ngx_http_certherd_bind_session(ssl_conn, scf, cx);
}


/* Of a hello that is a CA's, or says so, and that nothing answers. */

static int
ngx_http_certherd_refuse_alpn(ngx_connection_t *c, ngx_http_certherd_conn_t *cx)
{
    c->ssl->handshake_rejected = 1;

    if (cx->failed) {
        ngx_http_certherd_count_result(cx, NGX_HTTP_CERTHERD_UNREADABLE);
        return SSL_AD_INTERNAL_ERROR;
    }

    if (!cx->exact) {
        ngx_http_certherd_count_result(cx, NGX_HTTP_CERTHERD_UNKNOWN);
        return SSL_AD_UNRECOGNIZED_NAME;
    }

    ngx_http_certherd_count_result(cx, NGX_HTTP_CERTHERD_UNCHALLENGED);

    return SSL_AD_NO_APPLICATION_PROTOCOL;
}


int
ngx_http_certherd_client_hello(ngx_ssl_conn_t *ssl_conn, int *ad, void *arg)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_certherd_conn_t  *cx;

    rc = ngx_http_certherd_begin_handshake(ssl_conn);
    c = ngx_ssl_get_connection(ssl_conn);
    cx = ngx_http_certherd_conn(c);

    if (rc == NGX_DECLINED) {
        *ad = ngx_http_certherd_refuse_alpn(c, cx);
        return SSL_CLIENT_HELLO_ERROR;
    }

    if (rc != NGX_OK) {
        *ad = rc == NGX_ABORT ? SSL_AD_ILLEGAL_PARAMETER
                              : SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }

    if (cx && cx->alpn) {
        ngx_http_certherd_count_result(cx, NGX_HTTP_CERTHERD_CHALLENGE);
        return SSL_CLIENT_HELLO_SUCCESS;
    }

#if (nginx_version >= 1029002)
    /* From this version on the callback is nginx's, which needs it. */
    return ngx_ssl_client_hello_callback(ssl_conn, ad, arg);
#else
    return SSL_CLIENT_HELLO_SUCCESS;
#endif
}


static int
ngx_http_certherd_reject(ngx_connection_t *c, int *ad, int alert)
{
    c->ssl->handshake_rejected = 1;
    *ad = alert;

    return SSL_TLSEXT_ERR_ALERT_FATAL;
}


static int
ngx_http_certherd_servername(ngx_ssl_conn_t *ssl_conn, int *ad, void *arg)
{
    int                            rc;
    ngx_connection_t              *c;
    ngx_http_connection_t         *hc;
    ngx_http_certherd_conn_t      *cx;
    ngx_http_certherd_srv_conf_t  *scf;

    rc = ngx_http_ssl_servername(ssl_conn, ad, arg);
    if (rc != SSL_TLSEXT_ERR_OK) {
        return rc;
    }

    c = ngx_ssl_get_connection(ssl_conn);
    hc = c->data;
    scf = ngx_http_get_module_srv_conf(hc->conf_ctx, ngx_http_certherd_module);

    if (!scf->enable) {
        return rc;
    }

    cx = ngx_http_certherd_conn(c);
    ngx_http_certherd_tickets_chosen(ssl_conn, scf, cx);

    if (cx == NULL || cx->server != scf) {
        /*
         * A name that nginx and we read differently ("a.example:443"), or
         * another module took the ClientHello callback: sessions are not bound
         * to this server, so nothing is served.
         */

        if (ngx_http_certherd_may_log(c->log)) {
            ngx_log_error(NGX_LOG_ERR, c->log, 0, "certherd: the name of this "
                          "connection is another server's to nginx than to us");
        }

        ngx_http_certherd_count_result(cx, NGX_HTTP_CERTHERD_FAILED);

        return ngx_http_certherd_reject(c, ad, SSL_AD_UNRECOGNIZED_NAME);
    }

    if (cx->failed) {
        ngx_http_certherd_count_result(cx, NGX_HTTP_CERTHERD_UNREADABLE);

        return ngx_http_certherd_reject(c, ad, SSL_AD_INTERNAL_ERROR);
    }

    ngx_http_certherd_wanted_hello(cx, scf);

    if (!cx->live && !cx->fallback) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                       "certherd: no certificate for \"%V\"", &cx->sni);
        ngx_http_certherd_count_result(cx, NGX_HTTP_CERTHERD_UNKNOWN);

        return ngx_http_certherd_reject(c, ad, SSL_AD_UNRECOGNIZED_NAME);
    }

    /* Known by now; the callback for certificates is not going to be called. */

    if (SSL_session_reused(ssl_conn)) {
        ngx_http_certherd_count_result(cx, NGX_HTTP_CERTHERD_RESUMED);
    }

    return rc;
}


static void
ngx_http_certherd_check_expiry(ngx_connection_t *c, struct ch_record *record)
{
    ngx_str_t  name;

    ngx_http_certherd_count_expiry(record->not_after_s);

    if (record->not_after_s > ngx_time()) {
        return;
    }

    ngx_http_certherd_count(NGX_HTTP_CERTHERD_EXPIRED);

    if (!ngx_http_certherd_may_log(c->log)) {
        return;
    }

    name.data = (u_char *) record->name;
    name.len = record->name_len;

    ngx_log_error(NGX_LOG_WARN, c->log, 0,
                  "certherd: the certificate of \"%V\" expired %T s ago and is "
                  "still served", &name,
                  (time_t) (ngx_time() - record->not_after_s));
}


static ngx_int_t
ngx_http_certherd_use_pair(ngx_ssl_conn_t *ssl_conn,
    ngx_http_certherd_pair_t *pair)
{
    return SSL_use_cert_and_key(ssl_conn, pair->leaf, pair->key, pair->chain, 1)
           == 1 ? NGX_OK : NGX_ERROR;
}


static const char *
ngx_http_certherd_use_record(ngx_connection_t *c, ngx_http_certherd_conn_t *cx)
{
    ngx_int_t                  rc;
    const char                *reason;
    struct ch_record           record;
    ngx_http_certherd_pair_t  *pair;

    rc = ngx_http_certherd_acquire(&cx->sni, &record, c->log);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? "it was removed during the handshake"
                                  : "the replica cannot be read";
    }

    /*
     * Nearly all can; for the others the name's own has to do where there is no
     * second one: it may have an RSA key, or else OpenSSL sends alert 40.
     */

    if (!ngx_http_certherd_offers_ecdsa(c->ssl->connection, &record)) {
        (void) ngx_http_certherd_acquire_second(&record, c->log);
    }

    pair = ngx_http_certherd_cache_get(&record, &reason);

    if (pair) {
        reason = NULL;
        ngx_http_certherd_check_expiry(c, &record);

        if (ngx_http_certherd_use_pair(c->ssl->connection, pair) != NGX_OK) {
            reason = "OpenSSL refuses its certificate";
        }
    }

    ngx_http_certherd_release();

    return reason;
}


/* 1: goes on, 0: alert 80 (internal_error).  Never negative: nginx cannot wait. */

static int
ngx_http_certherd_certificate(ngx_ssl_conn_t *ssl_conn, void *arg)
{
    const char                     *reason;
    ngx_connection_t               *c;
    ngx_http_certherd_conn_t       *cx;
    ngx_http_certherd_main_conf_t  *mcf;

    c = ngx_ssl_get_connection(ssl_conn);
    cx = ngx_http_certherd_conn(c);

    /* Whatever happens below, the placeholder is gone. */
    SSL_certs_clear(ssl_conn);

    if (cx == NULL) {
        reason = "the handshake has no name";

    } else if (cx->fallback) {
        mcf = ngx_http_certherd_main_conf();
        reason = ngx_http_certherd_use_pair(ssl_conn, &mcf->fallback) == NGX_OK
                 ? NULL : "OpenSSL refuses the fallback certificate";

    } else {
        reason = ngx_http_certherd_use_record(c, cx);
    }

    if (reason == NULL) {
        ngx_http_certherd_count_result(cx, cx->fallback
                                           ? NGX_HTTP_CERTHERD_FALLBACK
                                           : NGX_HTTP_CERTHERD_SERVED);
        return 1;
    }

    ngx_http_certherd_count_result(cx, NGX_HTTP_CERTHERD_FAILED);

    if (ngx_http_certherd_may_log(c->log)) {
        ngx_ssl_error(NGX_LOG_ERR, c->log, 0,
                      "certherd: cannot serve \"%V\": %s",
                      cx ? &cx->sni : &c->addr_text, reason);
    }

    ERR_clear_error();
    c->ssl->handshake_rejected = 1;

    return 0;
}


/* On contexts that a connection begins with, or may be given by nginx. */

static void
ngx_http_certherd_hook_names(ngx_http_core_srv_conf_t *cscf)
{
    ngx_http_ssl_srv_conf_t  *sscf;

    sscf = cscf->ctx->srv_conf[ngx_http_ssl_module.ctx_index];

    if (sscf->ssl.ctx == NULL) {
        return;
    }

    SSL_CTX_set_client_hello_cb(sscf->ssl.ctx, ngx_http_certherd_client_hello,
                                NULL);
    SSL_CTX_set_tlsext_servername_callback(sscf->ssl.ctx,
                                           ngx_http_certherd_servername);
    ngx_http_certherd_tickets_hook(sscf->ssl.ctx);
}


static ngx_uint_t
ngx_http_certherd_has_enabled(ngx_http_conf_addr_t *addr)
{
    ngx_uint_t                      s;
    ngx_http_core_srv_conf_t      **cscfp;
    ngx_http_certherd_srv_conf_t   *scf;

    cscfp = addr->servers.elts;

    for (s = 0; s < addr->servers.nelts; s++) {
        scf = cscfp[s]->ctx->srv_conf[ngx_http_certherd_module.ctx_index];

        if (scf->enable) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_certherd_hook_listeners(ngx_http_core_main_conf_t *cmcf)
{
    ngx_uint_t             p, a;
    ngx_http_conf_port_t  *port;
    ngx_http_conf_addr_t  *addr;

    if (cmcf->ports == NULL) {
        return;
    }

    port = cmcf->ports->elts;

    for (p = 0; p < cmcf->ports->nelts; p++) {
        addr = port[p].addrs.elts;

        for (a = 0; a < port[p].addrs.nelts; a++) {
            if (ngx_http_certherd_has_enabled(&addr[a])) {
                ngx_http_certherd_hook_names(addr[a].default_server);
            }
        }
    }
}


ngx_int_t
ngx_http_certherd_hook_servers(ngx_conf_t *cf)
{
    ngx_uint_t                      s;
    ngx_http_ssl_srv_conf_t        *sscf;
    ngx_http_core_srv_conf_t      **cscfp;
    ngx_http_core_main_conf_t      *cmcf;
    ngx_http_certherd_srv_conf_t   *scf;

    if (ngx_http_certherd_conn_index == -1) {
        ngx_http_certherd_conn_index = SSL_get_ex_new_index(0, NULL, NULL,
                                                            NULL, NULL);
        if (ngx_http_certherd_conn_index == -1) {
            ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                          "SSL_get_ex_new_index() failed");
            return NGX_ERROR;
        }
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscfp = cmcf->servers.elts;

    for (s = 0; s < cmcf->servers.nelts; s++) {
        scf = cscfp[s]->ctx->srv_conf[ngx_http_certherd_module.ctx_index];
        sscf = cscfp[s]->ctx->srv_conf[ngx_http_ssl_module.ctx_index];

        if (!scf->enable || sscf->ssl.ctx == NULL) {
            continue;
        }

        if (ngx_http_certherd_make_salt(cf, cscfp[s]) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_http_certherd_hook_names(cscfp[s]);
        SSL_CTX_set_cert_cb(sscf->ssl.ctx, ngx_http_certherd_certificate, NULL);
    }

    ngx_http_certherd_hook_listeners(cmcf);

    return NGX_OK;
}


/*
 * Directives, start and stop.
 */


#include "ngx_http_certherd_module.h"

#include <openssl/pem.h>

#include "base/codec.h"


#define NGX_HTTP_CERTHERD_CACHE_MIN      (64 * 1024)
#define NGX_HTTP_CERTHERD_LINES_A_SECOND 10


static ngx_int_t ngx_http_certherd_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_certherd_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_certherd_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_certherd_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_certherd_create_srv_conf(ngx_conf_t *cf);
static char *ngx_http_certherd_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_certherd_replica(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_certherd_recipient_key(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_certherd_thumbprint(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_certherd_fallback(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_certherd_init_process(ngx_cycle_t *cycle);
static void ngx_http_certherd_exit_process(ngx_cycle_t *cycle);


static ngx_conf_num_bounds_t  ngx_http_certherd_tickets_bounds = {
    ngx_conf_check_num_bounds, 0, 4
};


static ngx_command_t  ngx_http_certherd_commands[] = {

    { ngx_string("certherd"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_certherd_srv_conf_t, enable),
      NULL },

    { ngx_string("certherd_redirect_any"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_certherd_srv_conf_t, redirect_any),
      NULL },

    { ngx_string("certherd_tickets"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_certherd_srv_conf_t, tickets),
      &ngx_http_certherd_tickets_bounds },

    { ngx_string("certherd_wanted"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_certherd_srv_conf_t, wanted),
      NULL },

    { ngx_string("certherd_replica"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_certherd_replica,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("certherd_recipient_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_certherd_recipient_key,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("certherd_account_thumbprint"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_certherd_thumbprint,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("certherd_cache"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_certherd_main_conf_t, cache_size),
      NULL },

    { ngx_string("certherd_warm_up"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_http_certherd_warm_up,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("certherd_fallback"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_certherd_fallback,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("certherd_challenge"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_certherd_challenge,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("certherd_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_certherd_status,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_certherd_module_ctx = {
    ngx_http_certherd_preconfiguration,    /* preconfiguration */
    ngx_http_certherd_postconfiguration,   /* postconfiguration */

    ngx_http_certherd_create_main_conf,    /* create main configuration */
    ngx_http_certherd_init_main_conf,      /* init main configuration */

    ngx_http_certherd_create_srv_conf,     /* create server configuration */
    ngx_http_certherd_merge_srv_conf,      /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_certherd_module = {
    NGX_MODULE_V1,
    &ngx_http_certherd_module_ctx,         /* module context */
    ngx_http_certherd_commands,            /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_certherd_init_process,        /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_certherd_exit_process,        /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_http_certherd_main_conf_t *
ngx_http_certherd_main_conf(void)
{
    return ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_certherd_module);
}


ngx_uint_t
ngx_http_certherd_may_log(ngx_log_t *log)
{
    static time_t      second;
    static ngx_uint_t  lines, left_out;

    if (second != ngx_time()) {
        if (left_out) {
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "certherd: %ui more lines were left out", left_out);
        }

        second = ngx_time();
        lines = 0;
        left_out = 0;
    }

    if (lines >= NGX_HTTP_CERTHERD_LINES_A_SECOND) {
        left_out++;
        return 0;
    }

    lines++;

    return 1;
}


static ngx_int_t
ngx_http_certherd_preconfiguration(ngx_conf_t *cf)
{
    if (ngx_http_certherd_add_variables(cf, ngx_http_certherd_vars) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_certherd_add_variables(cf, ngx_http_certherd_policy_vars);
}


static void
ngx_http_certherd_free_main_conf(void *data)
{
    ngx_http_certherd_main_conf_t  *mcf = data;

    ngx_uint_t                 i;
    struct ch_recipient_key  **key;

    key = mcf->keys.elts;

    for (i = 0; i < mcf->keys.nelts; i++) {
        ch_recipient_key_free(key[i]);
    }

    X509_free(mcf->fallback.leaf);
    sk_X509_pop_free(mcf->fallback.chain, X509_free);
    EVP_PKEY_free(mcf->fallback.key);
}


static void *
ngx_http_certherd_create_main_conf(ngx_conf_t *cf)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_certherd_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_certherd_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&mcf->keys, cf->pool, 1,
                       sizeof(struct ch_recipient_key *)) != NGX_OK
        || ngx_array_init(&mcf->thumbprints, cf->pool, 1,
                          sizeof(ngx_http_certherd_thumbprint_t)) != NGX_OK)
    {
        return NULL;
    }

    mcf->cache_size = NGX_CONF_UNSET_SIZE;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_certherd_free_main_conf;
    cln->data = mcf;

    return mcf;
}


static char *
ngx_http_certherd_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_certherd_main_conf_t  *mcf = conf;

    ngx_conf_init_size_value(mcf->cache_size, 128 * 1024 * 1024);

    if (mcf->cache_size < NGX_HTTP_CERTHERD_CACHE_MIN) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"certherd_cache\" must be at least %uz",
                      (size_t) NGX_HTTP_CERTHERD_CACHE_MIN);
        return NGX_CONF_ERROR;
    }

    /* Servers are known and not merged yet: see "order" in nginx/config. */

    if (ngx_http_certherd_add_placeholders(cf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_certherd_create_srv_conf(ngx_conf_t *cf)
{
    ngx_http_certherd_srv_conf_t  *scf;

    scf = ngx_pcalloc(cf->pool, sizeof(ngx_http_certherd_srv_conf_t));
    if (scf == NULL) {
        return NULL;
    }

    scf->enable = NGX_CONF_UNSET;
    scf->redirect_any = NGX_CONF_UNSET;
    scf->tickets = NGX_CONF_UNSET_UINT;
    scf->wanted = NGX_CONF_UNSET;

    return scf;
}


static char *
ngx_http_certherd_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_certherd_srv_conf_t  *prev = parent;
    ngx_http_certherd_srv_conf_t  *conf = child;

    ngx_http_certherd_main_conf_t  *mcf;

    ngx_conf_merge_value(conf->enable, prev->enable, NGX_CONF_UNSET);
    ngx_conf_merge_value(conf->wanted, prev->wanted, 1);

    /* Servers of port 80 say nothing, and tell; "certherd off" is off. */

    if (conf->enable == 0) {
        conf->wanted = 0;
    }

    ngx_conf_init_value(conf->enable, 0);
    ngx_conf_merge_value(conf->redirect_any, prev->redirect_any, 0);
    ngx_conf_merge_uint_value(conf->tickets, prev->tickets, 1);

    if (conf->enable) {
        mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_certherd_module);
        mcf->enabled = 1;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_certherd_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_handler_pt            *h;
    ngx_http_core_main_conf_t      *cmcf;
    ngx_http_certherd_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_certherd_module);

    if (mcf->replica.len == 0
        && (mcf->enabled || mcf->challenge || mcf->status))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" needs \"certherd_replica\"",
                      mcf->enabled ? "certherd on"
                      : mcf->challenge ? "certherd_challenge"
                                       : "certherd_status");
        return NGX_ERROR;
    }

    if (mcf->replica.len
        && ngx_http_certherd_add_counters(cf, mcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (mcf->enabled && mcf->keys.nelts == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"certherd on\" needs \"certherd_recipient_key\"");
        return NGX_ERROR;
    }

    if (mcf->challenge && mcf->thumbprints.nelts == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "\"certherd_challenge\" needs "
                      "\"certherd_account_thumbprint\"");
        return NGX_ERROR;
    }

    if (!mcf->enabled) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    /* Before any rewrite or "return" can answer for a foreign Host. */

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_certherd_misdirected_handler;

    return ngx_http_certherd_hook_servers(cf);
}


static char *
ngx_http_certherd_replica(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_certherd_main_conf_t  *mcf = conf;

    ngx_str_t  *value;

    if (mcf->replica.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "is empty";
    }

    mcf->replica = value[1];

    if (ngx_conf_full_name(cf->cycle, &mcf->replica, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_certherd_recipient_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_certherd_main_conf_t  *mcf = conf;

    ngx_str_t                 *value, path;
    ngx_uint_t                 i;
    struct ch_err              err;
    struct ch_recipient_key  **key, *loaded;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        path = value[i];

        if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        if (ch_recipient_key_load((char *) path.data, &loaded, &err) != CH_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "certherd_recipient_key: %s", err.detail);
            return NGX_CONF_ERROR;
        }

        key = ngx_array_push(&mcf->keys);
        if (key == NULL) {
            ch_recipient_key_free(loaded);
            return NGX_CONF_ERROR;
        }

        *key = loaded;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_certherd_thumbprint(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_certherd_main_conf_t  *mcf = conf;

    size_t                           len;
    uint8_t                          digest[CH_SHA256_B];
    ngx_str_t                       *value;
    ngx_uint_t                       i, n;
    ngx_http_certherd_thumbprint_t  *print;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        /* RFC 8555 section 8.1: base64url of a SHA-256, without padding */

        if (value[i].len != NGX_HTTP_CERTHERD_THUMBPRINT_LEN
            || ch_b64u_decode((char *) value[i].data, value[i].len, digest,
                              sizeof(digest), &len) != CH_OK
            || len != sizeof(digest))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is no account thumbprint: expected the "
                               "43 characters of a SHA-256 in base64url",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        print = ngx_array_push(&mcf->thumbprints);
        if (print == NULL) {
            return NGX_CONF_ERROR;
        }

        print->text = value[i];
        print->hint = 0;

        for (n = 0; n < 8; n++) {
            print->hint = print->hint << 8 | digest[n];
        }
    }

    return NGX_CONF_OK;
}


static BIO *
ngx_http_certherd_open_pem(ngx_conf_t *cf, ngx_str_t *path)
{
    BIO  *bio;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NULL;
    }

    bio = BIO_new_file((char *) path->data, "r");
    if (bio == NULL) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "certherd_fallback: cannot open \"%V\"", path);
    }

    return bio;
}


static char *
ngx_http_certherd_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_certherd_main_conf_t  *mcf = conf;

    BIO                       *bio;
    X509                      *x509;
    ngx_str_t                 *value;
    ngx_http_certherd_pair_t  *pair;

    pair = &mcf->fallback;
    value = cf->args->elts;

    if (pair->leaf) {
        return "is duplicate";
    }

    bio = ngx_http_certherd_open_pem(cf, &value[1]);
    if (bio == NULL) {
        return NGX_CONF_ERROR;
    }

    pair->leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    pair->chain = sk_X509_new_null();

    while (pair->leaf && pair->chain) {
        x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (x509 == NULL) {
            break;
        }

        if (sk_X509_push(pair->chain, x509) == 0) {
            X509_free(x509);
            break;
        }
    }

    BIO_free(bio);

    bio = ngx_http_certherd_open_pem(cf, &value[2]);
    if (bio == NULL) {
        return NGX_CONF_ERROR;
    }

    pair->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *) "");

    BIO_free(bio);
    ERR_clear_error();  /* "no start line" at the end of a file */

    if (pair->leaf == NULL || pair->chain == NULL || pair->key == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "certherd_fallback: cannot "
                           "read the certificate \"%V\" or its key \"%V\"",
                           &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    if (X509_check_private_key(pair->leaf, pair->key) != 1) {
        ERR_clear_error();
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "certherd_fallback: the key "
                           "\"%V\" is not that of the certificate \"%V\"",
                           &value[2], &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_certherd_init_process(ngx_cycle_t *cycle)
{
    ngx_http_certherd_main_conf_t  *mcf;

    /* Not in the cache manager: it serves nobody. */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_certherd_module);

    if (mcf == NULL || mcf->replica.len == 0) {
        return NGX_OK;
    }

    ngx_http_certherd_counters_start(mcf);

    if (ngx_http_certherd_cache_start(mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_certherd_replica_start(cycle, mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_certherd_warm_start(cycle, mcf);
    ngx_http_certherd_wanted_start(mcf);

    return NGX_OK;
}


static void
ngx_http_certherd_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_certherd_wanted_stop();
    ngx_http_certherd_warm_stop();
    ngx_http_certherd_replica_stop();
    ngx_http_certherd_alpn_stop();
    ngx_http_certherd_tickets_stop();
    ngx_http_certherd_cache_stop();
    ngx_http_certherd_counters_stop();
}

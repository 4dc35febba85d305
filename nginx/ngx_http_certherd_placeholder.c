
/*
 * nginx refuses "listen ... ssl" without "ssl_certificate".  A server with
 * "certherd on" and none of its own gets one that is made here, for this
 * configuration only: it is never served (handshake.c clears it before each
 * handshake), and it expired before it was born, should that ever fail.
 */


#include "ngx_http_certherd_module.h"

#include <openssl/pem.h>


static ngx_int_t
ngx_http_certherd_pem(ngx_pool_t *pool, BIO *bio, ngx_str_t *pem)
{
    long   len;
    char  *text;

    len = BIO_get_mem_data(bio, &text);

    pem->len = sizeof("data:") - 1 + len;
    pem->data = ngx_pnalloc(pool, pem->len + 1);
    if (pem->data == NULL) {
        return NGX_ERROR;
    }

    *ngx_cpymem(ngx_cpymem(pem->data, "data:", sizeof("data:") - 1), text, len)
        = '\0';

    return NGX_OK;
}


static ngx_int_t
ngx_http_certherd_sign_placeholder(X509 *x509, EVP_PKEY *key)
{
    X509_NAME  *name;

    name = X509_get_subject_name(x509);

    if (X509_set_version(x509, X509_VERSION_3) != 1
        || ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) != 1
        || X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (u_char *) "certherd placeholder",
                                      -1, -1, 0) != 1
        || X509_set_issuer_name(x509, name) != 1
        || ASN1_TIME_set(X509_getm_notBefore(x509), 0) == NULL
        || ASN1_TIME_set(X509_getm_notAfter(x509), 1) == NULL
        || X509_set_pubkey(x509, key) != 1
        || X509_sign(x509, key, EVP_sha256()) == 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_certherd_make_placeholder(ngx_conf_t *cf, ngx_str_t *cert,
    ngx_str_t *key)
{
    BIO        *cert_bio, *key_bio;
    X509       *x509;
    EVP_PKEY   *pkey;
    ngx_int_t   rc;

    rc = NGX_ERROR;
    pkey = EVP_EC_gen("P-256");
    x509 = X509_new();
    cert_bio = BIO_new(BIO_s_mem());
    key_bio = BIO_new(BIO_s_mem());

    if (pkey && x509 && cert_bio && key_bio
        && ngx_http_certherd_sign_placeholder(x509, pkey) == NGX_OK
        && PEM_write_bio_X509(cert_bio, x509) == 1
        && PEM_write_bio_PKCS8PrivateKey(key_bio, pkey, NULL, NULL, 0, NULL,
                                         NULL) == 1
        && ngx_http_certherd_pem(cf->pool, cert_bio, cert) == NGX_OK
        && ngx_http_certherd_pem(cf->pool, key_bio, key) == NGX_OK)
    {
        rc = NGX_OK;

    } else {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "cannot make the placeholder certificate");
    }

    BIO_free(cert_bio);
    BIO_free(key_bio);
    X509_free(x509);
    EVP_PKEY_free(pkey);

    return rc;
}


static ngx_array_t *
ngx_http_certherd_array_of_one(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_str_t    *elt;
    ngx_array_t  *array;

    array = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
    elt = array ? ngx_array_push(array) : NULL;
    if (elt == NULL) {
        return NULL;
    }

    *elt = *text;

    return array;
}


ngx_int_t
ngx_http_certherd_add_placeholders(ngx_conf_t *cf)
{
    ngx_str_t                      cert, key;
    ngx_uint_t                     s;
    ngx_flag_t                     enable;
    ngx_http_conf_ctx_t           *ctx;
    ngx_http_ssl_srv_conf_t       *sscf;
    ngx_http_core_srv_conf_t     **cscfp;
    ngx_http_core_main_conf_t     *cmcf;
    ngx_http_certherd_srv_conf_t  *scf, *top;

    ctx = cf->ctx;
    top = ctx->srv_conf[ngx_http_certherd_module.ctx_index];
    sscf = ctx->srv_conf[ngx_http_ssl_module.ctx_index];

    /* One for all servers is inherited, and does as well as ours. */

    if (sscf->certificates != NGX_CONF_UNSET_PTR) {
        return NGX_OK;
    }

    cmcf = ctx->main_conf[ngx_http_core_module.ctx_index];
    cscfp = cmcf->servers.elts;
    ngx_str_null(&cert);

    for (s = 0; s < cmcf->servers.nelts; s++) {
        scf = cscfp[s]->ctx->srv_conf[ngx_http_certherd_module.ctx_index];
        sscf = cscfp[s]->ctx->srv_conf[ngx_http_ssl_module.ctx_index];
        enable = scf->enable == NGX_CONF_UNSET ? top->enable : scf->enable;

        if (enable != 1 || sscf->certificates != NGX_CONF_UNSET_PTR) {
            continue;
        }

        if (cert.len == 0
            && ngx_http_certherd_make_placeholder(cf, &cert, &key) != NGX_OK)
        {
            return NGX_ERROR;
        }

        sscf->certificates = ngx_http_certherd_array_of_one(cf, &cert);
        sscf->certificate_keys = ngx_http_certherd_array_of_one(cf, &key);

        if (sscf->certificates == NULL || sscf->certificate_keys == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * What of a server, beside its name, a session must not be carried across.
 */


#include "ngx_http_certherd_module.h"

#include "base/file.h"


#define NGX_HTTP_CERTHERD_CA_MAX  (16 * 1024 * 1024)


/* What the file says, not where it lies: edges share sessions. */

static ngx_int_t
ngx_http_certherd_salt_file(ngx_conf_t *cf, EVP_MD_CTX *md, ngx_str_t *file)
{
    int            rc;
    char          *text;
    size_t         len;
    u_char         digest[CH_SHA256_B];
    ngx_str_t      path;
    struct ch_err  err;

    if (file->len == 0) {
        return EVP_DigestUpdate(md, "-", 1) == 1 ? NGX_OK : NGX_ERROR;
    }

    path = *file;

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ch_file_read((char *) path.data, NGX_HTTP_CERTHERD_CA_MAX, &text, &len,
                     &err)
        != CH_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "certherd: %s", err.detail);
        return NGX_ERROR;
    }

    rc = ch_sha256(text, len, digest);
    free(text);

    return rc == CH_OK && EVP_DigestUpdate(md, "+", 1) == 1
           && EVP_DigestUpdate(md, digest, sizeof(digest)) == 1
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_certherd_make_salt(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf)
{
    static ngx_str_t  none = ngx_null_string;

    unsigned                       len;
    ngx_int_t                      rc;
    ngx_str_t                     *client;
    EVP_MD_CTX                    *md;
    ngx_http_ssl_srv_conf_t       *sscf;
    ngx_http_certherd_srv_conf_t  *scf;

    /*
     * Two servers, of one edge or of several, share sessions of a name only if
     * they have the same name and demand the same of client certificates.
     * Stays the same over reloads.
     */

    scf = cscf->ctx->srv_conf[ngx_http_certherd_module.ctx_index];
    sscf = cscf->ctx->srv_conf[ngx_http_ssl_module.ctx_index];
    client = sscf->verify ? &sscf->client_certificate : &none;
    md = EVP_MD_CTX_new();

    rc = md
         && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1
         && EVP_DigestUpdate(md, &sscf->verify, sizeof(sscf->verify)) == 1
         && EVP_DigestUpdate(md, &sscf->verify_depth,
                             sizeof(sscf->verify_depth)) == 1
         && ngx_http_certherd_salt_file(cf, md, client) == NGX_OK
         && ngx_http_certherd_salt_file(cf, md, &sscf->trusted_certificate)
            == NGX_OK
         && ngx_http_certherd_salt_file(cf, md, &sscf->crl) == NGX_OK
         && EVP_DigestUpdate(md, cscf->server_name.data,
                             cscf->server_name.len) == 1
         && EVP_DigestFinal_ex(md, scf->salt, &len) == 1;

    EVP_MD_CTX_free(md);

    return rc ? NGX_OK : NGX_ERROR;
}

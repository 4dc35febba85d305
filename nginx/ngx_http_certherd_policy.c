
/*
 * $certherd_tenant, $certherd_upstream, $certherd_hsts, $certherd_redirect:
 * what the platform wants done with the Host of the request.
 */


#include "ngx_http_certherd_module.h"


/* As the store allows (src/store/sql_redirect.c), and the first one. */
#define NGX_HTTP_CERTHERD_HOPS_MAX  18


static ngx_int_t ngx_http_certherd_variable_tenant(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_certherd_variable_upstream(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_certherd_variable_hsts(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_certherd_variable_redirect(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


ngx_http_variable_t  ngx_http_certherd_policy_vars[] = {

    { ngx_string("certherd_tenant"), NULL,
      ngx_http_certherd_variable_tenant, 0, 0, 0 },

    { ngx_string("certherd_upstream"), NULL,
      ngx_http_certherd_variable_upstream, 0, 0, 0 },

    { ngx_string("certherd_hsts"), NULL,
      ngx_http_certherd_variable_hsts, 0, 0, 0 },

    { ngx_string("certherd_redirect"), NULL,
      ngx_http_certherd_variable_redirect, 0, 0, 0 },

      ngx_http_null_variable
};


/* The policy of the registered name; all empty when there is none. */

static ngx_http_certherd_request_t *
ngx_http_certherd_request_policy(ngx_http_request_t *r)
{
    ngx_str_t                     name;
    ngx_http_certherd_request_t  *ctx;

    ctx = ngx_http_certherd_request(r);
    if (ctx == NULL || ctx->policy_known) {
        return ctx;
    }

    if (ctx->found.registered) {
        name.data = ctx->found.name;
        name.len = ctx->found.len;

        if (ngx_http_certherd_policy(&name, r->pool, ctx->policy,
                                     r->connection->log)
            != NGX_OK)
        {
            return NULL;
        }
    }

    ctx->policy_known = 1;

    return ctx;
}


static ngx_int_t
ngx_http_certherd_variable_tenant(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                    *tenant;
    ngx_http_certherd_request_t  *ctx;

    ctx = ngx_http_certherd_request_policy(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    tenant = &ctx->policy[CH_POLICY_TENANT];

    if (tenant->len == 0 && ctx->found.registered) {
        return ngx_http_certherd_set_value(v, (u_char *) "default",
                                           sizeof("default") - 1);
    }

    return ngx_http_certherd_set_value(v, tenant->data, tenant->len);
}


static ngx_int_t
ngx_http_certherd_variable_upstream(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                    *upstream;
    ngx_http_certherd_request_t  *ctx;

    ctx = ngx_http_certherd_request_policy(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    upstream = &ctx->policy[CH_POLICY_UPSTREAM];

    return ngx_http_certherd_set_value(v, upstream->data, upstream->len);
}


static ngx_uint_t
ngx_http_certherd_is_tls(ngx_http_request_t *r)
{
    return r->connection->ssl != NULL;
}


/* RFC 6797, section 7.2: not over plain HTTP. */

static ngx_int_t
ngx_http_certherd_variable_hsts(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                    *hsts;
    ngx_http_certherd_request_t  *ctx;

    ctx = ngx_http_certherd_request_policy(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    hsts = &ctx->policy[CH_POLICY_HSTS];

    if (!ngx_http_certherd_is_tls(r)
        || !ngx_http_certherd_is_live(&ctx->found))
    {
        return ngx_http_certherd_set_value(v, (u_char *) "", 0);
    }

    return ngx_http_certherd_set_value(v, hsts->data, hsts->len);
}


static ngx_int_t
ngx_http_certherd_set_url(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    ngx_uint_t https, ngx_str_t *name)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, sizeof("https://") - 1 + name->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_certherd_set_value(v, p,
                        ngx_sprintf(p, "http%s://%V", https ? "s" : "", name)
                        - p);
}


/*
 * To another name: over HTTPS, unless it is one of ours that has none yet.
 *
 * No signature vouches for a policy, nor for the names without a certificate.
 * So that a taken store cannot send visitors wherever it likes, a name is ours
 * when a certificate was signed for it.  With certherd_redirect_any the store
 * is believed.
 */

static ngx_int_t
ngx_http_certherd_redirect_to(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_str_t *target)
{
    ngx_uint_t                     https;
    ngx_http_certherd_found_t      found;
    ngx_http_certherd_srv_conf_t  *scf;

    ngx_memzero(&found, sizeof(found));
    (void) ngx_http_certherd_lookup(target, &found, r->connection->log);
    scf = ngx_http_get_module_srv_conf(r, ngx_http_certherd_module);

    if (!found.live && !scf->redirect_any) {
        return ngx_http_certherd_set_value(v, (u_char *) "", 0);
    }

    https = !found.registered || ngx_http_certherd_is_live(&found);

    if (!https && ngx_http_certherd_is_tls(r)) {
        return ngx_http_certherd_set_value(v, (u_char *) "", 0);
    }

    return ngx_http_certherd_set_url(r, v, https, target);
}


static ngx_uint_t
ngx_http_certherd_is_none(ngx_str_t *redirect)
{
    return redirect->len == 4 && ngx_memcmp(redirect->data, "none", 4) == 0;
}


/* Whether that is where the visitors of another host are sent on from there. */

static ngx_uint_t
ngx_http_certherd_redirects(ngx_str_t *redirect, ngx_str_t *host)
{
    return redirect->len
           && !ngx_http_certherd_is_none(redirect)
           && !ngx_http_certherd_same(redirect, host);
}


/*
 * The store takes no redirect that leads back, but a name that is removed may
 * leave its hosts to a wildcard whose redirect then does.
 */

static ngx_uint_t
ngx_http_certherd_leads_back(ngx_http_request_t *r, ngx_str_t *host,
    ngx_str_t *target)
{
    ngx_str_t                      name, next, policy[CH_POLICY_TAG_COUNT];
    ngx_uint_t                     hops;
    ngx_http_certherd_found_t      found;
    ngx_http_certherd_srv_conf_t  *scf;

    scf = ngx_http_get_module_srv_conf(r, ngx_http_certherd_module);
    next = *target;

    for (hops = 0; hops < NGX_HTTP_CERTHERD_HOPS_MAX; hops++) {

        if (ngx_http_certherd_same(&next, host)) {
            return 1;
        }

        if (ngx_http_certherd_lookup(&next, &found, r->connection->log)
            != NGX_OK
            || !found.registered || (!found.live && !scf->redirect_any))
        {
            return 0;
        }

        name.data = found.name;
        name.len = found.len;

        if (ngx_http_certherd_policy(&name, r->pool, policy, r->connection->log)
            != NGX_OK
            || !ngx_http_certherd_redirects(&policy[CH_POLICY_REDIRECT], &next))
        {
            return 0;
        }

        next = policy[CH_POLICY_REDIRECT];
    }

    return 0;
}


static ngx_uint_t
ngx_http_certherd_may_redirect(ngx_http_request_t *r, ngx_str_t *host,
    ngx_str_t *redirect)
{
    if (!ngx_http_certherd_redirects(redirect, host)) {
        return 0;
    }

    if (!ngx_http_certherd_leads_back(r, host, redirect)) {
        return 1;
    }

    if (ngx_http_certherd_may_log(r->connection->log)) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "certherd: \"%V\" is not redirected to \"%V\", which "
                      "leads back to it: change one of the redirects",
                      host, redirect);
    }

    return 0;
}


static ngx_int_t
ngx_http_certherd_variable_redirect(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                        host_data[NGX_HTTP_CERTHERD_NAME_MAX];
    ngx_str_t                     host, *redirect;
    ngx_http_certherd_request_t  *ctx;

    ctx = ngx_http_certherd_request_policy(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    redirect = &ctx->policy[CH_POLICY_REDIRECT];
    host.data = host_data;

    if (!ctx->found.registered
        || ngx_http_certherd_is_none(redirect)
        || ngx_http_certherd_normalize(&r->headers_in.server, host.data,
                                       &host.len)
           != NGX_OK)
    {
        return ngx_http_certherd_set_value(v, (u_char *) "", 0);
    }

    if (ngx_http_certherd_may_redirect(r, &host, redirect)) {
        return ngx_http_certherd_redirect_to(r, v, redirect);
    }

    if (!ngx_http_certherd_is_tls(r)
        && ngx_http_certherd_is_live(&ctx->found))
    {
        return ngx_http_certherd_set_url(r, v, 1, &host);
    }

    return ngx_http_certherd_set_value(v, (u_char *) "", 0);
}

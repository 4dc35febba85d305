
/*
 * $certherd_name, $certherd_https, $certherd_not_after: what the replica says
 * about the Host of the request; looked up once per request.
 */


#include "ngx_http_certherd_module.h"


static ngx_int_t ngx_http_certherd_variable_name(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_certherd_variable_https(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_certherd_variable_not_after(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


ngx_http_variable_t  ngx_http_certherd_vars[] = {

    { ngx_string("certherd_name"), NULL,
      ngx_http_certherd_variable_name, 0, 0, 0 },

    { ngx_string("certherd_https"), NULL,
      ngx_http_certherd_variable_https, 0, 0, 0 },

    { ngx_string("certherd_not_after"), NULL,
      ngx_http_certherd_variable_not_after, 0, 0, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_certherd_add_variables(ngx_conf_t *cf, ngx_http_variable_t *list)
{
    ngx_http_variable_t  *var, *v;

    for (v = list; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


ngx_http_certherd_request_t *
ngx_http_certherd_request(ngx_http_request_t *r)
{
    u_char                        data[NGX_HTTP_CERTHERD_NAME_MAX];
    ngx_str_t                     host;
    ngx_http_certherd_request_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_certherd_module);
    if (ctx) {
        return ctx;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_certherd_request_t));
    if (ctx == NULL) {
        return NULL;
    }

    host.data = data;

    if (ngx_http_certherd_normalize(&r->headers_in.server, host.data,
                                    &host.len)
        == NGX_OK)
    {
        /* What cannot be read is served as if it were not there. */
        (void) ngx_http_certherd_lookup(&host, &ctx->found,
                                        r->connection->log);
        ngx_http_certherd_wanted_request(r, &ctx->found);
    }

    ngx_http_set_ctx(r, ctx, ngx_http_certherd_module);

    return ctx;
}


ngx_int_t
ngx_http_certherd_set_value(ngx_http_variable_value_t *v, u_char *data,
    size_t len)
{
    v->data = data;
    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_certherd_variable_name(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_certherd_request_t  *ctx;

    ctx = ngx_http_certherd_request(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_certherd_set_value(v, ctx->found.name, ctx->found.len);
}


static ngx_int_t
ngx_http_certherd_variable_https(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_certherd_request_t  *ctx;

    ctx = ngx_http_certherd_request(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_certherd_is_live(&ctx->found)) {
        return ngx_http_certherd_set_value(v, (u_char *) "1", 1);
    }

    return ngx_http_certherd_set_value(v, (u_char *) "", 0);
}


static ngx_int_t
ngx_http_certherd_variable_not_after(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                     *p;
    ngx_http_certherd_request_t  *ctx;

    ctx = ngx_http_certherd_request(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (!ctx->found.live) {
        return ngx_http_certherd_set_value(v, (u_char *) "", 0);
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_certherd_set_value(v, p,
                             ngx_sprintf(p, "%L", ctx->found.not_after) - p);
}


/*
 * http-01 (RFC 8555 section 8.3): every registered name is answered for, with
 * one of the thumbprints that are pinned in this configuration.  The replica
 * only says which of them; what it could say otherwise is never sent.
 */


#include "ngx_http_certherd_module.h"


#define NGX_HTTP_CERTHERD_TOKEN_MAX  128


static ngx_int_t ngx_http_certherd_challenge_handler(ngx_http_request_t *r);


ngx_str_t  ngx_http_certherd_challenge_prefix =
    ngx_string("/.well-known/acme-challenge/");


char *
ngx_http_certherd_challenge(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_certherd_main_conf_t  *mcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_certherd_challenge_handler;
    mcf->challenge = 1;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_certherd_token(ngx_str_t *uri, ngx_str_t *token)
{
    u_char      c;
    size_t      i;
    ngx_str_t  *prefix;

    prefix = &ngx_http_certherd_challenge_prefix;

    if (uri->len <= prefix->len
        || uri->len > prefix->len + NGX_HTTP_CERTHERD_TOKEN_MAX
        || ngx_memcmp(uri->data, prefix->data, prefix->len) != 0)
    {
        return NGX_DECLINED;
    }

    token->data = uri->data + prefix->len;
    token->len = uri->len - prefix->len;

    for (i = 0; i < token->len; i++) {
        c = token->data[i];

        if ((c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9')
            && c != '-' && c != '_')
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_str_t *
ngx_http_certherd_pinned(uint64_t hint, ngx_str_t *name, ngx_log_t *log)
{
    ngx_uint_t                       i;
    ngx_http_certherd_main_conf_t   *mcf;
    ngx_http_certherd_thumbprint_t  *print;

    mcf = ngx_http_certherd_main_conf();
    print = mcf->thumbprints.elts;

    for (i = 0; i < mcf->thumbprints.nelts; i++) {
        if (hint == 0 || hint == print[i].hint) {
            return &print[i].text;
        }
    }

    if (ngx_http_certherd_may_log(log)) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "certherd: the order of \"%V\" is under an account that no "
                      "certherd_account_thumbprint names", name);
    }

    return NULL;
}


/* The pinned thumbprint of the account that the name's order is under. */

static ngx_str_t *
ngx_http_certherd_thumbprint_of(ngx_http_request_t *r)
{
    u_char                       data[NGX_HTTP_CERTHERD_NAME_MAX];
    ngx_str_t                    host;
    ngx_http_certherd_found_t    found;
    ngx_http_certherd_pending_t  pending;

    host.data = data;

    if (ngx_http_certherd_normalize(&r->headers_in.server, host.data,
                                    &host.len)
        != NGX_OK
        || ngx_http_certherd_lookup(&host, &found, r->connection->log)
           != NGX_OK
        || !found.exact)
    {
        return NULL;
    }

    ngx_http_certherd_pending(&host, &pending, r->connection->log);

    return ngx_http_certherd_pinned(pending.hint ? pending.hint
                                                 : found.account_hint,
                                    &host, r->connection->log);
}


static ngx_int_t
ngx_http_certherd_send_text(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *b)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;
    b->memory = 1;

    r->headers_out.status = status;
    r->headers_out.content_length_n = b->last - b->pos;
    ngx_str_set(&r->headers_out.content_type, "text/plain");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_int_t
ngx_http_certherd_challenge_handler(ngx_http_request_t *r)
{
    ngx_int_t   rc;
    ngx_buf_t  *b;
    ngx_str_t   token, *thumbprint;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    thumbprint = NULL;

    if ((r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        && ngx_http_certherd_token(&r->uri, &token) == NGX_OK)
    {
        thumbprint = ngx_http_certherd_thumbprint_of(r);
    }

    if (thumbprint == NULL) {
        b = ngx_create_temp_buf(r->pool, sizeof("not found\n") - 1);
        if (b == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        b->last = ngx_cpymem(b->pos, "not found\n", sizeof("not found\n") - 1);

        return ngx_http_certherd_send_text(r, NGX_HTTP_NOT_FOUND, b);
    }

    b = ngx_create_temp_buf(r->pool, token.len + 1 + thumbprint->len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, token.data, token.len);
    *b->last++ = '.';
    b->last = ngx_cpymem(b->last, thumbprint->data, thumbprint->len);

    return ngx_http_certherd_send_text(r, NGX_HTTP_OK, b);
}

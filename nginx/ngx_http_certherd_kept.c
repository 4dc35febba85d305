
/*
 * What a handshake's ClientHello found, kept open for its certificate: OpenSSL
 * asks for that a moment later, within the same call.  The lookup ends with
 * this turn of the event loop at the latest, or when another one begins.
 */


#include "ngx_http_certherd_module.h"


static struct {
    ngx_event_t       event;
    struct ch_record  cert;
    size_t            len;
    u_char            name[NGX_HTTP_CERTHERD_NAME_MAX];
    unsigned          is_kept:1;
} ngx_http_certherd_kept;


void
ngx_http_certherd_drop_kept(void)
{
    if (ngx_http_certherd_kept.is_kept) {
        ngx_http_certherd_kept.is_kept = 0;
        ngx_http_certherd_release();
    }
}


static void
ngx_http_certherd_kept_handler(ngx_event_t *ev)
{
    ngx_http_certherd_drop_kept();
}


void
ngx_http_certherd_keep(ngx_str_t *name, struct ch_record *cert)
{
    ngx_http_certherd_kept.cert = *cert;
    ngx_http_certherd_kept.len = name->len;
    ngx_memcpy(ngx_http_certherd_kept.name, name->data, name->len);
    ngx_http_certherd_kept.is_kept = 1;
    ngx_http_certherd_kept.event.handler = ngx_http_certherd_kept_handler;
    ngx_http_certherd_kept.event.log = ngx_cycle->log;

    ngx_post_event(&ngx_http_certherd_kept.event, &ngx_posted_events);
}


ngx_uint_t
ngx_http_certherd_take_kept(ngx_str_t *name, struct ch_record *cert)
{
    if (!ngx_http_certherd_kept.is_kept
        || ngx_http_certherd_kept.len != name->len
        || ngx_memcmp(ngx_http_certherd_kept.name, name->data, name->len) != 0)
    {
        return 0;
    }

    ngx_http_certherd_kept.is_kept = 0;
    *cert = ngx_http_certherd_kept.cert;

    return 1;
}


/*
 * Names that visitors wait for: registered, and without a certificate here.
 * The agent is told, by one datagram to a socket in the replica's folder, and
 * tells the store, which may have a reason to hurry.  A hint and no more: it is
 * not waited for, not repeated, and whether anybody listens makes no odds.
 */


#include "ngx_http_certherd_module.h"

#include <sys/un.h>

#include "edge/told.h"


#define NGX_HTTP_CERTHERD_WANTED_SPAN    10000  /* ms */
#define NGX_HTTP_CERTHERD_WANTED_SETS      256
#define NGX_HTTP_CERTHERD_WANTED_SECOND     20  /* datagrams */


static struct {
    struct ch_told      *told;       /* NULL: nothing is */
    int                  fd;
    struct sockaddr_un   to;
    time_t               second;
    ngx_uint_t           tried;      /* in that second */
} ngx_http_certherd_waited;


void
ngx_http_certherd_wanted_start(ngx_http_certherd_main_conf_t *mcf)
{
    struct sockaddr_un      *to;
    struct ch_told_options   options;

    to = &ngx_http_certherd_waited.to;
    options.sets = NGX_HTTP_CERTHERD_WANTED_SETS;
    options.span_ms = NGX_HTTP_CERTHERD_WANTED_SPAN;

    /* The agent says when the path is too long: it has the same one. */

    if (mcf->replica.len + sizeof("/" CH_TOLD_SOCKET) > sizeof(to->sun_path)
        || RAND_bytes((u_char *) &options.seed, sizeof(options.seed)) != 1)
    {
        return;
    }

    ngx_memzero(to, sizeof(*to));
    to->sun_family = AF_UNIX;
    ngx_sprintf((u_char *) to->sun_path, "%V/" CH_TOLD_SOCKET, &mcf->replica);

    ngx_http_certherd_waited.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC
                                                  | SOCK_NONBLOCK, 0);

    if (ngx_http_certherd_waited.fd == -1) {
        return;
    }

    if (ch_told_new(&options, &ngx_http_certherd_waited.told) != CH_OK) {
        (void) close(ngx_http_certherd_waited.fd);
    }
}


void
ngx_http_certherd_wanted_stop(void)
{
    if (ngx_http_certherd_waited.told == NULL) {
        return;
    }

    (void) close(ngx_http_certherd_waited.fd);
    ch_told_free(ngx_http_certherd_waited.told);
    ngx_http_certherd_waited.told = NULL;
}


/* As many attempts as datagrams: a socket that takes none costs no more. */

static ngx_uint_t
ngx_http_certherd_wanted_may(void)
{
    if (ngx_http_certherd_waited.second != ngx_time()) {
        ngx_http_certherd_waited.second = ngx_time();
        ngx_http_certherd_waited.tried = 0;
    }

    if (ngx_http_certherd_waited.tried >= NGX_HTTP_CERTHERD_WANTED_SECOND) {
        return 0;
    }

    ngx_http_certherd_waited.tried++;

    return 1;
}


static void
ngx_http_certherd_wanted(u_char *name, size_t len)
{
    int64_t  now;

    now = (int64_t) ngx_current_msec;

    if (ngx_http_certherd_waited.told == NULL
        || ch_told_has(ngx_http_certherd_waited.told, (char *) name, len, now))
    {
        return;
    }

    if (!ngx_http_certherd_wanted_may()
        || sendto(ngx_http_certherd_waited.fd, name, len,
                  MSG_DONTWAIT | MSG_NOSIGNAL,
                  (struct sockaddr *) &ngx_http_certherd_waited.to,
                  sizeof(ngx_http_certherd_waited.to))
           == -1)
    {
        ngx_http_certherd_count(NGX_HTTP_CERTHERD_UNTOLD);
        return;
    }

    ngx_http_certherd_count(NGX_HTTP_CERTHERD_TOLD);
    ch_told_note(ngx_http_certherd_waited.told, (char *) name, len, now);
}


void
ngx_http_certherd_wanted_hello(ngx_http_certherd_conn_t *cx,
    ngx_http_certherd_srv_conf_t *scf)
{
    /* A CA that comes to validate does not wait for anything. */

    if (scf->wanted && cx->exact && !cx->live && !cx->alpn) {
        ngx_http_certherd_wanted(cx->sni.data, cx->sni.len);
    }
}


void
ngx_http_certherd_wanted_request(ngx_http_request_t *r,
    ngx_http_certherd_found_t *found)
{
    ngx_str_t                     *path;
    ngx_http_certherd_srv_conf_t  *scf;

    scf = ngx_http_get_module_srv_conf(r, ngx_http_certherd_module);
    path = &ngx_http_certherd_challenge_prefix;

    /* Over TLS the handshake has told.  What a rewrite makes of the path, is all the same. */

    if (!scf->wanted || !found->exact || found->live || r->connection->ssl
        || (r->unparsed_uri.len >= path->len
            && ngx_memcmp(r->unparsed_uri.data, path->data, path->len) == 0))
    {
        return;
    }

    ngx_http_certherd_wanted(found->name, found->len);
}

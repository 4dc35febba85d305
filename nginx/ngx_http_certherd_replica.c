
/*
 * The replica of this worker.  Opened after the fork, followed once a second;
 * a lookup touches nothing but the memory map.
 */


#include "ngx_http_certherd_module.h"


#define NGX_HTTP_CERTHERD_POLL       1000  /* ms */
#define NGX_HTTP_CERTHERD_MISS_POLL    50  /* ms */


static struct {
    struct ch_replica_reader  *reader;
    ngx_event_t                timer;
    ngx_connection_t           dummy;    /* what a timer's event must have */
    int                        last_rc;  /* what was logged last */
    ngx_msec_t                 polled;
    unsigned                   in_vain:1;   /* a look for the next generation was */
} ngx_http_certherd_worker;


/* What somebody can do about it, for the end of a log line. */

static const char *
ngx_http_certherd_advice(int rc)
{
    switch (rc) {

    case CH_ENOTFOUND:
        return "; is certherd agent running?";

    case CH_ECORRUPT:
    case CH_EIO:
        return "; certherd agent makes a new one: is it running, and can it "
               "reach the store?";

    case CH_EAUTH:
        return "; give it to the agent's user and nginx's group, or restart "
               "certherd agent, which makes a new one";

    case CH_EUNSUPPORTED:
        return "; certherd agent and this module must be of the same version: "
               "upgrade the older one";

    case CH_EAGAIN:
        return "; too many workers are reading";

    default:
        return "";
    }
}


/* Returns 1 when another generation was opened. */

static int
ngx_http_certherd_poll(ngx_log_t *log)
{
    int            rc;
    struct ch_err  err;

    ngx_http_certherd_drop_kept();

    err.detail[0] = '\0';
    ngx_http_certherd_worker.polled = ngx_current_msec;
    ngx_http_certherd_count(NGX_HTTP_CERTHERD_LOOKS);
    rc = ch_replica_reader_poll(ngx_http_certherd_worker.reader, &err);

    if (rc == 1) {
        ngx_http_certherd_worker.in_vain = 0;
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "certherd: opened the live generation of replica \"%V\"",
                      &ngx_http_certherd_main_conf()->replica);

    } else if (rc < 0 && rc != ngx_http_certherd_worker.last_rc) {
        ngx_log_error((rc == CH_ENOTFOUND ? NGX_LOG_WARN : NGX_LOG_ERR), log, 0,
                      "certherd: %s %s%s",
                      ch_replica_reader_is_open(ngx_http_certherd_worker.reader)
                      ? "keeping the last generation of the replica:"
                      : "all names are unknown as long as there is no replica:",
                      err.detail[0] ? err.detail : ch_rc_str(rc),
                      ngx_http_certherd_advice(rc));
    }

    ngx_http_certherd_worker.last_rc = rc < 0 ? rc : 0;

    return rc == 1;
}


static void
ngx_http_certherd_timer_handler(ngx_event_t *ev)
{
    ngx_http_certherd_poll(ev->log);
    ngx_http_certherd_tickets_follow(ev->log);
    ngx_http_certherd_keys_tidy();
    ngx_add_timer(ev, NGX_HTTP_CERTHERD_POLL);
}


ngx_int_t
ngx_http_certherd_replica_start(ngx_cycle_t *cycle,
    ngx_http_certherd_main_conf_t *mcf)
{
    ngx_event_t  *ev;

    if (ch_replica_reader_new((char *) mcf->replica.data,
                              &ngx_http_certherd_worker.reader) != CH_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "certherd: cannot make a reader of \"%V\"",
                      &mcf->replica);
        return NGX_ERROR;
    }

    ngx_http_certherd_poll(cycle->log);
    ngx_http_certherd_tickets_follow(cycle->log);

    ev = &ngx_http_certherd_worker.timer;
    ev->handler = ngx_http_certherd_timer_handler;
    ev->log = cycle->log;
    ev->data = &ngx_http_certherd_worker.dummy;
    ev->cancelable = 1;
    ngx_http_certherd_worker.dummy.fd = (ngx_socket_t) -1;

    ngx_add_timer(ev, NGX_HTTP_CERTHERD_POLL);

    return NGX_OK;
}


void
ngx_http_certherd_replica_stop(void)
{
    if (ngx_http_certherd_worker.timer.timer_set) {
        ngx_del_timer(&ngx_http_certherd_worker.timer);
    }

    ngx_http_certherd_drop_kept();
    ch_replica_reader_free(ngx_http_certherd_worker.reader);
    ngx_http_certherd_worker.reader = NULL;
}


ngx_uint_t
ngx_http_certherd_replica_is_open(void)
{
    return ngx_http_certherd_worker.reader
           && ch_replica_reader_is_open(ngx_http_certherd_worker.reader);
}


ngx_int_t
ngx_http_certherd_normalize(ngx_str_t *src, u_char *dst, size_t *len)
{
    u_char  c;
    size_t  i, n;

    n = src->len;

    if (n && src->data[n - 1] == '.') {
        n--;
    }

    if (n == 0 || n > NGX_HTTP_CERTHERD_NAME_MAX || src->data[0] == '.') {
        return NGX_DECLINED;
    }

    for (i = 0; i < n; i++) {
        c = ngx_tolower(src->data[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')
            && c != '-' && c != '.' && c != '_')
        {
            return NGX_DECLINED;
        }

        dst[i] = c;
    }

    *len = n;

    return NGX_OK;
}


static int
ngx_http_certherd_get(u_char *name, size_t len, struct ch_record *record)
{
    size_t          n;
    const uint8_t  *bytes;

    return ch_replica_get(ngx_http_certherd_worker.reader, (char *) name, len,
                          record, &bytes, &n);
}


/*
 * Within a lookup.  *own: the record of the name itself, if *ret_own; *cert:
 * the CERT record that serves it, its own or that of the parent's wildcard.
 */
static int
ngx_http_certherd_find(ngx_str_t *name, struct ch_record *own, int *ret_own,
    struct ch_record *cert, int *ret_cert)
{
    int      rc;
    u_char  *dot, wildcard[NGX_HTTP_CERTHERD_NAME_MAX + 1];
    size_t   len;

    *ret_own = 0;
    *ret_cert = 0;

    rc = ngx_http_certherd_get(name->data, name->len, own);
    if (rc == CH_OK) {
        *ret_own = 1;

        if (own->kind == CH_RECORD_CERT) {
            *cert = *own;
            *ret_cert = 1;
            return CH_OK;
        }

    } else if (rc != CH_ENOTFOUND) {
        return rc;
    }

    dot = ngx_strlchr(name->data, name->data + name->len, '.');
    if (dot == NULL) {
        return CH_OK;
    }

    len = name->data + name->len - dot + 1;
    wildcard[0] = '*';
    ngx_memcpy(wildcard + 1, dot, len - 1);

    rc = ngx_http_certherd_get(wildcard, len, cert);
    if (rc == CH_OK) {
        *ret_cert = (cert->kind == CH_RECORD_CERT);

    } else if (rc != CH_ENOTFOUND) {
        return rc;
    }

    return CH_OK;
}


static int
ngx_http_certherd_begin(ngx_log_t *log)
{
    int  rc;

    if (ngx_http_certherd_worker.reader == NULL) {
        return CH_ENOTFOUND;
    }

    ngx_http_certherd_drop_kept();

    rc = ch_replica_begin(ngx_http_certherd_worker.reader);

    if (rc != CH_OK && rc != CH_ENOTFOUND && ngx_http_certherd_may_log(log)) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "certherd: cannot read replica \"%V\": %s",
                      &ngx_http_certherd_main_conf()->replica, ch_rc_str(rc));
    }

    return rc;
}


static void
ngx_http_certherd_record_error(int rc, ngx_str_t *name, ngx_log_t *log)
{
    if (ngx_http_certherd_may_log(log)) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "certherd: the record of \"%V\" cannot be used: %s",
                      name, ch_rc_str(rc));
    }
}


/*
 * A name that the agent has acknowledged may be in a generation that this
 * worker would open at its next poll only.  What it has open says so, so that
 * strangers' names cost no look at a file; where nothing is open, or the new
 * one could not be opened, a look now and then.  Returns 1 when there is a new
 * one.
 */

static int
ngx_http_certherd_missed(int superseded, ngx_log_t *log)
{
    int  opened;

    if (ngx_http_certherd_worker.reader == NULL
        || (!superseded && ngx_http_certherd_replica_is_open()))
    {
        return 0;
    }

    if ((!superseded || ngx_http_certherd_worker.in_vain)
        && ngx_current_msec - ngx_http_certherd_worker.polled
           < NGX_HTTP_CERTHERD_MISS_POLL)
    {
        return 0;
    }

    opened = ngx_http_certherd_poll(log);
    ngx_http_certherd_worker.in_vain = !opened;

    return opened;
}


/*
 * Begins a lookup and finds the name; the caller ends the lookup, unless rc is
 * not CH_OK.
 */

static int
ngx_http_certherd_search(ngx_str_t *name, struct ch_record *own, int *ret_own,
    struct ch_record *cert, int *ret_cert, ngx_log_t *log)
{
    int  rc, superseded;

    for ( ;; ) {
        *ret_own = 0;
        *ret_cert = 0;
        superseded = 0;

        rc = ngx_http_certherd_begin(log);

        if (rc == CH_OK) {
            rc = ngx_http_certherd_find(name, own, ret_own, cert, ret_cert);

            if (rc == CH_OK && (*ret_own || *ret_cert)) {
                return CH_OK;
            }

            superseded = ch_replica_is_superseded(
                                              ngx_http_certherd_worker.reader);
            ch_replica_end(ngx_http_certherd_worker.reader);

            if (rc != CH_OK) {
                ngx_http_certherd_record_error(rc, name, log);
                return rc;
            }

        } else if (rc != CH_ENOTFOUND) {
            return rc;
        }

        if (!ngx_http_certherd_missed(superseded, log)) {
            return CH_ENOTFOUND;
        }
    }
}


static void
ngx_http_certherd_fill(ngx_http_certherd_found_t *found, struct ch_record *own,
    int has_own, struct ch_record *cert, int has_cert)
{
    struct ch_record  *record;

    found->exact = has_own;
    found->live = has_cert;
    found->registered = has_own || has_cert;

    if (!found->registered) {
        return;
    }

    record = has_own ? own : cert;
    found->len = record->name_len;
    ngx_memcpy(found->name, record->name, record->name_len);
    found->account_hint = record->account_hint;

    if (has_cert) {
        found->not_after = cert->not_after_s;
    }
}


static ngx_int_t
ngx_http_certherd_look_up(ngx_str_t *name, ngx_http_certherd_found_t *found,
    ngx_uint_t keep, ngx_log_t *log)
{
    int               rc, has_own, has_cert;
    struct ch_record  own, cert;

    found->registered = 0;
    found->exact = 0;
    found->live = 0;
    found->len = 0;

    rc = ngx_http_certherd_search(name, &own, &has_own, &cert, &has_cert, log);
    if (rc != CH_OK) {
        return rc == CH_ENOTFOUND ? NGX_OK : NGX_ERROR;
    }

    ngx_http_certherd_fill(found, &own, has_own, &cert, has_cert);

    if (keep && has_cert) {
        ngx_http_certherd_keep(name, &cert);
    } else {
        ngx_http_certherd_release();
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_certherd_lookup(ngx_str_t *name, ngx_http_certherd_found_t *found,
    ngx_log_t *log)
{
    return ngx_http_certherd_look_up(name, found, 0, log);
}


ngx_int_t
ngx_http_certherd_lookup_keep(ngx_str_t *name,
    ngx_http_certherd_found_t *found, ngx_log_t *log)
{
    return ngx_http_certherd_look_up(name, found, 1, log);
}


static ngx_int_t
ngx_http_certherd_copy_policy(struct ch_record *record, ngx_pool_t *pool,
    ngx_str_t policy[CH_POLICY_TAG_COUNT])
{
    int     tag;
    size_t  len;

    for (tag = 1; tag < CH_POLICY_TAG_COUNT; tag++) {
        len = record->policy[tag].len;

        /* The agent refuses what is no policy; none is used here either. */

        if (len == 0
            || !ch_policy_is_normal(tag, record->policy[tag].text, len))
        {
            continue;
        }

        policy[tag].data = ngx_pnalloc(pool, len);
        if (policy[tag].data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(policy[tag].data, record->policy[tag].text, len);
        policy[tag].len = len;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_certherd_policy(ngx_str_t *name, ngx_pool_t *pool,
    ngx_str_t policy[CH_POLICY_TAG_COUNT], ngx_log_t *log)
{
    int               rc;
    ngx_int_t         ret;
    struct ch_record  record;

    ngx_memzero(policy, CH_POLICY_TAG_COUNT * sizeof(ngx_str_t));

    if (ngx_http_certherd_begin(log) != CH_OK) {
        return NGX_OK;
    }

    ret = NGX_OK;
    rc = ch_replica_get_policy(ngx_http_certherd_worker.reader,
                               (char *) name->data, name->len, &record);

    if (rc == CH_OK) {
        ret = ngx_http_certherd_copy_policy(&record, pool, policy);
    }

    ch_replica_end(ngx_http_certherd_worker.reader);

    if (rc != CH_OK && rc != CH_ENOTFOUND) {
        ngx_http_certherd_record_error(rc, name, log);
    }

    return ret;
}


void
ngx_http_certherd_pending(ngx_str_t *name,
    ngx_http_certherd_pending_t *pending, ngx_log_t *log)
{
    int               rc, superseded;
    struct ch_record  record;

    /* As above: what the agent has acknowledged may be in the next generation. */

    do {
        pending->hint = 0;
        pending->len = 0;

        if (ngx_http_certherd_begin(log) != CH_OK) {
            return;
        }

        rc = ch_replica_get_challenge(ngx_http_certherd_worker.reader,
                                      (char *) name->data, name->len, &record);

        if (rc == CH_OK) {
            pending->hint = record.account_hint;
        }

        if (rc == CH_OK && record.token.len
            && record.token_until_s > ngx_time())
        {
            pending->len = record.token.len;
            ngx_memcpy(pending->token, record.token.text, record.token.len);
        }

        superseded = ch_replica_is_superseded(ngx_http_certherd_worker.reader);
        ch_replica_end(ngx_http_certherd_worker.reader);

        if (rc != CH_OK && rc != CH_ENOTFOUND) {
            ngx_http_certherd_record_error(rc, name, log);
            return;
        }

    } while (pending->len == 0 && ngx_http_certherd_missed(superseded, log));
}


ngx_int_t
ngx_http_certherd_acquire(ngx_str_t *name, struct ch_record *record,
    ngx_log_t *log)
{
    int               rc, has_own, has_cert;
    struct ch_record  own;

    if (ngx_http_certherd_take_kept(name, record)) {
        return NGX_OK;
    }

    rc = ngx_http_certherd_search(name, &own, &has_own, record, &has_cert, log);
    if (rc != CH_OK) {
        return rc == CH_ENOTFOUND ? NGX_DECLINED : NGX_ERROR;
    }

    if (!has_cert) {
        ngx_http_certherd_release();
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_certherd_acquire_tickets(struct ch_record *record, ngx_log_t *log)
{
    int  rc;

    if (ngx_http_certherd_begin(log) != CH_OK) {
        return NGX_ERROR;
    }

    rc = ch_replica_get_tickets(ngx_http_certherd_worker.reader, record);
    if (rc == CH_OK) {
        return NGX_OK;
    }

    ngx_http_certherd_release();

    if (rc != CH_ENOTFOUND && ngx_http_certherd_may_log(log)) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "certherd: the keys of session tickets in the replica "
                      "cannot be used: %s", ch_rc_str(rc));
    }

    return rc == CH_ENOTFOUND ? NGX_DECLINED : NGX_ERROR;
}


ngx_int_t
ngx_http_certherd_acquire_second(struct ch_record *record, ngx_log_t *log)
{
    int        rc;
    ngx_str_t  name;

    name.data = (u_char *) record->name;
    name.len = record->name_len;

    rc = ch_replica_get_second(ngx_http_certherd_worker.reader,
                               (char *) name.data, name.len, record);

    if (rc != CH_OK && rc != CH_ENOTFOUND) {
        ngx_http_certherd_record_error(rc, &name, log);
    }

    if (rc == CH_ENOTFOUND) {
        ngx_http_certherd_cache_forget_second(record);
    }

    return rc == CH_OK ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_certherd_tidy_second(struct ch_record *record, ngx_log_t *log)
{
    struct ch_record  second;

    second = *record;
    (void) ngx_http_certherd_acquire_second(&second, log);
}


int
ngx_http_certherd_chain_block(const u_char *id, const u_char **block,
    size_t *len)
{
    return ch_replica_get_chain(ngx_http_certherd_worker.reader, id, block,
                                len);
}


void
ngx_http_certherd_release(void)
{
    ch_replica_end(ngx_http_certherd_worker.reader);
}


/* Since then; never negative, whatever the clocks say. */

static int64_t
ngx_http_certherd_age(int rc, int64_t at)
{
    if (rc != CH_OK) {
        return -1;
    }

    return at < ngx_time() ? ngx_time() - at : 0;
}


void
ngx_http_certherd_replica_state(ngx_http_certherd_state_t *state)
{
    int                        rc;
    int64_t                    at;
    struct ch_cursor           cursor;
    struct ch_replica_reader  *reader;

    state->open = 0;
    state->sequence = -1;
    state->age = -1;
    state->feed_age = -1;
    state->ticket_key_age = ngx_http_certherd_tickets_age();

    reader = ngx_http_certherd_worker.reader;
    if (reader == NULL) {
        return;
    }

    rc = ch_replica_heard_at(reader, &at);
    state->feed_age = ngx_http_certherd_age(rc, at);

    ngx_http_certherd_drop_kept();

    if (ch_replica_begin(reader) != CH_OK) {
        return;
    }

    state->open = 1;

    if (ch_replica_cursor(reader, &cursor) == CH_OK && cursor.valid) {
        state->sequence = (int64_t) cursor.seq;
    }

    ch_replica_end(reader);

    rc = ch_replica_changed_at(reader, &at);
    state->age = ngx_http_certherd_age(rc, at);
}


/*
 * certherd_status: what this nginx does, as text for Prometheus.  Sums of all
 * workers; never anything by name.  A figure more is a line in the table.
 */


#include "ngx_http_certherd_module.h"


#define NGX_HTTP_CERTHERD_STATUS_SIZE  (16 * 1024)


typedef struct {
    ngx_http_certherd_sum_t    sum;
    ngx_http_certherd_state_t  state;
    size_t                     cache_limit;
} ngx_http_certherd_status_t;


typedef struct ngx_http_certherd_metric_s  ngx_http_certherd_metric_t;

struct ngx_http_certherd_metric_s {
    const char                *name;
    const char                *type;
    const char                *help;
    /* Writes the samples; none: there is nothing to tell. */
    u_char                  *(*write)(u_char *p, u_char *last,
                                      ngx_http_certherd_metric_t *m,
                                      ngx_http_certherd_status_t *st);
    ngx_uint_t                 what;     /* counter or offset */
};


static u_char *
ngx_http_certherd_write_counter(u_char *p, u_char *last,
    ngx_http_certherd_metric_t *m, ngx_http_certherd_status_t *st)
{
    return ngx_slprintf(p, last, "certherd_edge_%s %uL\n", m->name,
                        st->sum.count[m->what]);
}


static u_char *
ngx_http_certherd_write_results(u_char *p, u_char *last,
    ngx_http_certherd_metric_t *m, ngx_http_certherd_status_t *st)
{
    ngx_uint_t  i;

    static const char  *labels[NGX_HTTP_CERTHERD_RESULTS] = {
        "served", "resumed", "fallback", "unknown", "failed", "unreadable",
        "challenge", "unchallenged"
    };

    for (i = 0; i < NGX_HTTP_CERTHERD_RESULTS; i++) {
        p = ngx_slprintf(p, last, "certherd_edge_%s{result=\"%s\"} %uL\n",
                         m->name, labels[i], st->sum.count[i]);
    }

    return p;
}


static u_char *
ngx_http_certherd_write_opens(u_char *p, u_char *last,
    ngx_http_certherd_metric_t *m, ngx_http_certherd_status_t *st)
{
    uint64_t  ns;

    ns = st->sum.count[NGX_HTTP_CERTHERD_OPEN_NS];

    return ngx_slprintf(p, last, "certherd_edge_%s_sum %uL.%09uL\n"
                        "certherd_edge_%s_count %uL\n", m->name,
                        ns / 1000000000, ns % 1000000000, m->name,
                        st->sum.count[NGX_HTTP_CERTHERD_OPENS]);
}


/* An int64_t at an offset; negative: not known. */

static u_char *
ngx_http_certherd_write_gauge(u_char *p, u_char *last,
    ngx_http_certherd_metric_t *m, ngx_http_certherd_status_t *st)
{
    int64_t  value;

    value = *(int64_t *) ((u_char *) st + m->what);

    if (value < 0) {
        return p;
    }

    return ngx_slprintf(p, last, "certherd_edge_%s %L\n", m->name, value);
}


static u_char *
ngx_http_certherd_write_limit(u_char *p, u_char *last,
    ngx_http_certherd_metric_t *m, ngx_http_certherd_status_t *st)
{
    return ngx_slprintf(p, last, "certherd_edge_%s %uL\n", m->name,
                        (uint64_t) st->cache_limit * st->sum.workers);
}


static u_char *
ngx_http_certherd_write_expiry(u_char *p, u_char *last,
    ngx_http_certherd_metric_t *m, ngx_http_certherd_status_t *st)
{
    if (st->sum.expiry == 0) {
        return p;
    }

    return ngx_slprintf(p, last, "certherd_edge_%s %L\n", m->name,
                        st->sum.expiry);
}


#define ngx_http_certherd_sum_of(field)                                       \
    ngx_http_certherd_write_gauge,                                            \
    offsetof(ngx_http_certherd_status_t, sum.field)
#define ngx_http_certherd_state_of(field)                                     \
    ngx_http_certherd_write_gauge,                                            \
    offsetof(ngx_http_certherd_status_t, state.field)
#define ngx_http_certherd_counter_of(what)                                    \
    ngx_http_certherd_write_counter, what


static ngx_http_certherd_metric_t  ngx_http_certherd_metrics[] = {

    { "workers", "gauge", "Processes that serve, those that finish after a "
      "reload too.",
      ngx_http_certherd_sum_of(workers) },

    { "handshakes_total", "counter", "Handshakes by what was decided.",
      ngx_http_certherd_write_results, 0 },

    { "unknown_names_total", "counter", "Handshakes for a name without a "
      "certificate here, or for none, whatever was answered.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_UNKNOWN_NAMES) },

    { "expired_served_total", "counter", "Full handshakes that were given a "
      "certificate after its end.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_EXPIRED) },

    { "next_expiry_timestamp_seconds", "gauge", "Earliest end of a certificate "
      "that a full handshake was given in the last 5 to 10 minutes.",
      ngx_http_certherd_write_expiry, 0 },

    { "cache_hits_total", "counter", "Full handshakes whose key was open.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_HITS) },

    { "cache_misses_total", "counter", "Full handshakes whose certificate had "
      "to be parsed, and its key opened if it was not in the second level.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_MISSES) },

    { "cache_second_hits_total", "counter", "Of the certificates parsed: those "
      "whose key was in the second level.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_SECOND_HITS) },

    { "cache_evictions_total", "counter", "Opened keys thrown away for want of "
      "room.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_EVICTIONS) },

    { "cache_entries", "gauge", "Opened keys in all workers' caches.",
      ngx_http_certherd_sum_of(cache_entries) },

    { "cache_bytes", "gauge", "What all workers' caches take, with all of the "
      "second levels.",
      ngx_http_certherd_sum_of(cache_bytes) },

    { "cache_second_entries", "gauge", "Keys in all workers' second levels.",
      ngx_http_certherd_sum_of(second_entries) },

    { "cache_second_bytes", "gauge", "What these keys take of them.",
      ngx_http_certherd_sum_of(second_bytes) },

    { "cache_limit_bytes", "gauge", "What they may take: certherd_cache for "
      "each worker.",
      ngx_http_certherd_write_limit, 0 },

    { "key_open_seconds", "summary", "Keys opened, their certificates parsed, "
      "and the time that it took.",
      ngx_http_certherd_write_opens, 0 },

    { "key_open_failures_total", "counter", "Keys that could not be opened, or "
      "whose certificate could not be used.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_OPEN_FAILURES) },

    { "warm_up_opens_total", "counter", "Of the keys opened: in advance, "
      "without a handshake.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_WARM_OPENS) },

    { "replica_open", "gauge", "1 when the worker that answers has a replica.",
      ngx_http_certherd_state_of(open) },

    { "replica_sequence", "gauge", "Of the feed, up to where the replica has "
      "applied it.",
      ngx_http_certherd_state_of(sequence) },

    { "replica_age_seconds", "gauge", "Since the replica was last changed.",
      ngx_http_certherd_state_of(age) },

    { "feed_age_seconds", "gauge", "Since the agent last had an answer of the "
      "store.",
      ngx_http_certherd_state_of(feed_age) },

    { "ticket_key_age_seconds", "gauge", "Since the key of session tickets is "
      "in use that makes them now.",
      ngx_http_certherd_state_of(ticket_key_age) },

    { "replica_looks_total", "counter", "Looks at which generation is live.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_LOOKS) },

    { "wanted_told_total", "counter", "Names that visitors wait for of which "
      "the agent was told.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_TOLD) },

    { "wanted_left_out_total", "counter", "Times that it was not: over 20 a "
      "second and worker, or it did not take them.",
      ngx_http_certherd_counter_of(NGX_HTTP_CERTHERD_UNTOLD) },

    { NULL, NULL, NULL, NULL, 0 }
};


static u_char *
ngx_http_certherd_write_status(u_char *p, u_char *last,
    ngx_http_certherd_status_t *st)
{
    ngx_http_certherd_metric_t  *m;

    for (m = ngx_http_certherd_metrics; m->name; m++) {
        p = ngx_slprintf(p, last, "# HELP certherd_edge_%s %s\n"
                         "# TYPE certherd_edge_%s %s\n",
                         m->name, m->help, m->name, m->type);
        p = m->write(p, last, m, st);
    }

    return p;
}


static ngx_int_t
ngx_http_certherd_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_buf_t                      *b;
    ngx_chain_t                     out;
    ngx_http_certherd_status_t      st;
    ngx_http_certherd_main_conf_t  *mcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_CERTHERD_STATUS_SIZE);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_certherd_module);
    st.cache_limit = mcf->cache_size;
    ngx_http_certherd_sum_counters(mcf, &st.sum);
    ngx_http_certherd_replica_state(&st.state);

    b->last = ngx_http_certherd_write_status(b->pos, b->end, &st);
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    ngx_str_set(&r->headers_out.content_type,
                "text/plain; version=0.0.4; charset=utf-8");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


char *
ngx_http_certherd_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_certherd_main_conf_t  *mcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_certherd_status_handler;
    mcf->status = 1;

    return NGX_CONF_OK;
}

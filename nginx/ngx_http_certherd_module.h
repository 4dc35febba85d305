
/*
 * The certherd module: certificates by SNI from the replica (edge/replica.h),
 * answers to http-01 and tls-alpn-01 challenges, variables per name.
 *
 *   module.c       directives, start, stop
 *   placeholder.c  the certificate that nginx insists on and that is never served
 *   replica.c      the replica of this worker: opened, followed, looked up
 *   kept.c         what a handshake has looked up, for the rest of it
 *   cache.c        opened keys and parsed certificates of this worker, bounded;
 *                  edge/hotset.h decides what stays
 *   keys.c         private keys opened; the second level of the cache, edge/keytable.h
 *   warm.c         keys opened in advance, the list of names for that
 *   counters.c     what is counted, for all workers
 *   status.c       certherd_status
 *   handshake.c    the three hooks into a TLS handshake
 *   offer.c        whether a client can use an ECDSA certificate
 *   alpn.c         the answer to tls-alpn-01 challenges
 *   salt.c         what a session must not be carried across
 *   tickets.c      keys of session tickets, shared by the pool
 *   misdirected.c  421 for a Host that the served certificate does not cover
 *   challenge.c    /.well-known/acme-challenge/
 *   variables.c    $certherd_name, $certherd_https, $certherd_not_after
 *   policy.c       $certherd_tenant, _upstream, _hsts, _redirect
 *   wanted.c       tells the agent which names visitors wait for
 *
 * Configuration is in pools and read-only after the fork; everything of a
 * worker's own is in replica.c, kept.c, cache.c, keys.c, warm.c and wanted.c and lives as long as
 * the worker; what is shared between workers is counters.c's.
 */


#ifndef _NGX_HTTP_CERTHERD_MODULE_H_INCLUDED_
#define _NGX_HTTP_CERTHERD_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "crypto/keys.h"
#include "edge/replica.h"
#include "wire/policy.h"


#define NGX_HTTP_CERTHERD_NAME_MAX        CH_NAME_MAX
#define NGX_HTTP_CERTHERD_THUMBPRINT_LEN  43


typedef struct {
    ngx_str_t                  text;
    uint64_t                   hint;    /* its first 8 bytes, as in a record */
} ngx_http_certherd_thumbprint_t;


typedef struct {
    X509                      *leaf;
    STACK_OF(X509)            *chain;
    EVP_PKEY                  *key;
} ngx_http_certherd_pair_t;


typedef struct {
    ngx_str_t                  replica;
    ngx_array_t                keys;         /* struct ch_recipient_key * */
    ngx_array_t                thumbprints;
    size_t                     cache_size;
    ngx_http_certherd_pair_t   fallback;     /* leaf NULL: none */
    ngx_str_t                  warm_up;      /* the list; len 0: none */
    ngx_str_t                  warm_new;     /* what becomes the list */
    ngx_uint_t                 warm_names;
    ngx_msec_t                 warm_every;
    ngx_shm_zone_t            *counters;     /* NULL: there is no replica */

    ngx_uint_t                 challenge;    /* some location answers */
    ngx_uint_t                 status;       /* some location tells it */
    ngx_uint_t                 enabled;      /* some server has certherd on */
} ngx_http_certherd_main_conf_t;


typedef struct {
    ngx_flag_t                 enable;
    ngx_flag_t                 redirect_any; /* to names that are not ours */
    ngx_uint_t                 tickets;      /* a handshake; 0: none of the pool */
    ngx_flag_t                 wanted;       /* the agent is told who is waited for */

    /* what of this server a session must not be carried across */
    u_char                     salt[CH_SHA256_B];
} ngx_http_certherd_srv_conf_t;


/* What the replica says about a name that a client has sent. */
typedef struct {
    unsigned                   registered:1;  /* by itself or by its wildcard */
    unsigned                   exact:1;       /* by itself */
    unsigned                   live:1;        /* there is a certificate */
    uint64_t                   account_hint;  /* with exact */
    int64_t                    not_after;     /* with live */
    size_t                     len;
    u_char                     name[NGX_HTTP_CERTHERD_NAME_MAX];
} ngx_http_certherd_found_t;


/* How the challenges of a name are answered now. */
typedef struct {
    uint64_t                   hint;          /* 0: as its other records say */
    size_t                     len;           /* 0: no token */
    u_char                     token[CH_RECORD_TOKEN_MAX];
} ngx_http_certherd_pending_t;


/* Of a request: what the replica says about its Host, looked up once. */
typedef struct {
    ngx_http_certherd_found_t  found;
    ngx_str_t                  policy[CH_POLICY_TAG_COUNT];
    unsigned                   policy_known:1;
} ngx_http_certherd_request_t;


/* Of a connection whose handshake a server with certherd on has made. */
typedef struct {
    ngx_str_t                  sni;           /* normalized; len 0: none */
    void                      *server;        /* its srv_conf, as we chose it */
    /* The last Host that was fine; here, since a stream of QUIC has a pool of its own. */
    u_char                     covered[NGX_HTTP_CERTHERD_NAME_MAX];
    size_t                     covered_len;
    unsigned                   live:1;
    unsigned                   exact:1;       /* registered by itself */
    unsigned                   alpn:1;        /* offers "acme-tls/1" alone */
    unsigned                   failed:1;      /* the replica cannot be read */
    unsigned                   fallback:1;    /* serves the fallback */
    unsigned                   counted:1;     /* its result is */
    unsigned                   tickets:1;     /* of the pool, if TLS 1.3 it is */
} ngx_http_certherd_conn_t;


/* What is counted.  The first ones are results of handshakes: one for each. */
enum {
    NGX_HTTP_CERTHERD_SERVED = 0,    /* given the certificate of its name */
    NGX_HTTP_CERTHERD_RESUMED,       /* a session, of a name or the fallback */
    NGX_HTTP_CERTHERD_FALLBACK,      /* given the fallback certificate */
    NGX_HTTP_CERTHERD_UNKNOWN,       /* alert 112 */
    NGX_HTTP_CERTHERD_FAILED,        /* its certificate cannot be used */
    NGX_HTTP_CERTHERD_UNREADABLE,    /* the replica cannot be read */
    NGX_HTTP_CERTHERD_CHALLENGE,     /* given the answer of a challenge */
    NGX_HTTP_CERTHERD_UNCHALLENGED,  /* alert 120: there is none to answer */
    NGX_HTTP_CERTHERD_RESULTS,

    NGX_HTTP_CERTHERD_UNKNOWN_NAMES = NGX_HTTP_CERTHERD_RESULTS,
    NGX_HTTP_CERTHERD_EXPIRED,
    NGX_HTTP_CERTHERD_HITS,
    NGX_HTTP_CERTHERD_MISSES,
    NGX_HTTP_CERTHERD_SECOND_HITS,
    NGX_HTTP_CERTHERD_EVICTIONS,
    NGX_HTTP_CERTHERD_OPENS,
    NGX_HTTP_CERTHERD_OPEN_FAILURES,
    NGX_HTTP_CERTHERD_OPEN_NS,
    NGX_HTTP_CERTHERD_WARM_OPENS,
    NGX_HTTP_CERTHERD_LOOKS,
    NGX_HTTP_CERTHERD_TOLD,
    NGX_HTTP_CERTHERD_UNTOLD,
    NGX_HTTP_CERTHERD_COUNTERS
};


/* Of one process; it alone writes.  A new layout needs a new name of the zone. */
typedef struct {
    volatile uint64_t          count[NGX_HTTP_CERTHERD_COUNTERS];
    volatile int64_t           pid;           /* 0: nobody's, or that of one who left */
    volatile int64_t           cache_entries;
    volatile int64_t           cache_bytes;
    volatile int64_t           second_entries;
    volatile int64_t           second_bytes;
    volatile int64_t           window;        /* see count_expiry */
    volatile int64_t           expiry;        /* 0: none */
    volatile int64_t           expiry_before;
} __attribute__((aligned(64))) ngx_http_certherd_slot_t;


/* Of all processes; what is no counter, of the living. */
typedef struct {
    uint64_t                   count[NGX_HTTP_CERTHERD_COUNTERS];
    int64_t                    workers;
    int64_t                    cache_entries;
    int64_t                    cache_bytes;
    int64_t                    second_entries;
    int64_t                    second_bytes;
    int64_t                    expiry;        /* 0: none */
} ngx_http_certherd_sum_t;


/* Of the replica that this worker has open; -1: not known. */
typedef struct {
    int64_t                    open;
    int64_t                    sequence;
    int64_t                    age;           /* s */
    int64_t                    feed_age;      /* s */
    int64_t                    ticket_key_age; /* s */
} ngx_http_certherd_state_t;


static ngx_inline ngx_uint_t
ngx_http_certherd_same(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}


/* module.c */
extern ngx_module_t  ngx_http_certherd_module;

ngx_http_certherd_main_conf_t *ngx_http_certherd_main_conf(void);
/* True as long as this second's lines are not used up. */
ngx_uint_t ngx_http_certherd_may_log(ngx_log_t *log);

/* placeholder.c */
ngx_int_t ngx_http_certherd_add_placeholders(ngx_conf_t *cf);

/* replica.c */
ngx_int_t ngx_http_certherd_replica_start(ngx_cycle_t *cycle,
    ngx_http_certherd_main_conf_t *mcf);
void ngx_http_certherd_replica_stop(void);
ngx_uint_t ngx_http_certherd_replica_is_open(void);
/*
 * Lower-case, without a trailing dot.  dst has NGX_HTTP_CERTHERD_NAME_MAX
 * bytes.  NGX_DECLINED: no text that could be a registered name.
 */
ngx_int_t ngx_http_certherd_normalize(ngx_str_t *src, u_char *dst,
    size_t *len);
/* NGX_OK (see found), NGX_ERROR: the replica cannot be read (logged). */
ngx_int_t ngx_http_certherd_lookup(ngx_str_t *name,
    ngx_http_certherd_found_t *found, ngx_log_t *log);
/* The same, with what was found kept for an acquire of the name: kept.c. */
ngx_int_t ngx_http_certherd_lookup_keep(ngx_str_t *name,
    ngx_http_certherd_found_t *found, ngx_log_t *log);
/* Under which account, and with a token of tls-alpn-01 while one is open. */
void ngx_http_certherd_pending(ngx_str_t *name,
    ngx_http_certherd_pending_t *pending, ngx_log_t *log);
/*
 * The CERT record that serves the name, its own or its wildcard's.  NGX_OK:
 * borrowed until ngx_http_certherd_release, which must follow; else NGX_DECLINED
 * or NGX_ERROR.
 */
ngx_int_t ngx_http_certherd_acquire(ngx_str_t *name, struct ch_record *record,
    ngx_log_t *log);
/*
 * Between acquire and release: puts the second certificate of the name that
 * record serves in its place.  NGX_DECLINED: it has none, and the cache forgets
 * the one that it had.
 */
ngx_int_t ngx_http_certherd_acquire_second(struct ch_record *record,
    ngx_log_t *log);
/*
 * The same for its end only, when the first one is opened, as it is after a
 * change: clients that ask for the second one may be too few to find it gone.
 */
void ngx_http_certherd_tidy_second(struct ch_record *record, ngx_log_t *log);
/* The same for the record of the pool's ticket keys. */
ngx_int_t ngx_http_certherd_acquire_tickets(struct ch_record *record,
    ngx_log_t *log);
/* Only between acquire and release. */
int ngx_http_certherd_chain_block(const u_char *id, const u_char **block,
    size_t *len);
void ngx_http_certherd_release(void);

/* Instead of the end of a lookup: it ends with a take, a drop, or by itself. */
void ngx_http_certherd_keep(ngx_str_t *name, struct ch_record *cert);
/* 1: this is what was kept of the name, as after an acquire. */
ngx_uint_t ngx_http_certherd_take_kept(ngx_str_t *name, struct ch_record *cert);
/* Before another lookup begins, or the replica is closed. */
void ngx_http_certherd_drop_kept(void);
void ngx_http_certherd_replica_state(ngx_http_certherd_state_t *state);

/*
 * Copies the policy of a registered name into the pool; what is not given, is
 * no policy (wire/policy.h) or cannot be read, is empty.  NGX_ERROR: out of memory.
 */
ngx_int_t ngx_http_certherd_policy(ngx_str_t *name, ngx_pool_t *pool,
    ngx_str_t policy[CH_POLICY_TAG_COUNT], ngx_log_t *log);

/* cache.c */
ngx_int_t ngx_http_certherd_cache_start(ngx_http_certherd_main_conf_t *mcf);
void ngx_http_certherd_cache_stop(void);
/*
 * The opened key and parsed certificates of this very version of the record;
 * made at first use.  Borrowed until the next call.  On failure NULL, and
 * *reason says why.
 */
ngx_http_certherd_pair_t *ngx_http_certherd_cache_get(
    struct ch_record *record, const char **reason);
/* The parsed leaf if it is there; opens nothing. */
X509 *ngx_http_certherd_cache_peek(struct ch_record *record);
/* Of a name that has one certificate only. */
void ngx_http_certherd_cache_forget_second(struct ch_record *record);
/* Of a name that is not served, by its wildcard neither: wipes their keys. */
void ngx_http_certherd_cache_forget(ngx_str_t *name);

/*
 * Opens it in advance.  NGX_OK; NGX_DECLINED: it is open, or cannot be opened;
 * NGX_BUSY: there is no room, since nothing is thrown away for this.
 */
ngx_int_t ngx_http_certherd_cache_warm(struct ch_record *record);
/*
 * Appends the names of so many buckets, from *bucket on, that were used at
 * least and at most so often lately (edge/hotset.h), until there are max.
 * NGX_AGAIN: there are more buckets.
 */
ngx_int_t ngx_http_certherd_cache_names(size_t *bucket, size_t buckets,
    unsigned least, unsigned most, size_t max, struct ch_buf *out, size_t *n);

/* keys.c; hash: of the name, seeded by cache.c */
ngx_int_t ngx_http_certherd_keys_start(size_t cache_size);
void ngx_http_certherd_keys_stop(void);
/* All that it can ever take. */
size_t ngx_http_certherd_keys_size(void);
/*
 * The private key of this very version of the record; leaf: its certificate,
 * whose public key may still turn out to be another.  On success NULL, else why.
 */
const char *ngx_http_certherd_keys_open(struct ch_record *record, uint64_t hash,
    X509 *leaf, EVP_PKEY **ret_key);
void ngx_http_certherd_keys_forget(uint64_t hash);
/* Wipes what nobody has asked for in a long time: call it once a second. */
void ngx_http_certherd_keys_tidy(void);
/* Into the worker's slot of counters. */
void ngx_http_certherd_keys_tell(void);

/* warm.c */
void ngx_http_certherd_warm_start(ngx_cycle_t *cycle,
    ngx_http_certherd_main_conf_t *mcf);
void ngx_http_certherd_warm_stop(void);
char *ngx_http_certherd_warm_up(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* counters.c */
extern ngx_http_certherd_slot_t  *ngx_http_certherd_slot;
#define ngx_http_certherd_count(what)  (ngx_http_certherd_slot->count[what]++)

ngx_int_t ngx_http_certherd_add_counters(ngx_conf_t *cf,
    ngx_http_certherd_main_conf_t *mcf);
void ngx_http_certherd_counters_start(ngx_http_certherd_main_conf_t *mcf);
void ngx_http_certherd_counters_stop(void);
/* A full handshake was given a certificate with this end. */
void ngx_http_certherd_count_expiry(int64_t not_after);
void ngx_http_certherd_sum_counters(ngx_http_certherd_main_conf_t *mcf,
    ngx_http_certherd_sum_t *sum);

/* status.c */
char *ngx_http_certherd_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* offer.c */
/* Within the certificate callback: a key on the curve of the record's. */
ngx_uint_t ngx_http_certherd_offers_ecdsa(ngx_ssl_conn_t *ssl_conn,
    struct ch_record *record);

/* alpn.c */
/* Within the callback for the ClientHello: "acme-tls/1" and nothing else. */
ngx_uint_t ngx_http_certherd_alpn_offered(ngx_ssl_conn_t *ssl_conn);
/*
 * Of such a hello: the connection gets its certificate, and nothing is served
 * on it.  NGX_DECLINED: there is nothing to answer.
 */
ngx_int_t ngx_http_certherd_alpn_hello(ngx_connection_t *c,
    ngx_http_certherd_conn_t *cx);
void ngx_http_certherd_alpn_stop(void);

/* salt.c */
ngx_int_t ngx_http_certherd_make_salt(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf);

/* handshake.c */
int ngx_http_certherd_client_hello(ngx_ssl_conn_t *ssl_conn, int *ad,
    void *arg);
ngx_int_t ngx_http_certherd_hook_servers(ngx_conf_t *cf);
ngx_http_certherd_conn_t *ngx_http_certherd_conn(ngx_connection_t *c);

/* tickets.c */
/* Takes what the replica has, wipes what has expired: call it once a second. */
void ngx_http_certherd_tickets_follow(ngx_log_t *log);
void ngx_http_certherd_tickets_stop(void);
/* For how many seconds the key has made tickets that makes them now; -1: none does. */
time_t ngx_http_certherd_tickets_age(void);
/* On contexts that connections begin with. */
void ngx_http_certherd_tickets_hook(SSL_CTX *ctx);
/* At each hello; scf: of the server that it is for, listener: the context that
 * the connection began with. */
void ngx_http_certherd_tickets_hello(ngx_ssl_conn_t *ssl_conn,
    SSL_CTX *listener, ngx_http_certherd_srv_conf_t *scf);
/* When nginx has chosen a server with certherd on, and its options with it; cx may be NULL. */
void ngx_http_certherd_tickets_chosen(ngx_ssl_conn_t *ssl_conn,
    ngx_http_certherd_srv_conf_t *scf, ngx_http_certherd_conn_t *cx);

/* wanted.c */
void ngx_http_certherd_wanted_start(ngx_http_certherd_main_conf_t *mcf);
void ngx_http_certherd_wanted_stop(void);
/* Of a handshake, and of a request once its Host was looked up: the agent is
 * told, if the name is waited for.  Does not wait, and does not fail. */
void ngx_http_certherd_wanted_hello(ngx_http_certherd_conn_t *cx,
    ngx_http_certherd_srv_conf_t *scf);
void ngx_http_certherd_wanted_request(ngx_http_request_t *r,
    ngx_http_certherd_found_t *found);

/* misdirected.c */
ngx_int_t ngx_http_certherd_misdirected_handler(ngx_http_request_t *r);

/* challenge.c */
extern ngx_str_t  ngx_http_certherd_challenge_prefix;
char *ngx_http_certherd_challenge(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
/* The pinned thumbprint for this hint; NULL (logged): none that is pinned. */
ngx_str_t *ngx_http_certherd_pinned(uint64_t hint, ngx_str_t *name,
    ngx_log_t *log);

/* variables.c */
ngx_int_t ngx_http_certherd_add_variables(ngx_conf_t *cf,
    ngx_http_variable_t *list);
extern ngx_http_variable_t  ngx_http_certherd_vars[];
/* NULL: out of memory. */
ngx_http_certherd_request_t *ngx_http_certherd_request(ngx_http_request_t *r);
ngx_int_t ngx_http_certherd_set_value(ngx_http_variable_value_t *v,
    u_char *data, size_t len);
/* A visitor is not sent to a certificate that his browser refuses. */
#define ngx_http_certherd_is_live(found)                                      \
    ((found)->live && (found)->not_after > ngx_time())

/* policy.c */
extern ngx_http_variable_t  ngx_http_certherd_policy_vars[];


#endif /* _NGX_HTTP_CERTHERD_MODULE_H_INCLUDED_ */


/*
 * Opened keys and parsed certificates of this worker: a hash by name, bounded
 * in bytes; edge/hotset.h decides what goes.  An entry is good for one version
 * of the record, and for its signature (versions could come again after a
 * restored database), so that a renewed certificate is served at the next
 * handshake.  Parsed intermediates are shared by chain id.  What is thrown away
 * for want of room is parsed again, but its key may still be known: keys.c,
 * which has a part of the same bytes.
 *
 * A handshake in progress holds its own references, so anything here can be
 * thrown away at any time.
 */


#include "ngx_http_certherd_module.h"

#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "crypto/pair.h"
#include "edge/hotset.h"
#include "edge/namelist.h"
#include "wire/record.h"


/*
 * The heap that a parsed certificate takes once it has been served, a P-256 key,
 * and a public key of its own where the certificate does not share the private
 * one's (crypto/pair.h), as measured with OpenSSL 3.0 (3.5 keeps a little less)
 * and glibc.
 */
#define NGX_HTTP_CERTHERD_KEY_SIZE     2304
/* An RSA key after its first signature, a bit: measured 5,260 bytes with 2,048. */
#define NGX_HTTP_CERTHERD_RSA_BIT_SIZE 3
#define NGX_HTTP_CERTHERD_PUBLIC_SIZE  2100
#define NGX_HTTP_CERTHERD_X509_SIZE    1300
#define NGX_HTTP_CERTHERD_DER_FACTOR   2
#define NGX_HTTP_CERTHERD_EXT_SIZE     130
#define NGX_HTTP_CERTHERD_RDN_SIZE     160   /* part of subject or issuer */
#define NGX_HTTP_CERTHERD_SAN_SIZE     120

/* With a certificate from a public CA; buckets and counters go by it. */
#define NGX_HTTP_CERTHERD_ENTRY_SIZE   (7 * 1024)
/* What malloc adds to a block. */
#define NGX_HTTP_CERTHERD_BLOCK_SIZE   16
#define NGX_HTTP_CERTHERD_CHAIN_BUCKETS  64


typedef struct ngx_http_certherd_chain_s  ngx_http_certherd_chain_t;

struct ngx_http_certherd_chain_s {
    ngx_http_certherd_chain_t  *next;
    STACK_OF(X509)             *certs;
    ngx_uint_t                  refs;
    size_t                      size;
    u_char                      id[CH_CHAIN_ID_B];
};


typedef struct ngx_http_certherd_entry_s  ngx_http_certherd_entry_t;

struct ngx_http_certherd_entry_s {
    struct ch_hot_item          item;     /* first: see entry_of */
    ngx_http_certherd_entry_t  *next;     /* of its bucket */
    ngx_http_certherd_pair_t    pair;     /* chain: borrowed from the next */
    ngx_http_certherd_chain_t  *chain;    /* NULL: no intermediates */
    enum ch_record_kind         kind;
    uint64_t                    version;
    u_char                      signature[CH_SIGNATURE_B];
    size_t                      len;
    u_char                      name[1];
};


static struct {
    ngx_http_certherd_entry_t     **buckets;
    size_t                          mask;
    size_t                          entries;
    struct ch_hotset               *set;
    ngx_http_certherd_chain_t      *chains[NGX_HTTP_CERTHERD_CHAIN_BUCKETS];
} ngx_http_certherd_cache;


static ngx_http_certherd_entry_t *
ngx_http_certherd_entry_of(struct ch_hot_item *item)
{
    return (ngx_http_certherd_entry_t *) item;
}


ngx_int_t
ngx_http_certherd_cache_start(ngx_http_certherd_main_conf_t *mcf)
{
    size_t                    n;
    struct ch_hotset_options  options;

    options.bound_b = mcf->cache_size;
    options.item_b = NGX_HTTP_CERTHERD_ENTRY_SIZE;

    if (RAND_bytes((u_char *) &options.seed, sizeof(options.seed)) != 1
        || ch_hotset_new(&options, &ngx_http_certherd_cache.set) != CH_OK)
    {
        return NGX_ERROR;
    }

    n = ch_hotset_room(ngx_http_certherd_cache.set);

    ngx_http_certherd_cache.buckets = ngx_calloc(
        n * sizeof(ngx_http_certherd_entry_t *), ngx_cycle->log);

    if (ngx_http_certherd_cache.buckets == NULL) {
        return NGX_ERROR;
    }

    ngx_http_certherd_cache.mask = n - 1;
    ch_hotset_grow(ngx_http_certherd_cache.set,
                   n * sizeof(ngx_http_certherd_entry_t *));

    if (ngx_http_certherd_keys_start(mcf->cache_size) != NGX_OK) {
        return NGX_ERROR;
    }

    ch_hotset_grow(ngx_http_certherd_cache.set,
                   ngx_http_certherd_keys_size());

    return NGX_OK;
}


/* What it takes once it has been served; key: with which it is. */

static size_t
ngx_http_certherd_x509_size(X509 *x509, size_t der_len, EVP_PKEY *key)
{
    size_t          size;
    GENERAL_NAMES  *names;

    names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);

    size = NGX_HTTP_CERTHERD_X509_SIZE
           + NGX_HTTP_CERTHERD_DER_FACTOR * der_len
           + NGX_HTTP_CERTHERD_EXT_SIZE * X509_get_ext_count(x509)
           + NGX_HTTP_CERTHERD_RDN_SIZE
             * (X509_NAME_entry_count(X509_get_subject_name(x509))
                + X509_NAME_entry_count(X509_get_issuer_name(x509)))
           + NGX_HTTP_CERTHERD_SAN_SIZE
             * (names ? sk_GENERAL_NAME_num(names) : 0)
           + (key && X509_get0_pubkey(x509) == key
              ? 0 : NGX_HTTP_CERTHERD_PUBLIC_SIZE);

    GENERAL_NAMES_free(names);

    return size;
}


static size_t
ngx_http_certherd_key_size(EVP_PKEY *key)
{
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA
           ? (size_t) NGX_HTTP_CERTHERD_RSA_BIT_SIZE * EVP_PKEY_get_bits(key)
           : NGX_HTTP_CERTHERD_KEY_SIZE;
}


static ngx_http_certherd_chain_t **
ngx_http_certherd_chain_place(const u_char *id)
{
    ngx_http_certherd_chain_t  **place;

    place = &ngx_http_certherd_cache.chains[id[0]
                                     % NGX_HTTP_CERTHERD_CHAIN_BUCKETS];

    while (*place && ngx_memcmp((*place)->id, id, CH_CHAIN_ID_B) != 0) {
        place = &(*place)->next;
    }

    return place;
}


static void
ngx_http_certherd_chain_unref(ngx_http_certherd_chain_t *chain)
{
    ngx_http_certherd_chain_t  **place;

    if (chain == NULL || --chain->refs) {
        return;
    }

    place = ngx_http_certherd_chain_place(chain->id);
    *place = chain->next;
    ch_hotset_shrink(ngx_http_certherd_cache.set, chain->size);
    sk_X509_pop_free(chain->certs, X509_free);
    ngx_free(chain);
}


/* Adds what it takes to *size. */

static STACK_OF(X509) *
ngx_http_certherd_parse_chain(const u_char *block, size_t len, size_t *size)
{
    size_t           i;
    X509            *x509;
    const u_char    *der;
    struct ch_chain  chain;
    STACK_OF(X509)  *certs;

    if (ch_chain_decode(block, len, &chain) != CH_OK) {
        return NULL;
    }

    certs = sk_X509_new_null();

    for (i = 0; certs && i < chain.n; i++) {
        der = chain.der[i];
        x509 = d2i_X509(NULL, &der, (long) chain.der_len[i]);

        if (x509 == NULL || sk_X509_push(certs, x509) == 0) {
            X509_free(x509);
            sk_X509_pop_free(certs, X509_free);
            return NULL;
        }

        *size += ngx_http_certherd_x509_size(x509, chain.der_len[i], NULL);
    }

    return certs;
}


/* On success *ret_chain is referenced once more; NULL: no intermediates. */
static const char *
ngx_http_certherd_chain_ref(const u_char *id,
    ngx_http_certherd_chain_t **ret_chain)
{
    static const u_char  none[CH_CHAIN_ID_B];

    size_t                       len;
    const u_char                *block;
    ngx_http_certherd_chain_t   *chain, **place;

    *ret_chain = NULL;

    if (ngx_memcmp(id, none, CH_CHAIN_ID_B) == 0) {
        return NULL;
    }

    place = ngx_http_certherd_chain_place(id);

    if (*place) {
        (*place)->refs++;
        *ret_chain = *place;
        return NULL;
    }

    if (ngx_http_certherd_chain_block(id, &block, &len) != CH_OK) {
        return "its intermediates are not in the replica";
    }

    chain = ngx_calloc(sizeof(ngx_http_certherd_chain_t), ngx_cycle->log);
    if (chain == NULL) {
        return "out of memory";
    }

    chain->size = sizeof(ngx_http_certherd_chain_t)
                  + NGX_HTTP_CERTHERD_BLOCK_SIZE;
    chain->certs = ngx_http_certherd_parse_chain(block, len, &chain->size);
    if (chain->certs == NULL) {
        ngx_free(chain);
        return "its intermediates cannot be parsed";
    }

    ngx_memcpy(chain->id, id, CH_CHAIN_ID_B);
    chain->refs = 1;
    ch_hotset_grow(ngx_http_certherd_cache.set, chain->size);
    *place = chain;
    *ret_chain = chain;

    return NULL;
}


/* The two certificates of a name are counted and kept apart. */

static uint64_t
ngx_http_certherd_name_hash(enum ch_record_kind kind, const char *name,
    size_t name_len)
{
    size_t  len;
    char    key[CH_RECORD_KEY_B];

    len = ch_record_key(kind, name, name_len, key);

    return ch_hotset_hash(ngx_http_certherd_cache.set, key, len);
}


static uint64_t
ngx_http_certherd_entry_hash(struct ch_record *record)
{
    return ngx_http_certherd_name_hash(record->kind, record->name,
                                       record->name_len);
}


static ngx_http_certherd_entry_t **
ngx_http_certherd_entry_place(uint64_t hash, enum ch_record_kind kind,
    const char *name, size_t len)
{
    ngx_http_certherd_entry_t  **place;

    place = &ngx_http_certherd_cache.buckets[hash
                                             & ngx_http_certherd_cache.mask];

    while (*place
           && ((*place)->item.hash != hash || (*place)->kind != kind
               || (*place)->len != len
               || ngx_memcmp((*place)->name, name, len) != 0))
    {
        place = &(*place)->next;
    }

    return place;
}


static void
ngx_http_certherd_entry_free(ngx_http_certherd_entry_t *entry)
{
    X509_free(entry->pair.leaf);
    EVP_PKEY_free(entry->pair.key);
    ngx_http_certherd_chain_unref(entry->chain);
    ngx_free(entry);
}


static void
ngx_http_certherd_entry_remove(ngx_http_certherd_entry_t *entry)
{
    ngx_http_certherd_entry_t  **place;

    place = ngx_http_certherd_entry_place(entry->item.hash, entry->kind,
                                          (char *) entry->name, entry->len);
    *place = entry->next;
    ngx_http_certherd_cache.entries--;
    ch_hotset_remove(ngx_http_certherd_cache.set, &entry->item);
    ngx_http_certherd_entry_free(entry);
}


void
ngx_http_certherd_cache_stop(void)
{
    size_t  i;

    for (i = 0; ngx_http_certherd_cache.buckets
                && i <= ngx_http_certherd_cache.mask; i++)
    {
        while (ngx_http_certherd_cache.buckets[i]) {
            ngx_http_certherd_entry_remove(ngx_http_certherd_cache.buckets[i]);
        }
    }

    ngx_http_certherd_keys_stop();

    ngx_free(ngx_http_certherd_cache.buckets);
    ngx_http_certherd_cache.buckets = NULL;

    ch_hotset_free(ngx_http_certherd_cache.set);
    ngx_http_certherd_cache.set = NULL;
}


static const char *
ngx_http_certherd_entry_fill(ngx_http_certherd_entry_t *entry,
    struct ch_record *record, uint64_t hash)
{
    const char  *reason;

    if (ch_pair_parse(record->leaf, record->leaf_len, &entry->pair.leaf)
        != CH_OK)
    {
        return "its certificate cannot be parsed";
    }

    reason = ngx_http_certherd_keys_open(record, hash, entry->pair.leaf,
                                         &entry->pair.key);
    if (reason) {
        return reason;
    }

    /*
     * The AAD bound the sealed copy to this public key; not the pair itself.
     * Of a key that was known this is the proof that it is the right one.
     */

    if (ch_pair_join(&entry->pair.leaf, record->leaf, record->leaf_len,
                     entry->pair.key)
        != CH_OK)
    {
        ngx_http_certherd_keys_forget(hash);
        return "its key is not that of its certificate";
    }

    reason = ngx_http_certherd_chain_ref(record->chain_id, &entry->chain);
    if (reason) {
        return reason;
    }

    entry->pair.chain = entry->chain ? entry->chain->certs : NULL;

    return NULL;
}


static void
ngx_http_certherd_cache_tell(void)
{
    ngx_http_certherd_slot->cache_entries = ngx_http_certherd_cache.entries;
    ngx_http_certherd_slot->cache_bytes =
                                   ch_hotset_size(ngx_http_certherd_cache.set);
    ngx_http_certherd_keys_tell();
}


static ngx_http_certherd_entry_t *
ngx_http_certherd_entry_find(struct ch_record *record, uint64_t hash)
{
    ngx_http_certherd_entry_t  *entry;

    entry = *ngx_http_certherd_entry_place(hash, record->kind, record->name,
                                           record->name_len);

    if (entry
        && (entry->version != record->version
            || ngx_memcmp(entry->signature, record->signature, CH_SIGNATURE_B)
               != 0))
    {
        ngx_http_certherd_entry_remove(entry);
        ngx_http_certherd_cache_tell();
        return NULL;
    }

    return entry;
}


/* Of a filled entry; its chain counts by itself. */

static void
ngx_http_certherd_entry_insert(ngx_http_certherd_entry_t *entry,
    struct ch_record *record, uint64_t hash)
{
    struct ch_hot_item          *surplus;
    ngx_http_certherd_entry_t  **place;

    entry->kind = record->kind;
    entry->version = record->version;
    ngx_memcpy(entry->signature, record->signature, CH_SIGNATURE_B);
    entry->len = record->name_len;
    ngx_memcpy(entry->name, record->name, record->name_len);

    entry->item.hash = hash;
    entry->item.size_b = sizeof(ngx_http_certherd_entry_t) + record->name_len
                         + NGX_HTTP_CERTHERD_BLOCK_SIZE
                         + ngx_http_certherd_key_size(entry->pair.key)
                         + ngx_http_certherd_x509_size(entry->pair.leaf,
                                                       record->leaf_len,
                                                       entry->pair.key);

    place = ngx_http_certherd_entry_place(hash, entry->kind, record->name,
                                          entry->len);
    *place = entry;
    ngx_http_certherd_cache.entries++;
    ch_hotset_add(ngx_http_certherd_cache.set, &entry->item);

    for ( ;; ) {
        surplus = ch_hotset_surplus(ngx_http_certherd_cache.set);
        if (surplus == NULL) {
            break;
        }

        ngx_http_certherd_entry_remove(ngx_http_certherd_entry_of(surplus));
        ngx_http_certherd_count(NGX_HTTP_CERTHERD_EVICTIONS);
    }

    ngx_http_certherd_cache_tell();
}


static uint64_t
ngx_http_certherd_now_ns(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


/* NULL, and the reason, if the record cannot be used. */

static ngx_http_certherd_entry_t *
ngx_http_certherd_entry_open(struct ch_record *record, uint64_t hash,
    const char **reason)
{
    uint64_t                    begun;
    ngx_http_certherd_entry_t  *entry;

    entry = ngx_calloc(sizeof(ngx_http_certherd_entry_t) + record->name_len,
                       ngx_cycle->log);
    if (entry == NULL) {
        *reason = "out of memory";
        return NULL;
    }

    begun = ngx_http_certherd_now_ns();
    *reason = ngx_http_certherd_entry_fill(entry, record, hash);

    if (*reason) {
        ngx_http_certherd_count(NGX_HTTP_CERTHERD_OPEN_FAILURES);
        ERR_clear_error();
        ngx_http_certherd_entry_free(entry);
        return NULL;
    }

    ngx_http_certherd_count(NGX_HTTP_CERTHERD_OPENS);
    ngx_http_certherd_slot->count[NGX_HTTP_CERTHERD_OPEN_NS] +=
                                           ngx_http_certherd_now_ns() - begun;

    return entry;
}


ngx_http_certherd_pair_t *
ngx_http_certherd_cache_get(struct ch_record *record, const char **reason)
{
    uint64_t                    hash;
    ngx_http_certherd_entry_t  *entry;

    hash = ngx_http_certherd_entry_hash(record);
    entry = ngx_http_certherd_entry_find(record, hash);

    if (entry) {
        ngx_http_certherd_count(NGX_HTTP_CERTHERD_HITS);
        ch_hotset_use(ngx_http_certherd_cache.set, &entry->item);
        return &entry->pair;
    }

    ngx_http_certherd_count(NGX_HTTP_CERTHERD_MISSES);

    if (record->kind == CH_RECORD_CERT) {
        ngx_http_certherd_tidy_second(record, ngx_cycle->log);
    }

    entry = ngx_http_certherd_entry_open(record, hash, reason);
    if (entry == NULL) {
        return NULL;
    }

    ngx_http_certherd_entry_insert(entry, record, hash);

    return &entry->pair;
}


X509 *
ngx_http_certherd_cache_peek(struct ch_record *record)
{
    ngx_http_certherd_entry_t  *entry;

    entry = ngx_http_certherd_entry_find(record,
                                 ngx_http_certherd_entry_hash(record));

    return entry ? entry->pair.leaf : NULL;
}


static void
ngx_http_certherd_forget_one(enum ch_record_kind kind, const char *name,
    size_t len)
{
    uint64_t                    hash;
    ngx_http_certherd_entry_t  *entry;

    hash = ngx_http_certherd_name_hash(kind, name, len);
    entry = *ngx_http_certherd_entry_place(hash, kind, name, len);

    if (entry) {
        ngx_http_certherd_entry_remove(entry);
    }

    ngx_http_certherd_keys_forget(hash);
}


void
ngx_http_certherd_cache_forget_second(struct ch_record *record)
{
    ngx_http_certherd_forget_one(CH_RECORD_SECOND, record->name,
                                 record->name_len);
    ngx_http_certherd_cache_tell();
}


void
ngx_http_certherd_cache_forget(ngx_str_t *name)
{
    u_char  *dot;
    char     wildcard[NGX_HTTP_CERTHERD_NAME_MAX + 1];
    size_t   len;

    ngx_http_certherd_forget_one(CH_RECORD_CERT, (char *) name->data,
                                 name->len);
    ngx_http_certherd_forget_one(CH_RECORD_SECOND, (char *) name->data,
                                 name->len);

    dot = ngx_strlchr(name->data, name->data + name->len, '.');

    if (dot && name->len < NGX_HTTP_CERTHERD_NAME_MAX) {
        len = (size_t) (name->data + name->len - dot);
        wildcard[0] = '*';
        ngx_memcpy(wildcard + 1, dot, len);
        ngx_http_certherd_forget_one(CH_RECORD_CERT, wildcard, len + 1);
        ngx_http_certherd_forget_one(CH_RECORD_SECOND, wildcard, len + 1);
    }

    ngx_http_certherd_cache_tell();
}


ngx_int_t
ngx_http_certherd_cache_warm(struct ch_record *record)
{
    uint64_t                    hash;
    const char                 *reason;
    ngx_http_certherd_entry_t  *entry;

    if (ch_hotset_size(ngx_http_certherd_cache.set)
        + 2 * NGX_HTTP_CERTHERD_ENTRY_SIZE
        > ngx_http_certherd_main_conf()->cache_size)
    {
        return NGX_BUSY;
    }

    hash = ngx_http_certherd_entry_hash(record);

    if (ngx_http_certherd_entry_find(record, hash)) {
        return NGX_DECLINED;
    }

    entry = ngx_http_certherd_entry_open(record, hash, &reason);
    if (entry == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_certherd_entry_insert(entry, record, hash);
    ngx_http_certherd_count(NGX_HTTP_CERTHERD_WARM_OPENS);

    return NGX_OK;
}


ngx_int_t
ngx_http_certherd_cache_names(size_t *bucket, size_t buckets, unsigned least,
    unsigned most, size_t max, struct ch_buf *out, size_t *n)
{
    unsigned                    used;
    ngx_http_certherd_entry_t  *entry;

    while (*bucket <= ngx_http_certherd_cache.mask && *n < max) {

        if (buckets-- == 0) {
            return NGX_AGAIN;
        }

        entry = ngx_http_certherd_cache.buckets[(*bucket)++];

        for ( /* void */ ; entry && *n < max; entry = entry->next) {
            used = ch_hotset_used(ngx_http_certherd_cache.set,
                                  entry->item.hash);

            if (entry->kind == CH_RECORD_CERT && used >= least && used <= most) {
                ch_namelist_add(out, (char *) entry->name, entry->len);
                (*n)++;
            }
        }
    }

    return NGX_DONE;
}

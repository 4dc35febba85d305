
/*
 * Private keys of this worker's names, opened: the scalars of P-256 keys are
 * kept (edge/keytable.h) when what was parsed has been thrown away, since to
 * open one takes longer than to parse the certificate.  Other keys are not: they
 * are larger and few.
 *
 * A scalar is found by the name's hash, and is used only if the record has the
 * very version and signature that it was opened for, which covers everything
 * in the record: only one that was its certificate's is kept.
 */


#include "ngx_http_certherd_module.h"

#include <openssl/rand.h>

#include "base/secret.h"
#include "crypto/pair.h"
#include "crypto/seal.h"
#include "edge/keytable.h"
#include "wire/record.h"


/* Of certherd_cache. */
#define NGX_HTTP_CERTHERD_KEYS_PART  8

/*
 * The key of a removed name for which nobody asks any more is wiped after so
 * long, in seconds; and how often all places are looked through for such.
 */
#define NGX_HTTP_CERTHERD_KEYS_IDLE  (6 * 3600)
#define NGX_HTTP_CERTHERD_KEYS_TIDY  1800


static struct ch_keytable  *ngx_http_certherd_keys;


/* Monotonic. */

static uint32_t
ngx_http_certherd_keys_now(void)
{
    return (uint32_t) (ngx_current_msec / 1000);
}


ngx_int_t
ngx_http_certherd_keys_start(size_t cache_size)
{
    int                         rc;
    struct ch_keytable_options  options;

    options.bound_b = cache_size / NGX_HTTP_CERTHERD_KEYS_PART;
    options.idle_s = NGX_HTTP_CERTHERD_KEYS_IDLE;

    if (RAND_bytes(options.secret, sizeof(options.secret)) != 1) {
        return NGX_ERROR;
    }

    rc = ch_keytable_new(&options, &ngx_http_certherd_keys);
    ch_wipe(options.secret, sizeof(options.secret));

    return rc == CH_OK ? NGX_OK : NGX_ERROR;
}


void
ngx_http_certherd_keys_stop(void)
{
    ch_keytable_free(ngx_http_certherd_keys);
    ngx_http_certherd_keys = NULL;
}


size_t
ngx_http_certherd_keys_size(void)
{
    return ch_keytable_size(ngx_http_certherd_keys);
}


void
ngx_http_certherd_keys_tell(void)
{
    size_t  n;

    n = ch_keytable_entries(ngx_http_certherd_keys);

    ngx_http_certherd_slot->second_entries = n;
    ngx_http_certherd_slot->second_bytes = n * CH_KEYTABLE_SLOT_B;
}


void
ngx_http_certherd_keys_tidy(void)
{
    size_t  n;

    n = ch_keytable_sets(ngx_http_certherd_keys);

    ch_keytable_tidy(ngx_http_certherd_keys, ngx_http_certherd_keys_now(),
                     n / NGX_HTTP_CERTHERD_KEYS_TIDY + 1);
    ngx_http_certherd_keys_tell();
}


void
ngx_http_certherd_keys_forget(uint64_t hash)
{
    ch_keytable_forget(ngx_http_certherd_keys, hash);
}


static const char *
ngx_http_certherd_unseal(struct ch_record *record, X509 *leaf,
    uint8_t *ret_block, size_t *ret_len)
{
    int                       rc;
    size_t                    i;
    uint8_t                   spki[CH_SHA256_B];
    ngx_uint_t                k;
    ngx_array_t              *keys;
    struct ch_sealed_view    *sealed;
    struct ch_seal_binding    binding;
    struct ch_recipient_key  *key;

    if (ch_pair_spki_sha256(leaf, spki) != CH_OK) {
        return "its public key cannot be read";
    }

    binding.name = record->name;
    binding.name_len = record->name_len;
    binding.key_version = record->key_version;
    binding.spki_sha256 = spki;
    rc = CH_ENOTFOUND;
    keys = &ngx_http_certherd_main_conf()->keys;

    for (i = 0; i < record->n_sealed; i++) {
        sealed = &record->sealed[i];

        for (k = 0; k < keys->nelts; k++) {
            key = ((struct ch_recipient_key **) keys->elts)[k];

            if (sealed->kem_id != key->pub.kem
                || ngx_memcmp(sealed->recipient_id, key->pub.id,
                              CH_RECIPIENT_ID_B) != 0)
            {
                continue;
            }

            rc = ch_seal_open_block(key, &binding, sealed->enc,
                                    sealed->enc_len, sealed->ct,
                                    sealed->ct_len, ret_block, ret_len);
            if (rc == CH_OK) {
                return NULL;
            }
        }
    }

    return rc == CH_ENOTFOUND
           ? "no certherd_recipient_key is among its recipients"
           : "its sealed key cannot be opened: it is damaged or meant for "
             "another name, version or certificate";
}


/* Which key a record has: everything in it, by way of its signature. */

static ngx_int_t
ngx_http_certherd_identify(struct ch_record *record, uint64_t hash,
    struct ch_keytable_key *which)
{
    size_t   len;
    u_char  *p;
    u_char   text[2 * sizeof(uint64_t) + CH_SIGNATURE_B + CH_RECORD_KEY_B];

    p = ngx_cpymem(text, &record->version, sizeof(uint64_t));
    p = ngx_cpymem(p, &record->key_version, sizeof(uint64_t));
    p = ngx_cpymem(p, record->signature, CH_SIGNATURE_B);
    len = ch_record_key(record->kind, record->name, record->name_len,
                        (char *) p);

    which->hash = hash;

    return ch_keytable_identify(ngx_http_certherd_keys, text,
                                (size_t) (p - text) + len, which->id)
           == CH_OK ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_certherd_keys_known(struct ch_keytable_key *which, X509 *leaf,
    EVP_PKEY **ret_key)
{
    int      rc;
    uint8_t  block[CH_KEY_BLOCK_B];

    if (!ch_keytable_get(ngx_http_certherd_keys, which,
                         ngx_http_certherd_keys_now(), block + 1))
    {
        return NGX_DECLINED;
    }

    block[0] = CH_KEY_BLOCK_P256;
    rc = ch_pair_key(leaf, block, sizeof(block), 1, ret_key);
    ch_wipe(block, sizeof(block));

    return rc == CH_OK ? NGX_OK : NGX_DECLINED;
}


const char *
ngx_http_certherd_keys_open(struct ch_record *record, uint64_t hash, X509 *leaf,
    EVP_PKEY **ret_key)
{
    int                     rc;
    size_t                  len;
    uint8_t                 block[CH_KEY_BLOCK_MAX_B];
    ngx_int_t               identified;
    const char             *reason;
    struct ch_keytable_key  which;

    identified = ngx_http_certherd_identify(record, hash, &which);

    if (identified == NGX_OK
        && ngx_http_certherd_keys_known(&which, leaf, ret_key) == NGX_OK)
    {
        ngx_http_certherd_count(NGX_HTTP_CERTHERD_SECOND_HITS);
        return NULL;
    }

    reason = ngx_http_certherd_unseal(record, leaf, block, &len);
    if (reason) {
        return reason;
    }

    rc = ch_pair_key(leaf, block, len, 0, ret_key);

    if (rc == CH_OK && identified == NGX_OK && len == CH_KEY_BLOCK_B) {
        ch_keytable_put(ngx_http_certherd_keys, &which,
                        ngx_http_certherd_keys_now(), block + 1);
    }

    ch_wipe(block, sizeof(block));

    if (rc == CH_OK) {
        return NULL;
    }

    return rc == CH_EAUTH ? "its key is not that of its certificate"
                          : "its sealed key is none that can be used";
}

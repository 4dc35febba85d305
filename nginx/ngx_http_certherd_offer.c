
/*
 * What a client offers, as far as it decides between two certificates of a
 * name: whether it can use one with an ECDSA key, on P-256 or P-384.
 */


#include "ngx_http_certherd_module.h"

#include "crypto/seal.h"
#include "wire/record.h"


/* RFC 8446 section 4.2.3: the hash and the signature of a SignatureScheme */
#define NGX_HTTP_CERTHERD_SHA256  4
#define NGX_HTTP_CERTHERD_SHA384  5
#define NGX_HTTP_CERTHERD_ECDSA   3

/* Of what a client offers; more than all curves that there are names for. */
#define NGX_HTTP_CERTHERD_GROUPS  64


/*
 * TLS 1.3 ties the curve to the hash; in TLS 1.2 any hash will do that both
 * sides allow.  Without the extension a client of TLS 1.2 means SHA-1, which
 * OpenSSL refuses.
 */

static ngx_uint_t
ngx_http_certherd_offers_signature(ngx_ssl_conn_t *ssl_conn, ngx_uint_t p384)
{
    int            i, n, tls13;
    unsigned char  hash, sig, own;

    own = p384 ? NGX_HTTP_CERTHERD_SHA384 : NGX_HTTP_CERTHERD_SHA256;

    tls13 = (SSL_version(ssl_conn) == TLS1_3_VERSION);
    n = SSL_get_shared_sigalgs(ssl_conn, 0, NULL, NULL, NULL, NULL, NULL);

    for (i = 0; i < n; i++) {
        (void) SSL_get_shared_sigalgs(ssl_conn, i, NULL, NULL, NULL, &sig,
                                      &hash);

        if (sig == NGX_HTTP_CERTHERD_ECDSA
            && (hash == own
                || (!tls13 && hash >= NGX_HTTP_CERTHERD_SHA256 && hash <= 6)))
        {
            return 1;
        }
    }

    return 0;
}


/*
 * Of TLS 1.2 (RFC 8422 section 5.1.1); without the extension any curve will do.
 * So it will for a list that no client sends: OpenSSL goes through it from the
 * start for each of its items, which may be 32,000, and the same ones.
 */

static ngx_uint_t
ngx_http_certherd_offers_curve(ngx_ssl_conn_t *ssl_conn, ngx_uint_t p384)
{
    int  i, n, curve;

    n = SSL_get1_groups(ssl_conn, NULL);

    if (n <= 0 || n > NGX_HTTP_CERTHERD_GROUPS) {
        return 1;
    }

    n = SSL_get_shared_group(ssl_conn, -1);
    curve = p384 ? NID_secp384r1 : NID_X9_62_prime256v1;

    for (i = 0; i < n; i++) {
        if (SSL_get_shared_group(ssl_conn, i) == curve) {
            return 1;
        }
    }

    return 0;
}


/* Of TLS 1.2: those of TLS 1.3 go with any certificate. */

static ngx_uint_t
ngx_http_certherd_offers_cipher(ngx_ssl_conn_t *ssl_conn)
{
    int                    i, k;
    const SSL_CIPHER      *cipher;
    STACK_OF(SSL_CIPHER)  *theirs, *ours;

    theirs = SSL_get_client_ciphers(ssl_conn);
    ours = SSL_get_ciphers(ssl_conn);

    for (i = 0; i < sk_SSL_CIPHER_num(theirs); i++) {
        cipher = sk_SSL_CIPHER_value(theirs, i);

        if (SSL_CIPHER_get_auth_nid(cipher) != NID_auth_ecdsa) {
            continue;
        }

        for (k = 0; k < sk_SSL_CIPHER_num(ours); k++) {
            if (sk_SSL_CIPHER_value(ours, k) == cipher) {
                return 1;
            }
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_certherd_offers_ecdsa(ngx_ssl_conn_t *ssl_conn,
    struct ch_record *record)
{
    ngx_uint_t  p384;

    /* Before the certificate is parsed: how long a sealed key is tells its kind. */
    p384 = record->n_sealed
           && record->sealed[0].ct_len == CH_KEY_BLOCK_P384_B + CH_SEAL_TAG_B;

    if (!ngx_http_certherd_offers_signature(ssl_conn, p384)) {
        return 0;
    }

    return SSL_version(ssl_conn) == TLS1_3_VERSION
           || (ngx_http_certherd_offers_curve(ssl_conn, p384)
               && ngx_http_certherd_offers_cipher(ssl_conn));
}

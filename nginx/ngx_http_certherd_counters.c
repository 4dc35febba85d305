
/*
 * What certherd_status tells: a slot of counters for each process, in memory
 * that all workers share and that outlives a reload.  A slot has one writer,
 * the process whose place in nginx's table it is, so there are no locks; who
 * comes to that place later counts on from where the last one stopped.
 */


#include "ngx_http_certherd_module.h"


#define NGX_HTTP_CERTHERD_SLOTS   NGX_MAX_PROCESSES
#define NGX_HTTP_CERTHERD_WINDOW  300  /* s */


/* Of processes that serve nobody, and until there is a zone. */
static ngx_http_certherd_slot_t  ngx_http_certherd_no_slot;

ngx_http_certherd_slot_t  *ngx_http_certherd_slot = &ngx_http_certherd_no_slot;


static ngx_int_t
ngx_http_certherd_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data == NULL && !zone->shm.exists) {
        pool->data = ngx_slab_calloc(pool, NGX_HTTP_CERTHERD_SLOTS
                                           * sizeof(ngx_http_certherd_slot_t));
        if (pool->data == NULL) {
            return NGX_ERROR;
        }
    }

    zone->data = pool->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_certherd_add_counters(ngx_conf_t *cf,
    ngx_http_certherd_main_conf_t *mcf)
{
    size_t     size;
    /* The number stands for the slot's layout. */
    ngx_str_t  name = ngx_string("certherd_counters:4");

    size = NGX_HTTP_CERTHERD_SLOTS * sizeof(ngx_http_certherd_slot_t);
    size = ngx_align(size, ngx_pagesize) + 16 * ngx_pagesize;

    mcf->counters = ngx_shared_memory_add(cf, &name, size,
                                          &ngx_http_certherd_module);
    if (mcf->counters == NULL) {
        return NGX_ERROR;
    }

    mcf->counters->init = ngx_http_certherd_init_zone;

    return NGX_OK;
}


void
ngx_http_certherd_counters_start(ngx_http_certherd_main_conf_t *mcf)
{
    ngx_http_certherd_slot_t  *slot;

    slot = (ngx_http_certherd_slot_t *) mcf->counters->data + ngx_process_slot;

    /* What the process before could not take back, if it was killed. */
    slot->cache_entries = 0;
    slot->cache_bytes = 0;
    slot->second_entries = 0;
    slot->second_bytes = 0;
    slot->window = 0;
    slot->pid = ngx_pid;

    ngx_http_certherd_slot = slot;
}


void
ngx_http_certherd_counters_stop(void)
{
    ngx_http_certherd_slot->pid = 0;
    ngx_http_certherd_slot = &ngx_http_certherd_no_slot;
}


/* Minima of this window and the one before: no list, no walk, soon forgotten. */

void
ngx_http_certherd_count_expiry(int64_t not_after)
{
    int64_t                    window;
    ngx_http_certherd_slot_t  *slot;

    slot = ngx_http_certherd_slot;
    window = ngx_time() / NGX_HTTP_CERTHERD_WINDOW;

    if (slot->window != window) {
        slot->expiry_before = slot->window == window - 1 ? slot->expiry : 0;
        slot->expiry = 0;
        slot->window = window;
    }

    if (slot->expiry == 0 || not_after < slot->expiry) {
        slot->expiry = not_after;
    }
}


static void
ngx_http_certherd_sum_expiry(ngx_http_certherd_slot_t *slot,
    ngx_http_certherd_sum_t *sum)
{
    int64_t     window;
    ngx_uint_t  i;
    int64_t     seen[2];

    window = ngx_time() / NGX_HTTP_CERTHERD_WINDOW;
    seen[0] = slot->window >= window - 1 ? slot->expiry : 0;
    seen[1] = slot->window >= window ? slot->expiry_before : 0;

    for (i = 0; i < 2; i++) {
        if (seen[i] && (sum->expiry == 0 || seen[i] < sum->expiry)) {
            sum->expiry = seen[i];
        }
    }
}


void
ngx_http_certherd_sum_counters(ngx_http_certherd_main_conf_t *mcf,
    ngx_http_certherd_sum_t *sum)
{
    ngx_uint_t                 i, n;
    ngx_http_certherd_slot_t  *slot;

    ngx_memzero(sum, sizeof(ngx_http_certherd_sum_t));
    slot = mcf->counters->data;

    for (i = 0; i < NGX_HTTP_CERTHERD_SLOTS; i++, slot++) {

        for (n = 0; n < NGX_HTTP_CERTHERD_COUNTERS; n++) {
            sum->count[n] += slot->count[n];
        }

        /* Of the living only; whoever was killed has left his number. */

        if (slot->pid == 0
            || (kill((ngx_pid_t) slot->pid, 0) == -1 && errno == ESRCH))
        {
            continue;
        }

        sum->workers++;
        sum->cache_entries += slot->cache_entries;
        sum->cache_bytes += slot->cache_bytes;
        sum->second_entries += slot->second_entries;
        sum->second_bytes += slot->second_bytes;
        ngx_http_certherd_sum_expiry(slot, sum);
    }
}

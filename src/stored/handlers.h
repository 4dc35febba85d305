/* The handlers of the routes (stored/routes.c), by file. */
#ifndef CH_STORED_HANDLERS_H
#define CH_STORED_HANDLERS_H

#include "stored/request.h"

/* handlers_status.c */
ch_req_fn ch_handle_health;
ch_req_fn ch_handle_status;
ch_req_fn ch_handle_audit;
ch_req_fn ch_handle_edges_list;
/* handlers_metrics.c */
ch_req_fn ch_handle_metrics;
/* handlers_domains.c */
ch_req_fn ch_handle_domain_put;
ch_req_fn ch_handle_domain_get;
ch_req_fn ch_handle_domain_delete;
ch_req_fn ch_handle_domain_retry;
ch_req_fn ch_handle_domain_pause;
ch_req_fn ch_handle_domain_resume;
ch_req_fn ch_handle_domains_list;
/* handlers_batch.c */
ch_req_fn ch_handle_domains_batch;
/* handlers_orders.c */
ch_req_fn ch_handle_certificate;
ch_req_fn ch_handle_certificate_rollback;
ch_req_fn ch_handle_certificate_standby;
ch_req_fn ch_handle_standby;
ch_req_fn ch_handle_orders_list;
ch_req_fn ch_handle_order_get;
/* handlers_issuer.c */
ch_req_fn ch_handle_leases;
ch_req_fn ch_handle_order_patch;
/* handlers_publish.c */
ch_req_fn ch_handle_order_publish;
/* handlers_steps.c */
ch_req_fn ch_handle_steps;
/* handlers_adopt.c */
ch_req_fn ch_handle_adoptions;
/* handlers_limits.c */
ch_req_fn ch_handle_limits;
/* handlers_forecast.c */
ch_req_fn ch_handle_forecast;
ch_req_fn ch_handle_rekey_post;
ch_req_fn ch_handle_rekey_get;
/* handlers_renewal.c */
ch_req_fn ch_handle_alerts_post;
ch_req_fn ch_handle_alerts_get;
ch_req_fn ch_handle_calendar;
ch_req_fn ch_handle_renewal_leases;
ch_req_fn ch_handle_renewal_info;
/* handlers_tickets.c */
ch_req_fn ch_handle_tickets_list;
ch_req_fn ch_handle_tickets_put;
/* handlers_feed.c */
ch_req_fn ch_handle_feed;
ch_req_fn ch_handle_feed_snapshot;
/* handlers_checksum.c */
ch_req_fn ch_handle_feed_checksum;
/* handlers_pools.c */
ch_req_fn ch_handle_pools_list;
ch_req_fn ch_handle_pool_freeze;
ch_req_fn ch_handle_pool_thaw;
ch_req_fn ch_handle_pool_release;
ch_req_fn ch_handle_pool_canary_put;
ch_req_fn ch_handle_pool_canary_delete;
/* handlers_edge.c */
ch_req_fn ch_handle_edge_ack;
ch_req_fn ch_handle_edge_delete;
/* handlers_wanted.c */
ch_req_fn ch_handle_wanted;
/* handlers_handback.c */
ch_req_fn ch_handle_handback;

#endif

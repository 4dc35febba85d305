/* What an edge says when it reports to the store: a sentence or more for people, of which the
 * store understands only how it begins. */
#ifndef CH_WIRE_EDGE_ERROR_H
#define CH_WIRE_EDGE_ERROR_H

#define CH_EDGE_ERROR_MAX_B 1000u /* without NUL; a longer one is refused */

/* Before what keeps visitors from being served, now or when certificates end. */
#define CH_EDGE_CRITICAL "Critical: "

#endif

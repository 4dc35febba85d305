/* Keys of the table counter that more than one file knows. */
#ifndef CH_STORE_COUNTERS_H
#define CH_STORE_COUNTERS_H

#define CH_COUNTER_PRUNED "pruned-" /* … and the kind of row; "at": when the last was */
#define CH_COUNTER_HANDBACK_UNTIL "handback-until"
#define CH_COUNTER_ORDERING_FROM "ordering-from"
#define CH_COUNTER_WANTED "wanted-taken"

#endif

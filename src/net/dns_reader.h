/* Reading a DNS message part by part; for the readers of answers only. */
#ifndef CH_NET_DNS_READER_H
#define CH_NET_DNS_READER_H

#include "net/dns_message.h"

struct ch_dns_reader {
	const uint8_t *bytes;
	size_t len;
	size_t at;
};

struct ch_dns_record {
	char owner[CH_DNS_NAME_B];
	unsigned type;
	unsigned class;
	size_t data_at;
	size_t data_len;
};

/* Each moves on, or answers CH_EPROTO: the message is broken.  Names as in struct
 * ch_dns_answer. */
CH_MUST int ch_dns_take_u16(struct ch_dns_reader *r, unsigned *ret_v);
CH_MUST int ch_dns_take_name(struct ch_dns_reader *r, char ret_name[CH_DNS_NAME_B]);
CH_MUST int ch_dns_take_record(struct ch_dns_reader *r, struct ch_dns_record *ret_record);
/* A last full stop of b does not count. */
bool ch_dns_same_name(const char *a, const char *b);

#endif

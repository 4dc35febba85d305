#include "wire/tickets.h"

static int check(const struct ch_tickets *tickets)
{
	if (tickets->n == 0 || tickets->n > CH_TICKET_KEYS_MAX)
		return CH_EPROTO;
	for (size_t i = 0; i < tickets->n; i++) {
		const struct ch_ticket_key *key = &tickets->keys[i];

		if (key->from_s < 0 || key->until_s <= key->from_s || key->n_sealed == 0 ||
			key->n_sealed > CH_RECORD_SEALED_MAX)
			return CH_EPROTO;
		if (i > 0 && key->from_s <= tickets->keys[i - 1].from_s)
			return CH_EPROTO;
		for (size_t k = 0; k < key->n_sealed; k++)
			if ((key->sealed[k].enc_len != 32 && key->sealed[k].enc_len != 65) ||
				key->sealed[k].ct_len != CH_TICKET_CT_B)
				return CH_EPROTO;
	}
	return CH_OK;
}

static void read_key(struct ch_reader *r, struct ch_ticket_key *key)
{
	key->id = ch_read_bytes(r, CH_TICKET_ID_B);
	key->from_s = (int64_t)ch_read_u64(r);
	key->until_s = (int64_t)ch_read_u64(r);
	key->n_sealed = ch_read_u8(r);
	if (key->n_sealed > CH_RECORD_SEALED_MAX)
		r->rc = CH_EPROTO;
	for (size_t i = 0; !r->rc && i < key->n_sealed; i++)
		ch_sealed_read_copy(r, &key->sealed[i]);
}

int ch_tickets_decode(const uint8_t *bytes, size_t len, struct ch_tickets *ret_tickets)
{
	struct ch_tickets tickets;
	struct ch_reader r;

	ch_reader_init(&r, bytes, len);
	tickets.n = ch_read_u8(&r);
	if (tickets.n > CH_TICKET_KEYS_MAX)
		return CH_EPROTO;
	for (size_t i = 0; i < tickets.n; i++)
		read_key(&r, &tickets.keys[i]);
	if (r.rc || r.left || check(&tickets))
		return CH_EPROTO;
	*ret_tickets = tickets;
	return CH_OK;
}

int ch_tickets_encode(const struct ch_tickets *tickets, struct ch_buf *out)
{
	if (check(tickets))
		return CH_EINVAL;
	(void)ch_buf_add_u8(out, (uint8_t)tickets->n);
	for (size_t i = 0; i < tickets->n; i++) {
		const struct ch_ticket_key *key = &tickets->keys[i];

		(void)ch_buf_add(out, key->id, CH_TICKET_ID_B);
		(void)ch_buf_add_u64(out, (uint64_t)key->from_s);
		(void)ch_buf_add_u64(out, (uint64_t)key->until_s);
		(void)ch_buf_add_u8(out, (uint8_t)key->n_sealed);
		for (size_t k = 0; k < key->n_sealed; k++)
			ch_sealed_add_copy(out, &key->sealed[k]);
	}
	return out->rc;
}

size_t ch_tickets_current(const struct ch_tickets *tickets, int64_t now_s)
{
	size_t current = tickets->n;

	for (size_t i = 0; i < tickets->n && tickets->keys[i].from_s <= now_s; i++)
		current = tickets->keys[i].until_s > now_s ? i : tickets->n;
	return current;
}

void ch_tickets_binding(const struct ch_ticket_key *key, const char *pool, size_t pool_len,
	struct ch_ticket_binding *ret_binding)
{
	*ret_binding = (struct ch_ticket_binding){.pool = pool,
		.pool_len = pool_len,
		.id = key->id,
		.from_s = key->from_s,
		.until_s = key->until_s};
}

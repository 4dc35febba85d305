#include "stored/claim.h"

#include <stdio.h>
#include <string.h>

#include "net/dns.h"
#include "stored/service.h"

static void on_answer(const struct ch_dns_answer *answer, void *arg)
{
	struct ch_claim *claim = arg;

	for (size_t i = 0; i < answer->n; i++)
		claim->found |= !answer->texts[i].cut &&
				strcmp(answer->texts[i].value, claim->text) == 0;
	ch_req_wake(claim->req);
}

void ch_claim_look(struct ch_req *req, struct ch_claim *claim, const char *name,
	const char *text, ch_req_fn *next)
{
	char owner[CH_NAME_TEXT_B + sizeof("_certherd.")];
	struct ch_dns *dns = req->service->dns;

	*claim = (struct ch_claim){.text = text, .req = req};
	snprintf(owner, sizeof(owner), "_certherd.%s",
		strncmp(name, "*.", 2) == 0 ? name + 2 : name);
	if (!ch_req_park(req, next))
		return;
	/* A name so long that it has no room for the record cannot be claimed. */
	if (!dns || strlen(owner) >= CH_DNS_NAME_B ||
		ch_dns_ask(dns, owner, CH_DNS_TXT, on_answer, claim))
		ch_req_wake(req);
}

/* `certherd agent`: keeps the replica on an edge's disk the same as the store's feed.
 * `certherd verify`: tells whether it is. */
#ifndef CH_AGENTD_AGENTD_H
#define CH_AGENTD_AGENTD_H

int ch_agent_main(int argc, char **argv);
int ch_verify_main(int argc, char **argv);

#endif

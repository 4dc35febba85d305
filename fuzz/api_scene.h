/* What the store holds when an input of fuzz_api.c begins, made by requests like those of the
 * input:
 *
 *   shop.example.com   order 100, published, to be confirmed
 *   two.example.com    and its www name: order 200, at `sealed`, leased with fence 1
 *   idle.example.com   pending
 *   rest.example.com   paused
 *   edge/default/fuzz  has acknowledged sequence number 1 */
#ifndef CH_FUZZ_API_SCENE_H
#define CH_FUZZ_API_SCENE_H

#include "fake_httpd.h"

struct ch_service *ch_fuzz_scene(void); /* makes it at the first call */

#endif
